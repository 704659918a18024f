"""`manglanh publish add|remove|fetch|stage|diff` as a person types them."""

import json

import pytest

from blocklists.publisher.workspace import SETTINGS
from tests.blocklists.list_server import Page, serving
from tests.blocklists.publisher.list_team import new_list_team, order

HEADER = "name,category,authority,document,reason,added,expires\n"
HUNDRED = [f"casino{number}.example" for number in range(100)]
ORDER = ("--category", "unlawful", "--authority", "Công an tỉnh", "--document", "12/QĐ-UBND")


@pytest.fixture
def team(tmp_path):
    return new_list_team(tmp_path)


@pytest.fixture
def publish(type_in):
    def run(*arguments):
        return type_in("publish", *arguments)

    return run


@pytest.fixture
def server():
    with serving() as running:
        yield running


def rows(team, channel="mandatory"):
    return (team.workspace.lists / f"{channel}.csv").read_text().splitlines()[1:]


class TestAdd:
    def test_writes_the_canonical_table_and_says_what_is_next(self, team, publish):
        result = publish("add", "Xấu.example", *ORDER, "--reason", "cờ bạc", "--expires", "31/12/2099")
        assert (result.code, result.err) == (0, "")
        assert "+ xn--xu-r5s.example  unlawful  Công an tỉnh, 12/QĐ-UBND: cờ bạc" in result.out
        assert "manglanh publish stage --urgent" in result.out
        publish("add", "a.example", *ORDER)
        first, second = rows(team)
        assert first.startswith("a.example,unlawful,Công an tỉnh,12/QĐ-UBND,,")
        assert second.endswith(",2099-12-31")

    @pytest.mark.parametrize(
        ("category", "options", "channel"),
        [
            ("child-abuse", (), "mandatory"),
            ("gambling", (), "categories"),
            ("learning", (), "learning"),
            ("help", (), "learning"),
            ("help", ("--list", "categories"), "categories"),
            ("", ("--unlist",), "categories"),
        ],
    )
    def test_the_list_follows_from_the_category(self, team, publish, category, options, channel):
        result = publish("add", "x.example", "--category", category, "--authority", "Sở", "--document", "1", *options)
        assert result.code == 0, result.err
        assert len(rows(team, channel)) == 1

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("google.com", *ORDER), "google.com: a critical name"),
            (("com.vn", *ORDER), "com.vn: a public suffix"),
            (("there.example", *ORDER), "there.example: stands in mandatory already, by Công an tỉnh 12/QĐ-UBND"),
            (("x.example", "--category", "unlawful", "--authority", "Công an tỉnh"), "document: missing"),
            (("x.example", "--category", "unlawful", "--document", "1"), "authority: missing"),
            (("x.example", *ORDER, "--expires", "soon"), 'expires: "soon" is not a date'),
            (("x.example", *ORDER, "--expires", "2020-01-01"), "expires: 2020-01-01 is before the entry was added"),
            (("http://x.example/page", *ORDER), "name: the address of a page"),
            (("x.example", *ORDER, "--list", "learning"), "the learning channel may only carry"),
            (("x.example", *ORDER, "--list", "mandatory", "--unlist"), "cannot take names out"),
            (("x.example", *ORDER, "--reason", "one\nevil.example,unlawful,a,b,,2026-01-01,"), "one line"),
            (("x.example", *ORDER, "--list", "mandatry"), "there are: mandatory, categories, learning"),
        ],
    )
    def test_refuses_and_changes_nothing(self, team, publish, arguments, said):
        team.entries("mandatory", order("there.example"))
        before = sorted(path.name for path in team.workspace.lists.iterdir()), rows(team)
        result = publish("add", *arguments)
        assert result.code in {1, 2}
        assert said in result.err
        assert (sorted(path.name for path in team.workspace.lists.iterdir()), rows(team)) == before

    def test_a_table_that_is_damaged_is_not_overwritten(self, team, publish):
        team.write("lists/mandatory.csv", "<!DOCTYPE html>")
        result = publish("add", "x.example", *ORDER)
        assert (result.code, "lists/mandatory.csv:1: a web page" in result.err) == (1, True)
        assert (team.workspace.lists / "mandatory.csv").read_text() == "<!DOCTYPE html>"

    def test_elsewhere(self, team, publish, tmp_path, monkeypatch):
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        assert "no publisher.yaml" in publish("add", "x.example", *ORDER).err
        assert publish("add", "x.example", *ORDER, "--folder", tmp_path).code == 0
        assert len(rows(team)) == 1


