"""Each format by a table of lines: what is understood, what is passed over, what is reported and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocklists.parse import FORMATS, parse
from blocklists.parse.regex import checked
from blocklists.rule import Conditions, ForProxy, Kind, ListRefused, Problem, Refused, Rule, Shape

SELF, BELOW, SUBTREE = Shape.SELF, Shape.BELOW, Shape.SUBTREE


def items(list_format, data: bytes | str, file=""):
    """(line, item) for all of one file."""
    content = data.encode() if isinstance(data, str) else data
    return [pair for _, numbered in parse(list_format, {file: content}) for pair in numbered]


def only(list_format, line, file=""):
    """The items of a single line."""
    return [item for _, item in items(list_format, line, file)]


def reasons(list_format, line):
    found = only(list_format, line)
    assert all(isinstance(item, Problem) for item in found), found
    return [item.reason for item in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("example.com", [Rule("example.com")]),
        ("Example.COM.", [Rule("example.com")]),
        (".example.com", [Rule("example.com")]),
        ("*.example.com", [Rule("example.com", BELOW)]),
        ("  example.com\t", [Rule("example.com")]),
        ("example.com # a comment", [Rule("example.com")]),
        ("example.com#no-comment", None),
        ("# only a comment", []),
        ("", []),
        ("under_score.example.com", [Rule("under_score.example.com")]),
        ("bücher.example", [Rule("xn--bcher-kva.example")]),
        ("việt.vn", [Rule("xn--vit-5kz.vn")]),
        ("ex..ample.com", ["empty label"]),
        ("a" * 64 + ".com", ["label longer than 63 characters"]),
        ("a." * 127 + "com", ["longer than 253 characters"]),
        ("192.0.2.1", ["an address, not a name"]),
        ("2001:db8::1", ["an address, not a name"]),
        ("0.0.0.0 example.com", ["more than one word: is this a hosts file?"]),
        ("http://example.com/", ["character not allowed in a name: '/'"]),
        ("-example.com", ["label starts or ends with a hyphen"]),
        ("*", ["character not allowed in a name: '*'"]),
        ("a*.example.com", ["character not allowed in a name: '*'"]),
        (".", ["empty name"]),
    ],
)
def test_domains(line, expected):
    if expected is None:
        assert all(isinstance(item, Problem) for item in only("domains", line))
    elif expected and isinstance(expected[0], str):
        assert reasons("domains", line) == expected
    else:
        assert only("domains", line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0.0.0.0 example.com", [Rule("example.com", SELF)]),
        ("127.0.0.1\texample.com\twww.example.com # both", [Rule("example.com", SELF), Rule("www.example.com", SELF)]),
        (":: example.com", [Rule("example.com", SELF)]),
        ("127.0.0.53 example.com", [Rule("example.com", SELF)]),
        ("0:0:0:0:0:0:0:0 example.com", [Rule("example.com", SELF)]),
        ("127.0.0.1 localhost", []),
        ("fe80::1%lo0 localhost", []),
        ("ff02::1 ip6-allnodes", []),
        ("0.0.0.0 0.0.0.0", []),
        ("0.0.0.0 localhost example.com", [Rule("example.com", SELF)]),
        ("0.0.0.0 good.example bad..example", [Rule("good.example", SELF), Problem("empty label", "bad..example")]),
    ],
)
def test_hosts(line, expected):
    assert only("hosts", line) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("192.0.2.7 example.com", "the address is a real one, so this redirects and does not block"),
        ("example.com", "no address at the start: is this a list of domains?"),
        ("0.0.0.0", "an address without a name"),
        ("0.0.0.0 .example.com", "empty label"),
        ("0.0.0.0 192.0.2.1", "an address, not a name"),
        ("0.0.0.0 *.example.com", "character not allowed in a name: '*'"),
    ],
)
def test_hosts_reports(line, reason):
    assert reasons("hosts", line) == [reason]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("||example.com^", [Rule("example.com")]),
        ("||Example.com^|", [Rule("example.com")]),
        ("||example.com|", [Rule("example.com")]),
        ("||*.example.com^", [Rule("example.com", BELOW)]),
        ("|example.com|", [Rule("example.com", SELF)]),
        ("|example.com^", [Rule("example.com", SELF)]),
        ("@@||example.com^", [Rule("example.com", SUBTREE, Kind.ALLOW)]),
        ("@@|example.com|", [Rule("example.com", SELF, Kind.ALLOW)]),
        ("||example.com^$important", [Rule("example.com", SUBTREE, Kind.FIRM_BLOCK)]),
        ("@@||example.com^$important", [Rule("example.com", SUBTREE, Kind.FIRM_ALLOW)]),
        ("example.com", [Rule("example.com", SELF)]),
        ("0.0.0.0 example.com", [Rule("example.com", SELF)]),
        ("||example.com^$denyallow=b.example.com|a.example.com", [Conditions("example.com", denyallow=("a.example.com", "b.example.com"))]),
        ("||example.com^$dnstype=AAAA", [Conditions("example.com", types=(28,))]),
        ("||example.com^$dnstype=~A|~CNAME", [Conditions("example.com", types=(1, 5), other_types=True)]),
        ("|example.com^$important,dnstype=a", [Conditions("example.com", SELF, kind=Kind.FIRM_BLOCK, types=(1,))]),
        ("@@||example.com^$dnstype=HTTPS", [Conditions("example.com", kind=Kind.ALLOW, types=(65,))]),
        ("||example.com^$dnsrewrite=NXDOMAIN", [Rule("example.com")]),
        ("||example.com^$dnsrewrite=0.0.0.0", [Rule("example.com")]),
        ("||example.com^$dnsrewrite=::", [Rule("example.com")]),
        ("||example.com^$dnsrewrite=NOERROR;A;0.0.0.0", [Rule("example.com")]),
        ("||example.com^$dnsrewrite=REFUSED;;", [Rule("example.com")]),
        (r"/^ad[0-9]+\./", [Conditions(pattern=r"^ad[0-9]+\.")]),
        (r"@@/^ad[0-9]+\./$important", [Conditions(pattern=r"^ad[0-9]+\.", kind=Kind.FIRM_ALLOW)]),
        (r"/casino$/$dnstype=A", [Conditions(pattern="casino$", types=(1,))]),
        ("! a comment", []),
        ("# a comment", []),
        ("[Adblock Plus 2.0]", []),
        ("||bücher.example^", [Rule("xn--bcher-kva.example")]),
    ],
)
def test_adblock(line, expected):
    assert only("adblock", line) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("||example.com^$third-party", "modifier not supported: third-party"),
        ("||example.com^$~third-party", "modifier not supported: third-party"),
        ("||example.com^$client=192.0.2.1", "modifier not supported: client"),
        ("||example.com^$important,popup", "modifier not supported: popup"),
        ("||example.com^$all", "modifier not supported: all"),
        ("||example.com^$document", "modifier not supported: document"),
        ("||example.com^$denyallow", "modifier not supported: denyallow"),
        ("||example.com^$dnstype=BOGUS", "dnstype with an unknown type: BOGUS"),
        ("||example.com^$dnstype=A|~AAAA", "dnstype with both wanted and unwanted types"),
        ("||example.com^$dnsrewrite=192.0.2.1", "dnsrewrite that answers something, and does not block"),
        ("||example.com^$dnsrewrite=other.example", "dnsrewrite that answers something, and does not block"),
        ("@@||example.com^$dnsrewrite=NXDOMAIN", "an exception to dnsrewrite: this list rewrites nothing"),
        ("example.com##.banner", "about elements of a page, which DNS cannot see"),
        ("example.com#@#.banner", "about elements of a page, which DNS cannot see"),
        ("##.banner", "about elements of a page, which DNS cannot see"),
        ("#@#.banner", "about elements of a page, which DNS cannot see"),
        ("||example.com/ads/*", "a path of a URL: something for the proxy"),
        ("||example.com^/banner", "a path of a URL: something for the proxy"),
        ("/banner/ads.js", "a path of a URL: something for the proxy"),
        ("/banner", "a path, or an expression without its end"),
        ("||example.com", "a name without its end (^ or |): it would also match what merely begins so"),
        ("||ads*.example.com^", "a wildcard inside a name"),
        ("||example.*^", "a wildcard inside a name"),
        ("||192.0.2.1^", "an address, not a name"),
        ("||example.com:8080^", "a port or an address"),
        ("*$denyallow=com|net", "covers every name there is"),
        ("||ex..ample.com^", "empty label"),
        (r"/(a+)+$/", "expression that repeats a repetition or a choice, which can take exponential time"),
    ],
)
def test_adblock_reports_and_does_not_guess(line, reason):
    assert reasons("adblock", line) == [reason]


def test_badfilter_takes_a_rule_back_wherever_it_stands_and_however_it_is_spelled():
    text = "||a.example^$badfilter\n||a.example^\n||b.example^$dnstype=A,important\n||A.example^\n||b.example^$important,dnstype=A,badfilter\n||c.example^"
    assert items("adblock", text) == [(6, Rule("c.example"))]


def test_badfilter_takes_back_only_the_same_rule():
    text = "||a.example^$badfilter\n@@||a.example^\n||a.example^$important\n|a.example^"
    assert [item for _, item in items("adblock", text)] == [
        Rule("a.example", SUBTREE, Kind.ALLOW),
        Rule("a.example", SUBTREE, Kind.FIRM_BLOCK),
        Rule("a.example", SELF),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("address=/example.com/", [Rule("example.com")]),
        ("address=/example.com/0.0.0.0", [Rule("example.com")]),
        ("address=/example.com/::", [Rule("example.com")]),
        ("address=/example.com/#", [Rule("example.com")]),
        ("address=/example.com/192.0.2.1", [Rule("example.com")]),
        ("address=/.example.com/0.0.0.0", [Rule("example.com")]),
        ("address=/*.example.com/0.0.0.0", [Rule("example.com", BELOW)]),
        ("address=/a.example/b.example/0.0.0.0", [Rule("a.example"), Rule("b.example")]),
        ("local=/example.com/", [Rule("example.com")]),
        ("server=/example.com/", [Rule("example.com")]),
        ("server=/good.example.com/#", [Rule("good.example.com", SUBTREE, Kind.ALLOW)]),
        ("--address=/example.com/", [Rule("example.com")]),
        (" local = /example.com/  # why", [Rule("example.com")]),
        ("# a comment", []),
        ("local=/a..b/ok.example/", [Problem("empty label", "a..b"), Rule("ok.example")]),
    ],
)
def test_dnsmasq(line, expected):
    assert only("dnsmasq", line) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("server=/example.com/192.0.2.1", "forwards to a server, and does not block"),
        ("server=192.0.2.1", "not address=/…/, server=/…/ or local=/…/"),
        ("cname=a.example,b.example", "not address=/…/, server=/…/ or local=/…/"),
        ("address=/example.com/other.example", "neither an address nor # after the last slash"),
        ("address=/#/0.0.0.0", "# covers every name there is"),
        ("address=/*ads.example/", "a wildcard inside a label"),
        ("address=//0.0.0.0", "empty name"),
    ],
)
def test_dnsmasq_reports(line, reason):
    assert reasons("dnsmasq", line) == [reason]


RPZ = """\
$TTL 2h ; a comment
$ORIGIN rpz.example.
@   IN SOA localhost. root.localhost. (
        2026010101 ; serial
        1h 15m 30d 2h )
    IN NS localhost.
