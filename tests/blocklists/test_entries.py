"""What authorities write and sign: what is accepted, every refusal in words, and that nothing is lost on the way."""

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocklists.channels import CHANNELS
from blocklists.entries import (
    BadEntries,
    ListEntry,
    apply_changes,
    changes,
    difference,
    expires_at,
    format_entries,
    in_force,
    objections,
    parse_entries,
    sources_of,
)

MANDATORY, CATEGORIES, LEARNING = CHANNELS["mandatory"], CHANNELS["categories"], CHANNELS["learning"]
HEADER = "name,category,authority,document,reason,added,expires\n"
ROW = "cam.example,unlawful,Công an tỉnh,1234/QĐ-CAT,Lừa đảo,2026-11-01,2027-11-01\n"
ENTRY = ListEntry(
    "cam.example", "unlawful", "Công an tỉnh", "1234/QĐ-CAT", "Lừa đảo", date(2026, 11, 1), date(2027, 11, 1)
)  # fmt: skip


def entry(name: str, category: str = "unlawful", expires: date | None = None, **other) -> ListEntry:
    fields = {"authority": "Sở", "document": "1/QĐ", "reason": "", "added": date(2026, 1, 1)} | other
    return ListEntry(name, category, expires=expires, **fields)


def refused(data: str | bytes, channel=MANDATORY) -> list[str]:
    """What is wrong with the table, without its file's name."""
    with pytest.raises(BadEntries) as error:
        parse_entries(data if isinstance(data, bytes) else data.encode(), channel, "list.csv")
    assert all(line.startswith("list.csv:") for line in str(error.value).splitlines())
    return [line.removeprefix("list.csv:") for line in str(error.value).splitlines()]


def refused_row(row: str, channel=MANDATORY) -> list[str]:
    return refused(HEADER + row, channel)


# ---- what is accepted ----


def test_an_entry_is_read():
    assert parse_entries((HEADER + ROW).encode(), MANDATORY, "f") == (ENTRY,)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + HEADER + ROW, id="Excel's mark"),
        pytest.param((HEADER + ROW).replace(",", ";"), id="semicolons"),
        pytest.param((HEADER + ROW).replace(",", "\t"), id="tabs"),
        pytest.param((HEADER + ROW).replace("\n", "\r\n"), id="CRLF"),
        pytest.param((HEADER + ROW).replace("\n", "\r"), id="CR"),
        pytest.param((HEADER + ROW).removesuffix("\n"), id="no last line feed"),
        pytest.param("\n" + HEADER + "\n,,,,,,\n" + ROW + '"",,,\n', id="empty rows"),
        pytest.param(HEADER.upper() + ROW, id="capitals in the header"),
        pytest.param("name , category,authority,document,reason,added,expires,,\n" + ROW.replace("\n", ",,\n"), id="empty columns"),
        pytest.param(HEADER.replace("\n", ",action\n") + ROW.replace("\n", ",block\n"), id="action"),
        pytest.param(
            "expires,added,reason,document,authority,category,name\n"
            "2027-11-01,2026-11-01,Lừa đảo,1234/QĐ-CAT,Công an tỉnh,unlawful,cam.example\n",
            id="columns in another order",
        ),
        pytest.param(HEADER + ROW.replace("2026-11-01", "1/11/2026").replace("2027-11-01", "01/11/2027"), id="Vietnamese dates"),
        pytest.param(HEADER + ROW.replace("cam.example", " CAM.Example. "), id="a name that is not canonical"),
        pytest.param(HEADER + ROW.replace("Công an tỉnh", "  Công\u00a0an  tỉnh "), id="spaces"),
        pytest.param(HEADER + ROW.replace("Công", "Co\u0302ng"), id="letters with marks apart"),
        pytest.param(HEADER + '"cam.example","unlawful","Công an tỉnh","1234/QĐ-CAT","Lừa đảo",2026-11-01,2027-11-01', id="quotes"),
    ],
)
def test_ways_in_which_people_and_spreadsheets_write_the_same(text):
    assert parse_entries(text.encode(), MANDATORY, "f") == (ENTRY,)


def test_a_list_without_entries_is_its_header():
    assert parse_entries(HEADER.encode(), MANDATORY, "f") == ()
    assert format_entries(()) == HEADER.encode()