class TestRemove:
    def test_takes_a_name_out_of_the_list_that_has_it(self, team, publish):
        team.entries("mandatory", order("x.example"), order("y.example"))
        result = publish("remove", "X.example")
        assert (result.code, "- x.example  unlawful  Công an tỉnh, 12/QĐ-UBND" in result.out) == (0, True)
        assert [row.split(",")[0] for row in rows(team)] == ["y.example"]

    def test_one_category_of_several(self, team, publish):
        team.entries("mandatory", order("x.example"), order("x.example", "child-abuse"))
        publish("remove", "x.example", "--category", "unlawful")
        assert [row.split(",")[1] for row in rows(team)] == ["child-abuse"]

    def test_a_name_in_two_lists_needs_the_list(self, team, publish):
        team.entries("mandatory", order("x.example"))
        team.entries("categories", order("x.example", "gambling"))
        assert "--list mandatory|categories" in publish("remove", "x.example").err
        assert publish("remove", "x.example", "--list", "categories").code == 0
        assert (rows(team, "categories"), len(rows(team))) == ([], 1)

    @pytest.mark.parametrize("options", [(), ("--list", "mandatory")])
    def test_a_name_that_is_not_there(self, team, publish, options):
        result = publish("remove", "x.example", *options)
        assert (result.code, "x.example" in result.err) == (1, True)


class TestStage:
    def test_shows_what_changes_and_who_must_sign(self, team, publish):
        team.entries("mandatory", order("x.example"))
        result = publish("stage", "--urgent")
        assert (result.code, result.err) == (0, "")
        assert "Mandatory list (mandatory)\n  + x.example  unlawful  Công an tỉnh, 12/QĐ-UBND" in result.out
        assert "Waiting for signatures: mandatory." in result.out

    def test_in_vietnamese(self, team, publish):
        team.entries("mandatory", order("x.example"))
        assert "Danh sách bắt buộc (mandatory)" in publish("stage", "--language", "vi").out

    def test_refuses_in_words(self, team, publish):
        team.entries("mandatory", order("google.com"))
        result = publish("stage")
        assert result.code == 1
        assert result.err.startswith("Refused; nothing was staged:\nmandatory: google.com: a critical name")
        assert team.waiting() == {}

    def test_contacts_are_checked_as_a_box_does(self, team, publish):
        team.write("lists/contacts.yaml", "name: Quảng Ngãi\nhotline: 111\n")
        result = publish("stage")
        assert (result.code, "lists/contacts.yaml:2:" in result.err) == (1, True)
        assert team.waiting() == {}

    @pytest.mark.parametrize("answer", ["--yes", "--force"])
    def test_a_large_change_is_confirmed_or_not_staged(self, team, publish, answer):
        team.names(*HUNDRED)
        team.release()
        team.names(*HUNDRED[40:])
        result = publish("stage")
        assert result.code == 1
        assert "32% of the names in the category lists change" in result.err
        assert "--yes" in result.err
        assert "- casino0.example  gambling" in result.out, "what changes is shown before the question"
        assert team.waiting() == {}
        assert publish("stage", answer).code == 0
        assert set(team.waiting()) == {"categories"}

    def test_nothing_new(self, team, publish):
        assert publish("stage").out == "Nothing differs from what is released.\n"

    def test_a_bad_setting_is_named(self, team, publish):
        team.write(SETTINGS, "name: Tỉnh Thử\nlists: {max_populer: 3}\n")
        assert "lists.max_populer" in publish("stage").err


