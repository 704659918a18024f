"""sources.yaml: what is accepted, and every mistake at its place with a hint."""

from pathlib import Path

import pytest
import yaml

from blocklists.sources import PACKAGED, BadSources, appended, load, parse_sources
from filters.category import CATEGORIES

FINE = """\
# our lists
sources:
  - {name: own, category: gambling, format: domains, path: lists/own.txt, licence: own}
  - name: theirs   # with an order behind it
    category: unlawful
    format: hosts
    url: https://lists.example/hosts
    licence: public
    authority: Sở KH&CN
    document: 12/QĐ-SKHCN
"""


def problems(text):
    with pytest.raises(BadSources) as refused:
        parse_sources(text, "s.yaml", Path("/lists"))
    return str(refused.value).splitlines()


def test_a_good_file():
    own, theirs = parse_sources(FINE, "s.yaml", Path("/base"))
    assert (own.name, own.category, own.format, own.path, own.url) == ("own", "gambling", "domains", Path("/base/lists/own.txt"), "")
    assert (theirs.path, theirs.url) == (None, "https://lists.example/hosts")
    assert theirs.in_bundle().authority == "Sở KH&CN"
    assert theirs.in_bundle().document == "12/QĐ-SKHCN"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{name: a, category: gamblng, format: hosts, path: p, licence: l}", ["s.yaml:2:25: sources.1.category: unknown category 'gamblng', did you mean 'gambling'?"]),
        ("{name: a, category: ads, format: host, path: p, licence: l}", ["s.yaml:2:38: sources.1.format: unknown format 'host', did you mean 'hosts'?"]),
        ("{name: a, category: ads, format: hosts, file: p, licence: l}",
         ["s.yaml:2:5: sources.1: exactly one of path and url is needed", "s.yaml:2:45: sources.1.file: unknown key"]),
        ("{name: a, category: ads, format: hosts, pth: p, licence: l}",
         ["s.yaml:2:5: sources.1: exactly one of path and url is needed", "s.yaml:2:45: sources.1.pth: unknown key, did you mean 'path'?"]),
        ("{name: a, category: ads, format: hosts, path: p, url: 'https://x/', licence: l}", ["s.yaml:2:5: sources.1: exactly one of path and url is needed"]),
        ("{name: a, category: ads, format: hosts, path: p}", ["s.yaml:2:5: sources.1: licence is missing"]),
        ("{name: [a], category: ads, format: hosts, path: p, licence: l}", ["s.yaml:2:12: sources.1.name: must be a text"]),
        ("{name: '', category: ads, format: hosts, path: p, licence: l}", ["s.yaml:2:12: sources.1.name: must be a text"]),
        ("{name: a, name: b, category: ads, format: hosts, path: p, licence: l}", ["s.yaml:2:15: sources.1.name: given twice"]),
        ("{name: a, category: ads, format: hosts, url: ftp://x/y, licence: l}",
         ["s.yaml:2:50: sources.1.url: must be https://, http:// or file://, with a host or a path"]),
        ("{name: a, category: ads, format: hosts, url: 'https:///y', licence: l}",
         ["s.yaml:2:50: sources.1.url: must be https://, http:// or file://, with a host or a path"]),
        ("{name: a, category: ads, format: ut1, url: 'https://x/domains', licence: l}",
         ["s.yaml:2:48: sources.1.url: format ut1 by url is an archive (.tar.gz); for a single file use domains"]),
        ("{name: manglanh-test, category: ads, format: hosts, path: p, licence: l}", ["s.yaml:2:12: sources.1.name: manglanh-test is built in"]),
        ("{name: a, category: ads, format: hosts, path: p, licence: l, may_name: [gogle.com]}",
         ["s.yaml:2:77: sources.1.may_name: gogle.com is not guarded, did you mean 'google.com'?"]),
        ("{name: a, category: ads, format: hosts, path: p, licence: l, may_name: google.com}", ["s.yaml:2:76: sources.1.may_name: must be a list of names"]),
        ("just a text", ["s.yaml:2:5: sources.1: must have keys (name, category, format, path, url, licence, attribution, authority, document, may_name)"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(entry, expected):
    assert problems(f"sources:\n  - {entry}\n") == expected


def test_all_mistakes_at_once():
    text = "source: []\nsources:\n  - {name: a, category: x, format: y, path: p, licence: l}\n  - {name: a, category: ads, format: hosts, path: p, licence: l}\n"
    assert [line.split(" ", 1)[0] for line in problems(text)] == ["s.yaml:1:1:", "s.yaml:3:25:", "s.yaml:3:36:", "s.yaml:4:12:"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "s.yaml:1:1: the file: must have keys (sources)"),
        ("sources:\n", "s.yaml:1:9: sources: must be a list"),
        ("sources: {}\n", "s.yaml:1:10: sources: must be a list"),
        ("{}", "s.yaml:1:1: sources: missing"),
        ("sources: [\n", "s.yaml:2:1: not YAML: "),
        ("a: b: c", "s.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("[" * 5000, "s.yaml:1:1: not YAML: "),
        ("sources: *nobody", "s.yaml:1:10: not YAML: found undefined alias"),
        ("\x00", "s.yaml:1:1: not YAML: "),
    ],
)
def test_what_is_no_sources_file(text, expected):
    (first, *_) = problems(text)
    assert first.startswith(expected)


def test_a_missing_file(tmp_path):
    with pytest.raises(BadSources, match=r"none\.yaml:1:1: cannot be read"):
        load(tmp_path / "none.yaml")


class TestAppending:
    ENTRY = {"name": "mới", "category": "ads", "format": "hosts", "path": "l/a b.txt", "licence": "MIT"}  # noqa: RUF012 - not changed

    def test_comments_and_indentation_stay(self):
        result = appended(FINE + "# the end\n", self.ENTRY, "s.yaml", Path("/base"))
        assert result.startswith(FINE + "# the end\n")
        *before, last = parse_sources(result, "s.yaml", Path("/base"))
        assert len(before) == 2
        assert (last.name, last.path) == ("mới", Path("/base/l/a b.txt"))

    @pytest.mark.parametrize(
        "text", ["", "\n", "# mine\n", "---\n", "sources:\n- {name: a, category: ads, format: hosts, path: p, licence: l}"]
    )
    def test_to_what_there_is(self, text):
        assert parse_sources(appended(text, self.ENTRY, "s.yaml", Path()), "s.yaml", Path())[-1].name == "mới"

    @pytest.mark.parametrize("value", ["no", "1.0", "a: b", "# x", "- x", "'", '"', "[x", "*x", "null", "~", "a #b", "%", "é\u2028é", "\\"])
    def test_any_text_survives(self, value):
        result = appended("", {**self.ENTRY, "licence": value}, "s.yaml", Path())
        assert yaml.load(result, Loader=yaml.BaseLoader)["sources"][0]["licence"] == value

    def test_a_list_in_flow_style_cannot_be_extended(self):
        with pytest.raises(BadSources, match="s.yaml:1:10: sources: must be written one entry a line"):
            appended("sources: []", self.ENTRY, "s.yaml", Path())

    def test_a_bad_entry_is_refused(self):
        with pytest.raises(BadSources, match="unknown category"):
            appended(FINE, {**self.ENTRY, "category": "adz"}, "s.yaml", Path())

    def test_a_name_twice_is_refused(self):
        with pytest.raises(BadSources, match="another list has this name: own"):
            appended(FINE, {**self.ENTRY, "name": "own"}, "s.yaml", Path())


class TestPackaged:
    """What ships: sources by address and licence, and a starter list for every category."""

    def test_there_is_a_starter_list_per_category(self):
        starters = {source.category: source.path for source in load(PACKAGED) if source.path}
        assert starters == {category: PACKAGED.parent / "starter" / f"{category}.txt" for category in CATEGORIES}
        assert all(path.is_file() for path in starters.values())

    def test_everything_else_comes_by_https_and_under_a_licence(self):
        fetched = [source for source in load(PACKAGED) if source.url]
        assert len(fetched) > 40
        assert all(source.url.startswith("https://") for source in fetched)
        assert {source.licence for source in fetched} == {"MIT", "CC-BY-SA-4.0", "Unlicense"}

    def test_no_foreign_list_says_what_is_help_or_locked(self):
        assert {source.category for source in load(PACKAGED) if source.url}.isdisjoint({"help", "child-abuse", "unlawful"})

    def test_every_opt_in_is_a_valid_entry_behind_its_hashes(self):
        lines = PACKAGED.read_text().splitlines()
        opened = [line.replace("  # ", "  ", 1) if line.startswith(("  # - name", "  #   ")) else line for line in lines]
        names = {source.name for source in parse_sources("\n".join(opened), "s.yaml", PACKAGED.parent)}
        assert {"ut1-adult", "urlhaus", "oisd-small", "hagezi-threat"} <= names
