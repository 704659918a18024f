"""Serving the pages, and what goes on beside them, until the process is told to end.  [shell: network, tasks, clock]"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from dashboard.app import build
from dashboard.background import fold_statistics, forget
from dashboard.block_page.server import serve as serve_block_page
from dashboard.box import Box
from dashboard.changes import Changes
from dashboard.insight.looking import watch_health
from dashboard.insight.statistics import Fold
from dashboard.reporting.outbox import forward
from dashboard.school import School
from dashboard.site import Site
from dashboard.store import people
from dashboard.store.engine import Store
from dashboard.store.migrating import bring_up_to_date
from dashboard.web import Once
from policies.model import Dashboard, SchoolFile
from policies.socket_address import parse_listen

log = logging.getLogger("manglanh.web")
for _chatty in ("uvicorn.error", "alembic"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)  # our own lines say where the pages are

CONNECTIONS = 400
"""at once; a live view holds one"""
KEEP_ALIVE = 15
LOOK = 0.25
CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""without those that look alike"""


def store_url(file: SchoolFile) -> str:
    return file.dashboard.store or f"sqlite:///{(file.state.parent / 'store.db').absolute()}"


def one_time_code() -> str:
    """``ABCD-EFGH``: 39 bits, for one set-up with few attempts."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


async def open_site(config: Path, file: SchoolFile, box: Box) -> Site:
    """Everything that pages work with. Raises ConfigError, StateError, BadBundle, StoreTrouble."""
    store = Store(store_url(file))
    await bring_up_to_date(store)
    school = School(config, box.open_lists)
    site = Site(
        config=config,
        store=store,
        school=school,
        changes=Changes(store, lambda: school.view.file.state, box, time.time),
        box=box,
        clock=time.time,
        once=Once(),
        fold=Fold(),
    )
    async with store.read() as connection:
        site.is_set_up = await people.count_admins(connection) > 0
    if not site.is_set_up:
        site.setup_code = one_time_code()
    return site


async def serve(site: Site, on_ready: Callable[[Site], None], leaving: Callable[[], bool]) -> None:
    """Serve the pages and the block page until the school's file says something else of them, or ``leaving``. Raises OSError where an address
    cannot be had.
    """
    file = (await site.school.now()).file
    server = _server(build(site, _beside), file.dashboard)
    serving = [asyncio.create_task(_serve_pages(server, file.dashboard.listen)), asyncio.create_task(_changed(site, file, leaving))]
    if file.block_page.listen or file.block_page.https_listen:
        serving.append(asyncio.create_task(serve_block_page(site, file.block_page)))
    on_ready(site)
    try:
        done, _ = await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        if site.classes.live is not None:
            site.classes.live.close()  # a stream would otherwise hold its connection until it is cut
        server.should_exit = True
        for task in serving[1:]:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await site.store.close()


async def _serve_pages(server: uvicorn.Server, listen: str) -> None:
    try:
        await server.serve()
    except SystemExit:  # so it says that it cannot listen, after it has logged why
        raise OSError(f"{listen} cannot be listened on") from None


async def _changed(site: Site, began_with: SchoolFile, leaving: Callable[[], bool]) -> None:
    """Until the school's file names other addresses, another store or other certificates, or the process is told to end."""
    while not leaving():
        await asyncio.sleep(LOOK)
        file = (await site.school.now()).file
        if (file.dashboard, file.block_page, store_url(file)) != (began_with.dashboard, began_with.block_page, store_url(began_with)):
            log.info("the school file says something new of the dashboard or the block page: they start again")
            return


def _server(app: ASGIApp, settings: Dashboard) -> uvicorn.Server:
    host, port = parse_listen(settings.listen)
    tls = settings.tls
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=2,
        http="h11",
        ws="none",
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
    )
    return uvicorn.Server(config)


@asynccontextmanager
async def _beside(app: FastAPI) -> AsyncIterator[None]:
    """What goes on while pages are served."""
    site: Site = app.state.site
    tasks = [asyncio.create_task(_for_ever(work(site), work.__name__)) for work in (fold_statistics, forward, forget, watch_health)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _for_ever(work: Coroutine[None, None, None], name: str) -> None:
    """A bug in one of them is logged; pages go on."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("%s ended", name)
