"""Unknown devices are mapped with two clicks, known ones found among thousands; vendors and random addresses are told."""

import re

import pytest
from sqlalchemy import select

from dashboard.box import Neighbour
from dashboard.refusal import Refused
from dashboard.settings import devices
from dashboard.settings.vendors import vendors_of
from dashboard.store.tables import audit, device_labels
from policies.state import read_state, update_state

IPAD, PHONE = "f0:18:98:00:00:01", "02:00:00:00:00:02"


def state(web):
    return read_state(web.box.state)


@pytest.fixture
def it(web, monkeypatch):
    now = web.clock.now
    asked = {"10.9.0.5": now - 60, "fd00::5": now - 20, "10.9.0.6": now - 100, "10.9.0.7": now - 3600}
    monkeypatch.setattr(web.site.fold, "strangers", lambda _now: asked)
    web.box.neighbours_now = [Neighbour("10.9.0.5", IPAD), Neighbour("fd00::5", IPAD), Neighbour("10.9.0.6", PHONE)]
    web.box.leases_now = {IPAD: "iPad-<b>Lan</b>"}
    return web.as_person("quan-tri")


def test_the_makers_of_network_cards():
    assert vendors_of([IPAD, PHONE, "f2:18:98:00:00:01"]) == {IPAD: "Apple, Inc."}


@pytest.mark.parametrize("text", ["F0-18-98-00-00-01", "f018.9800.0001", "f01898000001", " f0:18:98:00:00:01 "])
def test_a_mac_however_it_is_written(text):
    assert devices.mac_of(text) == IPAD


@pytest.mark.parametrize("text", ["", "f0:18", "g0:18:98:00:00:01", "01:00:5e:00:00:01", "f0" * 4000, "<script>", "ff:ff:ff:ff:ff:ff"])
def test_what_is_no_mac(text):
    with pytest.raises(Refused):
        devices.mac_of(text)


def test_unknown_devices_are_told_and_mapped_with_two_clicks(web, it):
    page = it.get("/devices").text
    assert page.index("iPad-&lt;b&gt;") < page.index("random address") < page.index("behind a router")
    assert "Apple, Inc." in page
    answer = it.post("/devices", {"mac": [IPAD, PHONE], "group": "6a1"}, seen="/devices")
    assert answer.headers["location"] == "/devices"
    page = it.get("/devices").text
    assert "In force on all 2 workers" in page
    assert IPAD not in page
    assert "10.9.0.7" in page
    assert state(web).devices == {IPAD: "6a1", PHONE: "6a1"}
    row = web.rows(select(audit))[-1]
    assert (row.action, row.outcome, row.detail["macs"]) == ("device.mapped", "done", [IPAD, PHONE])


@pytest.mark.parametrize(
    "form",
    [
        {"group": "6a1"},
        {"mac": IPAD, "group": "9z"},
        {"mac": IPAD},
        {"mac": "x", "group": "6a1"},
        {"mac": IPAD, "group": "6a1", "label": "a\u202eb"},
    ],
)
def test_what_cannot_be_mapped(web, it, form):
    answer = it.post("/devices", form, seen="/devices")
    assert answer.status_code in (409, 422)
    assert state(web).devices == {} or "label" in form


def test_label_change_and_removal(web, it):
    it.post("/devices", {"mac": IPAD, "group": "6a1", "label": "Máy <b>12</b>"}, seen="/devices")
    page = it.get("/devices/known").text
    assert "Máy &lt;b&gt;12" in page
    assert it.post(f"/devices/{IPAD}", {"group": "3b", "label": "Máy 13"}, seen=f"/devices/{IPAD}").status_code == 303
    assert state(web).devices == {IPAD: "3b"}
    assert [row.label for row in web.rows(select(device_labels))] == ["Máy 13"]
    assert it.post(f"/devices/{IPAD}", {"group": "9z", "label": "x"}, seen=f"/devices/{IPAD}").status_code == 422
    assert it.post(f"/devices/{IPAD}/remove", seen=f"/devices/{IPAD}").status_code == 303
    assert (state(web).devices, web.rows(select(device_labels))) == ({}, [])
    assert it.get(f"/devices/{IPAD}").status_code == 404
    assert it.get("/devices/unsinn").status_code == 404
    assert [row.action for row in web.rows(select(audit).order_by(audit.c.id))] == [
        "device.mapped",
        "device.labelled",
        "device.mapped",
        "device.labelled",
        "device.unmapped",
    ]


