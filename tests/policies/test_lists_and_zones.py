"""The settings of ``lists`` and ``zones``: their defaults, every refusal in words, and that no zone is open to anybody."""

from pathlib import Path

import pytest

from policies.load import ConfigError, parse
from policies.model import Lists
from policies.school_time import parse_clock
from policies.socket_address import parse_secondary

MINIMAL = "school: {name: Trường}\ndns: {upstreams: [9.9.9.9]}\ngroups: [{name: 6a1, tier: thcs}]\n"
KEY = "key: {name: truong, secret_file: /etc/manglanh/zone.key}"


def problems(section: str) -> list[str]:
    """What is wrong with a file that has ``section`` on line 4."""
    with pytest.raises(ConfigError) as refused:
        parse(MINIMAL + section, "s")
    return [str(problem).removeprefix("s:4:").partition(": ")[2] for problem in refused.value.problems]


def test_a_school_that_says_nothing_polls_every_minute_and_serves_no_zone():
    file = parse(MINIMAL, "s")
    assert (file.lists.poll, file.lists.compile_at) == (60, "02:30")
    assert (file.lists.ca, file.lists.proxy, file.lists.sources) == (None, None, None)
    assert (file.zones.listen, file.zones.key, file.zones.zones) == ((), None, ())


def test_how_lists_come_can_be_said():
    text = 'lists: {poll: 1, ca: ca.pem, proxy: "http://10.0.0.3:3128/", sources: sources.yaml, compile_at: "3:05"}'
    assert parse(MINIMAL + text, "s").lists == Lists(
        poll=1, ca=Path("ca.pem"), proxy="http://10.0.0.3:3128", sources=Path("sources.yaml"), compile_at="3:05"
    )
    assert parse_clock("3:05") == 3 * 3600 + 5 * 60


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("lists: {poll: 0}", "lists.poll: must be at least 1"),
        ("lists: {poll: 86401}", "lists.poll: must be at most 86400"),
        ("lists: {poll: 1m}", "lists.poll: a whole number is needed here"),
        ("lists: {compile_at: '24:00'}", "lists.compile_at: '24:00' is not a time of day such as 02:30"),
        ("lists: {compile_at: night}", "lists.compile_at: 'night' is not a time of day such as 02:30"),
        ("lists: {proxy: '10.0.0.3:3128'}", "lists.proxy: '10.0.0.3:3128' is not an address on the web; a proxy is written http://10.0.0.3:3128"),
        ("lists: {proxy: 'socks5://10.0.0.3'}", "lists.proxy: 'socks5://10.0.0.3' is not an address on the web; a proxy is written"),
        ("lists: {proxy: 'http://10.0.0.3/x'}", "lists.proxy: 'http://10.0.0.3/x' has a path; a proxy is written http://10.0.0.3:3128"),
        ("lists: {proxy: 'http://'}", "lists.proxy: 'http://' names no host"),
        ("lists: {pol: 60}", 'lists.pol: unknown key, did you mean "poll"?'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_lists_is_said(section, expected):
    (found,) = problems(section)
    assert found.startswith(expected)


def test_a_zone_for_each_tier_can_be_served():
    text = (
        f"zones: {{listen: ['10.0.0.2:5353', '[fd00::2]:5353'], {KEY}, zones: [\n"
        "  {name: RPZ.thcs, tier: thcs, secondaries: [10.0.0.53, '10.0.0.54:5300', '[fd00::53]:5300']},\n"
        "  {name: rpz.khach, tier: khach, secondaries: ['fd00::53'], sign: no}]}\n"
        "tiers: {khach: {based_on: guest}}\n"
    )
    zones = parse(MINIMAL + text, "s").zones
    assert zones.key.algorithm == "hmac-sha256"
    assert [(zone.name, zone.tier, zone.sign) for zone in zones.zones] == [("rpz.thcs", "thcs", True), ("rpz.khach", "khach", False)]
    assert [parse_secondary(text) for text in (*zones.zones[0].secondaries, *zones.zones[1].secondaries)] == [
        ("10.0.0.53", 53),
        ("10.0.0.54", 5300),
        ("fd00::53", 5300),
        ("fd00::53", 53),
    ]


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        (f"{KEY}, zones: [{{name: a, tier: thsc}}]", 'zones.zones.0.tier: unknown tier "thsc", did you mean "thcs"?'),
        (f"{KEY}, zones: [{{name: a, tier: thcs}}, {{name: A., tier: thpt}}]", 'zones.zones.1.name: another zone has the name "a" (zones.zones.0)'),
        ("zones: [{name: a, tier: thcs}]", "zones.zones.0: a transfer is signed unless the zone says sign: false, and there is no zones.key"),
        ("zones: [{name: a, tier: thcs, sign: no}]", "zones.zones.0: a zone that is not signed needs secondaries: who may fetch it?"),
        ("zones: [{name: a, tier: thcs, sign: no, secondaries: []}]", "zones.zones.0: a zone that is not signed needs secondaries"),
        ("zones: [{name: a, tier: thcs, sign: no, secondaries: [dns.truong.local]}]", "zones.zones.0.secondaries.0: 'dns.truong.local' is not an IP"),
        (f"{KEY}, zones: [{{name: a, tier: thcs, secondaries: ['10.0.0.1:0']}}]", "zones.zones.0.secondaries.0: '0' is not a port (1-65535)"),
        (f"{KEY}, zones: [{{name: 'a b', tier: thcs}}]", "zones.zones.0.name: character not allowed in a name: ' '"),
        ("key: {name: a, algorithm: hmac-md5, secret_file: f}", 'zones.key.algorithm: unknown value "hmac-md5"'),
        ("key: {name: a}", "zones.key.secret_file: required, but not there"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_zone_is_said(zones, expected):
    (found,) = problems(f"zones: {{listen: ['10.0.0.2:5353'], {zones}}}")
    assert found.startswith(expected)


def test_zones_that_nobody_could_fetch_are_refused():
    assert problems(f"zones: {{{KEY}, zones: [{{name: a, tier: thcs}}]}}") == ["zones: without listen nobody can fetch the zones"]


def test_zones_do_not_listen_where_the_resolver_does():
    assert problems("zones: {listen: ['0.0.0.0:53']}") == ["zones.listen.0: 0.0.0.0:53 is listened on already (dns.listen)"]


@pytest.mark.parametrize(
    "section", ["zones: 1", "zones: {zones: 1}", "zones: {zones: [1]}", "zones: {listen: ['10.0.0.2:5353'], zones: [{name: [a]}]}"]
)
def test_values_of_other_types_are_refused_without_more_ado(section):
    assert problems(section)


def test_a_zone_is_signed_unless_the_file_says_otherwise():
    assert parse(MINIMAL + f"zones: {{listen: ['10.0.0.2:5353'], {KEY}, zones: [{{name: a, tier: thcs}}]}}", "s").zones.zones[0].sign
