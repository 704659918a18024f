"""`ask`, `selftest` and `doctor` against real servers on loopback: one that filters, one that does not, and none."""

import json
import ssl

import pytest
import trustme
from dnslib import EDNS0, RCODE, EDNSOption

from gateway.cli import probes, question
from gateway.cli.question import NoAnswer, Reply
from gateway.cli.selftest import Found, faults
from gateway.demo_internet import DemoInternet, address4
from policies.upstream_address import parse as parse_upstream
from tests.cli.conftest import write_school
from tests.nameserver import Nameserver, Received

REASON = {"c": ["tel:111"], "j": "Mạng nhà trường không mở nội dung này.", "o": "Trường thử", "l": "vi"}
CLOSED = "127.0.0.1:9"


class Filter(Nameserver):
    """Blocks every category's test name but those of help and learning, as the resolver would."""

    reason = json.dumps(REASON)

    def respond(self, query: Received) -> bytes:
        if not query.qname.endswith(".manglanh.test") or query.qname.startswith(("help", "learning")):
            return query.reply("192.0.2.1")
        reply = query.message.reply(ra=1, aa=0)
        reply.header.rcode = RCODE.NXDOMAIN
        reply.add_ar(EDNS0(opts=[EDNSOption(15, (17).to_bytes(2) + self.reason.encode())]))
        return bytes(reply.pack())


@pytest.fixture
def filtering():
    with Filter() as server:
        yield server


@pytest.fixture
def open_server():
    running = DemoInternet()
    yield running.address
    running.close()


def where(server: Nameserver) -> str:
    return f"{server.address}:{server.port}"


def test_a_blocked_name_comes_with_its_reason_in_words(type_in, filtering):
    result = type_in("ask", "gambling.manglanh.test", "--server", where(filtering))
    assert result.code == 0
    assert result.out.splitlines() == [
        "gambling.manglanh.test: NXDOMAIN",
        "Blocked (extended error 17).",
        f"Reason: {REASON['j']}",
        "Filtered by: Trường thử",
        "Contact: tel:111",
    ]


def test_an_answer_shows_its_records(type_in, open_server):
    result = type_in("ask", "vnexpress.net", "--server", open_server, "--client", "127.0.3.1")
    assert result.out.splitlines() == ["vnexpress.net: NOERROR", f"  A {address4('vnexpress.net')}"]


def test_an_answer_that_is_cut_is_asked_for_again_over_tcp(type_in, open_server):
    found = json.loads(type_in("ask", "long.example", "--type", "TXT", "--server", open_server, "--json").out)
    assert len(found["records"][0]) > 1232


def test_the_server_is_where_the_school_file_listens(type_in, tmp_path, filtering):
    write_school(tmp_path, where(filtering))
    assert json.loads(type_in("ask", "gambling.manglanh.test", "--json").out)["blocked"] is True


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["a.vn", "--server", CLOSED], 1),
        (["a.vn", "--server", "nowhere"], 2),
        (["a.vn", "--type", "X", "--server", CLOSED], 2),
        (["a" * 64, "--server", CLOSED], 2),
    ],
)
def test_what_cannot_be_asked(arguments, code, type_in):
    result = type_in("ask", *arguments)
    assert result.code == code
    assert result.err


@pytest.mark.parametrize("text", ["plain words", "[1]", '{"j": 5', ""])
def test_a_reason_that_is_no_json_object_is_shown_as_it_is(text, filtering):
    filtering.reason = text
    reply = question.ask(filtering.address, filtering.port, "gambling.manglanh.test")
    assert reply.blocked
    assert reply.reason == ({"j": text} if text else {})


def test_a_response_to_another_question_is_waited_past():
    class Forger(Nameserver):
        def respond(self, query: Received) -> list[bytes]:
            good = query.reply("192.0.2.1")
            return [bytes([good[0] ^ 1]) + good[1:], b"short", good]

    with Forger() as server:
        assert question.ask(server.address, server.port, "a.vn").records == ("A 192.0.2.1",)