def test_an_international_name_becomes_what_dns_carries():
    (found,) = parse_entries((HEADER + ROW.replace("cam.example", "Cấm.example")).encode(), MANDATORY, "f")
    assert found.name == "xn--cm-r5s.example"


def test_what_is_optional_may_be_empty():
    (found,) = parse_entries((HEADER + "hoc.example,learning,Sở GD&ĐT,,,2026-11-01,\n").encode(), LEARNING, "f")
    assert (found.document, found.reason, found.expires) == ("", "", None)


def test_the_list_team_takes_a_name_out_of_the_lists():
    table = "action," + HEADER + "unlist,truong.example,,Tổ danh sách,,Chặn nhầm,2026-11-01,\n"
    (found,) = parse_entries(table.encode(), CATEGORIES, "f")
    assert found.unlist
    assert parse_entries(format_entries([found]), CATEGORIES, "f") == (found,)


def test_a_name_may_move_from_the_lists_into_another_category():
    rows = "truong.example,games,Tổ,,,2026-11-01,,\ntruong.example,,Tổ,,,2026-11-01,,unlist\n"
    found = parse_entries((HEADER.replace("\n", ",action\n") + rows).encode(), CATEGORIES, "f")
    assert [(each.category, each.unlist) for each in found] == [("", True), ("games", False)]


def test_a_formula_of_a_spreadsheet_stays_text():
    text = HEADER + 'cam.example,unlawful,"=HYPERLINK(""http://x.example"")",@SUM(1),-2+3,2026-11-01,\n'
    (found,) = parse_entries(text.encode(), MANDATORY, "f")
    assert (found.authority, found.document, found.reason) == ('=HYPERLINK("http://x.example")', "@SUM(1)", "-2+3")
    assert format_entries([found]) == text.encode()


# ---- what is refused ----


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("cam.example,unlawful,,1/QĐ,,2026-11-01,", "2: authority: missing: who ordered it?"),
        ("cam.example,unlawful,Sở,,,2026-11-01,", "2: document: missing: an entry of this list needs the number of the order"),
        ("cam.example,gambling,Sở,1/QĐ,,2026-11-01,", "2: category: the mandatory channel may only carry child-abuse, unlawful, not gambling"),
        ("cam.example,unlawfull,Sở,1/QĐ,,2026-11-01,", '2: category: unknown category "unlawfull", did you mean "unlawful"?'),
        ("cam.example,,Sở,1/QĐ,,2026-11-01,", "2: category: missing"),
        ("cam.example,unlawful,Sở,1/QĐ,,,", "2: added: missing"),
        ("cam.example,unlawful,Sở,1/QĐ,,11/22/2026,", '2: added: "11/22/2026" is not a date; write 2026-11-22 or 22/11/2026'),
        ("cam.example,unlawful,Sở,1/QĐ,,2026-W01-1,", '2: added: "2026-W01-1" is not a date; write 2026-11-22 or 22/11/2026'),
        ("cam.example,unlawful,Sở,1/QĐ,,2026-11-01,mai", '2: expires: "mai" is not a date; write 2026-11-22 or 22/11/2026'),
        ("cam.example,unlawful,Sở,1/QĐ,,2026-11-02,01/11/2026", "2: expires: 2026-11-01 is before the entry was added, 2026-11-02"),
        (",unlawful,Sở,1/QĐ,,2026-11-01,", "2: name: empty name"),
        ("10.0.0.1,unlawful,Sở,1/QĐ,,2026-11-01,", "2: name: an address, not a name"),
        ("hai tên.example,unlawful,Sở,1/QĐ,,2026-11-01,", "2: name: not an internationalised name"),
        ("cam_example.,unlawful,Sở,1/QĐ,,2026-11-01,\ncam!.example,unlawful,Sở,1/QĐ,,2026-11-01,", "3: name: character not allowed"),
        (
            "https://Cam.Example/trang?x=1,unlawful,Sở,1/QĐ,,2026-11-01,",
            '2: name: the address of a page, not a name; "cam.example" would list the whole site',
        ),
        ("https://google.com@cam.example/,unlawful,Sở,1/QĐ,,2026-11-01,", '2: name: the address of a page, not a name; "cam.example" would'),
        ("https://[,unlawful,Sở,1/QĐ,,2026-11-01,", "2: name: character not allowed in a name"),
        ("cam.example/trang,unlawful,Sở,1/QĐ,,2026-11-01,", '2: name: the address of a page, not a name; "cam.example" would'),
        ("ai@cam.example,unlawful,Sở,1/QĐ,,2026-11-01,", '2: name: an e-mail address, not a name; "cam.example" would list'),
        ("*.cam.example,unlawful,Sở,1/QĐ,,2026-11-01,", '2: name: not a name; write "cam.example", which covers the name and everything below'),
        (".cam.example,unlawful,Sở,1/QĐ,,2026-11-01,", '2: name: not a name; write "cam.example"'),
        ("||cam.example^,unlawful,Sở,1/QĐ,,2026-11-01,", '2: name: not a name; write "cam.example"'),
        ("cam.example:8080,unlawful,Sở,1/QĐ,,2026-11-01,", '2: name: not a name; write "cam.example"'),
        ("cam.example,unlawful,Sở,1/QĐ,a,2026-11-01,,,thừa", "2: 9 fields under 7 columns; a field with ',' in it needs quotes"),
        ('cam.example,unlawful,"Sở,1/QĐ,,2026-11-01,', "2: quotes do not match on this line"),
        ('cam.example,unlawful,"Sở\nGD",1/QĐ,,2026-11-01,', "2: quotes do not match on this line"),
        ("cam.example,unlawful,Sở\x07,1/QĐ,,2026-11-01,", "2: authority: a character that cannot be seen (U+0007)"),
        ("cam.example,unlawful,Sở,1/QĐ,\u202etxet,2026-11-01,", "2: reason: a character that cannot be seen (U+202E)"),
        ("cam.example,unlawful,Sở,1/QĐ," + "d" * 501 + ",2026-11-01,", "2: reason: longer than 500 characters"),
        ("cam.example,unlawful,Sở,1/QĐ," + "d" * 200_000 + ",2026-11-01,", "2: longer than 10000 characters"),
    ],
)  # fmt: skip
def test_a_row_is_refused_in_words(row, expected):
    (line,) = [line for line in refused_row(row + "\n") if line.startswith(expected[:2])]
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("row", "channel", "expected"),
    [
        ("a.example,unlawful,Sở,1,,2026-11-01,", LEARNING, "the learning channel may only carry help, learning, not unlawful"),
        ("a.example,unlawful,Sở,1,,2026-11-01,", CATEGORIES, "the categories channel may only carry the categories that are not locked, not unlawful"),
        ("a.example,gamblin,Sở,1,,2026-11-01,", CATEGORIES, 'unknown category "gamblin", did you mean "gambling"?'),
    ],
)  # fmt: skip
def test_a_channel_says_only_what_is_its_own(row, channel, expected):
    assert refused_row(row, channel) == [f"2: category: {expected}"]