nxdomain.com        CNAME   .
*.nxdomain.com      CNAME   .
nodata.com  3600 IN CNAME   *.
good.nxdomain.com   IN 60 CNAME rpz-passthru.
self.com            CNAME   self.com.
local.com           A       192.0.2.1
                    AAAA    2001:db8::1
full.com.rpz.example. CNAME .
UPPER.com           CNAME   .
$ORIGIN com.rpz.example.
below               CNAME   .
"""


def test_rpz():
    assert items("rpz", RPZ) == [
        (7, Rule("nxdomain.com", SELF)),
        (8, Rule("nxdomain.com", BELOW)),
        (9, Rule("nodata.com", SELF)),
        (10, Rule("good.nxdomain.com", SELF, Kind.ALLOW)),
        (11, Rule("self.com", SELF, Kind.ALLOW)),
        (12, Rule("local.com", SELF)),
        (13, Rule("local.com", SELF)),
        (14, Rule("full.com", SELF)),
        (15, Rule("upper.com", SELF)),
        (17, Rule("below.com", SELF)),
    ]


@pytest.mark.parametrize("head", ["", "@ SOA a. b. 1 1 1 1 1\n", "$TTL 300\n@ IN SOA a. b. (1 1 1 1\n1)\n"])
def test_rpz_without_origin_is_relative(head):
    assert only("rpz", head + "example.com CNAME .\n") == [Rule("example.com", SELF)]


def test_rpz_takes_its_apex_from_an_absolute_soa():
    text = "rpz.local. 60 IN SOA a. b. 1 1 1 1 1\nexample.com.rpz.local. CNAME .\n"
    assert only("rpz", text) == [Rule("example.com", SELF)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("32.1.2.0.192.rpz-ip CNAME .", "trigger not supported: rpz-ip"),
        ("24.0.2.0.192.rpz-client-ip CNAME rpz-drop.", "trigger not supported: rpz-client-ip"),
        ("ns.example.rpz-nsdname CNAME .", "trigger not supported: rpz-nsdname"),
        ("a.example CNAME rpz-drop.", "action not supported: rpz-drop."),
        ("a.example CNAME rpz-tcp-only.", "action not supported: rpz-tcp-only."),
        ("a.example CNAME safe.example.", "a CNAME that leads somewhere, and does not block"),
        ("a.example TXT text", "local data not supported: TXT"),
        ("a.example", "a record without a type"),
        ("a.example.other.zone. CNAME .", "outside the zone"),
        ("@ CNAME .", "at the zone's apex: covers nothing"),
        ("$INCLUDE other.zone", "directive not supported: $INCLUDE"),
        ("$GENERATE 1-9 a$ CNAME .", "directive not supported: $GENERATE"),
        ("192.0.2.1 CNAME .", "an address, not a name"),
        ("a.example ( CNAME .", "a parenthesis that is never closed"),
        ("* CNAME .", "character not allowed in a name: '*'"),
    ],
)
def test_rpz_reports(line, reason):
    assert reasons("rpz", "$ORIGIN rpz.example.\n" + line) == [reason]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("example.com", Rule("example.com", SELF)),
        ("example.com/", Rule("example.com", SELF)),
        ("http://Example.com/", Rule("example.com", SELF)),
        ("www.facebook.com/some.page", ForProxy("www.facebook.com/some.page")),
        ("example.com?q=1", ForProxy("example.com?q=1")),
        ("example.com#part", ForProxy("example.com#part")),
        ("example.com:8080", ForProxy("example.com:8080")),
        ("user@example.com/", ForProxy("user@example.com/")),
        ("192.0.2.1/", ForProxy("192.0.2.1/")),
    ],
)
def test_ut1_urls(line, expected):
    assert only("ut1", line, "urls") == [expected]


def test_ut1_folder():
    files = {"domains": b".a.example\n192.0.2.1\n", "urls": b"b.example/page\n", "expressions": b"(casino|poker)\n", "usage": b"black\n"}
    found = [(file, line, item) for file, numbered in parse("ut1", files) for line, item in numbered]
    assert found == [
        ("domains", 1, Rule("a.example")),
        ("domains", 2, Problem("an address, not a name", "192.0.2.1")),
        ("urls", 1, ForProxy("b.example/page")),
        ("expressions", 1, ForProxy("(casino|poker)")),
    ]


def test_a_folder_that_is_no_ut1_category_is_refused():
    with pytest.raises(ListRefused, match="domains, urls, expressions"):
        list(parse("ut1", {}))


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        (r"^(.+[_.-])?adse?rv(er?|ice)?s?[0-9]*[_.-]", None),
        (r"(^|\.)casino[0-9]{1,3}\.", None),
        (r"/^Poker\S+/", r"^poker\S+"),
        (r"^[A-Z]{2}\.example$", r"^[a-z]{2}\.example$"),
        (r"(?:foo|bar)?baz", None),
        (r"^(?!good).*bad", None),
        (r"[]a]x", None),
        (r"(a|b)", None),
        (r"(ab){2}", None),
        (r"^adv(s|is(ing|ements?))?[0-9]*[_.-]|^track(er|ing)?[0-9]*[_.-]|^stat(s|istics)?[0-9]*[-.]", None),
        (r"(^|[-.])b[a4]i[0-9]{2,3}([-.]|$)", None),
    ],
)
def test_regex(line, pattern):
    assert only("regex", line) == [Conditions(pattern=pattern or line)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (r"(a+)+$", "repeats a repetition"),
        (r"(a*)*b", "repeats a repetition"),
        (r"((a|b)c)*d", "repeats a repetition or a choice"),
        (r"(a|aa)+$", "repeats a repetition or a choice"),
        (r"(a?){30}x", "repeats a repetition"),
        (r"(([a-z])+.)+x", "repeats a repetition"),
        (r"(a{2,30}){5}", "repeats a repetition"),
        (r"(a+){3}", "repeats a repetition"),
        (r"a*b*c*d*e", "could take too long"),
        (r"(.+)(.+)!", "could take too long"),
        (r"^(.+)(.+)(.+)!", "could take too long"),
        ("a?" * 40 + "a" * 40, "could take too long"),
        ("(a|a)" * 20 + "!", "could take too long"),
        ("x{1,9}" * 10 + "y", "could take too long"),
        (r"(a)\1", "back-reference"),
        (r"(?P<x>a)(?P=x)", "back-reference"),
        (r"(?i)casino", "inline flags"),
        (r"[[:space:]]x", "POSIX class"),
        (r"(unclosed", "not a regular expression"),
        (r"a**", "not a regular expression"),
        (r"[a--b]", "not a regular expression"),
        (r"x" * 201, "longer than 200"),
        (r".*", "matches every name"),
        (r"(|x)", "matches every name"),
        (r"a{99999999999}", "not a regular expression"),
        (r"ads;querytype=A", "an option of Pi-hole"),
    ],
)
def test_regex_refuses_what_could_run_long_or_match_everything(line, reason):
    (found,) = reasons("regex", line)
    assert reason in found


class TestBytes:
    """What every format takes from the reader of lines."""

    def test_bom_crlf_and_no_last_newline(self):
        assert items("domains", b"\xef\xbb\xbfa.example\r\nb.example\r\n\r\nc.example") == [
            (1, Rule("a.example")),
            (2, Rule("b.example")),
            (4, Rule("c.example")),
        ]

    def test_a_huge_line_is_one_problem_of_bounded_size(self):
        found = items("domains", b"a" * 10_000_000 + b"\nb.example")
        assert found[1] == (2, Rule("b.example"))
        assert found[0][1].reason == "line longer than 4096 bytes"
        assert len(found[0][1].text) < 200

    def test_bad_utf8_is_a_problem_of_its_line_only(self):
        (first, second) = items("domains", b"caf\xe9.example\nb.example")
        assert isinstance(first[1], Problem)
        assert second == (2, Rule("b.example"))

    def test_control_characters_do_not_reach_a_report(self):
        ((_, problem),) = items("domains", "\x1b[31mred.example")
        assert "\x1b" not in problem.text

    @pytest.mark.parametrize(
        "page",
        [b"<!DOCTYPE html><title>404", b"\n  <html>\n", b"\xef\xbb\xbf<!doctype HTML>", b"<?xml version='1.0'?><Error>", b"<Error><Code>"],
    )
    @pytest.mark.parametrize("list_format", FORMATS)
    def test_an_error_page_is_no_list(self, list_format, page):
        with pytest.raises(ListRefused, match="HTML or XML page"):
            list(parse(list_format, {"domains": page}))

    def test_an_archive_or_picture_is_no_list(self):
        with pytest.raises(ListRefused, match="binary data"):
            list(parse("domains", {"": b"\x1f\x8b\x08\x00\x00"}))


@given(
    st.sampled_from([name for name in FORMATS if name != "ut1"]), st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode))
)
def test_no_bytes_raise_anything_but_list_refused(list_format, data):
    try:
        found = items(list_format, data)
    except ListRefused:
        return
    for line, item in found:
        assert 1 <= line <= data.count(b"\n") + 1
        if isinstance(item, Rule):
            assert item.name == item.name.lower()
            assert item.name.isascii()


SNIPPETS = ["||", "|", "^", "@@", "/", "$", "important", ",", "badfilter", "dnstype=", "denyallow=", "example.com", "*.", "#", "(", ")", "+", "$ORIGIN ",
            " CNAME ", " .", "rpz-passthru.", "0.0.0.0 ", "address=/", "\n", "\t", ";", '"', "\\", "é"]  # fmt: skip


@given(st.sampled_from([name for name in FORMATS if name != "ut1"]), st.lists(st.sampled_from(SNIPPETS), max_size=12).map("".join))
def test_no_mixture_of_syntax_raises(list_format, text):
    items(list_format, text)


@given(
    st.lists(
        st.sampled_from(["a", "b", ".", "-", "[ab]", "(", ")", "(?:", "|", "*", "+", "?", "{2}", "{1,3}", "{2,}", "^", "$"]), max_size=14
    ).map("".join)
)
def test_an_accepted_expression_is_quick_on_any_name(pattern):
    """The bound is on ways to match, so a second for the worst names is far too much: it would be an exponential one."""
    import re
    import time

    try:
        found = re.compile(checked(pattern))
    except Refused:
        return
    began = time.process_time()
    for name in ("a" * 253, "ab" * 126, "a.b-" * 63, "b" * 252 + "!"):
        found.search(name)
    assert time.process_time() - began < 1.0
