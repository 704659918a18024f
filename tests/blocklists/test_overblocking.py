"""Popular names that pupils must reach: everything that the real lists and the starter lists block is on a reviewed list.

The review is kept in ``popular_blocked.yaml``: each name with the reason why a person would agree. Where the real lists are
absent, the starter lists alone are checked, against names that nobody may block.
"""

from functools import partial
from pathlib import Path

import pytest
import yaml

from blocklists.compile import ListInput, compile_lists, read_path, starter_inputs
from filters.domain_index import DomainIndex
from policies.tiers import TIERS
from tests.real_lists import SHARED_LISTS, sources

POPULAR = 1000
REVIEWED = Path(__file__).with_name("popular_blocked.yaml")
EVERYBODY_NEEDS = """
    google.com www.google.com.vn gmail.com classroom.google.com docs.google.com fonts.googleapis.com gstatic.com youtube.com facebook.com
    zalo.me microsoft.com office.com windowsupdate.com apple.com icloud.com github.com wikipedia.org vi.wikipedia.org cloudflare.com
    akamaihd.net amazonaws.com vnexpress.net tuoitre.vn thanhnien.vn vtv.vn vcmedia.vn moet.gov.vn vnedu.vn olm.vn hocmai.vn violet.vn
    vietcombank.com.vn momo.vn pool.ntp.org letsencrypt.org bing.com duckduckgo.com yahoo.com canva.com quizizz.com kahoot.it scratch.mit.edu
    khanacademy.org shopee.vn tiki.vn chatgpt.com netflix.com
""".split()  # noqa: SIM905 - thirty names read better so


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    real = [ListInput(source, partial(read_path, source.path, source.format)) for source in sources()]
    directory = tmp_path_factory.mktemp("lists")
    compile_lists(directory, [*real, *starter_inputs()])
    return DomainIndex.open(directory)


def blocked_for_thpt(index, name) -> set[str]:
    """The categories for which an upper secondary pupil is refused the name; none where a list of learning sites names it."""
    blocked = {category for category, verdict in TIERS["thpt"].categories.items() if verdict == "block"}
    return {match.source.category for match in index.lookup(name)} & blocked


def popular() -> list[str]:
    path = SHARED_LISTS / "opendns" / "top-domains.txt"
    return path.read_text().split()[:POPULAR] if path.is_file() else []


def reviewed() -> dict[str, set[str]]:
    groups = yaml.safe_load(REVIEWED.read_text())
    assert all(group["reason"] for group in groups)
    pairs = [(name, set(group["categories"])) for group in groups for name in group["names"].split()]
    assert len(pairs) == len(dict(pairs)), "a name is reviewed twice"
    return dict(pairs)


def test_no_popular_name_is_blocked_but_what_was_reviewed(index):
    allowed = reviewed()
    found = {name: blocked_for_thpt(index, name) for name in popular()}
    assert {name: categories for name, categories in found.items() if categories - allowed.get(name, set())} == {}


def test_the_review_holds_nothing_that_is_not_blocked(index):
    if not popular():
        return
    stale = {name for name in reviewed() if not blocked_for_thpt(index, name)}
    assert stale == set()


@pytest.mark.parametrize("name", EVERYBODY_NEEDS)
def test_what_everybody_needs_is_open_for_thpt(index, name):
    assert blocked_for_thpt(index, name) == set()
