"""The outbox's other end: what waits there is sent until the province has taken it.  [shell: network, tasks]

Promises: every row is tried, at once and then again and again (after a minute, after six hours at most), until it is accepted; none is ever given up, and after a day
the health page and the report say that it waits. At least once: where the power goes between the sending and the noting, the same is sent again under the same
key (Idempotency-Key, Message-ID), by which the recipient knows it. A row that cannot be sent holds no other up.
"""

import asyncio
import logging
import random
import ssl
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.catalogue import Translate, translator
from dashboard.reporting.forwarding import BadKey, NotTaken, ReportKey, Webhook, have_key, key_path, post
from dashboard.reporting.mail import Server, message, send
from dashboard.school import View
from dashboard.site import Site
from dashboard.store import audit, outbox
from dashboard.store import reports as store
from dashboard.store.engine import StoreTrouble
from dashboard.store.outbox import Item
from dashboard.store.reports import FORWARDED
from filters.message import Message, said

log = logging.getLogger("manglanh.outbox")

FIRST, LONGEST = 60.0, 6 * 3600.0
"""seconds from the first failure to the second attempt, and at most between two"""
LOOK = 60.0
"""seconds after which the outbox is looked at even if nothing is due: the province's file may have changed, or the clock"""
LOOK_FOR_RECIPIENT = 600.0
"""seconds between two looks whether a row has a recipient again"""
TOGETHER = 8
"""rows that are under way at once"""


async def forward(site: Site, tls: ssl.SSLContext | None = None) -> None:
    """Send what waits, for ever. ``tls``: whose certificates are believed; None: the system's."""
    sender = _Sender(site, tls)
    while True:
        site.outbox.clear()
        try:
            wait = await sender.send_due()
        except StoreTrouble as error:
            log.warning("the outbox waits for the store: %s", error)
            wait = LOOK
        except Exception:
            log.exception("the outbox failed; it goes on")
            wait = LOOK
        with suppress(TimeoutError):
            await asyncio.wait_for(site.outbox.wait(), wait)


async def overdue(connection: AsyncConnection, now: float) -> int:
    """How many reports have waited for the province for longer than a day."""
    return await outbox.count_overdue(connection, now)


