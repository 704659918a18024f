"""The Vietnamese catalogue says everything that the code can say, and nothing else."""

import ast
import re
import runpy
import string
from pathlib import Path

import pytest
import typer
from babel.messages.pofile import read_po
from typer.main import get_command

from dashboard import catalogue
from filters.category import CATEGORIES
from gateway.cli import build
from policies.decide import Rung

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(path for part in ("gateway", "dashboard", "blocklists", "policies", "filters") for path in (ROOT / part).rglob("*.py"))
MARKERS = {"_", "translate", "Message", "PublishError"}
"""what a text is handed to as a literal: a translator, or what carries the template to one (filters/message.py)"""
TYPER_MESSAGES = {
    "Arguments",
    "Options",
    "Commands",
    "required",
    "default: {default}",
    "Missing command.",
    "No such command {name!r}.",
    "Aborted!",
}
"""What typer itself asks gettext for, on the way to a help page or an error."""


def marked(path: Path) -> set[str]:
    """The texts that this file hands to one of the markers, but for templates without a word, such as ``{file}: {what}``."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in MARKERS and call.args and isinstance(call.args[0], ast.Constant)
        if has_words(call.args[0].value)
    }


def has_words(text: str) -> bool:
    return any(character.isalpha() for literal, *_ in string.Formatter().parse(text) for character in literal)


def help_texts(command) -> set[str]:
    texts = {part.help for part in (command, *command.get_params(typer.Context(command))) if getattr(part, "help", None)}
    for child in getattr(command, "commands", {}).values():
        texts |= help_texts(child)
    return texts


def used() -> set[str]:
    return set().union(*(marked(path) for path in CODE)) | help_texts(get_command(build())) | TYPER_MESSAGES


def read(language: str):
    with (ROOT / "dashboard" / "messages" / language / "LC_MESSAGES" / "manglanh.po").open("rb") as file:
        return read_po(file, locale=language)


@pytest.fixture(scope="module")
def vietnamese() -> dict[str, str]:
    return {message.id: message.string for message in read("vi") if message.id}


def fields(text: str) -> list[str]:
    return sorted(field or "" for _, field, _, _ in string.Formatter().parse(text) if field is not None)


def test_every_message_is_translated(vietnamese):
    assert {text for text in used() if not vietnamese.get(text)} == set()


def test_no_message_is_left_over(vietnamese):
    assert vietnamese.keys() - used() == set()
    assert not read("vi").obsolete


def test_no_translation_is_a_guess():
    assert [message.id for message in read("vi") if message.fuzzy and message.id] == []


def test_translations_have_the_same_fields(vietnamese):
    assert {text: said for text, said in vietnamese.items() if fields(text) != fields(said)} == {}


def test_translations_are_vietnamese(vietnamese):
    """A sentence of some length without a single Vietnamese letter was typed without diacritics, or not translated."""
    accented = re.compile(r"[ăâđêôơưĂÂĐÊÔƠƯ\u0300-\u036f\u1ea0-\u1ef9àáãèéìíòóõùúýỳ]", re.IGNORECASE)
    assert [said for said in vietnamese.values() if len(said.split()) > 3 and not accented.search(said)] == []


def test_the_english_catalogue_says_nothing_that_the_code_does_not():
    assert {message.id for message in read("en") if message.id} <= used()


@pytest.mark.parametrize("text", ["Error", "Only sites chosen for young children are open here."])
def test_a_missing_catalogue_costs_the_translation_and_nothing_else(text, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "MESSAGES", tmp_path)
    assert catalogue.translator("vi")(text) == text


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_there_is_a_block_text_for_every_rung_that_blocks(language):
    texts = catalogue.block_texts(language)
    blocking = {Rung.LOCKED_BLOCK, Rung.CLASS_MODE, Rung.SCHOOL_BLOCK, Rung.CATEGORY, Rung.DEFAULT}
    assert {rung.name.lower() for rung in blocking} <= texts.keys()
    assert {f"category:{category}" for category in CATEGORIES} <= texts.keys()
    assert all(set(fields(text)) <= {"category"} for text in texts.values())


def test_category_titles_come_in_both_languages():
    assert catalogue.category_title("gambling", "vi") == "Cờ bạc, cá độ"
    assert catalogue.category_title("gambling", "en") == "Gambling"
    assert catalogue.category_title("no-such", "vi") == "no-such"


def test_translations_compile_to_what_gettext_reads(tmp_path, monkeypatch):
    target = tmp_path / "vi" / "LC_MESSAGES"
    target.mkdir(parents=True)
    (target / "manglanh.po").write_bytes((ROOT / "dashboard" / "messages" / "vi" / "LC_MESSAGES" / "manglanh.po").read_bytes())
    building = runpy.run_path(str(ROOT / "setup.py"))
    building["compile_messages"].__globals__["MESSAGES"] = tmp_path
    building["compile_messages"]()
    monkeypatch.setattr(catalogue, "MESSAGES", tmp_path)
    assert catalogue.translator("vi")("Error") == "Lỗi"
