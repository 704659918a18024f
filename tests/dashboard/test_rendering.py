"""Pages from templates: what a value looks like in each language, what may not happen, and that the colours can be read."""

import re
from importlib.resources import files
from itertools import product
from types import SimpleNamespace

import pytest
from jinja2 import DictLoader, UndefinedError
from jinja2.loaders import ChoiceLoader

from dashboard import rendering
from dashboard.catalogue import LANGUAGES, translator
from dashboard.rendering import duration, environment, left, number, render, static_url, time_words

NOW = 1_795_311_300.0  # 2026-11-22 08:35 in Vietnam
ZONE = "Asia/Ho_Chi_Minh"
PERSON = SimpleNamespace(name="Nguyễn Thị <Lan>")
COMMON = {
    "csrf": "the-token",
    "once": "the-once",
    "now": NOW,
    "zone": ZONE,
    "school": SimpleNamespace(name="Trường THCS Số 1"),
    "person": PERSON,
    "path": "/classes",
    "query": "",
    "nav": [("/classes", "Classes", True), ("/requests", "Requests", False)],
    "flashes": [],
}
CSS = files("dashboard").joinpath("static", "site.css").read_text("utf-8")
TEMPLATES = [template for template in environment("vi").list_templates() if template in {"error.html", "message.html"}]


def say(source: str, language: str = "vi", **values) -> str:
    """A template of one line, with the building blocks at hand."""
    made = environment(language).overlay(loader=ChoiceLoader([DictLoader({"line": IMPORT + source}), environment(language).loader]))
    return " ".join(made.get_template("line").render({**COMMON, **values}).split())


IMPORT = '{% import "macros.html" as ui with context %}'


@pytest.mark.parametrize(
    ("source", "vi", "en"),
    [
        ("{{ now|clock }}", "08:35", "08:35"),
        ("{{ now|day }}", "22/11/2026", "2026-11-22"),
        ("{{ (now - 600)|moment }}", "08:25", "08:25"),
        ("{{ (now - 86400)|moment }}", "08:35 21/11/2026", "08:35 2026-11-21"),
        ("{{ now|iso }}", "2026-11-22T08:35:00+07:00", "2026-11-22T08:35:00+07:00"),
        ("{{ (now - 5)|ago }}", "vừa xong", "just now"),
        ("{{ (now - 7500)|ago }}", "2 giờ 5 phút trước", "2 h 5 min ago"),
        ("{{ (now + 720)|left }}", "còn 12 phút", "12 min left"),
        ("{{ 3900|duration }}", "1 giờ 5 phút", "1 h 5 min"),
        ("{{ 1234567|number }}", "1.234.567", "1,234,567"),
        ("{{ 'gambling'|category }}", "Cờ bạc, cá độ", "Gambling"),
        ("{{ _('Sign out') }} {{ language }}", "Đăng xuất vi", "Sign out en"),
    ],
)
def test_how_values_are_said(source, vi, en):
    assert (say(source, "vi"), say(source, "en")) == (vi, en)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 giây"),
        (59.9, "59 giây"),
        (60, "1 phút"),
        (3599, "59 phút"),
        (3600, "1 giờ"),
        (86399, "23 giờ 59 phút"),
        (86400, "1 ngày"),
        (93600, "1 ngày 2 giờ"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds, translator("vi")) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "đã hết giờ"),
        (-3, "đã hết giờ"),
        (0.5, "còn chưa tới 1 phút"),
        (60, "còn 1 phút"),
        (899.4, "còn 15 phút"),
        (3541, "còn 1 giờ 0 phút"),
        (5400, "còn 1 giờ 30 phút"),
    ],
)
def test_time_left_counts_a_started_minute(seconds, said):
    assert left(seconds, time_words(translator("vi"))) == said


@pytest.mark.parametrize(("value", "vi"), [(0, "0"), (-1234, "-1.234"), (1234.5, "1.234,5")])
def test_numbers(value, vi):
    assert number(value, "vi") == vi


def test_a_value_that_was_not_given_is_an_error():
    with pytest.raises(UndefinedError, match="no_such_value"):
        say("{{ no_such_value }}")


def test_there_are_two_languages():
    with pytest.raises(ValueError, match="fr"):
        render("error.html", "fr", **COMMON)


def test_what_is_given_is_escaped():
    script = "<script>alert(1)</script>"
    shown = say("{{ ui.text('n', what, value=what, error=what) }}{{ ui.badge(what, 'ok') }}{{ ui.button(what, about=what) }}", what=script)
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 6
    assert 'value="&#34;&gt;' in say("{{ ui.hidden('n', what) }}", what='">')