def pause(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures: twice as long each time, up to six hours; up to a quarter less by ``chance`` (0 to 1), so that a
    province whose server comes back is not called by all schools at once.
    """
    return min(LONGEST, FIRST * 2.0 ** min(failures - 1, 16)) * (1 - chance / 4)


def trouble_said(trouble: str, _: Translate) -> str:
    """Why a row was not accepted yet, for an administrator."""
    what, _colon, detail = trouble.partition(": ")
    words = {
        "recipient": Message("The province's file names nobody who takes reports this way any more; it waits until one is named."),
        "mail": Message("The school's file does not say how to send mail (dashboard.mail); it waits until it does."),
        "sender": Message("The school's file names no usable sender or password for mail (dashboard.mail). {detail}", detail=detail),
        "key": Message("The key of this box cannot be used: {detail}", detail=detail),
        "status": Message("The recipient did not take it and answered {detail}.", detail=detail),
        "unreachable": Message("The recipient cannot be reached: {detail}", detail=detail),
        "slow": Message("The recipient did not answer in time."),
        "unsupported": Message("The mail server does not offer what the school's file asks of it: {detail}", detail=detail),
        "login": Message("The mail server does not accept the user name and password of the school's file ({detail}).", detail=detail),
        "refused": Message("The mail server refused it: {detail}", detail=detail),
        "bug": Message("Something went wrong here; the log has the details."),
    }
    return said(words[what], _) if what in words else ""


class _Sender:
    def __init__(self, site: Site, tls: ssl.SSLContext | None) -> None:
        self._site = site
        self._tls = tls
        self._accepted: dict[int, tuple[str, float]] = {}
        """taken by the recipient, but not yet noted in the store: is not sent again while this process lives"""

    async def send_due(self) -> float:
        """Try whatever is due; seconds until something is due again. Raises StoreTrouble."""
        view, now = await self._site.school.now(), self._site.clock()
        if view.province is not None and view.province.recipient is not None:
            await self._prepare_key(view)
        async with self._site.store.read() as connection:
            items = await outbox.due(connection, now, 2 * LONGEST, TOGETHER)
        outcomes = await asyncio.gather(*(self._deliver(item, view) for item in items), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        async with self._site.store.read() as connection:
            then = await outbox.next_due(connection)
        return LOOK if then is None else min(LOOK, max(0.0, then - self._site.clock()))

    async def _prepare_key(self, view: View) -> None:
        """So that the province can register it before the first report comes."""
        with suppress(BadKey):  # a row that needs it says so
            await asyncio.to_thread(have_key, key_path(view))

    async def _deliver(self, item: Item, view: View) -> None:
        """Send one row and note what came of it. Raises StoreTrouble."""
        if item.id not in self._accepted:
            try:
                target = await self._send(item, view)
            except NotTaken as error:
                await self._put_off(item, error)
                return
            except Exception:  # a row that nobody thought of must not hold the others up
                log.exception("report %s: %s failed", item.number, item.way)
                await self._put_off(item, NotTaken("bug"))
                return
            self._accepted[item.id] = target, self._site.clock()
        target, at = self._accepted[item.id]
        await self._note(item, target, at)
        del self._accepted[item.id]
        log.info("report %s: taken by %s", item.number, target)

    async def _send(self, item: Item, view: View) -> str:
        """Where it went. Raises NotTaken."""
        recipient = view.province.recipient if view.province is not None else None
        target = None if recipient is None else recipient.webhook if item.way == "webhook" else recipient.mail
        if target is None:
            raise NotTaken("recipient")
        if item.way == "mail" and view.file.dashboard.mail is None:
            raise NotTaken("mail")
        key = await self._key(view)
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        jws = key.sign(item.document)
        if item.way == "webhook":
            await post(Webhook(target, self._tls, view.file.lists.proxy), jws, item.key)
        else:
            await self._mail(item, view, target, jws, self._tls)
        return target

    async def _key(self, view: View) -> ReportKey:
        try:
            return await asyncio.to_thread(have_key, key_path(view))
        except BadKey as error:
            raise NotTaken("key", str(error)) from None

    async def _mail(self, item: Item, view: View, to: str, jws: str, tls: ssl.SSLContext) -> None:
        settings = view.file.dashboard.mail
        assert settings is not None
        at = datetime.fromtimestamp(int(item.created_at), ZoneInfo(view.file.school.timezone))
        try:
            mail = message(item.document, jws, item.key, to, settings.sender, at, translator(view.file.school.language))
            secret = settings.password_file
            password = (await asyncio.to_thread(secret.read_text, "utf-8")).strip() if secret is not None else ""
        except (ValueError, OSError) as error:
            raise NotTaken("sender", str(error)) from None
        await send(Server(settings, tls, view.file.dns.hostname), password, mail)

    async def _put_off(self, item: Item, error: NotTaken) -> None:
        """Note why, and when to try again."""
        trouble, now = f"{error.what}: {error.detail}", self._site.clock()
        waits = error.what in ("recipient", "mail")  # nobody was asked
        failures = item.attempts + (0 if waits else 1)
        wait = LOOK_FOR_RECIPIENT if waits else max(error.wait, pause(failures, random.random()))  # noqa: S311 - no secret
        if trouble != item.trouble:
            log.warning("report %s is not with the province yet: %s", item.number, error)
        async with self._site.store.write() as connection:
            await outbox.put_off(connection, item.id, attempts=failures, next_at=now + wait, trouble=trouble)

    async def _note(self, item: Item, target: str, at: float) -> None:
        async with self._site.store.write() as connection:
            if await outbox.accept(connection, item.id, target, at):
                await store.add_step(connection, item.report_id, at, "", FORWARDED, target)
                await audit.add(connection, at, None, [audit.Entry("report.accepted", item.number, {"way": item.way, "to": target})])
