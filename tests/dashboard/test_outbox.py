"""The outbox with real recipients on loopback: refused twice and taken, down and back, the power gone between sending and noting, nobody named any more."""

import asyncio
import json
import ssl
from contextlib import contextmanager

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from dashboard.catalogue import translator
from dashboard.reporting import outbox, reports
from dashboard.reporting.forwarding import KEY_FILE
from dashboard.reporting.outbox import FIRST, LONGEST, LOOK_FOR_RECIPIENT, forward, pause, trouble_said
from dashboard.store import outbox as store
from dashboard.store.engine import StoreTrouble
from dashboard.store.tables import audit, report_steps
from dashboard.store.tables import outbox as table
from filters.message import Message
from tests.dashboard.conftest import PROVINCE
from tests.dashboard.recipients import free_port, mail_server, until, verified, webhook

HOUR = 3600.0


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


def name_recipient(directory, *, webhook="", mail="", automatic=True):
    ways = "".join(f", {name}: '{value}'" for name, value in (("webhook", webhook), ("mail", mail)) if value)
    text = PROVINCE + f"recipient: {{to: so{ways}, automatic: {str(automatic).lower()}}}\n"
    (directory / "province.yaml").write_text(text, encoding="utf-8")


def send_mail_through(directory, port, **more):
    settings = {"host": "localhost", "port": port, "sender": "Trường Thử <truong@example.edu.vn>"} | more
    with (directory / "school.yaml").open("a", encoding="utf-8") as file:
        file.write("dashboard: {mail: " + json.dumps(settings, ensure_ascii=False) + "}\n")


@contextmanager
def running(web, tls):
    task = web.client.portal.start_task_soon(forward, web.site, tls)
    try:
        yield task
    finally:
        task.cancel()


def take(web, kind="harmful", target="doc-hai.example", note="", signed=""):
    return web.run(reports.take, web.site, kind, target, note, signed, "6a1", web.clock.now)


def rows(web):
    return web.rows(select(table).order_by(table.c.id))


def wake(web):
    web.run(_set, web.site)


async def _set(site):
    site.outbox.set()


def after_attempts(web, attempts):
    """The rows, once so many attempts have failed."""
    return until(lambda: (found := rows(web)) and found[0].attempts == attempts and found, f"{attempts} failed attempts")


def accepted(web):
    return until(lambda: (found := rows(web)) and all(row.accepted_at for row in found) and found, "accepted")


def jwk(directory):
    from dashboard.reporting.forwarding import read_key

    return dict(read_key(directory / KEY_FILE).public)


def test_refused_twice_and_then_taken(web, school_directory, authority, tls):
    with webhook(authority, answers=[503, 500, 202]) as province, running(web, tls):
        name_recipient(school_directory, webhook=province.url)
        number = take(web, note="Một trang lừa trẻ em\nxin xem", signed="An 6A1")
        found = after_attempts(web, 1)
        assert found[0].trouble == "status: 503 Service Unavailable"
        assert FIRST * 0.75 <= found[0].next_at - web.clock.now <= FIRST
        web.clock.now = found[0].next_at
        wake(web)
        found = after_attempts(web, 2)
        assert FIRST * 1.5 <= found[0].next_at - web.clock.now <= FIRST * 2
        web.clock.now = found[0].next_at
        wake(web)
        assert accepted(web)[0].accepted_at == web.clock.now
    assert len(province.got) == 3
    paths, headers, bodies = zip(*province.got, strict=True)
    assert set(paths) == {"/bao-cao"}
    assert {each["content-type"] for each in headers} == {"application/jose"}
    assert {each["idempotency-key"] for each in headers} == {f'"{number}-{found[0].id}"'}
    assert len(set(bodies)) == 1, "the same bytes each time"
    document = verified(bodies[0].decode(), jwk(school_directory))
    assert document["number"] == number
    assert document["note"] == "Một trang lừa trẻ em\nxin xem"
    assert document["signed"] == "An 6A1"
    assert document["school"] == {"name": "Trường THCS Thử Nghiệm"}
    assert document["states"][0]["state"] == "received"
    assert "10.0." not in json.dumps(document)
    steps = [row.state for row in web.rows(select(report_steps).order_by(report_steps.c.id))]
    assert steps == ["received", "queued", "forwarded"]
    logged = web.rows(select(audit).where(audit.c.action == "report.accepted"))
    assert [(row.object, row.by) for row in logged] == [(number, "")]


