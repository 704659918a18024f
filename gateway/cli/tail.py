"""`manglanh tail`: decisions as they are made. Nothing is stored, and addresses stay hidden unless they are asked for. [shell]

Every worker offers its decisions as JSON lines on a unix socket (``tail-N.sock`` in the runtime directory); a worker to which
nobody listens makes none.
"""

import json
import selectors
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import CONFIG, JSON
from gateway.cli.terminal import CommandError, terminal

_LONGEST = 65536
_FIELDS = ("group", "name", "type", "verdict", "rung", "rule", "list", "category", "rcode", "cached", "us")


def tail(
    context: typer.Context,
    *,
    group: Annotated[str, typer.Option("--group", help="Only this group's decisions.")] = "",
    addresses: Annotated[bool, typer.Option("--addresses", help="Show who asked; think of the children's privacy.")] = False,
    count: Annotated[int, typer.Option("--count", min=0, help="Stop after so many decisions; 0: never.")] = 0,
    config: CONFIG = None,
    as_json: JSON = False,
) -> None:
    """Show decisions live. Nothing is stored. Ctrl-C ends it."""
    from gateway.cli.school import find, load_file
    from gateway.runtime import tail_sockets

    _ = terminal(context).translate
    connections = _connect(tail_sockets(load_file(find(config, _), _)), _)
    texts = (show(line, group, addresses=addresses, as_json=as_json) for line in lines_of(connections))
    shown = (text for text in texts if text is not None)
    with ExitStack() as stack:
        for connection in connections:
            stack.enter_context(connection)
        for text in islice(shown, count or None):
            typer.echo(text)


def _connect(paths: Sequence[Path], _: Translate) -> list[socket.socket]:
    """A connection to every worker that listens; a socket that a killed worker left behind is passed over."""
    connections = []
    why = ""
    for path in paths:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError as error:
            connection.close()
            why = error.strerror or str(error)
        else:
            connections.append(connection)
    if not connections and why:
        raise CommandError(_("The resolver cannot be listened to: {why}").format(why=why))
    if not connections:
        raise CommandError(_("No resolver runs with this school file."))
    return connections


def lines_of(connections: list[socket.socket]) -> Iterator[bytes]:
    """Whole lines from every connection as they come, until the last one closes."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for key, _events in selector.select():
                connection, kept = cast("socket.socket", key.fileobj), key.data
                received = connection.recv(_LONGEST)
                if not received:
                    selector.unregister(connection)
                    connection.close()
                kept.extend(received)
                *whole, rest = bytes(kept).split(b"\n")
                kept[:] = rest[-_LONGEST:]
                yield from whole


def show(line: bytes, group: str = "", *, addresses: bool = False, as_json: bool = False) -> str | None:
    """One decision as text; None for another group's, or for a line that is no decision."""
    try:
        decision = json.loads(line)
    except ValueError:
        return None
    if not isinstance(decision, dict) or (group and decision.get("group") != group):
        return None
    if as_json:
        kept = ("at", "address", *_FIELDS) if addresses else ("at", *_FIELDS)
        return json.dumps({key: decision.get(key) for key in kept}, ensure_ascii=False)
    return _as_text(decision, addresses=addresses)


def _as_text(decision: dict[str, Any], *, addresses: bool) -> str:
    at = datetime.fromtimestamp(float(decision.get("at", 0))).astimezone().strftime("%H:%M:%S")
    who = f"{decision.get('group')} {decision.get('address')}" if addresses else str(decision.get("group"))
    why = " ".join(str(decision[key]) for key in ("rung", "rule", "list", "category") if decision.get(key))
    cached = " *" if decision.get("cached") else ""
    what = f"{decision.get('name')} {decision.get('type')}"
    return (
        f"{at}  {who:<14} {decision.get('verdict', ''):<8} {what}  [{why}]  {decision.get('rcode', '')} {decision.get('us', '')} µs{cached}"
    )
