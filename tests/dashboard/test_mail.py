"""Reports by mail, with a real mail server on loopback: encrypted or not at all, in words and signed, nothing injected."""

import asyncio
import json
import ssl
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from zoneinfo import ZoneInfo

import pytest
import trustme

from dashboard.catalogue import translator
from dashboard.reporting import mail as module
from dashboard.reporting.forwarding import NotTaken
from dashboard.reporting.mail import Server, message, send
from policies.model import Mail
from tests.dashboard.recipients import free_port, mail_server

AT = datetime(2027, 1, 15, 15, 20, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
TOLD = {
    "number": "K7QM-2XTD", "at": "2027-01-15T15:20:00+07:00", "kind": "abuse", "target": "mang.example/nhom", "note": "Dòng một\nDòng hai",
    "signed": None, "school": {"name": "Trường THCS Thử Nghiệm"}, "state": "received",
}  # fmt: skip


def made(sender="Trường Thử <truong@example.edu.vn>", language="vi", **told):
    document = json.dumps(TOLD | told, ensure_ascii=False).encode()
    return message(document, "a.b.c", "K7QM-2XTD-3", "so@example.gov.vn", sender, AT, translator(language))


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def server(tls, port, **settings):
    return Server(Mail(**({"host": "localhost", "port": port, "sender": "truong@example.edu.vn"} | settings)), tls, "manglanh.home.arpa")


# ---- the message ----


@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_message_says_it_in_words_and_has_the_signed_report_with_it(language):
    read = message_from_bytes(made(language=language).as_bytes(), policy=default)
    assert read["message-id"] == "<K7QM-2XTD-3@example.edu.vn>"
    assert read["auto-submitted"] == "auto-generated"
    assert read["date"].datetime == AT
    assert "K7QM-2XTD" in read["subject"]
    text = read.get_body().get_content().replace("\r\n", "\n")
    for part in ("Trường THCS Thử Nghiệm", "mang[.]example/nhom", "> Dòng một\n> Dòng hai", "15:20 15/01/2027"):
        assert part in text
    assert ("Người gửi: không nêu tên" in text) == (language == "vi")
    (attached,) = read.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type(), attached.get_content()) == ("K7QM-2XTD.jws", "application/jose", b"a.b.c")


@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: all@example.org",
        "x\nSubject: y",
        "\r\n\r\n.\r\nMAIL FROM:<a@b>",
        "<script>",
        "=?utf-8?q?x?=",
        "x" * 10_000,
        "\u202e",
        ".",
    ],
)
def test_what_a_sender_types_is_only_ever_text(text):
    mail = made(target=text, note=text, signed=text)
    read = message_from_bytes(mail.as_bytes(), policy=default)
    assert set(read.keys()) == {"From", "To", "Date", "Message-ID", "Auto-Submitted", "Subject", "MIME-Version", "Content-Type"}
    assert read["to"] == "so@example.gov.vn"
    assert max(map(len, mail.as_bytes().split(b"\r\n"))) <= 998, "RFC 5322 section 2.1.1"


@pytest.mark.parametrize("sender", ["", "x", "@example.org", "Trường <>", "a@b\r\nBcc: c@d", "a\r\nBcc: x@y <c@d>"])
def test_a_sender_without_an_address_is_refused(sender):
    try:
        read = message_from_bytes(made(sender).as_bytes(), policy=default)
    except ValueError:
        return
    assert read["bcc"] is None
    assert "example.gov.vn" in read["to"]


# ---- handing it in ----


def test_starttls(authority, tls):
    with mail_server(authority) as office:
        asyncio.run(send(server(tls, office.port), "", made()))
    ((sender, to, mail, over_tls),) = office.got
    assert (sender, to, over_tls) == ("truong@example.edu.vn", ["so@example.gov.vn"], True)
    assert mail["message-id"] == "<K7QM-2XTD-3@example.edu.vn>"


def test_signing_in(authority, tls):
    with mail_server(authority, login=(b"truong", b"dung")) as office:
        with pytest.raises(NotTaken) as error:
            asyncio.run(send(server(tls, office.port, username="truong"), "sai", made()))
        assert (error.value.what, error.value.detail) == ("login", "535")
        assert "sai" not in str(error.value), "no password in what is logged"
    with mail_server(authority, login=(b"truong", b"dung")) as office:
        asyncio.run(send(server(tls, office.port, username="truong"), "dung", made()))
        assert len(office.got) == 1


def test_tls_from_the_beginning(authority, tls):
    with mail_server(authority, implicit=True) as office:
        asyncio.run(send(server(tls, office.port, security="tls"), "", made()))
        assert len(office.got) == 1


def test_a_server_without_starttls_gets_nothing(tls):
    with mail_server(None) as office:
        with pytest.raises(NotTaken) as error:
            asyncio.run(send(server(tls, office.port), "", made()))
        assert error.value.what == "unsupported"
        assert office.got == []
        asyncio.run(send(server(tls, office.port, security="none"), "", made()))
        assert len(office.got) == 1, "unless the school's file says so"


def test_a_stranger_s_certificate_is_not_believed(authority):
    with mail_server(authority) as office:
        with pytest.raises(NotTaken) as error:
            asyncio.run(send(server(ssl.create_default_context(), office.port), "", made()))
        assert error.value.what == "unreachable"
        assert "CERTIFICATE_VERIFY_FAILED" in error.value.detail
        assert office.got == []


def test_a_refused_recipient_is_not_taken(authority, tls):
    with mail_server(authority) as office:
        office.refuse = "550 no such user here"
        with pytest.raises(NotTaken) as error:
            asyncio.run(send(server(tls, office.port), "", made()))
        assert (error.value.what, error.value.detail) == ("refused", "550 no such user here")


def test_nobody_there(tls):
    with pytest.raises(NotTaken) as error:
        asyncio.run(send(server(tls, free_port()), "", made()))
    assert error.value.what == "unreachable"


def test_a_server_that_says_nothing_is_left(tls, monkeypatch):
    import socket

    monkeypatch.setattr(module, "DEADLINE", 0.2)
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotTaken) as error:
        asyncio.run(send(server(tls, silent.getsockname()[1]), "", made()))
    assert error.value.what == "slow"
