"""Safe search: a table of what is rewritten, and of what must be left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.name import is_within, normalise
from filters.safe_search import (
    ENGINES,
    GOOGLE_NAMES,
    STILL_NEEDED,
    TARGETS,
    UNSAFE_ENGINES,
    YOUTUBE_NAMES,
    rewrite,
    unsafe_engine,
)
from policies.model import YouTube

SEARCH = [
    ("www.google.com", "google", "forcesafesearch.google.com"),
    ("www.google.com.vn", "google", "forcesafesearch.google.com"),
    ("www.google.co.uk", "google", "forcesafesearch.google.com"),
    ("www.google.la", "google", "forcesafesearch.google.com"),
    ("www.google.com.kh", "google", "forcesafesearch.google.com"),
    ("www.google.co.za", "google", "forcesafesearch.google.com"),
    ("www.bing.com", "bing", "strict.bing.com"),
    ("edgeservices.bing.com", "bing", "strict.bing.com"),
    ("duckduckgo.com", "duckduckgo", "safe.duckduckgo.com"),
    ("www.duckduckgo.com", "duckduckgo", "safe.duckduckgo.com"),
    ("start.duckduckgo.com", "duckduckgo", "safe.duckduckgo.com"),
    ("yandex.com", "yandex", "familysearch.yandex.ru"),
    ("www.yandex.ru", "yandex", "familysearch.yandex.ru"),
    ("yandex.com.tr", "yandex", "familysearch.yandex.ru"),
    ("ya.ru", "yandex", "familysearch.yandex.ru"),
    ("pixabay.com", "pixabay", "safesearch.pixabay.com"),
    ("www.pixabay.com", "pixabay", "safesearch.pixabay.com"),
    ("www.ecosia.org", "ecosia", "strict-safe-search.ecosia.org"),
    ("search.brave.com", "brave", "forcesafe.search.brave.com"),
    ("api.qwant.com", "qwant", "safeapi.qwant.com"),
    ("startpage.com", "startpage", "safe.startpage.com"),
    ("www.startpage.com", "startpage", "safe.startpage.com"),
]

LEFT_ALONE = [
    "google.com",
    "mail.google.com",
    "classroom.google.com",
    "www.google.com.example",
    "x.www.google.com",
    "www.googleapis.com",
    "translate.google.com.vn",
    "bing.com.vn",
    "login.live.com",
    "mail.yandex.ru",
    "cdn.pixabay.com",
    "brave.com",
    "ecosia.org",
    "youtube.com",
    "i.ytimg.com",
    "",
    "com",
]


@pytest.mark.parametrize(("name", "engine", "target"), SEARCH)
def test_search_is_rewritten(name, engine, target):
    assert rewrite(name, "off", safe_search=True) == (engine, target)
    assert rewrite(name, "strict", safe_search=True) == (engine, target)
    assert rewrite(name, "strict", safe_search=False) is None


@pytest.mark.parametrize("name", YOUTUBE_NAMES)
@pytest.mark.parametrize("safe_search", [True, False])
def test_youtube_level_does_not_depend_on_safe_search(name, safe_search):
    assert rewrite(name, "off", safe_search) is None
    assert rewrite(name, "moderate", safe_search) == ("youtube", "restrictmoderate.youtube.com")
    assert rewrite(name, "strict", safe_search) == ("youtube", "restrict.youtube.com")


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_other_names_are_left_alone(name):
    assert rewrite(name, "strict", safe_search=True) is None


@pytest.mark.parametrize("level", YouTube)
def test_the_policy_models_levels_are_understood(level):
    rewrite("example.com", level, safe_search=True)


def test_an_unknown_level_is_not_taken_for_off():
    with pytest.raises(KeyError):
        rewrite("www.youtube.com", "medium", safe_search=True)


def test_every_engine_is_covered():
    assert {engine for _, engine, _ in SEARCH} | {"youtube"} == set(ENGINES)


def test_google_has_its_country_names_once_each_and_canonical():
    assert len(GOOGLE_NAMES) >= 187
    assert len(set(GOOGLE_NAMES)) == len(GOOGLE_NAMES)
    assert [normalise(name) for name in GOOGLE_NAMES] == list(GOOGLE_NAMES)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_target_is_never_rewritten_or_blocked_itself(target):
    assert rewrite(target, "strict", safe_search=True) is None
    assert unsafe_engine(target) is None


def test_no_engine_with_a_safe_mode_counts_as_unsafe():
    assert [name for name, _, _ in SEARCH if unsafe_engine(name)] == []


def test_unsafe_engines_are_canonical_and_do_not_cover_each_other():
    assert {normalise(name) for name in UNSAFE_ENGINES} == UNSAFE_ENGINES
    assert not [(a, b) for a in UNSAFE_ENGINES for b in UNSAFE_ENGINES if a != b and is_within(a, b)]
    assert len(UNSAFE_ENGINES) >= 50


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("coccoc.com", "coccoc.com"),
        ("www.coccoc.com", "coccoc.com"),
        ("vn.search.yahoo.com", "search.yahoo.com"),
        ("html.duckduckgo.com", "html.duckduckgo.com"),
        ("www.baidu.com", "www.baidu.com"),
        ("update.coccoc.com", None),
        ("a.update.coccoc.com", None),
        ("pan.baidu.com", None),
        ("yahoo.com", None),
        ("notcoccoc.com", None),
        ("", None),
    ],
)
def test_unsafe_engine(name, engine):
    assert unsafe_engine(name) == engine


def test_what_is_still_needed_lies_below_an_unsafe_engine():
    assert all(any(is_within(name, engine) for engine in UNSAFE_ENGINES) for name in STILL_NEEDED)


@given(
    name=st.text(alphabet="abcgolewyut.-", max_size=40),
    youtube=st.sampled_from(["off", "moderate", "strict"]),
    safe_search=st.booleans(),
)
def test_rewrite_and_unsafe_engine_are_total(name, youtube, safe_search):
    found = rewrite(name, youtube, safe_search)
    assert found is None or (found[0] in ENGINES and found[1] in TARGETS)
    covering = unsafe_engine(name)
    assert covering is None or is_within(name, covering)
