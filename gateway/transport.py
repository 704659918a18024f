"""What the ways to an upstream (datagrams, streams, HTTPS) have in common: their interface, and words for what went wrong."""

import errno
import os
import ssl
from collections.abc import Callable
from typing import Final, Protocol

from gateway.exchange import Attempt
from gateway.upstream_health import Trouble

Received = Callable[[Attempt, bytes], None]
"""called with everything that may be a reply to the attempt"""
Failed = Callable[[Attempt, BaseException], None]
"""called at most once, when the attempt cannot be answered any more; ``diagnose`` puts the error in words"""

MOST_IN_FLIGHT: Final = 512
"""attempts per stream upstream, waiting for a connection or an answer"""

_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRINUSE, errno.EAGAIN})


class TooBusyError(Exception):
    """Our own bound on what may be under way was reached; the upstream is not to blame."""


class Transport(Protocol):
    """``send`` starts an attempt; between that and ``drop``, ``received`` and ``failed`` are called for it."""

    def send(self, attempt: Attempt) -> None:
        """Raises OSError or TooBusyError where it cannot be sent now."""

    def drop(self, attempt: Attempt) -> None:
        """No more of it. Harmless where it was dropped before."""


def diagnose(error: BaseException) -> tuple[Trouble | None, str]:
    """The kind of failure (None: ours, not the upstream's) and a line for a person. Looks behind a library's own errors."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate", f"certificate: {cause.verify_message.rstrip('.')}"
        if isinstance(cause, TooBusyError):
            return None, str(cause)
        if isinstance(cause, OSError) and cause.errno in _OURS:
            return None, os.strerror(cause.errno or 0)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ValueError):
        return "malformed", str(error)
    if isinstance(error, TimeoutError):
        return "network", "no connection in time"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ssl.SSLError):
        return "network", os.strerror(error.errno)
    return "network", str(error) or type(error).__name__
