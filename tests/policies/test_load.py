"""The school's file: what is accepted, and every kind of error with its line, column and words."""

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.document import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, MAX_VALUES
from policies.load import ConfigError, Problem, load, parse
from policies.model import State
from policies.snapshot import Snapshot
from tests.policies.schools import NOTHING_LISTED, NOW

MINIMAL = """\
school: {name: Trường THCS Số 1}
dns: {upstreams: [9.9.9.9]}
groups:
  - {name: 6a1, tier: thcs}
"""

WHOLE = """\
school:
  name: Trường THCS Số 1
  timezone: Asia/Ho_Chi_Minh
  language: vi
  province: province.yaml
dns:
  listen: [0.0.0.0:53, "[::]:53"]
  workers: auto
  upstreams: [tls://1.1.1.1#cloudflare-dns.com, 9.9.9.9]
  forward: {truong.local: [10.0.0.2]}
  allow_from: [10.0.0.0/8, 192.168.0.0/16]
  local: {may-in.truong.local: [10.0.0.9]}
  block_answer: page
  block_page: [10.0.0.2]
  block_ttl: 30
lists: {directory: /var/lib/manglanh/lists}
groups:
  - {name: 6a1, title: Lớp 6A1, tier: thcs, clients: [10.0.12.0/24, "aa:bb:cc:dd:ee:ff"], break_allows: [games]}
  - {name: clb, tier: clb, clients: [10.0.13.7]}
  - {name: giao-vien, title: Giáo viên, tier: staff, clients: [10.0.2.0/24]}
default_group: guest
tiers:
  thcs: {categories: {ai: allow}, services: [tiktok], youtube: strict, safe_search: yes, liftable: [games]}
  clb: {title: Câu lạc bộ, based_on: thcs}
modes:
  reading: {title: {vi: Đọc sách, en: Reading}, only: sites, sites: [thuvien.example]}
rules:
  - {action: block, name: Bücher.example, groups: [6a1, guest], by: Thầy Nam, until: "2027-06-01T00:00+07:00"}
timetable:
  lessons: {"1": 07:00-07:45, "2": 13:30-14:15}
  rules:
    - {mode: study, lessons: ["1", "2"], groups: [6a1], days: [mon, tue]}
    - {mode: reading, at: [22:00-05:00], holidays: no}
  holidays: [2027-02-15..2027-02-21, 2027-04-30]
dashboard: {listen: 0.0.0.0:8080}
"""


def problems(text: str | bytes) -> list[str]:
    """What is wrong with the file, without its name."""
    with pytest.raises(ConfigError) as refused:
        parse(text, "s")
    assert str(refused.value).splitlines() == [str(problem) for problem in refused.value.problems]
    return [str(problem).removeprefix("s:") for problem in refused.value.problems]


def wrong(section: str) -> list[str]:
    """What is wrong with a file that has ``section`` after the required ones, on line 5."""
    return problems(MINIMAL + dedent(section))


def test_the_least_that_is_a_school_has_sensible_defaults():
    file = parse(MINIMAL, "s")
    assert file.school.timezone == "Asia/Ho_Chi_Minh"
    assert file.dns.hostname == "manglanh.home.arpa"
    assert file.default_group is None


def test_a_whole_file_is_read_and_can_be_resolved():
    file = parse(WHOLE, "s")
    assert file.rules[0].name == "xn--bcher-kva.example"
    assert file.rules[0].until == 1811782800.0
    assert file.timetable.lessons["2"] == "13:30-14:15"
    assert file.timetable.rules[1].holidays is False
    assert file.tiers["thcs"].safe_search is True
    built = Snapshot(file, State(), NOTHING_LISTED)
    for group in built.groups:
        assert built.policy(group, NOW).tier == built.groups[group].tier
    assert built.tiers["clb"].categories["ai"] == "allow"


def test_load_reads_the_file_and_names_it_in_errors(tmp_path):
    path = tmp_path / "school.yaml"
    path.write_text(MINIMAL)
    assert load(path) == parse(MINIMAL, "x")
    path.write_text("a: 1\n")
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert refused.value.problems[0].file == str(path)


@pytest.mark.parametrize("path", ["absent.yaml", ".", "\0"])
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path, path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / path)


