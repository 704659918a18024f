"""The province's file: what is accepted, every refusal in words, and which of two copies holds."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.load import ConfigError
from policies.province import (
    MONTHS,
    Province,
    Report,
    deadlines,
    load_province,
    merged,
    parse_contacts,
    parse_province,
    province_path,
)

CONTACTS = """\
name: Tỉnh Hoa Sen
hotlines:
  - {name: Tổng đài bảo vệ trẻ em, number: "111"}
authorities:
  - {id: so-gddt, name: Sở Giáo dục và Đào tạo, contact: mailto:so@gddt.example}
  - {id: cong-an, name: Công an tỉnh, contact: "tel:0255-3812345"}
reports:
  - {to: so-gddt, period: half-yearly, deadline: 05-31}
  - {to: cong-an, deadline: 11-30}
"""
PUBLISHER = "publisher:\n  urls: [https://danh-sach.example/manglanh/, file:///media/usb]\n  root: root.json\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_province(text, "p")
    return [str(problem).removeprefix("p:") for problem in refused.value.problems]


def test_a_whole_file_is_read(tmp_path):
    file = tmp_path / "province.yaml"
    file.write_text(CONTACTS + PUBLISHER, encoding="utf-8")
    province = load_province(file)
    assert province.hotlines[0].number == "111"
    assert province.authority("cong-an").name == "Công an tỉnh"
    assert province.authority("so-y-te") is None
    assert [(report.to, report.period, report.deadline) for report in province.reports] == [
        ("so-gddt", "half-yearly", "05-31"),
        ("cong-an", "yearly", "11-30"),
    ]
    assert province.publisher.urls == ("https://danh-sach.example/manglanh", "file:///media/usb")
    assert province.publisher.root == tmp_path / "root.json", "beside the province's file"


def test_an_absolute_root_stays(tmp_path):
    file = tmp_path / "province.yaml"
    file.write_text(CONTACTS + PUBLISHER.replace("root.json", "/etc/manglanh/root.json"), encoding="utf-8")
    assert str(load_province(file).publisher.root) == "/etc/manglanh/root.json"


def test_the_file_is_found_from_the_school_s(tmp_path):
    assert province_path(tmp_path / "school.yaml", tmp_path.__class__("province.yaml")) == tmp_path / "province.yaml"


def test_only_the_name_is_required():
    assert parse_province("name: Tỉnh", "p") == Province(name="Tỉnh")


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_province(tmp_path / "province.yaml")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nam: x", '2:1: nam: unknown key, did you mean "name"?'),
        ("hotlines: [{name: a, number: một}]", "2:30: hotlines.0.number: 'một' is not a telephone number such as 111 or 0255 3 812 345"),
        ("hotlines: [{name: ' ', number: '111'}]", "2:19: hotlines.0.name: must not be empty"),
        ("authorities: [{id: Sở, name: a, contact: 'tel:111'}]", "2:20: authorities.0.id: 'Sở' is not an id"),
        ("authorities: [{id: a, name: a, contact: so@x.example}]", "2:41: authorities.0.contact: 'so@x.example' is no contact; write tel:"),
        ("authorities: [{id: a, name: a, contact: 'javascript:1'}]", "2:41: authorities.0.contact: 'javascript:1' is no contact"),
        ("authorities: [{id: a, name: a}]", "2:15: authorities.0.contact: required, but not there"),
        ("authorities: [{id: a, name: b, contact: 'tel:111'}, {id: a, name: c, contact: 'tel:112'}]", '2:58: authorities.1.id: another authority has the id "a"'),
        ("reports: [{to: a, deadline: 02-30}]\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:29: reports.0.deadline: '02-30' is not a month and a day such as 11-30"),
        ("reports: [{to: a, deadline: 2026-11-30}]\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:29: reports.0.deadline: '2026-11-30' is not a month"),
        ("reports: [{to: so-gdt, deadline: 11-30}]\nauthorities: [{id: so-gddt, name: b, contact: 'tel:111'}]", '2:16: reports.0.to: unknown authority "so-gdt", did you mean "so-gddt"?'),
        ("reports: [{to: a, deadline: 11-30, period: weekly}]\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", '2:44: reports.0.period: unknown value "weekly"'),
        ("recipient: {to: a}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:12: recipient: says neither webhook nor mail: where do reports go?"),
        ("recipient: {to: so-gdt, webhook: https://a.example/}\nauthorities: [{id: so-gddt, name: b, contact: 'tel:111'}]", '2:17: recipient.to: unknown authority "so-gdt", did you mean "so-gddt"?'),
        ("recipient: {webhook: https://a.example/}", "2:1: recipient.to: required, but not there"),
        ("recipient: {to: a, webhook: http://a.example/}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:29: recipient.webhook: 'http://a.example/' is not an address on the web"),
        ("recipient: {to: a, webhook: https://u:p@a.example/}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:29: recipient.webhook: 'https://u:p@a.example/' has a user name in it"),
        ("recipient: {to: a, webhook: 'https://a.example/?key=1'}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:29: recipient.webhook: 'https://a.example/?key=1' has a query"),
        ("recipient: {to: a, mail: so}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:26: recipient.mail: 'so' is not a mail address such as so@example.gov.vn"),
        ("recipient: {to: a, mail: 'a@b.example, c@d.example'}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:26: recipient.mail: 'a@b.example, c@d.example' is not a mail address"),
        ('recipient: {to: a, mail: "a@b.example\\nBcc: c@d.example"}\nauthorities: [{id: a, name: b, contact: \'tel:111\'}]', "2:26: recipient.mail: 'a@b.example\\nBcc: c@d.example' is not a mail address"),
        ("recipient: {to: a, mail: sở@b.example}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:26: recipient.mail: 'sở@b.example' is not a mail address"),
        ("recipient: {to: a, mail: -f@b.example}\nauthorities: [{id: a, name: b, contact: 'tel:111'}]", "2:26: recipient.mail: '-f@b.example' is not a mail address"),
        ("publisher: {urls: [], root: root.json}", "2:19: publisher.urls: must not be empty"),
        ("publisher: {urls: [https://a.example]}", "2:1: publisher.root: required, but not there"),
        ("publisher: {urls: [ftp://a.example], root: r}", "2:20: publisher.urls.0: 'ftp://a.example' is not an address on the web"),
        ("publisher: {urls: ['https:///a'], root: r}", "2:20: publisher.urls.0: 'https:///a' names no host"),
        ("publisher: {urls: ['file://a/b'], root: r}", "2:20: publisher.urls.0: 'file://a/b' names a host"),
        ("publisher: {urls: ['https://a.example/?x=1'], root: r}", "2:20: publisher.urls.0: 'https://a.example/?x=1' has a query"),
        ("publisher: {urls: ['https://a.example:99999'], root: r}", "2:20: publisher.urls.0: 'https://a.example:99999' is not an address"),
        ("publisher: {urls: ['https://a b'], root: r}", "2:20: publisher.urls.0: 'https://a b' is not an address"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_place(line, expected):
    found = problems("name: Tỉnh\n" + line + "\n")
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_every_problem_is_named_at_once():
    found = problems("hotlines: [{number: x}]\nreports: [{to: nobody, deadline: x}]\n")
    assert [problem.split(": ")[1] for problem in found] == [
        "name",
        "hotlines.0.name",
        "hotlines.0.number",
        "reports.0.to",
        "reports.0.deadline",
    ]


@pytest.mark.parametrize("text", ["", "- a", "text", "name: [", "name: a\nname: b"])
def test_what_is_no_such_file_is_refused(text):
    assert problems(text)


def test_the_words_say_what_the_file_needs():
    assert problems("- a") == ["1:1: not a mapping of keys; it needs name:"]


# ---- what is published ----


def test_published_contacts_are_the_same_without_a_publisher():
    assert parse_contacts(CONTACTS.encode()) == parse_province(CONTACTS, "p")


def test_nobody_is_told_over_the_network_whom_to_trust():
    with pytest.raises(ConfigError, match="contacts.yaml:1:1: publisher: contacts that are published name no publisher"):
        parse_contacts(CONTACTS + PUBLISHER)


def test_what_is_served_goes_before_the_school_s_copy():
    local = parse_province(CONTACTS + PUBLISHER, "p")
    served = parse_contacts(
        "name: Tỉnh mới\nhotlines: [{name: Đường dây mới, number: '1900 1234'}]\n"
        "authorities: [{id: cong-an, name: Công an tỉnh mới, contact: 'tel:113'}]\n"
    )
    both = merged(local, served)
    assert both.name == "Tỉnh mới"
    assert [hotline.number for hotline in both.hotlines] == ["1900 1234"]
    assert both.authority("cong-an").name == "Công an tỉnh mới"
    assert both.reports == local.reports, "what is not served stays"
    assert {report.to for report in both.reports} <= {authority.id for authority in both.authorities}
    assert both.publisher == local.publisher


def test_a_served_file_never_changes_the_publisher():
    local = parse_province(CONTACTS, "p")
    assert merged(local, parse_province(CONTACTS + PUBLISHER, "q")).publisher is None


@pytest.mark.parametrize("local", [None, Province(name="a")])
@pytest.mark.parametrize("served", [None, Province(name="b")])
def test_either_may_be_missing(local, served):
    found = merged(local, served)
    assert (found.name if found else None) == ("b" if served else "a" if local else None)


# ---- who takes reports of harmful content ----


def test_a_recipient_takes_reports_by_webhook_by_mail_or_both():
    both = parse_province(
        CONTACTS + "recipient: {to: cong-an, webhook: https://bao-cao.example:8443/manglanh, mail: bao-cao+truong@ca.gov.example}\n", "p"
    )
    assert both.recipient.webhook == "https://bao-cao.example:8443/manglanh"
    assert both.recipient.mail == "bao-cao+truong@ca.gov.example"
    assert both.recipient.automatic is False, "somebody at the school reads them first, unless the province says otherwise"
    one = parse_province(CONTACTS + "recipient: {to: cong-an, mail: a@b.example, automatic: true}\n", "p")
    assert (one.recipient.webhook, one.recipient.automatic) == (None, True)
    assert parse_province(CONTACTS, "p").recipient is None


def test_a_recipient_that_is_served_goes_before_the_school_s_copy():
    local = parse_province(CONTACTS + "recipient: {to: cong-an, mail: cu@b.example}\n", "p")
    served = parse_contacts(CONTACTS + "recipient: {to: so-gddt, webhook: https://moi.example/}\n")
    assert merged(local, served).recipient == served.recipient
    assert merged(local, parse_contacts(CONTACTS)).recipient == local.recipient


# ---- deadlines ----


@pytest.mark.parametrize(
    ("period", "deadline", "expected"),
    [
        ("yearly", "11-30", ["11-30"]),
        ("half-yearly", "05-31", ["05-31", "11-30"]),
        ("half-yearly", "11-30", ["05-30", "11-30"]),
        ("quarterly", "03-31", ["03-31", "06-30", "09-30", "12-31"]),
        ("yearly", "02-29", ["02-28"]),
    ],
)
def test_the_days_of_a_year_on_which_a_report_is_due(period, deadline, expected):
    assert [day.isoformat()[5:] for day in deadlines(Report(to="a", period=period, deadline=deadline), 2027)] == expected


@given(st.sampled_from(sorted(MONTHS)), st.dates(date(2000, 1, 1), date(2000, 12, 31)), st.integers(2026, 2100))
def test_a_year_has_as_many_deadlines_as_periods(period, day, year):
    found = deadlines(Report(to="a", period=period, deadline=day.isoformat()[5:]), year)
    assert len(found) == 12 // MONTHS[period]
    assert list(found) == sorted(set(found))
    assert all(due.year == year for due in found)
    assert day.month in {due.month for due in found}
