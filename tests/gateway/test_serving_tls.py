"""DNS over TLS with real clients (RFC 7858): the handshake, pipelining, and what ends a connection."""

import asyncio
import socket
import ssl
import subprocess
import sys
from argparse import Namespace
from contextlib import contextmanager
from functools import partial

import dnslib
import pytest

from gateway.certificate import Certificate
from gateway.stream import IDLE, MAX_MESSAGE, PIPELINE, Connection
from gateway.worker import Worker
from tests.gateway.asking import Authority
from tests.gateway.serving import ADDRESS, NAME, certified, is_ended, plain, secure, serving, wait_for
from tests.gateway.test_server import Running, framed, question, read_framed
from tests.nameserver import Nameserver


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def dot(box, authority, idle=IDLE):
    handle = partial(box.resolver.handle_stream, transport="dot")
    with serving(box, partial(Connection, box.connections, handle, certified(authority, "dot"), idle)) as port:
        yield port


def test_a_verified_client_is_answered_by_its_policy_and_counted(box, authority):
    with dot(box, authority) as port, secure(port, authority, "dot") as client:
        assert client.selected_alpn_protocol() == "dot"
        assert client.version() in {"TLSv1.2", "TLSv1.3"}
        client.sendall(framed(question("casino.example")))
        assert read_framed(client)[3] & 15 == 3
        client.sendall(framed(question("www.example.com")))
        assert str(dnslib.DNSRecord.parse(read_framed(client)).rr[0].rdata) == "192.0.2.1"
    assert box.counts().queries == {"dot": 2}


def test_a_client_that_asks_for_no_protocol_is_served(box, authority):
    """RFC 7858 came before its ALPN token."""
    with dot(box, authority) as port, secure(port, authority) as client:
        assert client.selected_alpn_protocol() is None
        client.sendall(framed(question("casino.example")))
        assert read_framed(client)[3] & 15 == 3


def test_the_server_has_the_certificate_that_it_was_given(box, authority, tmp_path):
    with dot(box, authority) as port, pytest.raises(ssl.SSLCertVerificationError):
        secure(port, Authority(tmp_path), "dot")


def test_queries_are_pipelined_beyond_what_is_under_way_at_once(box, authority):
    names = {number: f"n{number}.example.com" for number in range(1, PIPELINE * 3)}
    with dot(box, authority) as port, secure(port, authority, "dot") as client:
        client.sendall(b"".join(framed(question(name, number)) for number, name in names.items()))
        answers = [dnslib.DNSRecord.parse(read_framed(client)) for _ in names]
        assert {answer.header.id: str(answer.q.qname).rstrip(".") for answer in answers} == names