def test_the_example_of_the_design():
    text = MINIMAL.replace("- {name: 6a1, tier: thcs}", "- {name: 6a1, tier: thcs}\n  - name: 6a2\n    teir: thcs\n    tier: thcs")
    assert problems(text) == ['6:5: groups.1.teir: unknown key, did you mean "tier"?']


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("tires: {}", '5:1: tires: unknown key, did you mean "tiers"?'),
        ("lists: {directoy: /x}", '5:9: lists.directoy: unknown key, did you mean "directory"?'),
        ("tiers: {thcs: {yuotube: off}}", '5:16: tiers.thcs.yuotube: unknown key, did you mean "youtube"?'),
        ("modes: {study: {block: [ai]}}", '5:17: modes.study.block: unknown key, did you mean "blocks"?'),
        ("default_group: guset", '5:16: default_group: unknown group "guset", did you mean "guest"?'),
        ("default_group: teachers", '5:16: default_group: unknown group "teachers"; there are: 6a1, guest'),
        ("tiers: {thcss: {}}", """5:16: tiers.thcss: a tier of the school's own needs a title, did you mean "thcs"?"""),
        ("modes: {own: {}}", "5:14: modes.own: a mode of the school's own needs a title; there are: break, exam, normal, offline, study"),
        ("tiers: {own: {based_on: tchs}}", '5:25: tiers.own.based_on: unknown built-in tier "tchs", did you mean "thcs"?'),
        (
            "tiers: {thcs: {based_on: thpt}}",
            "5:26: tiers.thcs.based_on: thcs is built in; only a tier of the school's own is based on another",
        ),
        ("tiers: {thcs: {services: [tik-tok]}}", '5:27: tiers.thcs.services.0: unknown service "tik-tok", did you mean "tiktok"?'),
        (
            "tiers: {thcs: {categories: {gamling: block}}}",
            '5:29: tiers.thcs.categories.gamling: unknown category "gamling", did you mean "gambling"?',
        ),
        ("tiers: {thcs: {categories: {ai: maybe}}}", '5:33: tiers.thcs.categories.ai: unknown value "maybe"; there are: allow, block'),
        (
            "tiers: {thcs: {categories: {unlawful: allow}}}",
            "5:39: tiers.thcs.categories.unlawful: unlawful is locked: nobody in a school can open it",
        ),
        ("tiers: {thcs: {categories: {help: block}}}", "5:35: tiers.thcs.categories.help: help is never blocked"),
        ("tiers: {thcs: {liftable: [child-abuse]}}", "5:27: tiers.thcs.liftable.0: child-abuse is locked: nobody in a school can open it"),
        ("modes: {study: {blocks: [learning]}}", "5:26: modes.study.blocks.0: learning is never blocked"),
        ("modes: {break: {allows: [unlawful]}}", "5:26: modes.break.allows.0: unlawful is locked: nobody in a school can open it"),
        ("tiers: {thcs: {safe_search: perhaps}}", "5:29: tiers.thcs.safe_search: true or false (yes or no) is needed here"),
        ("tiers: {thcs: {youtube: medium}}", '5:25: tiers.thcs.youtube: unknown value "medium"; there are: moderate, off, strict'),
        ("tiers: {thcs: {block_answer: page}}", "5:30: tiers.thcs.block_answer: a block page needs its addresses in dns.block_page"),
        ("tiers: {thcs: {ttl_limit: -1}}", "5:27: tiers.thcs.ttl_limit: must be at least 0"),
        ("tiers: {thcs: {ttl_limit: soon}}", "5:27: tiers.thcs.ttl_limit: a whole number is needed here"),
        (
            "tiers: {THCS: {title: x}}",
            "5:9: tiers.THCS: 'THCS' is not an id: lower-case letters a-z, digits and hyphens (a title may be anything)",
        ),
        ("rules: [{action: deny, name: a.example}]", '5:18: rules.0.action: unknown value "deny"; there are: allow, block'),
        ("rules: [{name: a.example}]", "5:9: rules.0.action: required, but not there"),
        ("rules: [{action: block, name: a..b}]", "5:31: rules.0.name: empty label"),
        ("rules: [{action: block, name: a.b, groups: [6a2]}]", '5:45: rules.0.groups.0: unknown group "6a2", did you mean "6a1"?'),
        (
            'rules: [{action: block, name: a.b, until: "2027-01-15T17:00"}]',
            "5:43: rules.0.until: '2027-01-15T17:00' has no offset; write for example 2027-01-15T17:00+07:00",
        ),
        ("rules: [{action: block, name: a.b, until: tomorrow}]", "5:43: rules.0.until: a number is needed here"),
        ("rules: {}", "5:8: rules: a list is needed here"),
        ("timetable: []", "5:12: timetable: a mapping of keys is needed here"),
        ("timetable: {lessons: {a: 7h}}", "5:26: timetable.lessons.a: '7h' is not a range of times such as 07:00-07:45"),
        ("timetable: {holidays: [2027-02-30]}", "5:24: timetable.holidays.0: '2027-02-30' is not a date such as 2027-02-15"),
        (
            "timetable: {rules: [{mode: exma, at: [07:00-08:00]}]}",
            '5:28: timetable.rules.0.mode: unknown mode "exma", did you mean "exam"?',
        ),
        ("timetable: {rules: [{mode: exam}]}", "5:21: timetable.rules.0: says neither lessons nor at: when does it hold?"),
        ('timetable: {rules: [{mode: exam, lessons: ["7"]}]}', '5:44: timetable.rules.0.lessons.0: unknown lesson "7"'),
        (
            "timetable: {rules: [{mode: exam, at: [07:00-08:00], groups: [6b]}]}",
            '5:62: timetable.rules.0.groups.0: unknown group "6b"; there are: 6a1, guest',
        ),
        (
            "timetable: {rules: [{mode: exam, at: [07:00-08:00], days: [monday]}]}",
            '5:60: timetable.rules.0.days.0: unknown value "monday", did you mean "mon"?',
        ),
        ("dashboard: {listen: 8080}", "5:21: dashboard.listen: '8080' has no port; write for example 0.0.0.0:53 or [::]:53"),
        ("dashboard: {listen: [a]}", "5:21: dashboard.listen: text is needed here"),
        ("dashboard:", "5:1: dashboard: has no value; give one or remove the key"),
        ("groups: []", "5:1: groups: stands here twice"),
        ("? [a]\n: b", "5:3: a key must be text"),
    ],
)
def test_one_error(section, expected):
    assert wrong(section) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("9.9.9.9", "dns.google", "2:19: dns.upstreams.0: 'dns.google' is not an IP address"),
        ("[9.9.9.9]", "[]", "2:18: dns.upstreams: must not be empty"),
        ("[9.9.9.9]", "9.9.9.9", "2:18: dns.upstreams: a list is needed here"),
        ("{upstreams: [9.9.9.9]}", "{}", "2:1: dns.upstreams: required, but not there"),
        ("upstreams: [9.9.9.9]", "upstreams: [9.9.9.9], workers: 65", "2:38: dns.workers: auto, or a number from 1 to 64"),
        (
            "upstreams: [9.9.9.9]",
            "upstreams: [9.9.9.9], forward: {a b: [1.1.1.1]}",
            "2:39: dns.forward.a b: character not allowed in a name: ' '",
        ),
        ("upstreams: [9.9.9.9]", "upstreams: [9.9.9.9], local: {a.b: [x]}", "2:43: dns.local.a.b.0: 'x' is not an IP address"),
        ("upstreams: [9.9.9.9]", "upstreams: [9.9.9.9], listen: [localhost:53]", "2:38: dns.listen.0: 'localhost' is not an IP address"),
        (
            "upstreams: [9.9.9.9]",
            "upstreams: [9.9.9.9], block_answer: page",
            "2:43: dns.block_answer: a block page needs its addresses in dns.block_page",
        ),
        ("name: Trường THCS Số 1", "timezone: UTC", "1:1: school.name: required, but not there"),
        (
            "school: {name: Trường THCS Số 1",
            "school: {name: Số 1, timezone: Asia/Ho_Chi_Min",
            '1:32: school.timezone: unknown time zone "Asia/Ho_Chi_Min", did you mean "Asia/Ho_Chi_Minh"?',
        ),
        ("tier: thcs", "tier: thsc", '4:23: groups.0.tier: unknown tier "thsc", did you mean "thcs"?'),
        (
            "name: 6a1",
            "name: 6A1",
            "4:12: groups.0.name: '6A1' is not an id: lower-case letters a-z, digits and hyphens (a title may be anything)",
        ),
        (
            "tier: thcs",
            "tier: thcs, clients: [10.0.12.5/24]",
            "4:39: groups.0.clients.0: '10.0.12.5/24' has bits set after its prefix, did you mean \"10.0.12.0/24\"?",
        ),
        ("tier: thcs", "tier: thcs, clients: [lab]", "4:39: groups.0.clients.0: 'lab' is not a network or an address"),
        (
            "tier: thcs",
            "tier: thcs, clients: [8.8.8.0/24]",
            "4:39: groups.0.clients.0: 8.8.8.0/24 lies outside dns.allow_from, so nobody there would get an answer",
        ),
        (
            "tier: thcs}",
            "tier: thcs, clients: [10.0.1.0/24]}\n  - {name: 6a2, tier: thcs, clients: [10.0.1.0/24]}",
            "5:39: groups.1.clients.0: 10.0.1.0/24 is a client already (groups.0.clients.0)",
        ),
        (
            "tier: thcs}",
            'tier: thcs, clients: ["aa:bb:cc:dd:ee:ff"]}\n  - {name: 6a2, tier: thcs, clients: [AA-BB-CC-DD-EE-FF]}',
            "5:39: groups.1.clients.0: aa:bb:cc:dd:ee:ff is a client already (groups.0.clients.0)",
        ),
        (
            "9.9.9.9]",
            '9.9.9.9], listen: ["0.0.0.0:853"], tls: {certificate: a, key: b}',
            "2:59: dns.tls.listen: 0.0.0.0:853 is listened on already (dns.listen.0)",
        ),
        (
            "9.9.9.9]",
            '9.9.9.9], tls: {certificate: a, key: b, https_listen: ["0.0.0.0:443", "[::0]:853"]}',
            "2:89: dns.tls.https_listen.1: [::0]:853 is listened on already (dns.tls.listen)",
        ),
        (
            "9.9.9.9]",
            "9.9.9.9], tls: {certificate: a, key: b, path: dns-query}",
            "2:65: dns.tls.path: 'dns-query' is not the path of an address on the web, such as /dns-query",
        ),
        ("tier: thcs}", "tier: thcs}\n  - {name: 6a1, tier: thcs}", '5:12: groups.1.name: another group has the name "6a1" (groups.0)'),
    ],
)
def test_one_error_in_the_required_part(old, new, expected):
    assert old in MINIMAL
    assert problems(MINIMAL.replace(old, new, 1)) == [expected]


