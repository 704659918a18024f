"""A school's own BIND and Unbound block what the box's tier blocks, at once, and only what it may."""

import re
from contextlib import ExitStack

import pytest

from tests.end_to_end import secondaries
from tests.end_to_end.internet import Internet
from tests.end_to_end.school import LISTS, School
from tests.end_to_end.secondaries import SECRET, SIGNED, WRONG_SECRET, Program
from tests.end_to_end.waiting import eventually

NEW = "moi-cam.example"


@pytest.fixture
def place(school: School, internet: Internet):
    """The school with zones, and the ports of box, BIND and Unbound."""
    ports = secondaries.ports()
    school.write([f"127.0.0.1:{internet.port}"], {"zones": secondaries.zones(*ports)})
    (school.directory / "zones.key").write_text(f'key "truong" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n')
    return school, ports


@pytest.fixture
def zones(place):
    school, ports = place
    with secondaries.control(school, ports[0]) as running:
        yield running


@pytest.fixture(params=["named", "unbound"])
def secondary(request, place, zones, internet, tmp_path):
    _, (box, named, unbound) = place
    if request.param == "named":
        started = secondaries.named(tmp_path / "named", named, box, internet.port)
    else:
        started = secondaries.unbound(tmp_path / "unbound", unbound, box, internet.port)
    with started as running:
        yield running


def change(school: School, listed: list[str]) -> None:
    school.compile_lists({**LISTS, "gambling": listed})


def test_it_blocks_follows_and_opens(secondary: Program, zones: Program, place):
    school, _ = place
    secondary.await_rcode("casino.example", "NXDOMAIN")
    secondary.await_rcode("sâu.casino.example".encode("idna").decode(), "NXDOMAIN")
    assert secondary.rcode("bao.example") == "NOERROR"
    assert secondary.rcode("hoc.example") == "NOERROR"
    assert secondary.rcode("trai-luat.example") == "NXDOMAIN"
    assert secondary.rcode(NEW) == "NOERROR"
    change(school, ["casino.example", NEW])
    secondary.await_rcode(NEW, "NXDOMAIN")
    assert secondary.rcode("casino.example") == "NXDOMAIN"
    change(school, [NEW])
    secondary.await_rcode("casino.example", "NOERROR")
    assert secondary.rcode(NEW) == "NXDOMAIN"
    assert len(re.findall(r"AXFR of rpz\.\w+\. serial", zones.log)) == 1
    assert len(re.findall(r"IXFR of rpz\.\w+\. serial", zones.log)) == 2, "each change, as a difference"


def test_safe_search_is_a_cname_that_is_followed(secondary: Program, internet: Internet):
    internet.records["forcesafesearch.google.com", "A"] = ["198.51.100.99"]
    secondary.await_rcode("casino.example", "NXDOMAIN")
    answer = [rrset.to_text() for rrset in secondary.ask("www.google.com").answer]
    assert any("CNAME forcesafesearch.google.com." in text for text in answer)
    assert any("A 198.51.100.99" in text for text in answer)


def test_bind_gets_a_change_as_a_small_ixfr(place, zones, internet, tmp_path):
    school, (box, port, _) = place
    with secondaries.named(tmp_path / "named", port, box, internet.port) as bind:
        bind.await_rcode("casino.example", "NXDOMAIN")
        eventually(lambda: transfers(bind), "the first transfer")
        change(school, [*LISTS["gambling"], NEW])
        bind.await_rcode(NEW, "NXDOMAIN")
        eventually(lambda: len(transfers(bind)) == 2, "the second transfer")
        assert "got incremental response" in bind.log
        first, second = transfers(bind)
        assert first > 300, "the whole zone"
        assert second == 6, "four SOA records, the name, and all below it"


def transfers(bind: Program) -> list[int]:
    """Records of each transfer that BIND has completed."""
    return [
        int(records) for records in re.findall(rf"transfer of '{SIGNED}/IN'.*Transfer completed: \d+ messages, (\d+) records", bind.log)
    ]


@pytest.fixture
def bind_after_a_restart(place, internet, tmp_path):
    """BIND with the zone; the box that gave it has ended since."""
    school, (box, port, _) = place
    with ExitStack() as stack:
        with secondaries.control(school, box):
            bind = stack.enter_context(secondaries.named(tmp_path / "named", port, box, internet.port))
            bind.await_rcode("casino.example", "NXDOMAIN")
            eventually(lambda: transfers(bind), "the first transfer")
        yield bind


def test_a_box_that_starts_again_with_the_same_lists_costs_a_secondary_nothing(place, bind_after_a_restart: Program):
    school, (box, _, _) = place
    told = bind_after_a_restart.log.count("zone is up to date")
    with secondaries.control(school, box):
        eventually(lambda: bind_after_a_restart.log.count("zone is up to date") > told, "NOTIFY of the same serial")
    assert len(transfers(bind_after_a_restart)) == 1


def test_what_changed_while_the_box_was_off_is_a_step_from_the_old_version(place, bind_after_a_restart: Program):
    school, (box, _, _) = place
    change(school, [*LISTS["gambling"], NEW])
    with secondaries.control(school, box):
        bind_after_a_restart.await_rcode(NEW, "NXDOMAIN")
        eventually(lambda: len(transfers(bind_after_a_restart)) == 2, "the second transfer")
    assert transfers(bind_after_a_restart)[1] == 6


def test_a_wrong_signature_gets_nothing(place, zones, internet, tmp_path):
    _, (box, port, _) = place
    with secondaries.named(tmp_path / "named", port, box, internet.port, secret=WRONG_SECRET) as bind:
        bind.await_rcode("bao.example", "NOERROR")
        zones.await_log("the signature is wrong")
        bind.await_log("tsig indicates error")
        assert bind.rcode("casino.example") == "NOERROR"
        assert not transfers(bind)


@pytest.mark.parametrize("kind", ["named", "named-options", "unbound", "yaml"])
def test_both_guides_show_the_same_lines(kind):
    assert secondaries.snippet("vi", kind) == secondaries.snippet("en", kind)