def test_it_goes_at_once_when_it_is_put_in_and_not_at_the_next_look(web, school_directory, authority, tls):
    with webhook(authority) as province, running(web, tls):
        name_recipient(school_directory, webhook=province.url)
        until(lambda: (wake(web), (school_directory / KEY_FILE).exists())[1], "the key")
        take(web)
        accepted(web)  # the deadline of this wait is far below outbox.LOOK
    assert len(province.got) == 1


@pytest.mark.parametrize("kind", ["harmful", "fake", "abuse", "mistake"])
@pytest.mark.parametrize("automatic", [True, False])
def test_only_what_is_automatic_goes_by_itself(web, school_directory, kind, automatic):
    name_recipient(school_directory, webhook="https://localhost:9/", automatic=automatic)
    take(web, kind)
    assert len(rows(web)) == (1 if automatic and kind != "mistake" else 0)


def test_down_and_back(web, school_directory, authority, tls):
    port = free_port()
    name_recipient(school_directory, webhook=f"https://localhost:{port}/")
    with running(web, tls):
        take(web)
        assert after_attempts(web, 1)[0].trouble.startswith("unreachable: ConnectError")
        with webhook(authority, port=port) as province:
            web.clock.now += HOUR
            wake(web)
            accepted(web)
            assert len(province.got) == 1


def test_a_stranger_s_certificate_is_not_believed(web, school_directory, authority):
    trusting_others = ssl.create_default_context()
    trustme.CA().configure_trust(trusting_others)
    with webhook(authority) as province, running(web, trusting_others):
        name_recipient(school_directory, webhook=province.url)
        take(web, note="geheim")
        assert "CERTIFICATE_VERIFY_FAILED" in after_attempts(web, 1)[0].trouble
        assert province.got == []


@pytest.mark.parametrize("answer", [301, 302, 307, 308, 400, 404, 410, 500])
def test_anything_but_2xx_is_not_taken_and_no_redirect_is_followed(web, school_directory, authority, tls, answer):
    with webhook(authority) as elsewhere, webhook(authority, answers=[answer], headers={"Location": elsewhere.url}) as province:
        name_recipient(school_directory, webhook=province.url)
        take(web)
        with running(web, tls):
            assert after_attempts(web, 1)[0].trouble.startswith(f"status: {answer}")
        assert len(province.got) == 1
        assert elsewhere.got == []


def test_a_recipient_may_ask_for_patience_but_not_for_ever(web, school_directory, authority, tls):
    with webhook(authority, answers=[429], headers={"Retry-After": "999999999999"}) as province, running(web, tls):
        name_recipient(school_directory, webhook=province.url)
        take(web)
        assert after_attempts(web, 1)[0].next_at == web.clock.now + 6 * HOUR


def test_the_power_goes_after_the_sending_and_before_the_noting(web, school_directory, authority, tls, monkeypatch):
    reached = []

    async def never_notes(*arguments):
        reached.append(arguments)
        await asyncio.Event().wait()

    with webhook(authority) as province:
        name_recipient(school_directory, webhook=province.url)
        take(web)
        with monkeypatch.context() as cut:
            cut.setattr(store, "accept", never_notes)
            with running(web, tls):
                until(lambda: reached, "the moment between")
        assert rows(web)[0].accepted_at is None
        with running(web, tls):
            accepted(web)
    keys = [headers["idempotency-key"] for _, headers, _ in province.got]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert province.got[0][2] == province.got[1][2]
    assert [row.state for row in web.rows(select(report_steps))].count("forwarded") == 1