@pytest.mark.parametrize(
    ("action", "channel", "expected"),
    [
        ("unlist", MANDATORY, "2: action: the mandatory channel may not take names out of other lists"),
        ("unlist", LEARNING, "2: action: the learning channel may not take names out of other lists"),
        ("unlist", CATEGORIES, "2: category: leave it empty: a name that is unlisted leaves every category"),
        ("unblock", CATEGORIES, '2: action: unknown action "unblock", did you mean "block"?'),
    ],
)
def test_an_action_that_is_not_the_channel_s(action, channel, expected):
    assert refused("action," + HEADER + f"{action},a.example,games,Sở,1,,2026-11-01,\n", channel) == [expected]


def test_a_name_is_listed_once_in_a_category():
    twice = ROW + ROW.replace("cam.example", "khac.example") + ROW.replace("cam.example", "CAM.example.").replace("1234", "99")
    assert refused_row(twice) == ["4: name: cam.example stands on line 2 already as unlawful"]
    assert len(parse_entries((HEADER + ROW + ROW.replace("unlawful", "child-abuse")).encode(), MANDATORY, "f")) == 2


def test_every_problem_is_named_at_once_in_the_order_of_the_lines():
    lines = refused_row("http://a.example/,gambling,,,,x,y\n" + ROW + "b,unlawful,,1,,2026-01-01,\n")
    assert [line.rpartition(": ")[0].partition(": ")[0] + ":" + line.split(": ")[1] for line in lines] == [
        "2:added", "2:authority", "2:category", "2:document", "2:expires", "2:name", "4:authority",
    ]  # fmt: skip


def test_reading_stops_after_very_many_problems():
    with pytest.raises(BadEntries) as error:
        parse_entries((HEADER + "a,gamb,,,,x,\n" * 5000).encode(), MANDATORY, "f")
    assert 1000 < len(error.value.problems) < 1010


