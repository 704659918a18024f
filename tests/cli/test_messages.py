"""The Vietnamese catalogue says everything that the code can say, and nothing else."""

import ast
import re
import runpy
import shutil
import string
from collections import Counter
from pathlib import Path

import pytest
import typer
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract
from typer.main import get_command

from dashboard import catalogue
from filters.category import CATEGORIES
from gateway.cli import build
from policies.decide import Rung

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(path for part in ("gateway", "dashboard", "blocklists", "policies", "filters") for path in (ROOT / part).rglob("*.py"))
TEMPLATES = sorted((ROOT / "dashboard" / "templates").rglob("*.html"))
MESSAGES = ROOT / "dashboard" / "messages"
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
        if _marker(call.func) in MARKERS and call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
        if has_words(call.args[0].value)
    }


def _marker(function: ast.expr) -> str:
    """``_`` of ``_("...")``, and ``translate`` of ``visit.translate("...")``."""
    if isinstance(function, ast.Name):
        return function.id
    return "translate" if isinstance(function, ast.Attribute) and function.attr == "translate" else ""


def shown(path: Path) -> set[str]:
    """The texts that this template hands to ``_``."""
    with path.open("rb") as file:
        found = list(babel_extract(file, ["_"], [], {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}))
    return {text for _line, _function, text, _comments in found if isinstance(text, str) and has_words(text)}


def has_words(text: str) -> bool:
    return any(character.isalpha() for literal, *_ in string.Formatter().parse(text) for character in literal)


def help_texts(command) -> set[str]:
    texts = {part.help for part in (command, *command.get_params(typer.Context(command))) if getattr(part, "help", None)}
    for child in getattr(command, "commands", {}).values():
        texts |= help_texts(child)
    return texts


def used() -> set[str]:
    said = [*map(marked, CODE), *map(shown, TEMPLATES)]
    return set().union(*said) | help_texts(get_command(build())) | TYPER_MESSAGES


def read(language: str) -> list:
    """Every catalogue of a language: one for the command line and what is below it, and one for each area of the dashboard."""
    catalogues = []
    for path in sorted((MESSAGES / language / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            catalogues.append(read_po(file, locale=language))
    return catalogues


def messages(language: str) -> list:
    return [message for each in read(language) for message in each if message.id]


@pytest.fixture(scope="module")
def vietnamese() -> dict[str, str]:
    return {message.id: message.string for message in messages("vi")}


def fields(text: str) -> list[str]:
    return sorted(field or "" for _, field, _, _ in string.Formatter().parse(text) if field is not None)


def test_every_message_is_translated(vietnamese):
    assert {text for text in used() if not vietnamese.get(text)} == set()


def test_no_message_is_left_over(vietnamese):
    assert vietnamese.keys() - used() == set()
    assert not any(each.obsolete for each in read("vi"))


def test_a_message_stands_in_one_catalogue_only():
    assert [text for text, times in Counter(message.id for message in messages("vi")).items() if times > 1] == []


def test_templates_are_read_for_messages(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '{% block title %}{{ _("Classes") }}{% endblock %}{% if x %}<p title="{{ _("Until {time}").format(time=x) }}">{{ _("{x}") }}</p>{% endif %}'
    )
    assert shown(page) == {"Classes", "Until {time}"}
    assert "Skip to the content" in used()


def test_no_translation_is_a_guess():
    assert [message.id for message in messages("vi") if message.fuzzy] == []


def test_translations_have_the_same_fields(vietnamese):
    assert {text: said for text, said in vietnamese.items() if fields(text) != fields(said)} == {}


def test_translations_are_vietnamese(vietnamese):
    """A sentence of some length without a single Vietnamese letter was typed without diacritics, or not translated."""
    accented = re.compile(r"[ăâđêôơưĂÂĐÊÔƠƯ\u0300-\u036f\u1ea0-\u1ef9àáãèéìíòóõùúýỳ]", re.IGNORECASE)
    assert [said for said in vietnamese.values() if len(said.split()) > 3 and not accented.search(said)] == []


def test_the_english_catalogue_says_nothing_that_the_code_does_not():
    assert {message.id for message in messages("en")} <= used()


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
    for path in (MESSAGES / "vi" / "LC_MESSAGES").glob("*.po"):
        shutil.copy(path, target)
    building = runpy.run_path(str(ROOT / "setup.py"))
    building["compile_messages"].__globals__["MESSAGES"] = tmp_path
    building["compile_messages"]()
    monkeypatch.setattr(catalogue, "MESSAGES", tmp_path)
    assert catalogue.translator("vi")("Error") == "Lỗi"
    assert catalogue.translator("vi")("Sign out") == "Đăng xuất"  # every catalogue of the language is read
