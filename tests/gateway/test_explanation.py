"""The reason that travels with a blocked answer: the right code, JSON that always fits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.explanation import TEXT_LIMIT, Explainer, contacts
from policies.decide import Reason, Rung

TEXTS = {rung.name.lower(): f"{rung.name} {{category}}" for rung in Rung} | {"service": "service", "category:adult": "Người lớn"}


def content(option):
    assert int.from_bytes(option[:2], "big") == 15
    assert int.from_bytes(option[2:4], "big") == len(option) - 4
    return int.from_bytes(option[4:6], "big"), json.loads(option[6:])


@pytest.mark.parametrize(
    ("rung", "code"),
    [(Rung.LOCKED_BLOCK, 16), (Rung.CLASS_MODE, 17), (Rung.SCHOOL_BLOCK, 17), (Rung.CATEGORY, 15), (Rung.DEFAULT, 15)],
)
def test_the_code_says_on_whose_side_the_block_is(rung, code):
    assert content(Explainer(TEXTS, "Trường", "vi").block(Reason(rung, "x", category="adult")))[0] == code


def test_a_service_block_speaks_of_the_service_and_a_category_of_its_title():
    explainer = Explainer(TEXTS, "Trường", "vi")
    assert content(explainer.block(Reason(Rung.CATEGORY, "x", category="adult")))[1]["j"] == "CATEGORY Người lớn"
    assert content(explainer.block(Reason(Rung.CATEGORY, "tiktok.com", list="service:tiktok", category="video")))[1]["j"] == "service"


@given(st.text(max_size=2000), st.text(max_size=2000), st.lists(st.text(max_size=50), min_size=1, max_size=5))
def test_the_text_is_json_and_always_fits(text, organisation, contacts):
    explainer = Explainer({"default": text}, organisation, "vi", tuple(contacts))
    option = explainer.block(Reason(Rung.DEFAULT, "default"))
    assert len(option) <= TEXT_LIMIT + 6
    assert content(option)[1]["l"] == "vi"


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("024 3825 1234", "tel:02438251234"),
        ("+84 24.3825.1234", "tel:+842438251234"),
        ("it@truong.edu.vn", "mailto:it@truong.edu.vn"),
        ("https://truong.edu.vn/hoi", "https://truong.edu.vn/hoi"),
    ],
)
def test_the_schools_contact_travels_as_a_uri_behind_the_hotline(text, uri):
    assert contacts(text) == ("tel:111", uri)


@pytest.mark.parametrize("text", ["", "Cô Lan, phòng tin học", "javascript:alert(1)"])
def test_a_contact_that_is_no_address_is_left_out(text):
    assert contacts(text) == ("tel:111",)
