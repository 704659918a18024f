"""A report by mail: in words for whoever opens it, and signed in an attachment for a program.  [shell: network, disk]

The message says the same each time it is made of the same report and bears the same Message-ID, so that a recipient knows one that came twice. The mail server is
believed only by its certificate; where the school's file says STARTTLS, nothing is sent in the clear to a server that does not offer it.
"""

import asyncio
import json
import smtplib
import socket
import ssl
from contextlib import suppress
from datetime import datetime, tzinfo
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import NamedTuple

from dashboard.catalogue import Translate
from dashboard.reporting.forwarding import NotTaken
from dashboard.reporting.words import kind_title, state_title
from policies.model import Mail

TIMEOUT = 20.0
DEADLINE = 90.0
"""seconds: for one step, and for the whole"""


class Server(NamedTuple):
    """Where mail is handed in, and as whom."""

    settings: Mail
    tls: ssl.SSLContext
    name: str
    """what this box calls itself (EHLO)"""


def message(document: bytes, jws: str, key: str, to: str, sender: str, at: datetime, _: Translate) -> EmailMessage:
    """``document`` in words, ``jws`` attached; ``key`` makes the Message-ID, ``at`` the date. Raises ValueError for a ``sender`` who has no address."""
    told = json.loads(document)
    name, address = parseaddr(sender)
    local, _at, domain = address.rpartition("@")
    if not local or not domain:
        raise ValueError(sender)
    mail = EmailMessage(SMTP_POLICY)
    mail["From"] = Address(name, local, domain)
    mail["To"] = Address("", addr_spec=to)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{key}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
    # What a pupil typed stands only in the body, where it can be nothing but text.
    mail["Subject"] = _("Report of harmful content {number}: {kind}").format(number=told["number"], kind=kind_title(told["kind"], _))
    mail.set_content(_in_words(told, at.tzinfo, _), subtype="plain", charset="utf-8")
    mail.add_attachment(jws.encode(), maintype="application", subtype="jose", filename=f"{told['number']}.jws")
    return mail


def _in_words(told: dict[str, object], zone: tzinfo | None, _: Translate) -> str:
    school = told["school"]
    assert isinstance(school, dict)
    lines = [
        (_("School"), school["name"]),
        (_("Number"), told["number"]),
        (_("Received"), f"{datetime.fromisoformat(str(told['at'])).astimezone(zone):%H:%M %d/%m/%Y}"),
        (_("Kind"), kind_title(str(told["kind"]), _)),
        (_("About"), str(told["target"]).replace(".", "[.]")),
        (_("State"), state_title(str(told["state"]), _)),
        (_("Sender"), told["signed"] or _("not named")),
    ]
    head = "\n".join(f"{title}: {value}" for title, value in lines)
    note = "\n".join(f"> {line}" for line in str(told["note"]).split("\n")) if told["note"] else _("(nothing was written)")
    why = _(
        "The address is written with [.] so that nobody opens it by mistake. The attachment has the same for programs, signed by the school's box."
    )
    return f"{head}\n\n{note}\n\n{why}\n"


async def send(server: Server, password: str, mail: EmailMessage) -> None:
    """Hand the mail in; the recipient has it if the server takes it for the recipient. Raises NotTaken."""
    opened: list[smtplib.SMTP] = []
    try:
        async with asyncio.timeout(DEADLINE):
            await asyncio.to_thread(_hand_in, server, password, mail, opened)
    except TimeoutError:
        _hang_up(opened)
        raise NotTaken("slow") from None
    except asyncio.CancelledError:
        _hang_up(opened)
        raise
    except smtplib.SMTPNotSupportedError as error:
        raise NotTaken("unsupported", str(error)) from None
    except smtplib.SMTPAuthenticationError as error:
        raise NotTaken("login", str(error.smtp_code)) from None
    except smtplib.SMTPRecipientsRefused as error:
        code, why = next(iter(error.recipients.values()))
        raise NotTaken("refused", _line(code, why)) from None
    except smtplib.SMTPResponseException as error:
        raise NotTaken("refused", _line(error.smtp_code, error.smtp_error)) from None
    except OSError as error:  # of which smtplib's and ssl's own are kinds
        raise NotTaken("unreachable", f"{type(error).__name__} {error}") from None


def _hand_in(server: Server, password: str, mail: EmailMessage, opened: list[smtplib.SMTP]) -> None:
    """In a thread; ``opened`` is how the waiting side can end it."""
    settings = server.settings
    if settings.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, server.name, timeout=TIMEOUT, context=server.tls)
    else:
        smtp = smtplib.SMTP(settings.host, settings.port, server.name, timeout=TIMEOUT)
    opened.append(smtp)
    try:
        smtp.ehlo()
        if settings.security == "starttls":
            smtp.starttls(context=server.tls)
        if settings.username:
            smtp.login(settings.username, password)
        smtp.send_message(mail)
        with suppress(OSError):  # it is taken; how the farewell goes does not matter
            smtp.quit()
    finally:
        smtp.close()


def _hang_up(opened: list[smtplib.SMTP]) -> None:
    for smtp in opened:
        if smtp.sock is not None:
            with suppress(OSError):
                smtp.sock.shutdown(socket.SHUT_RDWR)


def _line(code: int, why: bytes | str) -> str:
    """A server's refusal as one plain line."""
    text = why.decode("ascii", "replace") if isinstance(why, bytes) else why
    return f"{code} " + "".join(character if character.isprintable() else " " for character in text)[:200]