@pytest.mark.parametrize(("template", "language", "person"), list(product(TEMPLATES, LANGUAGES, (PERSON, None))))
def test_every_page_that_stands_alone_is_whole(template, language, person):
    page = render(template, language, **{**COMMON, "person": person}, message="a < b", code=404, title="a < b", text="-")
    assert page.lstrip().startswith("<!doctype html>")
    assert f'<html lang="{language}">' in page
    assert page.count("<h1") == 1
    assert "a &lt; b" in page
    assert ('action="/sign-out"' in page) is (person is not None)
    assert "tel:111" in page


@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_is_inline_that_the_content_security_policy_refuses(template):
    page = render(template, "vi", **COMMON, message="-", code=500, title="-", text="-")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?! src=)|https?://", page)


def test_no_template_or_style_reaches_beyond_this_site():
    for folder, ending in (("templates", ".html"), ("static", "")):
        for name in [file.name for file in files("dashboard").joinpath(folder).iterdir() if file.name.endswith(ending) and file.is_file()]:
            text = files("dashboard").joinpath(folder, name).read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
            assert not re.search(r"https?:|\burl\(|@import|\sstyle=|\son(click|load|submit|change)=", text), name


def test_every_form_carries_the_token_and_the_once():
    page = render("message.html", "vi", **COMMON, title="-", text="-")
    forms = re.findall(r"<form method=\"post\".*?</form>", page, re.DOTALL)
    assert len(forms) == 2  # the language, and signing out
    for form in forms:
        assert 'name="csrf" value="the-token"' in form
        assert 'name="once" value="the-once"' in form


def test_the_language_switch_comes_back_to_this_page():
    page = render("message.html", "vi", **{**COMMON, "path": "/audit", "query": "q=a&page=2"}, title="-", text="-")
    assert '<input type="hidden" name="to" value="/audit?q=a&amp;page=2">' in page
    assert 'name="language" value="en" lang="en"' in page


@pytest.mark.parametrize(("kind", "role", "tone"), [("done", "status", "ok"), ("wrong", "alert", "bad"), ("warn", "alert", "warn")])
def test_what_has_happened_is_read_out(kind, role, tone):
    page = render("message.html", "vi", **{**COMMON, "flashes": [(kind, "Xong")]}, title="-", text="-")
    assert f'<div class="notice {tone}" role="{role}">' in page


def test_a_long_menu_is_folded_on_a_phone():
    many = [(f"/{number}", str(number), False) for number in range(9)]
    short, long = (render("message.html", "vi", **{**COMMON, "nav": nav}, title="-", text="-") for nav in (COMMON["nav"], many))
    assert short.index('class="links"') < short.index("popover>")
    assert long.index('class="links"') > long.index("popover>")
    assert '<a href="/classes" aria-current="page">' in short


def test_a_field_says_what_is_wrong_with_it():
    field = say("{{ ui.text('name', 'Tên', hint='Viết liền.', error='Thiếu tên.') }}")
    assert 'aria-describedby="f-name-hint f-name-error" aria-invalid="true"' in field
    assert '<p class="hint" id="f-name-hint">Viết liền.</p>' in field
    assert 'id="f-name-error"' in field
    assert "aria-" not in say("{{ ui.password('p', 'Mật khẩu') }}").replace("aria-hidden", "")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ui.textarea('n', 'N', error='E') }}",
        "{{ ui.select('n', 'N', [('a', 'A')], error='E') }}",
        "{{ ui.checkbox('n', 'N', error='E') }}",
        "{{ ui.radios('n', 'N', [('a', 'A')], error='E') }}",
        "{{ ui.file('n', 'N', error='E') }}",
        "{{ ui.password('n', 'N', error='E') }}",
        "{{ ui.length_picker(error='E', id='f-n') }}",
    ],
)
def test_every_kind_of_field_can_say_what_is_wrong(source):
    field = say(source)
    assert 'aria-describedby="f-n-error" aria-invalid="true"' in field
    assert 'id="f-n-error"' in field


def test_the_lesson_is_chosen_first_where_there_is_one():
    assert 'value="lesson" checked' in say("{{ ui.length_picker(now + 1500) }}")
    assert "đến 09:00" in say("{{ ui.length_picker(now + 1500) }}")
    without = say("{{ ui.length_picker() }}")
    assert 'value="lesson"' not in without
    assert 'value="45" checked' in without


@pytest.mark.parametrize(
    ("applied", "total", "said"), [(2, 2, "đang có hiệu lực"), (1, 2, "đang áp dụng: 1 trên 2"), (0, 0, "chưa có bộ phân giải nào chạy")]
)
def test_whether_it_is_in_force(applied, total, said):
    assert said in say("{{ ui.in_force(applied, total) }}", applied=applied, total=total)


def test_state_has_an_icon_and_words():
    for kind in ("ok", "warn", "bad", "info", "wait", "idle"):
        assert re.search(r"#[a-z]+\"/></svg><span>Chữ</span>", say("{{ ui.badge('Chữ', kind) }}", kind=kind))
    assert "mode-own" in say("{{ ui.mode_chip('our-own', 'Câu lạc bộ') }}")


