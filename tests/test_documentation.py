"""Pages that fail when they are wrong: settings, defaults, commands, examples, links, and that both languages say the same."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from blocklists.parse import FORMATS
from blocklists.report import _COLUMNS
from blocklists.sources import _KEYS, parse_sources
from filters.category import CATEGORIES, LOCKED
from policies.load import parse
from policies.model import Mode, ModeChange, SchoolFile, Tier, TierChange
from policies.province import Province, parse_province
from policies.tiers import MODES, TIERS
from tests.documents import GUIDES, PAGES, ROOT, blocks, fault, headings, inline, leaves, links, prose, rows, typed

LANGUAGES = ("vi", "en")
NAMES = sorted({path.name.split(".")[0] for path in GUIDES.glob("*.md")})
RESOLVED = {TierChange: Tier, ModeChange: Mode}
"""where the school's file says only what differs: the type that has the defaults"""
REST = 'school: {name: Trường}\ngroups: [{name: a, tier: thcs, clients: ["10.0.0.0/8"]}]\n'
"""what a guide's snippet of a school file leaves out"""


def guide(name: str, language: str) -> str:
    return (GUIDES / f"{name}.{language}.md").read_text("utf-8")


def models_in(annotation: Any) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models of an annotation, each with whether it is a mapping's value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, False
    is_mapping = getattr(annotation, "__origin__", None) is dict
    for part in get_args(annotation):
        for model, keyed in models_in(part):
            yield model, keyed or is_mapping