def test_all_errors_at_once_in_the_order_of_the_lines():
    """Neither a wrong type nor a flaw of the text hides what else is wrong."""
    text = """\
        school: {name: A, timezone: Mars}
        dns:
          upstream: [9.9.9.9]
        groups:
          - {name: 6a1, tier: thsc, clients: [10.0.0.0/8, 10.0.0.1/8]}
          - {name: 6a1, tier: thcs, tier: thpt, clients: [10.0.0.0/8]}
        rules:
          - {action: bloc, name: "a b", groups: [7a]}
        """
    assert problems(dedent(text)) == [
        '1:29: school.timezone: unknown time zone "Mars"',
        "2:1: dns.upstreams: required, but not there",
        '3:3: dns.upstream: unknown key, did you mean "upstreams"?',
        '5:23: groups.0.tier: unknown tier "thsc", did you mean "thcs"?',
        "5:51: groups.0.clients.1: '10.0.0.1/8' has bits set after its prefix, did you mean \"10.0.0.0/8\"?",
        '6:12: groups.1.name: another group has the name "6a1" (groups.0)',
        "6:29: groups.1.tier: stands here twice",
        "6:51: groups.1.clients.0: 10.0.0.0/8 is a client already (groups.0.clients.0)",
        '8:14: rules.0.action: unknown value "bloc", did you mean "block"?',
        "8:26: rules.0.name: character not allowed in a name: ' '",
        '8:42: rules.0.groups.0: unknown group "7a"; there are: 6a1, guest',
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "1:1: the file is empty"),
        (b"# nothing\n", "1:1: the file is empty"),
        (b"- a\n", "1:1: not a mapping of keys; it needs school:, dns: and groups:"),
        (b"text", "1:1: not a mapping of keys; it needs school:, dns: and groups:"),
        ("a: 1\nb: é".encode("latin-1"), "2:4: not UTF-8 text; save the file as UTF-8"),
        ("é: 1\0".encode(), "1:5: a character that YAML does not allow (U+0000)"),
        (b"a: 1\n---\nb: 2\n", "2:1: a second document begins here; a school has one"),
        (b"a: [1,\nb: 2", "2:5: not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        (b"a: b: c", "1:5: not YAML: mapping values are not allowed here"),
        (b"a: *x", "1:4: the alias *x has no anchor before it"),
        (b"a: " + b"[" * (MAX_DEPTH + 1), f"1:{MAX_DEPTH + 3}: nested more than {MAX_DEPTH} deep"),
        (b"a: &a [*a]", f"1:4: nested more than {MAX_DEPTH} deep"),
        (b"a: &a b\nb: [" + b"*a, " * (MAX_ALIASES + 1) + b"]", f"2:{5 + 4 * MAX_ALIASES}: more than {MAX_ALIASES} aliases"),
        (b"#" * (MAX_BYTES + 1), f"1:1: larger than {MAX_BYTES} bytes"),
        (b'a: "\\U0011ffff"', "1:1: not YAML: chr() arg not in range(0x110000)"),
    ],
)
def test_a_text_that_is_no_tree(data, expected):
    assert problems(data) == [expected]