class TestInVietnamese:
    """What officials do wrong is said in their language, down to the last word that is not a name or a column of theirs."""

    @pytest.mark.parametrize(
        ("file", "content", "said"),
        [
            ("mandatory.csv", "", "lists/mandatory.csv:1: tệp rỗng; danh sách không có mục nào vẫn phải có dòng đầu ghi tên các cột"),
            ("mandatory.csv", "<html>502 Bad Gateway", "lists/mandatory.csv:1: đây là một trang web (HTML), không phải bảng"),
            ("mandatory.csv", "nam,category\n", 'lists/mandatory.csv:1: nam: không có cột này, có phải ý bạn là "name"?'),
            ("mandatory.csv", f"{HEADER}http://x.example/a,unlawful,S,1,,2026-01-01,\n", "name: đây là địa chỉ của một trang con"),
            ("mandatory.csv", f"{HEADER}-x.example,unlawful,S,1,,2026-01-01,\n", "name: có phần bắt đầu hoặc kết thúc bằng dấu gạch nối"),
            ("mandatory.csv", f"{HEADER}x.example,learning,S,1,,2026-01-01,\n", "danh sách mandatory chỉ được có child-abuse, unlawful"),
            ("learning.csv", f"{HEADER}x.example,lerning,S,,,2026-01-01,\n", 'category: không có danh mục "lerning", có phải ý bạn'),
            ("mandatory.csv", f"{HEADER}x.example,unlawful,,,,2026-02-30,x\n", "authority: còn thiếu: cơ quan nào quyết định?"),
            ("mandatory.csv", f"{HEADER}x.example,unlawful,S,1,,2026-02-30,\n", 'added: "2026-02-30" không phải ngày'),
            ("mandatory.csv", f"{HEADER}google.com,unlawful,S,1,,2026-01-01,\n", "google.com: tên quan trọng, không được chặn: rất nhiều"),
            ("mandatory.csv", f"{HEADER}com.vn,unlawful,S,1,,2026-01-01,\n", "com.vn: đuôi tên miền chung"),
            ("own.txt", "", "own: danh sách rỗng (0 dòng"),
            ("own.txt", "<!DOCTYPE html><title>502", "own: đây là trang HTML hoặc XML"),
            ("own.txt", "x.example\n", "own: giảm từ 100 tên xuống 1 (nếu đúng, dùng --force)"),
            ("own.txt", "\n".join([*HUNDRED, "google.com"]), "own:101: google.com: tên quan trọng, không được chặn"),
            (
                "sources.yaml",
                "sources:\n  - {name: own, category: gambling, formt: hosts}\n",
                "không có mục này, có phải ý bạn là 'format'",
            ),
            ("contacts.yaml", "name: X\nhotline: 111\n", 'hotline: không có mục này, có phải ý bạn là "hotlines"?'),
            ("contacts.yaml", "name: X\nhotlines: [{name: A, number: x}]\n", "'x' không phải số điện thoại"),
            ("contacts.yaml", "name: X\nreports: [{to: x, deadline: 11-30}]\n", 'reports.0.to: không có cơ quan "x"'),
            ("contacts.yaml", "", "lists/contacts.yaml:1:1: tệp rỗng"),
        ],
    )
    def test_what_is_refused(self, team, publish, file, content, said):
        team.names(*HUNDRED)
        team.release()
        team.write(f"lists/{file}", content)
        refused = publish("stage", "--language", "vi")
        assert refused.code == 1
        assert said in refused.err
        assert team.waiting() == {}

    def test_what_is_asked_and_what_changes(self, team, publish):
        team.names(*HUNDRED)
        team.release()
        team.names(*HUNDRED[40:])
        asked = publish("stage", "--language", "vi")
        assert "32% số tên trong danh sách theo danh mục thay đổi, quá mức 20%" in asked.err
        assert publish("stage", "--yes").code == 0
        assert "gói gốc, mọi trường tải lại trọn: 125 -> 85  (+0 -40 ~0, 32.0%)" in publish("diff", "--language", "vi").out

    def test_lists_of_a_box_without_a_publisher(self, team, publish, type_in, tmp_path):
        team.names()
        sources = team.workspace.lists / "sources.yaml"
        refused = type_in("lists", "compile", "--sources", sources, "--out", tmp_path / "box", "--language", "vi")
        assert (refused.code, "own: danh sách rỗng (" in refused.err) == (1, True), refused.err

    def test_what_is_typed(self, team, publish):
        refused = publish("add", "x.example", "--category", "unlawful", "--authority", "Công an tỉnh", "--language", "vi")
        assert "document: còn thiếu: mỗi mục của danh sách này phải có số văn bản" in refused.err


class TestDiff:
    def test_says_what_waits(self, team, publish):
        team.entries("mandatory", order("x.example"))
        team.stage()
        assert "+ x.example" in publish("diff").out
        found = json.loads(publish("diff", "--json").out)
        assert found["texts"]["mandatory"]["added"][0]["authority"] == "Công an tỉnh"

    def test_nothing_waits(self, team, publish):
        assert publish("diff").out == "Nothing differs from what is released.\n"
        assert json.loads(publish("diff", "--json").out) == {"texts": {}, "lists": None, "contacts": [], "popular": []}


class TestFetch:
    def entry(self, server, name):
        return f"{{name: {name}, category: ads, format: domains, licence: MIT, url: '{server.url('/' + name)}'}}"

    def test_then_stage_compiles_without_the_network(self, team, publish, server):
        server.pages["/far"] = Page(b"ads.example\n")
        team.sources(self.entry(server, "far"))
        result = publish("fetch")
        assert (result.code, result.out) == (0, "far  up to date\n1 of 1 lists are up to date.\n")
        asked = len(server.asked)
        assert publish("stage").code == 0
        assert len(server.asked) == asked
        assert "+ ads.example  ads" in publish("diff", "--first", "50").out

    def test_a_list_that_fails_is_named_and_one_without_a_copy_is_an_error(self, team, publish, server):
        server.pages = {"/far": Page(b"ads.example\n"), "/other": Page(b"x.example\n")}
        team.sources(self.entry(server, "far"), self.entry(server, "other"))
        publish("fetch")
        server.pages["/far"] = Page(b"", 404)
        result = publish("fetch")
        assert result.code == 0, "its last good copy is there"
        assert "far    0 days old: not refreshed (" in result.out
        assert "1 of 2 lists are up to date." in result.out
        assert result.err == ""
        team.sources(self.entry(server, "far"), self.entry(server, "never"))
        result = publish("fetch", "--json")
        assert (result.code, [state["has_copy"] for state in json.loads(result.out)]) == (1, [True, False])
        assert "no copy" in publish("fetch").out

    def test_one_that_has_failed_for_long_is_named_loudly(self, team, publish, server, monkeypatch):
        server.pages["/far"] = Page(b"ads.example\n")
        team.sources(self.entry(server, "far"))
        monkeypatch.setattr("blocklists.fetch.time.time", lambda: 1_000_000.0)
        publish("fetch")
        monkeypatch.undo()
        monkeypatch.chdir(team.workspace.folder)
        monkeypatch.setenv("LANG", "en_US.UTF-8")
        server.pages["/far"] = Page(b"", 404)
        assert "WARNING: far could not be fetched for" in publish("fetch").err

    def test_no_lists_at_all(self, team, publish):
        assert publish("fetch").code == 0
