"""Starting where no school file is yet: a first one is written in its place, and everybody is filtered as a guest until somebody says more."""

import os
from ipaddress import ip_address

import pytest

from dashboard.catalogue import translator
from gateway.cli import first_school, school
from gateway.cli.addresses import dashboard_url
from gateway.cli.box import read_leases
from gateway.cli.first_school import begin_with
from gateway.cli.terminal import NO, CommandError
from policies.decide import Block, decide
from policies.identify import Directory
from policies.load import load
from policies.model import Certificate, Dashboard, State
from policies.snapshot import Snapshot

_ = translator("en")


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_first_file_is_one_that_loads_and_in_which_everybody_is_a_guest(tmp_path, language):
    path = begin_with(tmp_path / "here" / "school.yaml", translator(language))
    file = load(path)
    assert Directory(file).group("10.1.2.3") == "guest"
    assert Snapshot(file, State(), None).policy("guest", 0.0).tier == "guest"
    assert file.state.parent.is_dir()
    assert tmp_path in file.lists.directory.parents, "a trial keeps its files beside its school file"


def test_a_guest_of_the_first_file_is_filtered(tmp_path):
    class Gambling:
        def lookup(self, name, _qtype=1):
            from filters.domain_index import Match, Source

            return (Match(name, 2, Source("list", "gambling")),)

    policy = Snapshot(load(begin_with(tmp_path / "school.yaml", _)), State(), None).policy("guest", 0.0)
    assert isinstance(decide("casino.example", 1, policy, Gambling()), Block)


def test_a_file_that_is_there_is_never_touched(tmp_path):
    path = tmp_path / "school.yaml"
    path.write_text("mine")
    assert begin_with(path, _) == path
    assert path.read_text() == "mine"


def test_two_that_start_at_once_share_one_file(tmp_path, monkeypatch):
    """The resolver and the control process start together: whoever comes second takes the other's file."""
    path = tmp_path / "school.yaml"

    def quicker(path, _text):
        path.write_text("the other's")
        raise FileExistsError

    monkeypatch.setattr(first_school, "write", quicker)
    assert begin_with(path, _) == path
    assert path.read_text() == "the other's"


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written") as refused:
        begin_with(tmp_path / "file" / "school.yaml", _)
    assert refused.value.code == NO, "not BAD_USE, after which systemd would not start the resolver again"


def test_without_root_and_without_a_name_there_is_no_file_to_begin_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for module in (first_school, school):
        monkeypatch.setattr(module, "search", lambda *_given: None)
    with pytest.raises(CommandError, match="No school file"):
        begin_with(None, _)


@pytest.mark.parametrize(
    ("settings", "own", "url"),
    [
        (Dashboard(), ["192.168.1.10"], "http://192.168.1.10:8080"),
        (Dashboard(), ["2001:db8::5", "8.8.4.4", "10.0.0.2"], "http://10.0.0.2:8080"),
        (Dashboard(), ["2001:db8::5"], "http://[2001:db8::5]:8080"),
        (Dashboard(), [], "http://127.0.0.1:8080"),
        (Dashboard(listen="127.0.0.1:80"), ["10.0.0.2"], "http://127.0.0.1"),
        (Dashboard(listen="10.0.0.2:443", tls=Certificate(certificate="c", key="k")), [], "https://10.0.0.2"),
        (Dashboard(url="https://manglanh.truong.edu.vn"), ["10.0.0.2"], "https://manglanh.truong.edu.vn"),
    ],
)
def test_the_address_that_people_are_told(settings, own, url):
    assert dashboard_url(settings, [ip_address(address).packed for address in own]) == url


def test_names_that_devices_gave_the_dhcp_server():
    text = (
        "1800000000 AA:bb:cc:dd:ee:01 10.0.12.5 may-tinh-bang-3 01:aa:bb:cc:dd:ee:01\n"
        "1800000000 aa:bb:cc:dd:ee:02 10.0.12.6 * 01:aa:bb:cc:dd:ee:02\n"
        "duid 00:01:00:01\n\nhalf a\n"
    )
    assert read_leases(text) == {"aa:bb:cc:dd:ee:01": "may-tinh-bang-3"}