def test_an_alias_bomb_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
    assert problems("\n".join(lines))[0].endswith(f"more than {MAX_VALUES} values, aliases followed")


def test_aliases_are_understood_and_a_byte_order_mark_is_no_error():
    text = MINIMAL.replace("tier: thcs}", "tier: thcs, break_allows: &open [games, ai]}\n  - {name: 6a2, tier: thcs, break_allows: *open}")
    file = parse("\ufeff" + text, "s")
    assert file.groups[0].break_allows == file.groups[1].break_allows == ("games", "ai")


def test_a_group_blocks_only_services_that_there_are():
    text = MINIMAL.replace("tier: thcs}", "tier: thcs, services: [zalo, tik-tok]}")
    assert problems(text) == ['4:46: groups.0.services.1: unknown service "tik-tok", did you mean "tiktok"?']


def test_an_error_inside_an_alias_stands_where_it_is_written():
    text = MINIMAL.replace("tier: thcs}", "tier: thcs, break_allows: &open [gmes]}\n  - {name: 6a2, tier: thcs, break_allows: *open}")
    assert [problem.split(": ")[0] for problem in problems(text)] == ["4:50", "4:50"]


LINES = WHOLE.splitlines()
PIECES = st.sampled_from(
    [*LINES, *WHOLE.replace("\n", " ").split(" "), "[", "{", "]", "}", ": ", "- ", "\n", "  ", "&a", "*a", "!!x", '"', "|", "é", "\0"]
)


def refuses_politely(data: bytes | str) -> None:
    found: list[Problem] = []
    try:
        file = parse(data, "s")
    except ConfigError as error:
        found = error.problems
        assert found
    else:
        Snapshot(file, State(), NOTHING_LISTED).policy(file.groups[0].name, NOW)
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in found)


@settings(deadline=None)
@given(st.one_of(st.text(), st.binary(), st.lists(PIECES, max_size=30).map("".join)))
def test_no_input_raises_anything_but_config_error(data):
    refuses_politely(data)


@settings(deadline=None)
@given(st.integers(0, len(LINES) - 1), st.integers(0, 120), st.integers(0, 12), st.one_of(PIECES, st.text(max_size=4)))
def test_no_mistake_in_a_good_file_raises_anything_but_config_error(line, column, length, piece):
    """One slip of the keyboard anywhere in a file that was right."""
    text = LINES[line]
    lines = [*LINES[:line], text[:column] + piece + text[column + length :], *LINES[line + 1 :]]
    refuses_politely("\n".join(lines))


def test_the_path_of_a_file_is_shown_as_it_was_given():
    with pytest.raises(ConfigError, match=r"^conf/school\.yaml:1:1: the file is empty$"):
        parse("", str(Path("conf") / "school.yaml"))