def test_what_was_taken_is_not_sent_again_while_the_store_cannot_note_it(web, school_directory, authority, tls, monkeypatch):
    accept, failed = store.accept, []

    async def full(*arguments):
        if len(failed) < 2:
            failed.append(1)
            raise StoreTrouble(Message("The disk is full or damaged; nothing was changed. Filtering goes on."))
        return await accept(*arguments)

    monkeypatch.setattr(store, "accept", full)
    with webhook(authority) as province, running(web, tls):
        name_recipient(school_directory, webhook=province.url)
        take(web)
        until(lambda: (wake(web), len(failed) == 2)[1], "two failures to note")
        until(lambda: (wake(web), rows(web)[0].accepted_at)[1], "noted")
    assert len(province.got) == 1


def test_one_bad_row_does_not_hold_the_others_up(web, school_directory, authority, tls, monkeypatch, caplog):
    send = outbox._Sender._send
    bad = []

    async def poisoned(self, item, view):
        if item.number in bad:
            raise RuntimeError("nobody thought of this")
        return await send(self, item, view)

    monkeypatch.setattr(outbox._Sender, "_send", poisoned)
    with webhook(authority) as province:
        name_recipient(school_directory, webhook=province.url)
        bad += [take(web, target=f"xau-{at}.example") for at in range(outbox.TOGETHER + 2)]
        good = take(web, target="tot.example")
        with running(web, tls):
            until(lambda: province.got, "the good one")
            until(lambda: all(row.attempts or row.accepted_at for row in rows(web)), "all were tried")
    assert [json.loads(row.body)["number"] for row in rows(web) if row.accepted_at] == [good]
    assert {row.trouble for row in rows(web) if not row.accepted_at} == {"bug: "}


def test_a_silent_recipient_does_not_hold_the_mail_up(web, school_directory, authority, tls):
    with webhook(authority) as province, mail_server(authority) as post_office:
        province.hold.clear()
        name_recipient(school_directory, webhook=province.url, mail="so@example.gov.vn")
        send_mail_through(school_directory, post_office.port)
        take(web)
        with running(web, tls):
            until(lambda: [row for row in rows(web) if row.kind == "mail" and row.accepted_at], "the mail")
            assert [row.kind for row in rows(web) if not row.accepted_at] == ["webhook"]
            province.hold.set()
            accepted(web)


def test_nobody_is_named_any_more_so_it_waits_and_says_so(web, school_directory, authority, tls):
    with webhook(authority) as province:
        name_recipient(school_directory, webhook=province.url)
        number = take(web)
        (school_directory / "province.yaml").write_text(PROVINCE, encoding="utf-8")
        with running(web, tls):
            row = until(lambda: rows(web)[0].trouble and rows(web)[0], "trouble")
            assert (row.trouble, row.attempts) == ("recipient: ", 0), "nobody was asked"
            page = web.as_person("quan-tri").get(f"/reports/{row.report_id}")
            assert "names nobody who takes reports this way any more" in page.text
            name_recipient(school_directory, webhook=province.url)
            web.clock.now += LOOK_FOR_RECIPIENT
            wake(web)
            accepted(web)
        assert json.loads(rows(web)[0].body)["number"] == number


def test_it_goes_where_the_province_takes_reports_now(web, school_directory, authority, tls):
    with webhook(authority) as province:
        name_recipient(school_directory, webhook="https://localhost:9/da-don-di")
        take(web)
        name_recipient(school_directory, webhook=province.url)
        with running(web, tls):
            assert accepted(web)[0].target == province.url


def test_a_clock_that_was_set_back_does_not_put_a_report_off_for_years(web, school_directory, authority, tls):
    with webhook(authority) as province:
        name_recipient(school_directory, webhook=province.url)
        take(web)
        web.write(update(table).values(next_at=web.clock.now + 10 * 365 * 86400))
        with running(web, tls):
            accepted(web)


def test_a_damaged_key_is_said_and_never_replaced(web, school_directory, authority, tls):
    (school_directory / KEY_FILE).write_text("hỏng", encoding="utf-8")
    with webhook(authority) as province, running(web, tls):
        name_recipient(school_directory, webhook=province.url)
        take(web)
        assert after_attempts(web, 1)[0].trouble.startswith("key: ")
        assert province.got == []
    assert (school_directory / KEY_FILE).read_text(encoding="utf-8") == "hỏng"
    assert "cannot be used" in web.as_person("quan-tri").get("/reports").text


