import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.settings.school_text import Text, add_item, find, item, plain, remove_in, remove_item, set_in
from policies.document import read

FILE = """\
# Ghi chú ở đầu.
school:
  name: Trường Thử   # tên
  contact: 0905
lists: {directory: /x,  poll: 60}
groups:
  - {name: 6a1, title: Lớp 6A1, tier: thcs, clients: [10.0.12.0/24]}  # phòng 12
  - {name: 6a2, title: Lớp 6A2, tier: thcs, clients: [10.0.13.0/24]}

# Thời khoá biểu của năm học này
timetable:
  lessons: {"1": 07:00-07:45, "7": 14:40-15:25}
  rules:
    -   mode: study   # bốn dấu cách
        lessons: ["1"]

# Của trường
tiers:
  thcs:
    # trò chơi thì được
    categories: {games: allow, chat: block}
    safe_search: no
    services:
      - tiktok   # thầy Minh xin
      - roblox

# Chế độ
modes:
    quiet:
      title: Yên
      only: !!str sites
      sites: [
        a.vn,
        b.vn,  # hai
      ]
"""


def changed(change, text: str = FILE) -> str:
    made = Text(text.encode())
    change(made.document)
    return made.changed().decode()


def lines_that_differ(new: str, text: str = FILE) -> tuple[list[str], list[str]]:
    old_lines, new_lines = text.split("\n"), new.split("\n")
    return [line for line in old_lines if line not in new_lines], [line for line in new_lines if line not in old_lines]


def test_a_change_of_nothing_leaves_every_byte() -> None:
    assert changed(lambda document: None) == FILE
    assert changed(lambda document: set_in(document, ["tiers", "thcs", "services"], ["tiktok", "roblox"])) == FILE
    assert changed(lambda document: set_in(document, ["tiers", "thcs", "safe_search"], "no")) == FILE


