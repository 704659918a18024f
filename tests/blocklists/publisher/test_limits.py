"""The section ``lists`` of publisher.yaml: what may stand there, and what is said of the rest."""

import pytest

from blocklists.publisher.errors import PublishError
from blocklists.publisher.limits import ListLimits
from blocklists.publisher.settings import parse_settings


def limits(text):
    return parse_settings(f"name: Tỉnh Thử\nlists: {text}\n", "publisher.yaml").lists


def test_the_defaults():
    assert parse_settings("name: Tỉnh Thử\n", "publisher.yaml").lists == ListLimits()


def test_what_may_be_set():
    found = limits("{new_base_share: 0.25, max_popular: 0, may_name: [google.com], popular: lists/popular.txt}")
    assert (found.new_base_share, found.max_popular, found.may_name, str(found.popular)) == (
        0.25,
        0,
        {"google.com"},
        "lists/popular.txt",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{new_base_share: 10}", "lists.new_base_share"),
        ("{max_popular: -1}", "lists.max_popular"),
        ("{stale_days: 0}", "lists.stale_days"),
        ("{new_base_shares: 0.1}", "new_base_share"),
        ("{may_name: [gogle.com]}", "did you mean 'google.com'?"),
        ("{may_name: [unguarded.example]}", "unguarded.example is not guarded"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(PublishError) as refused:
        limits(text)
    assert said in str(refused.value)
