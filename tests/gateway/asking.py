"""For the tests of the way out: ``Upstreams`` on a loop of their own, a question and its answer, certificates."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import trustme

from gateway.exchange import Failure, Question
from gateway.upstream import Upstreams
from gateway.wire import Message
from policies.upstream_address import parse

DEADLINE = 15.0


@asynccontextmanager
async def asking(*addresses, forward=None, **options):
    """Upstreams by their texts, closed at the end."""
    parsed = {name: [parse(text) for text in texts] for name, texts in (forward or {}).items()}
    upstreams = Upstreams([parse(text) for text in addresses], parsed, **options)
    try:
        async with asyncio.timeout(DEADLINE):
            yield upstreams
    finally:
        await upstreams.close()


def ask(upstreams, qname="www.example.vn", qtype=1, *, do=False, cd=False):
    """A future of the answer or failure."""
    future = asyncio.get_running_loop().create_future()
    upstreams.ask(Question(qname, qtype, do, cd), lambda result: future.done() or future.set_result(result))
    return future


async def until(condition, upstreams):
    """Asks new questions until the condition holds."""
    number = 0
    while not condition():
        number += 1
        await ask(upstreams, f"n{number}.example.vn")


def addresses_of(result):
    """The IPv4 addresses of an answer, as text."""
    assert isinstance(result, Message), result
    return [".".join(map(str, result.rdata(record))) for record in result.records if record.rtype == 1]


def reason_of(result):
    assert isinstance(result, Failure), result
    return result.reason


def plain(server):
    return f"[{server.address}]:{server.port}" if ":" in server.address else f"{server.address}:{server.port}"


class Authority:
    """A certificate authority of our own. ``file``: where clients find it; ``serving``: a server's settings with a certificate of ours."""

    def __init__(self, directory):
        self._authority = trustme.CA()
        self.file = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def serving(self, *identities, **validity):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issue(*identities, **validity).configure_cert(context)
        return context

    def issue(self, *identities, **validity):
        return self._authority.issue_cert(*identities, **validity)
