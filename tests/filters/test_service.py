"""The catalogue of services."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from filters.category import CATEGORIES
from filters.name import is_within, normalise
from filters.service import CATALOGUE, SERVICES, services_of

_SHARED = """
    akamai.net akamaihd.net akamaized.net cloudfront.net amazonaws.com fastly.net cloudflare.com googleapis.com gstatic.com google.com
    googlevideo.com googleusercontent.com fbcdn.net zadn.vn zing.vn apple.com icloud.com microsoft.com live.com office.com qq.com
    tencent.com alicdn.com firebaseio.com github.com wikipedia.org accounts.google.com unrealengine.com aws.amazon.com
"""

_ASKED_FOR = """
    tiktok facebook instagram threads zalo zing-mp3 youtube roblox garena free-fire lien-quan discord telegram viber whatsapp messenger
    snapchat x reddit pinterest tumblr locket bigo likee kwai twitch netflix fpt-play vieon k-plus iqiyi wetv bilibili spotify nhaccuatui
    steam epic-games minecraft fortnite pubg riot hoyoverse mobile-legends vng-games soha-game gunny shopee lazada tiki sendo temu shein
    amazon chatgpt gemini claude copilot grok deepseek character-ai perplexity poe tinder badoo bumble omegle waka wattpad webtoon
"""


@pytest.mark.parametrize("service_id", _ASKED_FOR.split())
def test_well_known_services_are_there(service_id):
    assert service_id in SERVICES


def test_ids_match_and_categories_exist():
    for service_id, service in SERVICES.items():
        assert service.id == service_id
        assert service.category in CATEGORIES
        assert not CATEGORIES[service.category].locked
        assert service.vi
        assert service.en


def test_no_id_is_taken_twice():
    assert len(CATALOGUE) == len(SERVICES) >= 60


@pytest.mark.parametrize("service_id", SERVICES)
def test_names_are_canonical_unique_and_nothing_public(service_id):
    names = SERVICES[service_id].names
    suffixes = PublicSuffixList()
    assert names
    assert tuple(normalise(name) for name in names) == names
    assert len(set(names)) == len(names)
    assert not [name for name in names if suffixes.publicsuffix(name) == name]
    assert not [(a, b) for a in names for b in names if a != b and is_within(a, b)]


@pytest.mark.parametrize("shared", _SHARED.split())
def test_no_service_takes_a_shared_name_with_it(shared):
    assert services_of(shared) == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.tiktok.com", (("tiktok", "tiktok.com"),)),
        ("ff.garena.vn", (("free-fire", "ff.garena.vn"), ("garena", "garena.vn"))),
        ("a.b.lienquan.garena.vn", (("lien-quan", "lienquan.garena.vn"), ("garena", "garena.vn"))),
        ("chat.openai.com", (("chatgpt", "openai.com"),)),
        ("nottiktok.com", ()),
        ("com", ()),
        ("", ()),
    ],
)
def test_services_of(name, expected):
    assert services_of(name) == expected


@given(
    name=st.sampled_from([name for service in SERVICES.values() for name in service.names]),
    label=st.from_regex(r"[a-z]{1,8}", fullmatch=True),
)
def test_services_of_agrees_with_a_naive_search_most_specific_first(name, label):
    below = f"{label}.{name}"
    found = services_of(below)
    naive = {(service.id, listed) for service in SERVICES.values() for listed in service.names if is_within(below, listed)}
    assert set(found) == naive
    assert [len(listed) for _, listed in found] == sorted((len(listed) for _, listed in found), reverse=True)
