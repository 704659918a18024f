"""How fresh the lists are, as the control process notes it in ``update.json``, for the metrics.  [shell: reads one file]

The resolver and the control process have nothing but this file between them: a control process that is dead, or never was, costs these
metrics and nothing else.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTED = "update.json"
TROUBLES = ("network", "slow", "refused", "expired", "content", "clock", "disk", "compile")
"""the kinds that blocklists/box/release_record.py knows (a test compares the two)"""
_MOST = 4 * 1024 * 1024
_GAUGES = {
    "manglanh_update_checked_timestamp_seconds": "checked_at",
    "manglanh_update_success_timestamp_seconds": "success_at",
    "manglanh_update_expiry_timestamp_seconds": "expires_at",
}


def samples(directory: Path) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Metric, labels and value of all that the file says; nothing where there is none or it is damaged."""
    noted = _read(directory / NOTED)
    if noted is None:
        return
    try:
        yield from [*_samples(noted)]
    except (KeyError, TypeError, ValueError, AttributeError):
        return  # of a version that this one does not know


def _samples(noted: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...], float]]:
    for metric, field in _GAUGES.items():
        yield metric, (), float(noted[field])
    yield "manglanh_update_release_version", (), float(noted["release"]["snapshot"])
    for channel, status in noted["channels"].items():
        yield "manglanh_update_channel_version", (channel,), float(status["version"])
    yield "manglanh_update_rolled_back", (), float(noted["rollback"] is not None)
    there = {trouble["kind"] for trouble in noted["troubles"]}
    for kind in TROUBLES:
        yield "manglanh_update_trouble", (kind,), float(kind in there)
    yield "manglanh_update_transferred_bytes_total", ("received",), float(noted["received"])
    yield "manglanh_update_transferred_bytes_total", ("sent",), float(noted["sent"])
    yield "manglanh_update_requests_total", (), float(noted["requests"])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            noted = json.loads(file.read(_MOST))
    except (OSError, ValueError):
        return None
    return noted if isinstance(noted, dict) else None