def test_too_many_entries_are_refused(monkeypatch):
    monkeypatch.setattr("blocklists.entry_table.MAX_ROWS", 2)
    rows = "".join(ROW.replace("cam", f"cam{number}") for number in range(3))
    assert len(parse_entries((HEADER + rows.rpartition("cam2")[0]).encode(), MANDATORY, "f")) == 2
    assert refused_row(rows) == ["4: more than 2 entries"]


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (HEADER + text).encode("utf-8", "surrogatepass")))
def test_whatever_the_bytes_only_bad_entries_is_raised(data):
    with suppress(BadEntries):
        parse_entries(data, CATEGORIES, "f")
    with suppress(BadEntries):
        apply_changes((ENTRY,), b"op," + data, MANDATORY)


# ---- properties ----


def entries_of(channel):
    text = st.text("aZ0 \"',;=-@#ăỹ/", max_size=12).map(lambda text: " ".join(part for part in text.split(" ") if part))
    said = text.filter(bool)
    listed = st.builds(
        ListEntry,
        st.from_regex(r"[a-c]\.[a-c]\.example", fullmatch=True),
        st.sampled_from(sorted(channel.categories)[:3]),
        said,
        said,
        text,
        st.dates(date(2020, 1, 1), date(2020, 1, 5)),
        st.none() | st.dates(date(2020, 1, 5), date(2030, 1, 1)),
    )
    if channel.may_unlist:
        listed |= listed.map(lambda entry: ListEntry(entry.name, "", *(getattr(entry, field) for field in _REST), unlist=True))
    return st.lists(listed, max_size=12, unique_by=lambda entry: entry.key)


_REST = ("authority", "document", "reason", "added", "expires")


@pytest.mark.parametrize("channel", [MANDATORY, CATEGORIES, LEARNING], ids=lambda channel: channel.id)
@given(data=st.data())
def test_what_is_written_is_read_back(channel, data):
    entries = data.draw(entries_of(channel))
    written = format_entries(entries)
    assert parse_entries(written, channel, "f") == tuple(sorted(entries))
    assert format_entries(reversed(entries)) == written
    assert format_entries(parse_entries(written, channel, "f")) == written


@pytest.mark.parametrize("channel", [MANDATORY, CATEGORIES, LEARNING], ids=lambda channel: channel.id)
@given(data=st.data())
def test_a_list_and_its_changes_are_the_wanted_list(channel, data):
    released, wanted = data.draw(entries_of(channel)), data.draw(entries_of(channel))
    assert apply_changes(released, changes(released, wanted), channel) == tuple(sorted(wanted))
    assert changes(released, released).count(b"\n") == 1, "nothing changed: the header alone"


@given(entries_of(CATEGORIES), entries_of(CATEGORIES))
def test_a_difference_accounts_for_every_entry_once(before, after):
    added, removed, changed = difference(before, after)
    assert set(before) - set(after) == {*removed, *(old for old, _ in changed)}
    assert set(after) - set(before) == {*added, *(new for _, new in changed)}
    assert all(old.name == new.name and old != new for old, new in changed)


# ---- changes ----


def test_changes_are_rows_that_a_person_can_read():
    other = entry("khac.example")
    assert changes([ENTRY], [other]).decode() == (
        "op," + HEADER + "-," + ROW + "+,khac.example,unlawful,Sở,1/QĐ,,2026-01-01,\n"
    )  # fmt: skip


def test_one_urgent_name_costs_a_few_hundred_bytes():
    released = [entry(f"a{number}.example") for number in range(1000)]
    assert len(changes(released, [*released, ENTRY])) < 300


