"""What real clients see: dig, kdig and dnsperf against one running resolver."""

import re

import pytest

from tests.end_to_end.box import ALLOWED, BLOCKED, Box, run
from tests.end_to_end.internet import ADDRESSES, Internet
from tests.end_to_end.school import PUPIL, TEACHER

LONG = "long.example"


@pytest.fixture(scope="module", autouse=True)
def long_text(shared_internet: Internet) -> None:
    """A TXT record set of some 2,000 octets: too long for any datagram."""
    shared_internet.records[LONG, "TXT"] = [f'"{number:03} {"x" * 190}"' for number in range(10)]


def dig(box: Box, *words: str, source: str = PUPIL) -> str:
    return run("dig", "@127.0.0.1", f"-p{box.school.port}", f"-b{source}", "+time=2", "+tries=1", *words)


def kdig(box: Box, *words: str, source: str = PUPIL) -> str:
    return run("kdig", "@127.0.0.1", "-p", str(box.school.port), "-b", source, "+time=2", "+retry=0", *words)


def status(output: str) -> str:
    found = re.search(r"status: (\w+)", output)
    assert found, output
    return found[1]


def flags(output: str) -> set[str]:
    found = re.search(r"flags: ([a-z ]+);", output, re.IGNORECASE)
    assert found, output
    return set(found[1].split())


def test_an_allowed_name_has_its_address(shared_box: Box):
    output = dig(shared_box, ALLOWED, "A")
    assert status(output) == "NOERROR"
    assert ADDRESSES["A"] in output
    assert {"qr", "rd", "ra"} <= flags(output)


def test_a_blocked_name_says_why(shared_box: Box):
    output = dig(shared_box, BLOCKED, "A")
    assert status(output) == "NXDOMAIN"
    assert "EDE: 15 (Blocked)" in output
    assert "tel:111" in output


@pytest.mark.parametrize("qtype", ["A", "AAAA", "HTTPS", "MX", "TXT", "TYPE65280"])
def test_a_blocked_name_is_blocked_for_every_type(shared_box: Box, qtype: str):
    assert status(dig(shared_box, BLOCKED, qtype)) == "NXDOMAIN"


def test_an_authority_s_list_is_told_as_censored(shared_box: Box):
    assert "EDE: 16 (Censored)" in dig(shared_box, "trai-luat.example", source=TEACHER)


def test_without_edns_there_is_no_opt_record(shared_box: Box):
    output = dig(shared_box, "+noedns", BLOCKED)
    assert status(output) == "NXDOMAIN"
    assert "OPT PSEUDOSECTION" not in output


def test_groups_get_their_own_answers(shared_box: Box):
    assert status(dig(shared_box, "mang-xa-hoi.example", source=PUPIL)) == "NXDOMAIN"
    assert status(dig(shared_box, "mang-xa-hoi.example", source=TEACHER)) == "NOERROR"


def test_mixed_case_is_repeated_as_it_was_asked(shared_box: Box):
    assert "CaSiNo.ExAmPlE." in dig(shared_box, "CaSiNo.ExAmPlE")
    assert "bAo.ExAmPlE." in dig(shared_box, "bAo.ExAmPlE")
    assert status(kdig(shared_box, "CaSiNo.ExAmPlE")) == "NXDOMAIN"


def test_safe_search_for_a_pupil_and_not_for_staff(shared_box: Box):
    assert "forcesafesearch.google.com." in dig(shared_box, "www.google.com.vn", source=PUPIL)
    assert "forcesafesearch" not in dig(shared_box, "www.google.com.vn", source=TEACHER)


def test_kdig_over_tcp_asks_several_on_one_connection(shared_box: Box):
    output = kdig(shared_box, "+tcp", "+keepopen", ALLOWED, BLOCKED, "hoc.example")
    assert re.findall(r"status: (\w+)", output) == ["NOERROR", "NXDOMAIN", "NOERROR"]