@pytest.mark.parametrize("data", [b"", b"\0" * 11, b"\0\0\x80\0\0\1\0\1\0\0\0\0\xc0"])
def test_damaged_responses_are_no_answers(data):
    with pytest.raises(NoAnswer):
        question.read(data)


def test_selftest_of_a_box_that_filters_is_fine(type_in, filtering):
    result = type_in("selftest", "--server", filtering.address, "--port", filtering.port)
    assert result.code == 0
    lines = result.out.splitlines()
    assert "filtered   gambling       Gambling" in lines
    assert "open       help           Help for children" in lines
    assert lines[-1].startswith("Record for the yearly review: ")


def test_selftest_of_a_server_that_does_not_filter_is_not(type_in, open_server):
    host, _, port = open_server.rpartition(":")
    result = type_in("selftest", "--server", host, "--port", port, "--json")
    found = json.loads(result.out)
    assert result.code == 1
    assert found["wrong"] == ["child-abuse", "unlawful"]
    assert not any(found["filtered"].values())


def test_selftest_of_nothing_says_so(type_in):
    assert type_in("selftest", "--server", "127.0.0.1", "--port", "9").code == 1
    assert type_in("selftest", "--server", "nowhere").code == 2


def test_help_that_is_filtered_is_a_fault():
    assert faults((Found("unlawful", True), Found("child-abuse", True), Found("help", True), Found("video", False))) == ["help"]


def doctor(type_in) -> dict[str, list[str]]:
    findings = json.loads(type_in("doctor", "--json").out)
    return {level: [finding["what"] for finding in findings if finding["level"] == level] for level in ("ok", "warn", "fail")}


def test_doctor_of_a_box_that_works(type_in, tmp_path, filtering, open_server):
    path = write_school(tmp_path, where(filtering))
    path.write_text(path.read_text(encoding="utf-8").replace(CLOSED, open_server), encoding="utf-8")
    found = doctor(type_in)
    assert found["fail"] == []
    assert f"{where(filtering)} answers over UDP and TCP, and filters." in found["ok"]
    assert any(text.startswith(f"Upstream {open_server} answers") for text in found["ok"])
    assert any(text.startswith("6a1 (thcs): 22 of 25") for text in found["ok"])
    assert type_in("doctor").code == 0


def test_doctor_of_a_box_that_is_down_says_what_to_do(type_in, tmp_path):
    write_school(tmp_path, CLOSED)
    result = type_in("doctor")
    assert result.code == 1
    assert f"[WRONG] {CLOSED} does not answer: Connection refused" in result.out
    assert "-> Is the resolver running?" in result.out
    assert f"Upstream {CLOSED} does not answer" in result.out


def test_doctor_of_another_server_on_the_port(type_in, tmp_path, open_server):
    write_school(tmp_path, open_server)
    assert f"{open_server} answers, but does not filter." in doctor(type_in)["fail"]


@pytest.mark.parametrize("scheme", ["", "tcp://"])
def test_a_plain_upstream_is_probed(scheme, open_server):
    assert probes.probe(parse_upstream(scheme + open_server)) >= 0


def test_a_tls_upstream_is_probed_and_its_certificate_checked(monkeypatch):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("dns.example").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with Filter(tls=context) as server:
        good = parse_upstream(f"tls://{server.address}:{server.tls_port}#dns.example")
        with pytest.raises(NoAnswer, match="certificate"):
            probes.probe(good)
        monkeypatch.setattr(probes.ssl, "create_default_context", lambda: trusting)
        assert probes.probe(good) >= 0
        with pytest.raises(NoAnswer, match=r"certificate|Hostname"):
            probes.probe(parse_upstream(f"tls://{server.address}:{server.tls_port}#other.example"))


def test_an_upstream_that_fails_is_no_answer():
    class Failing(Nameserver):
        def respond(self, query: Received) -> bytes:
            return query.reply(rcode=RCODE.SERVFAIL)

    with Failing() as server, pytest.raises(NoAnswer, match="SERVFAIL"):
        probes.probe(parse_upstream(where(server)))


def test_only_extended_errors_of_blocking_count_as_blocked():
    assert [Reply("NXDOMAIN", (), code, {}).blocked for code in (None, 3, 15, 16, 17, 18, 22)] == [
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
