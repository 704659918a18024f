"""Attempts over HTTPS (RFC 8484): POST, with id 0. [shell: httpx]

Promises: certificates are verified for the configured name even where the address to connect to is given; connections are
kept and, with HTTP/2, shared; no proxy and nothing else is taken from the environment; redirects are not followed; an
answer has at most 65,535 bytes. Imported only where a school uses it, since httpx costs memory.
"""

import asyncio
import ssl
from typing import Final

import httpx

from gateway.exchange import Attempt
from gateway.transport import MOST_IN_FLIGHT, Failed, Received, TooBusyError
from policies.upstream_address import UpstreamAddress

TIMEOUT: Final = 5.0
CONNECTIONS: Final = 8
"""where the server has no HTTP/2; otherwise one does"""
KEEP_FOR: Final = 60.0
LARGEST_ANSWER: Final = 65535
CONTENT_TYPE: Final = "application/dns-message"


class HttpsTransport:
    """See ``Transport``."""

    def __init__(self, address: UpstreamAddress, tls: ssl.SSLContext, received: Received, failed: Failed) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = received
        self._failed = failed
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}
        host = f"[{address.host}]" if ":" in address.host else address.host
        name = f"[{address.server_name}]" if ":" in address.server_name else address.server_name
        self._url = f"https://{host}:{address.port}{address.path}"
        self._headers = {
            "host": name if address.port == 443 else f"{name}:{address.port}",
            "accept": CONTENT_TYPE,
            "content-type": CONTENT_TYPE,
        }
        self._extensions = {"sni_hostname": address.server_name}
        self._client = httpx.AsyncClient(
            verify=tls,
            http2=True,
            trust_env=False,
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_FOR),
        )

    def send(self, attempt: Attempt) -> None:
        if len(self._tasks) >= MOST_IN_FLIGHT:
            raise TooBusyError("too many queries over HTTPS")
        self._tasks[attempt] = self._loop.create_task(self._run(attempt))

    def drop(self, attempt: Attempt) -> None:
        task = self._tasks.pop(attempt, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _run(self, attempt: Attempt) -> None:
        """Reports only after the connection is back in the pool, and when ``drop`` can no longer cancel this very task."""
        try:
            answer = await self._post(b"\0\0" + attempt.packet[2:])
        except (httpx.HTTPError, ssl.SSLError, ValueError) as error:
            if self._tasks.pop(attempt, None) is not None:
                self._failed(attempt, error)
            return
        if self._tasks.pop(attempt, None) is not None:
            self._received(attempt, attempt.packet[:2] + answer[2:])

    async def _post(self, query: bytes) -> bytes:
        """Raises httpx.HTTPError, or ValueError where what came back is no DNS message."""
        async with self._client.stream("POST", self._url, content=query, headers=self._headers, extensions=self._extensions) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"HTTP status {response.status_code}")
            if response.headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
                raise ValueError("not a DNS message")
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > LARGEST_ANSWER:
                    raise ValueError("longer than a DNS message")
            return bytes(answer)