def test_a_long_answer_is_cut_over_udp_and_whole_over_tcp(shared_box: Box):
    cut = dig(shared_box, LONG, "TXT", "+ignore", "+bufsize=4096")
    assert "tc" in flags(cut)
    assert int(re.search(r"MSG SIZE\s+rcvd: (\d+)", cut)[1]) <= 1232
    whole = dig(shared_box, LONG, "TXT", "+bufsize=4096")
    assert "tc" not in flags(whole)
    assert whole.count("x" * 190) == 10


def test_a_client_s_buffer_size_bounds_the_answer(shared_box: Box):
    output = kdig(shared_box, BLOCKED, "+bufsize=512", "+ignore")
    assert int(re.search(r"Received (\d+) B", output)[1]) <= 512


def test_an_unknown_edns_option_changes_nothing(shared_box: Box):
    output = kdig(shared_box, ALLOWED, "+edns", "+ednsopt=65001:c0ffee")
    assert status(output) == "NOERROR"
    assert "65001" not in output


def test_an_unknown_edns_version_is_badvers(shared_box: Box):
    assert status(dig(shared_box, ALLOWED, "+edns=1", "+noednsneg")) == "BADVERS"


def test_a_cookie_comes_back_with_ours_and_is_taken_again(shared_box: Box):
    first = dig(shared_box, ALLOWED, "+cookie=0123456789abcdef")
    cookie = re.search(r"COOKIE: ([0-9a-f]{48}) \(good\)", first)
    assert cookie, first
    assert status(dig(shared_box, ALLOWED, f"+cookie={cookie[1]}")) == "NOERROR"
    assert status(kdig(shared_box, ALLOWED, "+cookie")) == "NOERROR"


def test_do_and_cd_are_carried(shared_box: Box):
    output = dig(shared_box, ALLOWED, "+dnssec", "+cd")
    assert re.search(r"EDNS: version: 0, flags: do;", output)
    assert "cd" in flags(output)


def test_any_is_answered_minimally(shared_box: Box):
    assert "RFC8482" in dig(shared_box, ALLOWED, "ANY", "+notcp")


@pytest.mark.parametrize("words", [("AXFR", "+tcp"), ("IXFR=1", "+tcp")])
def test_transfers_are_refused(shared_box: Box, words: tuple[str, ...]):
    assert "REFUSED" in run("kdig", "@127.0.0.1", "-p", str(shared_box.school.port), "-b", PUPIL, "+time=2", "example", *words, code=1)


def test_other_classes_are_not_served(shared_box: Box):
    assert status(dig(shared_box, "version.bind", "CH", "TXT")) in {"REFUSED", "NOTIMP"}


def test_other_opcodes_are_not_served(shared_box: Box):
    assert status(dig(shared_box, ALLOWED, "+opcode=NOTIFY")) == "NOTIMP"


def test_ipv6(shared_box: Box):
    output = run("dig", "@::1", f"-p{shared_box.school.port}", "+time=2", "+tries=1", BLOCKED)
    assert status(output) == "NXDOMAIN"  # a guest's address: the tier of guests


@pytest.mark.parametrize("mode", ["udp", "tcp"])
def test_dnsperf_loses_nothing(shared_box: Box, tmp_path, mode: str):
    questions = tmp_path / "questions"
    questions.write_text(
        "".join(f"{name} A\n" for name in (ALLOWED, BLOCKED, "hoc.example", "mang-xa-hoi.example", *(f"n{i}.example" for i in range(50))))
    )
    words = (
        "-s",
        "127.0.0.1",
        "-p",
        str(shared_box.school.port),
        "-d",
        str(questions),
        "-m",
        mode,
        "-l",
        "3",
        "-q",
        "50",
        "-Q",
        "300",
        "-a",
        PUPIL,
    )
    output = run("dnsperf", *words)
    assert re.search(r"Queries lost:\s+0 ", output), output
    assert int(re.search(r"Queries completed:\s+(\d+)", output)[1]) > 500
