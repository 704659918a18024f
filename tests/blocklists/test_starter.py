"""The starter lists: what every one of them must hold, and what none of them may."""

from collections import defaultdict
from importlib import resources

import pytest
from publicsuffixlist import PublicSuffixList

from filters.category import CATEGORIES, LOCKED
from filters.name import normalise, parents
from filters.safe_search import TARGETS
from filters.special_names import NTP_NAMES, special

STARTER = resources.files("blocklists") / "starter"
OPEN = tuple(category.id for category in CATEGORIES.values() if category.open)
SHORT = {"self-harm": 30}
"""Categories that are short on purpose; every other one has at least 40 names."""

CRITICAL = """
    google.com www.google.com google.com.vn googleapis.com fonts.googleapis.com gstatic.com googleusercontent.com accounts.google.com
    docs.google.com drive.google.com mail.google.com classroom.google.com meet.google.com play.google.com gmail.com youtube-ui.l.google.com
    microsoft.com windowsupdate.com office.com office365.com live.com login.microsoftonline.com outlook.com teams.microsoft.com bing.com
    apple.com icloud.com mzstatic.com ubuntu.com debian.org mozilla.org firefox.com github.com cloudflare.com akamai.net cloudfront.net
    amazonaws.com azure.com fastly.net jsdelivr.net cdnjs.cloudflare.com jquery.com letsencrypt.org digicert.com pool.ntp.org
    wikipedia.org vnexpress.net tuoitre.vn thanhnien.vn dantri.com.vn vietnamnet.vn vtv.vn vov.vn chinhphu.vn dichvucong.gov.vn
    vietcombank.com.vn bidv.com.vn agribank.com.vn vietinbank.vn techcombank.com vpbank.com.vn mbbank.com.vn acb.com.vn sacombank.com.vn
    momo.vn zalopay.vn vnpay.vn viettel.vn vnpt.vn fpt.vn evn.com.vn zoom.us
    com vn com.vn edu.vn gov.vn net org blogspot.com weebly.com github.io wordpress.com
"""

BOTH: frozenset[tuple[str, str]] = frozenset()
"""Names that stand in two files because they truly are both; none so far."""

WITHIN = {
    "icut.livejournal.com": "social",
    "pro-ana-nation.livejournal.com": "social",
    "proanorexia.livejournal.com": "social",
    "an.facebook.com": "social",
    "px.ads.linkedin.com": "social",
    "analytics.tiktok.com": "social",
}
"""Names whose parent is another category's: the more specific one says more."""


def names_of(category: str) -> list[str]:
    lines = (STARTER / f"{category}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def owners() -> dict[str, list[str]]:
    found = defaultdict(list)
    for category in CATEGORIES:
        for name in names_of(category):
            found[name].append(category)
    return found


def test_every_category_has_a_file_and_no_file_is_without_category():
    files = {path.name for path in STARTER.iterdir() if path.name.endswith(".txt")}
    assert files == {f"{category}.txt" for category in CATEGORIES}


@pytest.mark.parametrize("category", CATEGORIES)
def test_test_name_is_present(category):
    assert CATEGORIES[category].test_name in names_of(category)


@pytest.mark.parametrize("category", sorted(LOCKED))
def test_locked_categories_ship_no_real_name(category):
    assert names_of(category) == [CATEGORIES[category].test_name]


@pytest.mark.parametrize("category", [category for category in CATEGORIES if category not in LOCKED])
def test_enough_names(category):
    assert len(names_of(category)) >= SHORT.get(category, 40)


@pytest.mark.parametrize("category", CATEGORIES)
def test_names_are_canonical_and_unique(category):
    names = names_of(category)
    assert [normalise(name) for name in names] == names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("category", CATEGORIES)
def test_sections_are_titled_and_sorted(category):
    header, *sections = (STARTER / f"{category}.txt").read_text(encoding="utf-8").split("\n\n")
    assert all(line.startswith("# ") for line in header.splitlines())
    assert "Apache-2.0" in header
    for section in sections:
        title, *names = section.strip().splitlines()
        assert title.startswith("# ")
        assert names == sorted(names)


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_name_repeats_what_its_own_file_covers(category):
    names = set(names_of(category))
    assert not {name for name in names for parent in parents(name) if parent != name and parent in names}


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_public_suffix(category):
    suffixes = PublicSuffixList()
    assert not [name for name in names_of(category) if name == suffixes.publicsuffix(name)]


def test_no_name_in_two_files_but_those_that_are_both():
    twice = {(name, "+".join(categories)) for name, categories in owners().items() if len(categories) > 1}
    assert twice == BOTH


def test_no_name_lies_within_another_files_but_those_that_say_more():
    found = owners()
    nested = {name: found[parent][0] for name in found for parent in parents(name) if parent != name and parent in found}
    assert nested == WITHIN


@pytest.mark.parametrize("name", CRITICAL.split())
def test_critical_names_are_not_blocked(name):
    found = owners()
    covering = [(category, parent) for parent in parents(name) for category in found.get(parent, ()) if category not in OPEN]
    assert covering == []


def test_what_enforcement_needs_is_reachable_unless_its_own_category_is_blocked():
    found = owners()
    needed = {name for target in TARGETS for name in parents(target)} | set(NTP_NAMES)
    assert {name for name in needed if any(category not in OPEN for category in found.get(name, ()))} == {"youtube.com"}


def test_nothing_that_helps_or_teaches_lies_in_a_blocked_subtree():
    found = owners()
    for category in OPEN:
        for name in names_of(category):
            assert all(owner in OPEN for parent in parents(name) for owner in found.get(parent, ())), name


def test_no_name_is_answered_before_the_policy():
    assert [name for name in owners() if special(name) is not None] == []