def settings(model: type[BaseModel] = SchoolFile, path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting as the guides write it: ``dns.cache.bytes``, ``groups.name``, ``tiers.ID.title.vi``."""
    fields = RESOLVED.get(model, model).model_fields
    for name, field in model.model_fields.items():
        below = list(models_in(field.annotation))
        if not below or model in RESOLVED:
            yield path + name, fields.get(name, field)
        for child, keyed in below:
            yield from settings(child, f"{path}{name}.{'ID.' if keyed else ''}")


SETTINGS = dict(settings())
PROVINCE = dict(settings(Province))
ALL = SETTINGS | PROVINCE
"""no setting of the one file has the whole name of one of the other's"""


def shown_default(field: FieldInfo) -> list[str]:
    """How a guide writes the default, in code; empty: in words."""
    default = field.default
    values = default if isinstance(default, tuple) and all(isinstance(value, str) for value in default) else (default,)
    plain = [value.value if isinstance(value, Enum) else value for value in values]
    return [
        str(value).lower() if isinstance(value, bool) else str(value)
        for value in plain
        if isinstance(value, (str, int, Path)) and str(value)
    ]


# ---- the school's file ----


def test_the_walk_finds_settings_at_every_depth():
    assert {
        "state",
        "school.name",
        "dns.cache.bytes",
        "groups.clients",
        "tiers.ID.title.vi",
        "modes.ID.only",
        "timetable.rules.at",
    } <= SETTINGS.keys()
    assert SETTINGS.keys().isdisjoint({"dns", "groups", "rules", "tiers", "timetable.rules"})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("setting", [*SETTINGS, *PROVINCE])
def test_a_setting_is_in_the_guide(setting, language):
    assert f"`{setting}`" in guide("school-file", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_names_no_setting_that_does_not_exist(language):
    first_words = {name.partition(".")[0] for name in SETTINGS if "." in name}
    named = {code for code in inline(guide("school-file", language)) if re.fullmatch(rf"({'|'.join(first_words)})\.[A-Za-z_.]+", code)}
    assert named <= {*SETTINGS, "school.yaml", "tiers.ID", "dns.tls", "dns.limits", "dns.cache"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("setting", [name for name, field in ALL.items() if not field.is_required() and shown_default(field)])
def test_the_default_in_the_guide_is_the_real_one(setting, language):
    cells = {row[0]: row[1] for row in rows(guide("school-file", language)) if len(row) == 3}
    if setting == "timetable.rules.days":
        return  # in words: Monday to Saturday
    assert re.findall(r"`([^`]+)`", cells[f"`{setting}`"]) == shown_default(ALL[setting])


@pytest.mark.parametrize("language", LANGUAGES)
def test_required_settings_are_called_so_and_no_others(language):
    word = {"vi": "bắt buộc", "en": "required"}[language]
    called = {row[0].strip("`") for row in rows(guide("school-file", language)) if len(row) == 3 and row[1] == word}
    assert called == {name for name, field in ALL.items() if field.is_required() and not name.endswith((".vi", ".en", "ID.title"))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_of_tiers_is_the_code_s(language):
    blocked: dict[str, set[str]] = {}
    for tier_id, blocks_cell, lifts_cell, youtube in (
        row for row in rows(guide("school-file", language)) if len(row) == 4 and "`" in row[0]
    ):
        tier = TIERS[tier_id.strip("`")]
        words = re.findall(r"`([^`]+)`", blocks_cell)
        if tier.default == "block":
            assert set(words) == {name for name, decision in tier.categories.items() if decision == "allow"}
        else:
            blocked[tier_id] = blocked[f"`{words[0]}`"] - set(words[1:]) if words[0] in TIERS else set(words)
            assert blocked[tier_id] == {name for name, decision in tier.categories.items() if decision == "block"} - LOCKED
        assert set(re.findall(r"`([^`]+)`", lifts_cell)) == set(tier.liftable)
        assert youtube == f"`{tier.youtube.value}`"
    assert len(blocked) == sum(tier.default == "allow" for tier in TIERS.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", ["school-file", "classroom"])
def test_every_mode_is_explained(page, language):
    assert {f"`{mode}`" for mode in MODES} <= {f"`{code}`" for code in inline(guide(page, language))}


# ---- examples ----


EXAMPLES = [
    pytest.param(block.text, id=f"{name}.{language}-{number}")
    for name in NAMES
    for language in LANGUAGES
    for number, block in enumerate(blocks(guide(name, language), "yaml"), 1)
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_accepted(text):
    if text.startswith("sources:"):
        assert parse_sources(text, "sources.yaml", ROOT)
    elif text.startswith("name:"):
        assert parse_province(text, "province.yaml")
    elif text.startswith("school:"):
        assert parse(text, "school.yaml")
    else:
        assert parse(text + REST + ("" if "dns:" in text else "dns: {upstreams: [9.9.9.9]}\n"), "school.yaml")


def test_there_is_a_whole_school_file_with_everything_that_a_school_needs():
    text = next(block.text for block in blocks(guide("school-file", "vi"), "yaml"))
    file = parse(text, "school.yaml")
    assert {"mam-non", "tieu-hoc", "thcs", "staff", "guest"} <= {group.tier for group in file.groups}
    assert any(isinstance(client, str) for group in file.groups for client in group.clients), "a device by its MAC"
    assert all((file.dns.forward, file.dns.local, file.dns.block_page, file.rules, file.tiers, file.modes))
    assert all((file.timetable.lessons, file.timetable.holidays, file.timetable.rules))


def test_the_examples_differ_in_comments_only():
    def without_comments(language: str) -> list[str]:
        return [re.sub(r"\s*# .*", "", block.text) for block in blocks(guide("school-file", language), "yaml")]

    assert without_comments("vi") == without_comments("en")


# ---- lists ----


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("word", [*FORMATS, *_KEYS, *(column.replace("_", " ") for column in _COLUMNS)])
def test_formats_keys_and_columns_are_in_the_guide(word, language):
    assert f"`{word}`" in guide("lists", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_category_is_named(language):
    assert set(CATEGORIES) <= set(inline(guide("school-file", language)))


# ---- commands ----


@pytest.mark.parametrize("command", list(leaves()))
def test_a_command_is_in_the_guides_or_the_readme(command):
    text = (ROOT / "README.md").read_text("utf-8") + "".join(path.read_text("utf-8") for path in GUIDES.glob("*.md"))
    assert f"manglanh {command}" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_page_tells_to_type_exists(page):
    text = page.read_text("utf-8")
    lines = [(line, True) for block in blocks(text, "sh") for line in block.text.splitlines()]
    lines += [(code, False) for code in inline(text)]
    faults = [f"{line}: {why}" for line, whole in lines for words in typed(line) if (why := fault(words, whole=whole))]
    assert faults == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sudo -u manglanh manglanh mode 6a1 exam --for 45m", ""),
        ("manglanh lists show && manglanh moed 6a1", "no command moed"),
        ("manglanh check --colour", "--colour"),
        ("manglanh explain fun88.com", "--client"),
        ("echo manglanh nothing", ""),
    ],
)
def test_what_is_wrong_with_a_line_is_found(line, expected):
    faults = [fault(words, whole=True) for words in typed(line)]
    assert any(expected in why for why in faults) if expected else not any(faults)


def test_the_readme_s_commands_are_make_s_and_ci_s():
    readme = (ROOT / "README.md").read_text("utf-8")
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    told = set(re.findall(r"\bmake ([a-z]+)", "\n".join([*inline(readme), *(block.text for block in blocks(readme))])))
    assert {"run", "test"} <= told <= targets
    assert {"test", "check"} <= set(re.findall(r"^make ([a-z]+)", ci, re.MULTILINE)) <= targets


# ---- what a page says of the running box ----


@pytest.mark.parametrize("language", LANGUAGES)
def test_log_lines_that_are_quoted_are_written_by_the_program(language):
    word = {"vi": "nhật ký", "en": "log"}[language]
    quoted = re.findall(rf"{word}: `([^`]+)`", guide("troubleshooting", language), re.IGNORECASE)
    source = "".join(path.read_text("utf-8") for path in (ROOT / "gateway").glob("*.py"))
    assert len(quoted) >= 5
    assert [text for text in quoted if re.sub(r"\d+", "%d", text) not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_metrics_that_a_page_names_exist(page):
    known = set(re.findall(r"^\| `(manglanh_\w+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE))
    named = {code for code in inline(page.read_text("utf-8")) if re.fullmatch(r"manglanh_\w+", code)}
    assert known
    assert named <= known


def test_the_changelog_has_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


# ---- pages ----


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page):
    assert [target for target in links(page.read_text("utf-8")) if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_names_a_place_of_one_s_own_machine(page):
    assert re.findall(r"(?<![\w.])/tmp/\S*|/root/\S+|/home/\w+", page.read_text("utf-8")) == []


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_are_built_alike(name):
    vietnamese, english = guide(name, "vi"), guide(name, "en")
    assert headings(vietnamese) == headings(english)
    assert [block.language for block in blocks(vietnamese)] == [block.language for block in blocks(english)]
    assert [len(row) for row in rows(vietnamese)] == [len(row) for row in rows(english)]


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_read_in_a_few_minutes(name):
    """At 250 words a minute; the reference of the settings is looked things up in rather than read."""
    words = len(prose(guide(name, "en")).split())
    assert words < (1250 if name != "school-file" else 2500)


@pytest.mark.parametrize("name", NAMES)
def test_the_vietnamese_page_is_vietnamese_and_each_leads_to_the_other(name):
    vietnamese, english = guide(name, "vi"), guide(name, "en")
    marks = re.compile(r"[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)
    assert len(marks.findall(prose(vietnamese))) > 200
    assert f"({name}.en.md)" in vietnamese
    assert f"({name}.vi.md)" in english


# ---- Unbound ----


@pytest.mark.parametrize("language", LANGUAGES)
def test_unbound_takes_the_guide_s_configuration_on_the_port_that_the_school_file_asks(language, tmp_path):
    (configuration,) = (block.text for block in blocks(guide("unbound", language), ""))
    (school,) = (block.text for block in blocks(guide("unbound", language), "yaml"))
    port = re.findall(r"^ +port: (\d+)$", configuration, re.MULTILINE)
    assert parse(school + REST, "school.yaml").dns.upstreams == (f"127.0.0.1:{port[0]}",)
    assert 'module-config: "validator iterator"' in configuration
    assert "ede: yes" in configuration
    checker = shutil.which("unbound-checkconf")
    if checker:
        file = tmp_path / "unbound.conf"
        file.write_text(f'{configuration}    chroot: ""\n    directory: "{tmp_path}"\n    username: ""\n', "utf-8")
        done = subprocess.run([checker, str(file)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
