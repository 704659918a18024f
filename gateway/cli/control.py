"""`manglanh control`: the process beside the resolver. It keeps the lists up to date, and serves zones to other resolvers where the school file says so.

The lists are followed in the main thread, the zones are served in one of their own. A bug in either ends the process, and whoever supervises it
starts it again; the resolver has nothing to do with it but files.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import CONFIG
from gateway.cli.terminal import terminal

if TYPE_CHECKING:
    from gateway.cli.follower import Follower

log = logging.getLogger("manglanh.control")

LOOK = 1.0
TRY_AGAIN = 30.0
"""seconds until zones that cannot be served are tried again"""
STARTER = ".starter"
"""folder of the starter lists, within the lists' directory"""


def control(
    context: typer.Context,
    config: CONFIG = None,
    *,
    attached: Annotated[bool, typer.Option("--attached", hidden=True, help="End when the process ends that started this one.")] = False,
) -> None:
    """Keep the lists up to date, beside the resolver, which does not need it to answer. SIGTERM ends it."""
    from gateway.cli.school import find
    from gateway.cli.update import follow, follower_of

    _ = terminal(context).translate
    path = find(config, _)
    follower = follower_of(path, _)
    threading.excepthook = _end
    if attached:
        _begin(_leave_with_parent, os.getppid())
    _begin(_serve_zones, path, follower)
    follow(follower)


def _begin(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def _end(bug: threading.ExceptHookArgs) -> None:
    """What one thread cannot do any more, nobody does."""
    log.critical("a bug ended the control process", exc_info=(bug.exc_type, bug.exc_value or bug.exc_type(), bug.exc_traceback))
    os._exit(1)


def _leave_with_parent(parent: int) -> None:
    """A supervisor that was killed cannot say so; its successor starts a control process of its own."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os.kill(os.getpid(), signal.SIGTERM)


def _serve_zones(config: Path, follower: "Follower") -> None:
    """From when the school file first names an address to listen on; from then on the zone server follows the file by itself."""
    while not follower.setting.file.zones.listen:
        time.sleep(LOOK)
    from blocklists.compile import compile_starter
    from filters.bundle import BadBundle
    from gateway.zones.server import serve
    from policies.load import ConfigError

    while True:
        try:
            asyncio.run(serve(config, compile_starter(follower.setting.file.lists.directory / STARTER)))
        except (ConfigError, BadBundle, OSError) as error:
            log.error("zones cannot be served: %s", error)
            time.sleep(TRY_AGAIN)