CASES = [
    (lambda d: set_in(d, ["school", "name"], "Trường Mới"), ["  name: Trường Thử   # tên"], ["  name: Trường Mới   # tên"]),
    (lambda d: set_in(d, ["school", "contact"], "no"), ["  contact: 0905"], ['  contact: "no"']),
    (lambda d: set_in(d, ["school", "contact"], "0905111222"), ["  contact: 0905"], ['  contact: "0905111222"']),
    (lambda d: set_in(d, ["lists", "poll"], 30), ["lists: {directory: /x,  poll: 60}"], ["lists: {directory: /x, poll: 30}"]),
    (lambda d: set_in(d, ["tiers", "thcs", "safe_search"], True), ["    safe_search: no"], ["    safe_search: true"]),
    (lambda d: set_in(d, ["tiers", "thpt", "strip_ech"], False), [], ["  thpt:", "    strip_ech: false"]),
    (lambda d: remove_in(d, ["tiers", "thcs", "safe_search"]), ["    safe_search: no"], []),
    (lambda d: set_in(d, ["tiers", "thcs", "services"], ["roblox", "zalo"]), ["      - tiktok   # thầy Minh xin"], ["      - zalo"]),
    (lambda d: set_in(d, ["timetable", "lessons", "2"], "07:50-08:35"),
     ['  lessons: {"1": 07:00-07:45, "7": 14:40-15:25}'], ['  lessons: {"1": 07:00-07:45, "7": 14:40-15:25, "2": 07:50-08:35}']),
    (lambda d: add_item(d, ["groups"], {"name": "3b", "title": "no", "clients": ["10.0.3.0/24"]}),
     [], ['  - {name: 3b, title: "no", clients: [10.0.3.0/24]}']),
    (lambda d: remove_item(d, ["groups"], item(d, ["groups"], "name", "6a2")),
     ["  - {name: 6a2, title: Lớp 6A2, tier: thcs, clients: [10.0.13.0/24]}"], []),
    (lambda d: add_item(d, ["rules"], {"action": "block", "name": "a.vn"}), [], ["rules: [{action: block, name: a.vn}]"]),
    (lambda d: set_in(d, ["school", "notice"], {"vi": "a: #b\n'c", "en": "<script>"}),
     [], ["  notice:", '    vi: "a: #b\\n\'c"', "    en: <script>"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "gone", "new"), CASES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_lines_of_the_change_differ(change, gone, new, newline) -> None:
    text = changed(change, FILE.replace("\n", newline))
    assert text.count("\r\n") == (text.count("\n") if newline == "\r\n" else 0)
    assert lines_that_differ(text.replace("\r\n", "\n")) == (gone, new)


def test_a_new_item_stands_before_the_comment_of_the_next_section() -> None:
    text = changed(lambda document: add_item(document, ["groups"], {"name": "3b"}))
    assert text.index("name: 3b") < text.index("# Thời khoá biểu") < text.index("timetable:")


def test_what_goes_takes_no_comment_of_its_neighbours_along() -> None:
    text = changed(lambda document: remove_in(document, ["tiers", "thcs"]))
    assert "tiers:" not in text
    assert "# Chế độ\nmodes:" in text
    text = changed(lambda document: remove_item(document, ["groups"], item(document, ["groups"], "name", "6a2")))
    assert "# Thời khoá biểu của năm học này\ntimetable:" in text


def test_a_change_of_one_place_changes_no_alias_of_it() -> None:
    text = "groups:\n  - {name: a, clients: &net [10.0.0.0/24]}\n  - {name: b, clients: *net}  # b\n"
    new = changed(lambda document: set_in(document, ["groups", 0, "clients"], ["10.1.0.0/24"]), text)
    assert read(new.encode()).plain == {"groups": [{"name": "a", "clients": ["10.1.0.0/24"]}, {"name": "b", "clients": ["10.0.0.0/24"]}]}
    new = changed(lambda document: set_in(document, ["groups", 1, "clients"], ["10.1.0.0/24"]), text)
    assert read(new.encode()).plain["groups"][0]["clients"] == ["10.0.0.0/24"]
    assert "# b" in new


def test_a_byte_order_mark_and_a_document_mark_stay() -> None:
    text = "\ufeff---\n# a\nschool:\n  name: b\n...\n"
    assert changed(lambda document: set_in(document, ["school", "name"], "c"), text) == text.replace("name: b", "name: c")


WORDS = st.sampled_from(
    ["no", "Yes", "on", "~", "null", "", " ", "0905", "07:00", "07:00-07:45", "1e3", "0x1F", "0o7", "1_000", "2027-01-01", ".inf", "true", "=", "<<",
     "- a", "# b", "a: b", "a #b", "{a}", "[a]", "*a", "&a", "!a", "%a", "@a", "`a", "'", '"', "a\nb", "\ta", "|", ">", "?", "---", "...", "\u0085", "\u2028",
     "<script>alert(1)</script>", "Trường", "😀", "\ufeff"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)  # fmt: skip
KEYS = st.sampled_from(["a", "b", "1", "no", "07:00", "é"])
VALUES = st.recursive(
    WORDS, lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(KEYS, inner, min_size=1, max_size=4), max_leaves=12
)


@settings(deadline=None)
@given(
    VALUES,
    st.sampled_from(
        [["school", "name"], ["lists", "poll"], ["tiers", "thcs", "services"], ["new"], ["modes", "quiet", "sites"], ["groups", 0]]
    ),
)
def test_whatever_is_written_reads_back_the_same_and_costs_no_other_line(value, path) -> None:
    before = read(FILE.encode()).plain
    made = Text(FILE.encode())
    set_in(made.document, path, value)
    data = made.changed()
    after = read(data).plain
    assert find(made.document, path) is not None
    target = after
    for step in path:
        target = target[step]
    assert target == plain(value)
    comments = [line for line in FILE.split("\n") if line.startswith("#")]
    assert all(line in data.decode().split("\n") for line in comments)
    assert {key: each for key, each in after.items() if key != path[0]} == {key: each for key, each in before.items() if key != path[0]}


@settings(deadline=None)
@given(st.data())
def test_any_change_of_a_random_file_reads_back_as_asked(data) -> None:
    """The file as PyYAML writes it, in block and flow style; then one value is written or one key removed."""
    import yaml

    tree = data.draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=data.draw(st.sampled_from([None, False, True])), sort_keys=False)
    tree = read(text.encode()).plain  # PyYAML loses some line ends itself
    made = Text(text.encode())
    key = data.draw(st.sampled_from(sorted(tree)))
    if data.draw(st.booleans()):
        value = data.draw(VALUES)
        set_in(made.document, [key], value)
        tree[key] = value
    elif len(tree) > 1:
        remove_in(made.document, [key])
        del tree[key]
    assert read(made.changed()).plain == plain(tree)
