"""The school's certificate: the TLS that is served with it, and reading it again once it was renewed.

A certificate lives for weeks, a worker for months. Connections that are open stay as they are; the next handshake has the new
one. Files that do not fit each other change nothing.
"""

import ssl
from pathlib import Path


class Certificate:
    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._served: list[ssl.SSLContext] = []

    def context(self, *protocols: str) -> ssl.SSLContext:
        """For a server; ``protocols``: what clients may agree on (RFC 7301). Raises OSError (ssl.SSLError is one)."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(list(protocols))
        context.load_cert_chain(*self._files)
        self._served.append(context)
        return context

    def read_again(self) -> None:
        """Raises OSError; then what is served is what was served before."""
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*self._files)
        for context in self._served:
            context.load_cert_chain(*self._files)
