"""Help: for everybody, in both languages, and short."""

import pytest


@pytest.mark.parametrize("login", ["quan-tri", "hieu-truong", "co-lan"])
def test_whoever_is_signed_in_has_the_menu(web, login):
    page = web.as_person(login).get("/help")
    assert page.status_code == 200
    assert 'class="links"' in page.text
    assert ("manglanh doctor" in page.text) == (login == "quan-tri"), "only IT staff need the box's console"


def test_whoever_is_not_signed_in_can_read_it(web):
    page = web.visitor().get("/help", headers={"Accept-Language": "vi"})
    assert page.status_code == 200
    assert "Gọi 111" in page.text
    assert "0905 000 111" in page.text, "the school's contact"
    assert 'href="tel:111"' in page.text
    assert 'class="links"' not in page.text


def test_modes_have_the_names_that_the_school_gave_them(web):
    text = web.site.config.read_text()
    web.site.config.write_text(text + "modes:\n  study: {title: Giờ vàng}\n")
    assert "Giờ vàng" in web.visitor().get("/help").text


def test_it_is_small(web):
    assert len(web.as_person("quan-tri").get("/help").content) < 20_000