def test_octets_that_come_together_with_the_end_of_the_handshake_are_not_lost(box, authority):
    """TLS 1.3: the client's Finished and its first query may share a segment, and the server's task wakes up after both."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = ssl.create_default_context(cafile=authority.file).wrap_bio(inward, outward, server_hostname=NAME)
    with dot(box, authority) as port, plain(port) as client:
        while True:
            try:
                client_side.do_handshake()
            except ssl.SSLWantReadError:
                client.sendall(outward.read())
                inward.write(client.recv(65536))
            else:
                break
        client_side.write(framed(question("casino.example")))
        client.sendall(outward.read())
        answer = b""
        while len(answer) < 14:
            inward.write(client.recv(65536))
            try:
                answer += client_side.read(4096)
            except ssl.SSLWantReadError:
                continue
        assert answer[5] & 15 == 3
        client_side.write(b"\0\0")
        client.sendall(outward.read())


@pytest.mark.parametrize("sent", [b"", b"\0", framed(question("casino.example"))[:-3]], ids=["nothing", "one octet", "half a query"])
def test_a_client_that_sends_no_whole_query_is_left_when_it_idles(box, authority, sent):
    with dot(box, authority, idle=0.2) as port, secure(port, authority, "dot") as client:
        client.sendall(sent)
        assert client.recv(1) == b""


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00"], ids=["nothing", "half a record"])
def test_a_client_that_does_not_finish_its_handshake_is_left(box, authority, sent):
    with dot(box, authority, idle=0.2) as port, plain(port) as client:
        client.sendall(sent)
        assert is_ended(client)


def test_what_is_no_handshake_ends_the_connection(box, authority):
    with dot(box, authority) as port, plain(port) as client:
        client.sendall(framed(question("casino.example")))
        while client.recv(4096):  # the alert that says why
            pass


@pytest.mark.parametrize("junk", [b"\0\5abcde", (MAX_MESSAGE + 1).to_bytes(2, "big") + b"x" * 50], ids=["short frame", "huge frame"])
def test_what_is_no_frame_ends_the_connection(box, authority, junk):
    with dot(box, authority) as port, secure(port, authority, "dot") as client:
        client.sendall(junk)
        assert is_ended(client)


def test_unfinished_handshakes_count_against_the_share_of_their_address(box, authority):
    """Otherwise whoever opens connections and says nothing could hold every file descriptor of the worker."""
    with dot(box, authority) as port, plain(port) as one, plain(port) as two:
        wait_for(lambda: box.call(lambda: len(box.connections.open)) == 2)
        with plain(port) as third:
            assert is_ended(third)
        with secure(port, authority, "dot", source="127.0.0.2") as other:
            other.sendall(framed(question("casino.example")))
            assert read_framed(other)[3] & 15 == 3
        one.close()
        two.close()
        wait_for(lambda: box.call(lambda: box.connections.by_address["127.0.0.1"]) == 0)
        with secure(port, authority, "dot") as again:
            again.sendall(framed(question("casino.example")))
            assert read_framed(again)[3] & 15 == 3
    assert box.connections.refused == 1


def test_an_unlisted_source_gets_no_answer(box, authority):
    with dot(box, authority, idle=0.2) as port, secure(port, authority, "dot", source="127.1.0.1") as client:
        client.sendall(framed(question("casino.example")))
        assert is_ended(client)
    assert box.counts().dropped["not-allowed"] == 1


def test_a_client_that_reads_no_answers_is_left_and_does_not_hold_its_place(tmp_path, authority):
    class Long(Nameserver):
        def respond(self, query):
            return query.reply(*[f"192.0.2.{n}" for n in range(1, 60)]) if query.transport == "tcp" else query.reply(truncated=True)

    with Long() as upstream, Running(tmp_path, upstream.port) as box, dot(box, authority, idle=0.3) as port:
        client = plain(port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client = ssl.create_default_context(cafile=authority.file).wrap_socket(client, server_hostname=NAME)
        client.settimeout(0.2)
        with client:
            try:
                for _ in range(200):
                    client.sendall(framed(question("long.example")) * 100)
            except (TimeoutError, ConnectionError, ssl.SSLError):
                pass
            wait_for(lambda: not box.call(lambda: len(box.connections.open)))


def test_kdig_is_answered_with_the_certificate_checked(box, authority):
    with dot(box, authority) as port:
        command = ["kdig", f"@{ADDRESS}", "-p", str(port), f"+tls-ca={authority.file}", f"+tls-host={NAME}", "+time=5"]
        shown = subprocess.run([*command, "www.example.com", "casino.example"], capture_output=True, text=True, check=True, timeout=30)
    assert "192.0.2.1" in shown.stdout
    assert "NXDOMAIN" in shown.stdout
    assert "TLS" in shown.stdout


SCHOOL = """
school: {{name: Trường THCS Số 1}}
dns:
  listen: ["127.0.0.1:{ports[0]}"]
  upstreams: ["127.0.0.1:{upstream}"]
  tls:
    listen: ["127.0.0.1:{ports[1]}"]
    https_listen: ["127.0.0.1:{ports[2]}"]
    certificate: {directory}/certificate.pem
    key: {directory}/key.pem
lists: {{directory: {directory}/lists}}
state: {directory}/state.json
groups: [{{name: 6a1, tier: thcs, clients: [127.0.0.0/24]}}]
"""


def free_ports(count):
    held = [socket.create_server((ADDRESS, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def test_a_worker_serves_what_the_schools_file_says(box, authority, upstream, tmp_path):
    issued = authority.issue(NAME)
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "certificate.pem", append=True)
    ports = free_ports(3)
    config = tmp_path / "worker.yaml"
    config.write_text(SCHOOL.format(ports=ports, upstream=upstream.port, directory=tmp_path), encoding="utf-8")
    (tmp_path / "texts.json").write_text("{}")
    options = Namespace(index=0, config=config, starter=box.starter, runtime=tmp_path, texts=tmp_path / "texts.json", metrics=None)

    def ask():
        with secure(ports[1], authority, "dot") as client:
            client.sendall(framed(question("casino.example")))
            assert read_framed(client)[3] & 15 == 3
        with secure(ports[2], authority, "h2") as client:
            assert client.selected_alpn_protocol() == "h2"
        with secure(ports[2], authority) as client:
            client.sendall(b"GET /elsewhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 404 ")

    async def serve():
        worker = Worker(options)
        await worker._open()
        try:
            await asyncio.to_thread(ask)
        finally:
            await worker._leave()

    asyncio.run(serve())


def test_a_renewed_certificate_is_served_and_one_that_does_not_fit_is_not(box, authority, tmp_path):
    def put(issued, key):
        (tmp_path / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.private_key_pem.write_to_path(tmp_path / "key.pem")

    def serial(port):
        with secure(port, authority, "dot") as client:
            return int(client.getpeercert()["serialNumber"], 16)

    first, second = authority.issue(NAME), authority.issue(NAME)
    put(first, first)
    certificate = Certificate(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with serving(box, partial(Connection, box.connections, box.resolver.handle_stream, certificate.context("dot"))) as port:
        before = serial(port)
        put(second, first)
        with pytest.raises(ssl.SSLError):
            box.call(certificate.read_again)
        assert serial(port) == before
        put(second, second)
        box.call(certificate.read_again)
        assert serial(port) != before


def test_a_worker_without_https_does_not_load_http():
    script = "import sys, gateway.worker; print({'h2', 'h11', 'hpack', 'httpx'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