def test_a_reworded_entry_goes_and_comes():
    reworded = entry("cam.example", reason="Khác")
    rows = changes([ENTRY], [reworded]).decode().splitlines()[1:]
    assert [row[0] for row in rows] == ["-", "+"]
    assert apply_changes([ENTRY], changes([ENTRY], [reworded]), MANDATORY) == (reworded,)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("-,khac.example,unlawful,Sở,1/QĐ,,2026-01-01,\n", "2: name: khac.example goes, but is not in the list in these words"),
        ("-," + ROW.replace("Lừa", "Lua"), "2: name: cam.example goes, but is not in the list in these words"),
        ("+," + ROW, "2: name: cam.example comes, but is in the list already as unlawful"),
        ("*," + ROW, '2: op: "*" is neither + nor -'),
        (ROW.rstrip("\n").replace("cam", "+,x") + "\n+,y.example,gambling,Sở,1,,2026-01-01,\n", "3: category: the mandatory channel may only"),
    ],
)  # fmt: skip
def test_changes_that_do_not_fit_the_list_are_refused(rows, expected):
    with pytest.raises(BadEntries) as error:
        apply_changes([ENTRY], ("op," + HEADER + rows).encode(), MANDATORY)
    assert str(error.value).splitlines()[0].startswith("mandatory/changes.csv:" + expected)


def test_changes_without_the_op_column_are_no_changes():
    with pytest.raises(BadEntries, match="op: the column is missing"):
        apply_changes([], HEADER.encode(), MANDATORY)


# ---- guards, differences, time, sources ----


@pytest.mark.parametrize(
    ("found", "channel", "expected"),
    [
        (entry("google.com"), MANDATORY, ["mandatory: google.com: a critical name"]),
        (entry("moet.gov.vn"), MANDATORY, ["mandatory: moet.gov.vn: a critical name"]),
        (entry("com.vn"), MANDATORY, ["mandatory: com.vn: a public suffix"]),
        (entry("zalo.me", "gambling"), CATEGORIES, ["categories: zalo.me: a critical name"]),
        (entry("zalo.me", "chat"), CATEGORIES, []),
        (entry("edu.vn", "learning"), LEARNING, []),
        (entry("vn", "learning"), LEARNING, ["learning: vn: a public suffix"]),
        (entry("com.vn", "", unlist=True), CATEGORIES, ["categories: com.vn: a public suffix"]),
        (entry("google.com", "", unlist=True), CATEGORIES, []),
        (entry("cam.example"), MANDATORY, []),
    ],
)
def test_what_must_not_be_published(found, channel, expected):
    lines = objections([found], channel)
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


def test_a_critical_name_can_be_meant_and_a_public_suffix_cannot():
    both = [entry("google.com"), entry("com.vn")]
    assert [line.split(": ")[1] for line in objections(both, MANDATORY, frozenset({"google.com", "com.vn"}))] == ["com.vn"]


def test_a_difference_pairs_what_was_recategorised_or_reworded():
    games, shopping = entry("a.example", "games"), entry("a.example", "shopping")
    reworded = entry("b.example", "games", reason="x")
    found = difference([games, entry("b.example", "games"), entry("c.example", "games")], [shopping, reworded, entry("d.example", "games")])
    assert found.changed == ((games, shopping), (entry("b.example", "games"), reworded))
    assert [each.name for each in found.removed] == ["c.example"]
    assert [each.name for each in found.added] == ["d.example"]


def test_a_difference_pairs_the_same_category_first():
    before = [entry("a.example", "ads"), entry("a.example", "games")]
    after = [entry("a.example", "games", reason="x")]
    assert difference(before, after) == ((), (before[0],), ((before[1], after[0]),))


def test_the_last_day_is_a_whole_day_in_vietnam():
    last = entry("a.example", expires=date(2026, 11, 22))
    end = datetime(2026, 11, 22, 17, tzinfo=UTC).timestamp()
    assert expires_at(last) == end
    assert in_force([last], end - 1) == (last,)
    assert in_force([last], end) == ()
    assert expires_at(last, "UTC") == end + 7 * 3600


def test_an_entry_without_an_end_stays():
    assert expires_at(entry("a.example")) == 0
    assert in_force([entry("a.example")], 1e11) == (entry("a.example"),)
    assert expires_at(entry("a.example", expires=date.max)) > 1e11


def test_sources_carry_what_explain_prints():
    unlisted = entry("c.example", "", unlist=True)
    (first, source), (second, same) = sources_of([ENTRY, entry("b.example", "unlawful"), unlisted], MANDATORY)
    assert (first, second) == ("cam.example", "b.example")
    assert (source.name, source.category, source.authority, source.document) == ("mandatory", "unlawful", "Công an tỉnh", "1234/QĐ-CAT")
    assert (source.reason, source.expires) == ("Lừa đảo", expires_at(ENTRY))
    assert same.expires == 0
    (_, one), (_, other) = sources_of([entry("a.example"), entry("b.example")], MANDATORY)
    assert one is other