def test_the_key_is_there_before_the_first_report_for_its_owner_only(web, school_directory, tls):
    name_recipient(school_directory, webhook="https://localhost:9/")
    path = school_directory / KEY_FILE
    with running(web, tls):
        until(path.exists, "the key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in school_directory.iterdir() if KEY_FILE in each.name] == [KEY_FILE], "nothing is left beside it"
    page = web.as_person("quan-tri").get("/reports").text
    assert jwk(school_directory)["kid"] in page
    assert "PRIVATE" not in page


def test_after_a_day_it_is_an_alarm(web, school_directory):
    name_recipient(school_directory, webhook="https://localhost:9/")
    take(web)
    report_id = rows(web)[0].report_id

    async def count():
        async with web.site.store.read() as connection:
            return await outbox.overdue(connection, web.clock.now)

    web.clock.now += 24 * HOUR
    assert web.run(count) == 0
    web.clock.now += 1
    assert web.run(count) == 1
    principal = web.as_person("hieu-truong")
    assert "has not taken this report for longer than a day" in principal.get(f"/reports/{report_id}").text
    assert "waited for the province for longer than a day: 1" in principal.get("/reports").text
    web.write(update(table).values(accepted_at=web.clock.now))
    assert web.run(count) == 0


def test_mail_and_webhook_both_have_it(web, school_directory, authority, tls):
    with webhook(authority) as province, mail_server(authority) as post_office:
        name_recipient(school_directory, webhook=province.url, mail="so@example.gov.vn")
        send_mail_through(school_directory, post_office.port)
        number = take(web)
        with running(web, tls):
            accepted(web)
    assert len(province.got) == len(post_office.got) == 1
    sender, to, mail, over_tls = post_office.got[0]
    assert (sender, to, over_tls) == ("truong@example.edu.vn", ["so@example.gov.vn"], True)
    assert number in mail["subject"]
    attached = next(mail.iter_attachments())
    assert attached.get_content_type() == "application/jose"
    document = verified(attached.get_content().decode(), jwk(school_directory))
    assert document == verified(province.got[0][2].decode(), jwk(school_directory))


def test_mail_after_a_power_cut_has_the_same_message_id(web, school_directory, authority, tls):
    with mail_server(authority) as post_office:
        name_recipient(school_directory, mail="so@example.gov.vn")
        send_mail_through(school_directory, post_office.port)
        take(web)
        with running(web, tls):
            accepted(web)
        web.write(update(table).values(accepted_at=None))  # as it would be had the power gone before the commit
        with running(web, tls):
            accepted(web)
    first, second = (mail for _, _, mail, _ in post_office.got)
    assert first["message-id"] == second["message-id"]
    assert first["date"] == second["date"]
    assert first.get_body().get_content() == second.get_body().get_content()


def test_without_settings_for_mail_a_report_waits(web, school_directory, authority, tls):
    name_recipient(school_directory, mail="so@example.gov.vn")
    take(web)
    with running(web, tls):
        assert until(lambda: rows(web)[0].trouble, "trouble") == "mail: "
        with mail_server(authority) as post_office:
            send_mail_through(school_directory, post_office.port)
            web.clock.now += LOOK_FOR_RECIPIENT
            wake(web)
            accepted(web)
            assert len(post_office.got) == 1


def test_a_school_without_mail_uses_the_webhook_alone(web, school_directory):
    name_recipient(school_directory, webhook="https://localhost:9/", mail="so@example.gov.vn")
    take(web)
    assert [row.kind for row in rows(web)] == ["webhook"]


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_pause_stays_between_a_minute_and_six_hours(failures, chance):
    assert FIRST * 0.75 <= pause(failures, chance) <= LONGEST
    assert pause(failures + 1, chance) >= pause(failures, chance)


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(
    "trouble", ["recipient: ", "mail: ", "sender: x", "key: x", "status: 503 x", "unreachable: x", "slow: ", "unsupported: x", "login: 535", "refused: 550 {x}", "bug: "]
)  # fmt: skip
def test_every_trouble_has_words(trouble, language):
    words = trouble_said(trouble, translator(language))
    assert len(words) > 20
    assert trouble.partition(": ")[2] in words
    assert (language == "vi") == (words != trouble_said(trouble, str))
