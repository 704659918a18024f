"""`manglanh lists ...` as a person meets it: what is printed, and the exit codes."""

import json

import pytest

from blocklists.sources import load
from gateway.cli import main

SOURCES = """\
sources:
  - {name: own, category: gambling, format: domains, path: own.txt, licence: own}   # mine
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    (tmp_path / "own.txt").write_text("casino.example\npoker.example\nbad..name\n")
    (tmp_path / "sources.yaml").write_text(SOURCES)
    return tmp_path


@pytest.fixture
def run(place, capsys):
    def call(*arguments):
        code = main(["lists", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def compiled(run, place):
    code, _, err = run("compile", "--sources", place / "sources.yaml", "--out", place / "lists")
    assert (code, err) == (0, "")
    return place / "lists"


def test_compile_prints_the_report(run, place):
    code, out, _ = run("compile", "--sources", place / "sources.yaml", "--out", place / "lists")
    assert code == 0
    assert "own    gambling     3         2" in out
    assert "own: 1 x empty label" in out
    assert (place / "lists" / "current" / "bundle.json").is_file()


def test_compile_as_json(run, place):
    _, out, _ = run("compile", "--sources", place / "sources.yaml", "--out", place / "lists", "--json")
    report = json.loads(out)
    assert report["sources"][0]["reasons"] == {"empty label": 1}
    assert report["sources"][0]["lines"] == [{"file": "", "line": 3, "reason": "empty label", "text": "bad..name"}]


def test_compile_refuses_a_list_that_shrank_and_exits_with_1(run, place, compiled):
    before = (compiled / "current").resolve()
    (place / "own.txt").write_text("# nothing left\n")
    code, _, err = run("compile", "--sources", place / "sources.yaml", "--out", compiled)
    assert code == 1
    assert "own: an empty list" in err
    assert (compiled / "current").resolve() == before
    assert run("compile", "--sources", place / "sources.yaml", "--out", compiled, "--force")[0] == 0


def test_a_bad_sources_file_exits_with_2_and_names_the_place(run, place):
    (place / "sources.yaml").write_text("sources:\n  - {name: a, category: adul, format: hosts, path: p, licence: l}\n")
    code, _, err = run("compile", "--sources", place / "sources.yaml", "--out", place / "lists")
    assert code == 2
    assert "sources.yaml:2:25: sources.1.category: unknown category 'adul', did you mean 'adult'?" in err


def test_compile_into_a_place_that_cannot_be_written(run, place):
    (place / "file").write_text("")
    code, _, err = run("compile", "--sources", place / "sources.yaml", "--out", place / "file")
    assert code == 1
    assert "not installed" in err


def test_import_adds_to_the_file_and_keeps_its_comments(run, place):
    (place / "more").write_text("0.0.0.0 bet.example\n192.0.2.1 x\n")
    code, out, _ = run(
        "import", place / "more", "--category", "gambling", "--format", "hosts", "--name", "more", "--to", place / "sources.yaml"
    )
    assert code == 0
    assert "more: 1 x the address is a real one" in out
    assert (place / "sources.yaml").read_text().startswith(SOURCES)
    assert [(source.name, source.path) for source in load(place / "sources.yaml")] == [
        ("own", place / "own.txt"),
        ("more", place / "more"),
    ]


def test_import_makes_the_file(run, place):
    arguments = ("--category", "gambling", "--format", "domains", "--name", "own", "--to", place / "new.yaml")
    assert run("import", place / "own.txt", *arguments)[0] == 0
    assert [source.name for source in load(place / "new.yaml")] == ["own"]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"--category": "gambing"}, 2, "did you mean 'gambling'?"),
        ({"--format": "host"}, 2, "did you mean 'hosts'?"),
        ({"--name": "own"}, 2, "another list has this name"),
        ({"FILE": "none.txt"}, 1, "No such file"),
        ({"FILE": "page.html"}, 1, "HTML"),
    ],
)
def test_import_refuses_and_changes_nothing(run, place, change, code, said):
    (place / "page.html").write_text("<!doctype html>")
    given = {"FILE": "own.txt", "--category": "gambling", "--format": "domains", "--name": "new", **change}
    file = place / given.pop("FILE")
    options = [part for pair in given.items() for part in pair]
    found, _, err = run("import", file, *options, "--to", place / "sources.yaml")
    assert (found, said in err) == (code, True)
    assert (place / "sources.yaml").read_text() == SOURCES


def test_show_summary(run, compiled):
    code, out, _ = run("show", compiled)
    assert code == 0
    assert any(line.split()[:2] == ["own", "2"] for line in out.splitlines())
    summary = json.loads(run("show", compiled, "--json")[1])
    assert summary["names"] == len(summary["lists"]) - 1 + 2


def test_show_a_name(run, compiled):
    assert run("show", compiled, "www.casino.example") == (0, "casino.example  Gambling (gambling)  own\n", "")
    assert run("show", compiled, "school.example")[:2] == (1, "school.example: no list speaks of it.\n")
    assert json.loads(run("show", compiled, "poker.example", "--json")[1]) == [
        {"rule": "poker.example", "list": "own", "category": "gambling"}
    ]
    assert run("show", compiled, "a..b")[0] == 2


def test_show_without_a_bundle(run, place):
    code, _, err = run("show", place)
    assert code == 1
    assert "no usable bundle" in err


def test_diff(run, place, compiled):
    (place / "own.txt").write_text("casino.example\nbingo.example\n")
    assert run("compile", "--sources", place / "sources.yaml", "--out", place / "later")[0] == 0
    code, out, _ = run("diff", compiled, place / "later")
    assert code == 0
    assert out == "1 added, 1 removed, 0 in other categories\n+ bingo.example  gambling\n- poker.example  gambling\n"
    found = json.loads(run("diff", compiled, place / "later", "--json", "--first", "0")[1])
    assert found == {"added": 1, "removed": 1, "recategorised": 0, "first": []}
