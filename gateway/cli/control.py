"""`manglanh control`: the process beside the resolver. It serves the dashboard and the block page, keeps the lists up to date, and serves zones
to other resolvers where the school file says so.

The lists are followed in the main thread; the pages and the zones are served in threads of their own. A bug in any of them ends the process, and
whoever supervises it starts it again; the resolver has nothing to do with it but files.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import CONFIG
from gateway.cli.terminal import terminal

if TYPE_CHECKING:
    from dashboard.site import Site
    from gateway.cli.follower import Follower
    from policies.model import SchoolFile

log = logging.getLogger("manglanh.control")

LOOK = 1.0
TRY_AGAIN = 30.0
"""seconds until zones that cannot be served are tried again"""
LEAVE_WITHIN = 1.5
"""seconds for pages that are being answered and for what is still to be stored"""
TURN = 0.0005
"""seconds until another thread gets its turn: the store's threads must not wait 5 ms at each step while forty forms are read"""
RETURN_EVERY = 15.0
"""seconds after which memory that was freed goes back to the system"""
HEAP = {-8: 1, -3: 64 * 1024, -1: 64 * 1024}
"""mallopt(3): M_ARENA_MAX, one heap instead of one for each thread; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, so that what a large page took goes back"""
NOT_NEEDED = ("httpx._main", "pydantic.v1")
"""what libraries import where they can and do without where they cannot: httpx's own command line, old models for FastAPI; 6 MB"""
NOT_USED = ("sqlalchemy.ext.asyncio.session", "sqlalchemy.ext.asyncio.scoping")
"""what a library imports in any case, with its whole object mapper below; 6 MB. The store speaks SQLAlchemy Core and never asks for it"""
STARTER = ".starter"
"""folder of the starter lists, within the lists' directory"""


def control(
    context: typer.Context,
    config: CONFIG = None,
    *,
    attached: Annotated[bool, typer.Option("--attached", hidden=True, help="End when the process ends that started this one.")] = False,
    only_pages: Annotated[bool, typer.Option("--only-pages", hidden=True, help="Leave the lists as they are.")] = False,
) -> None:
    """Serve the dashboard and keep the lists up to date, beside the resolver, which does not need it to answer. SIGTERM ends it."""
    _be_small()
    sys.setswitchinterval(TURN)
    from gateway.cli.first_school import begin_with
    from gateway.cli.update import follow, follower_of

    _ = terminal(context).translate
    path = begin_with(config, _)
    follower = follower_of(path, _)
    threading.excepthook = _end
    if attached:
        _begin(_leave_with_parent, os.getppid())
    _begin(_return_memory)
    _begin(_serve_zones, path, follower)
    leaving = threading.Event()
    pages = _begin(_serve_pages, path, follower, leaving, _)
    try:
        follow(follower, lists=not only_pages)
    finally:
        leaving.set()
        pages.join(LEAVE_WITHIN)


def _begin(target: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _end(bug: threading.ExceptHookArgs) -> None:
    """What one thread cannot do any more, nobody does."""
    log.critical("a bug ended the control process", exc_info=(bug.exc_type, bug.exc_value or bug.exc_type(), bug.exc_traceback))
    os._exit(1)


def _leave_with_parent(parent: int) -> None:
    """A supervisor that was killed cannot say so; its successor starts a control process of its own."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os.kill(os.getpid(), signal.SIGTERM)


def _be_small() -> None:
    """Before anything large is imported and before there are other threads. A small box has this process beside the resolver: 110 MB is its share."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, value in HEAP.items():
            set_option(option, value)
    for name in NOT_NEEDED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # how the import system is told that there is no such module
    for name in NOT_USED:
        sys.modules.setdefault(name, _Empty(name))


class _Empty(ModuleType):
    """A module in whose place nothing was loaded: every name is there, and of no use."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


def _return_memory() -> None:
    """What large pages, exports and school files have left free in the heap (malloc_trim(3), where the C library has it)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        time.sleep(RETURN_EVERY)
        trim(0)


def _serve_pages(config: Path, follower: "Follower", leaving: threading.Event, _: Translate) -> None:
    """The dashboard and the block page; they start again when the school file says something new of them."""
    from dashboard.serving import open_site, serve
    from dashboard.store.engine import StoreTrouble
    from filters.bundle import BadBundle
    from filters.message import said
    from gateway.cli.box import RunningBox
    from policies.load import ConfigError, load
    from policies.state import StateError

    async def once() -> None:
        file = load(config)
        box = RunningBox(lambda: follower.setting.file, lambda: _starter(file))
        await serve(await open_site(config, file, box), lambda site: _say_where(site, _), leaving.is_set)

    while not leaving.is_set():
        try:
            asyncio.run(once())
        except (ConfigError, StateError, BadBundle, StoreTrouble, OSError) as error:
            log.error("the dashboard cannot be served: %s", said(error, _))
            leaving.wait(TRY_AGAIN)


def _starter(file: "SchoolFile") -> Path:
    from blocklists.compile import compile_starter

    return compile_starter(file.lists.directory / STARTER)


def _say_where(site: "Site", _: Translate) -> None:
    """The address of the dashboard; and, while nobody can sign in, the code that proves that whoever sets it up can see this console."""
    from gateway.cli.addresses import dashboard_url

    url = dashboard_url(site.school.view.file.dashboard)
    if site.setup_code:
        typer.echo(_("The dashboard is to be set up: open {url}/setup and type this code: {code}").format(url=url, code=site.setup_code))
    else:
        typer.echo(_("The dashboard: {url}").format(url=url))
    sys.stdout.flush()


def _serve_zones(config: Path, follower: "Follower") -> None:
    """From when the school file first names an address to listen on; from then on the zone server follows the file by itself."""
    while not follower.setting.file.zones.listen:
        time.sleep(LOOK)
    from filters.bundle import BadBundle
    from gateway.zones.server import serve
    from policies.load import ConfigError

    while True:
        try:
            asyncio.run(serve(config, _starter(follower.setting.file)))
        except (ConfigError, BadBundle, OSError) as error:
            log.error("zones cannot be served: %s", error)
            time.sleep(TRY_AGAIN)