def test_a_question_comes_before_a_deed():
    asked = say("{% call ui.confirm('Xoá', 'Xoá thật?', '/d', sure='Xoá hẳn') %}{{ ui.hidden('id', 3) }}{% endcall %}")
    assert asked.index("<summary") < asked.index("Xoá thật?") < asked.index('name="id" value="3"') < asked.index("Xoá hẳn")
    assert 'name="csrf"' in say("{{ ui.confirm('Xoá', 'Xoá thật?', '/d') }}")


def test_pages_are_turned_only_where_there_are_any():
    assert say("{{ ui.pagination(1, 1, '/a?page=') }}") == ""
    assert "/a?page=2" in say("{{ ui.pagination(1, 3, '/a?page=') }}")
    assert "/a?page=0" not in say("{{ ui.pagination(1, 3, '/a?page=') }}")


def test_bars_stand_without_an_entry_and_with_a_zero():
    assert "<li>" not in say("{{ ui.bars([]) }}")
    assert 'rect width="0.0"' in say("{{ ui.bars([('a.vn', 0)]) }}")


def test_every_icon_that_is_asked_for_is_drawn():
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', files("dashboard").joinpath("static", "icons.svg").read_text("utf-8")))
    asked = set()
    for template in environment("vi").list_templates():
        source = files("dashboard").joinpath("templates", *template.split("/")).read_text("utf-8")
        asked |= set(re.findall(r'icon\("([a-z]+)"\)|(?:icon|picture)="([a-z]+)"', source))
    assert {name for pair in asked for name in pair if name} <= drawn
    tables = environment("vi").get_template("macros.html").make_module(COMMON)
    assert {*tables.STATE_ICONS.values(), *tables.MODE_ICONS.values()} <= drawn


def test_a_static_address_changes_with_the_file():
    assert re.fullmatch(r"/static/site\.css\?v=[0-9a-f]{12}", static_url("site.css"))
    with pytest.raises(KeyError):
        static_url("no-such.css")
    assert set(rendering.STATIC_HASHES) >= {"site.css", "live.js", "icons.svg", "logo.svg", "favicon.svg"}


@pytest.mark.parametrize(("name", "limit"), [("site.css", 29_000), ("live.js", 6_000), ("icons.svg", 10_000), ("logo.svg", 2_000)])
def test_what_every_page_loads_is_small(name, limit):
    assert len(files("dashboard").joinpath("static", name).read_bytes()) <= limit


# ---- contrast (WCAG 2.2, 1.4.3 and 1.4.11) ----


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", block))


LIGHT = colours(CSS[CSS.index(":root") : CSS.index("@media (prefers-color-scheme: dark)")])
DARK = LIGHT | colours(CSS[CSS.index("@media (prefers-color-scheme: dark)") : CSS.index("*, ::before")])


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def pairs() -> set[tuple[str, str]]:
    """(text, ground) of every rule that sets both, and of every tone."""
    found = set()
    for body in re.findall(r"\{([^{}]*)\}", CSS):
        said = dict(re.findall(r"(?:^|[;\s])(color|background|--tone|--tone-soft): var\(--([a-z-]+)\)", body))
        found |= {
            (said[text], said[ground])
            for text, ground in (("color", "background"), ("--tone", "--tone-soft"))
            if {text, ground} <= said.keys()
        }
    return found - {("tone", "tone-soft")}


INHERITED = set(product(("ink", "muted", "accent", "accent-strong"), ("ground", "surface", "raised"))) | {
    ("bad", "ground"), ("bad", "surface"), ("bad", "raised"), ("accent", "accent-soft"), ("ink", "accent-soft"),
}  # fmt: skip
"""text whose ground is that of what it stands in: the page, a card, a row under the mouse"""


def test_the_black_and_white_of_contrast():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(theme):
    read = pairs() | INHERITED
    assert {("on-accent", "accent"), ("exam", "exam-soft"), ("bad", "bad-soft"), ("idle", "idle-soft")} <= read
    assert {
        pair: round(contrast(theme[pair[0]], theme[pair[1]]), 2) for pair in read if contrast(theme[pair[0]], theme[pair[1]]) < 4.5
    } == {}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_edges_and_focus_can_be_seen(theme):
    seen = [(line, ground) for line in ("edge", "focus", "accent") for ground in ("ground", "surface", "raised")]
    assert {pair: round(contrast(theme[pair[0]], theme[pair[1]]), 2) for pair in seen if contrast(theme[pair[0]], theme[pair[1]]) < 3} == {}


def test_both_themes_have_every_colour():
    dark = colours(CSS[CSS.index("@media (prefers-color-scheme: dark)") : CSS.index("*, ::before")])
    assert dark.keys() == LIGHT.keys()
    outside = CSS[CSS.index("*, ::before") : CSS.index("@media print")]
    assert re.findall(r"#[0-9a-f]{3,8}\b", outside) == []