def test_devices_of_the_schools_file_are_shown_and_not_changed_here(web, it):
    config = web.site.config
    config.write_text(config.read_text().replace("clients: [10.0.12.0/24]", f'clients: [10.0.12.0/24, "{IPAD}"]'), encoding="utf-8")
    assert IPAD in it.get("/devices/known").text
    answer = it.post("/devices", {"mac": IPAD, "group": "3b"}, seen="/devices")
    assert answer.status_code == 409
    assert "stands in the school" in answer.text
    assert IPAD not in it.get("/devices").text.replace("stands", "").split("Choose</th>")[-1] or state(web).devices == {}


def test_five_thousand_devices_are_searched_and_paged(web, it):
    many = {f"a4:77:33:00:{number // 256:02x}:{number % 256:02x}": ("6a1" if number % 2 else "6a2") for number in range(5000)}
    update_state(web.box.state, lambda old: old.model_copy(update={"devices": many}), web.clock.now)
    web.write(device_labels.insert().values(mac="a4:77:33:00:13:00", label="Máy chiếu"))
    page = it.get("/devices/known?page=100").text
    assert "Page 100 of 100" in page
    assert len(page.encode()) < 100_000
    assert "a4:77:33:00:13:00" in it.get("/devices/known?q=chiếu").text
    assert "Found: 1" in it.get("/devices/known?q=A4-77-33-00-13-00").text
    assert "Found: 2,500" in it.get("/devices/known?group=6a1").text


TABLE = f"MAC;Nhóm;Nhãn\n{IPAD.upper().replace(':', '-')};Lớp 6A1;Máy 1\n{PHONE};3b;\n"


def test_a_table_of_devices(web, it):
    it.post("/devices/import", files={"csv": ("a.csv", TABLE.encode("utf-16"))}, seen="/devices/import")
    page = it.get("/devices/import/preview").text
    seen = re.search(r'name="seen" value="(\w+)"', page)[1]
    assert it.post("/devices/import/confirm", {"seen": seen}, seen="/devices/known").headers["location"] == "/devices/known"
    assert state(web).devices == {IPAD: "6a1", PHONE: "3b"}
    exported = it.get("/devices/export.csv").text.lstrip("\ufeff")
    plan = web.client.post("/api/v1/devices/import/preview", json={"csv": exported}, headers=web.token("quan-tri")).json()
    assert plan["counts"]["unchanged"] == 2


def test_a_table_with_wrong_rows(web):
    table = TABLE + f"zz;6a1;x\n{IPAD};6a2;\n06:00:00:00:00:01;9z;\n06:00:00:00:00:02;6a1, 6a2;\n06:00:00:00:00:03;;\n"
    plan = web.client.post("/api/v1/devices/import/preview", json={"csv": table}, headers=web.token("quan-tri")).json()
    assert plan["counts"] == {"wrong": 5, "new": 2, "changed": 0, "unchanged": 0}
    assert (
        web.client.post("/api/v1/devices/import", json={"csv": table, "seen": plan["digest"]}, headers=web.token("quan-tri")).status_code
        == 422
    )


def test_the_api(web, it):
    headers = web.token("quan-tri")
    unknown = web.client.get("/api/v1/devices/unknown", headers=headers).json()
    assert [(each["mac"], each["vendor"], each["random"]) for each in unknown] == [
        (IPAD, "Apple, Inc.", False),
        (PHONE, "", True),
        ("", "", False),
    ]
    assert web.client.post("/api/v1/devices", json={"macs": [IPAD], "group": "6a1"}, headers=headers).status_code == 200
    assert web.client.put(f"/api/v1/devices/{PHONE}", json={"group": "3b", "label": "Máy"}, headers=headers).status_code == 200
    assert web.client.get(f"/api/v1/devices/{PHONE}", headers=headers).json()["label"] == "Máy"
    assert web.client.get("/api/v1/devices?group=3b", headers=headers).json()["total"] == 1
    assert web.client.delete(f"/api/v1/devices/{PHONE}", headers=headers).status_code == 200
    assert web.client.get(f"/api/v1/devices/{PHONE}", headers=headers).status_code == 404
    for who in ("co-lan", "hieu-truong"):  # addresses are for administrators
        assert web.client.get("/api/v1/devices/unknown", headers=web.token(who)).status_code == 403
        assert web.client.get("/api/v1/devices", headers=web.token(who)).status_code == 403
