import html
import re

import pytest
from sqlalchemy import select

from dashboard.refusal import Refused
from dashboard.settings import school_file
from dashboard.settings.services import Target, blocked, found, parse_target
from dashboard.store.tables import audit
from filters.service import CATALOGUE, SERVICES
from policies.load import load


def seen(web) -> str:
    return school_file.digest(web.site.config)


def switch(web, admin, target: str, ticked: list[str], shown: list[str] | None = None):
    page = f"/services?for={target}"
    data = {"for": target, "seen": seen(web), "shown": ",".join(shown if shown is not None else SERVICES), "blocked": ticked}
    return admin.post("/services", data, seen=page)


def ticked(page: str) -> set[str]:
    return set(re.findall(r'name="blocked" value="([^"]+)" checked', page))


def test_the_catalogue_covers_what_a_vietnamese_school_asks_for():
    assert len(CATALOGUE) >= 60
    assert {"tiktok", "facebook", "zalo", "youtube", "roblox", "garena", "discord", "telegram"} <= SERVICES.keys()


def test_services_are_found_by_title_id_and_name():
    assert [service.id for service in found("muscdn")] == ["tiktok"]
    assert "lien-quan" in {service.id for service in found("LIÊN QUÂN")}
    assert {"zalo", "zalo-ai"} <= {service.id for service in found("zalo")}
    assert found("") == list(CATALOGUE)
    assert found("<script>") == []


@pytest.mark.parametrize("text", ["", "tier", "tier:", "class:6a1", ":x"])
def test_a_target_that_is_none(text):
    with pytest.raises(Refused):
        parse_target(text)


def test_every_service_has_a_switch_with_its_names(web):
    admin = web.as_person("quan-tri")
    page = html.unescape(admin.get("/services?for=tier:thcs").text)
    assert set(re.findall(r'name="blocked" value="([^"]+)"', page)) == set(SERVICES)
    for service in CATALOGUE:
        assert ", ".join(service.names) in page
        assert service.en in page


def test_a_switch_for_a_tier_and_back(web):
    admin = web.as_person("quan-tri")
    assert switch(web, admin, "tier:thcs", ["tiktok", "zalo"]).status_code == 303
    assert load(web.site.config).tiers["thcs"].services == ("tiktok", "zalo")
    page = admin.get("/services?for=tier:thcs")
    assert ticked(page.text) == {"tiktok", "zalo"}
    assert "TikTok, Zalo is blocked now" in page.text
    group = admin.get("/services?for=group:6a1").text
    assert ticked(group) == set()
    assert group.count("(blocked by the tier)") == 2
    assert web.run(web.site.school.now).snapshot.policy("6a1", web.clock.now).services == {"tiktok", "zalo"}
    before = web.site.config.read_bytes()
    switch(web, admin, "tier:thcs", [])
    assert load(web.site.config).tiers == {}
    assert web.site.config.read_bytes() != before
    assert [(row.object, row.detail) for row in web.rows(select(audit).order_by(audit.c.id))] == [
        ("tier:thcs", {"blocked": ["tiktok", "zalo"], "opened": []}),
        ("tier:thcs", {"blocked": [], "opened": ["tiktok", "zalo"]}),
    ]


def test_a_switch_for_one_group_leaves_the_others_and_every_comment(web):
    admin, before = web.as_person("quan-tri"), web.site.config.read_text(encoding="utf-8")
    switch(web, admin, "group:6a1", ["roblox"])
    after = web.site.config.read_text(encoding="utf-8")
    differs = [line for line in after.splitlines() if line not in before.splitlines()]
    assert differs == ["  - {name: 6a1, title: Lớp 6A1, tier: thcs, clients: [10.0.12.0/24], services: [roblox]}  # phòng 12"]
    view = web.run(web.site.school.now)
    assert view.snapshot.policy("6a1", web.clock.now).services == {"roblox"}
    assert view.snapshot.policy("6a2", web.clock.now).services == set()
    switch(web, admin, "group:6a1", [])
    assert web.site.config.read_text(encoding="utf-8") == before


def test_what_a_search_does_not_show_stays_as_it_is(web):
    admin = web.as_person("quan-tri")
    switch(web, admin, "tier:thcs", ["tiktok"])
    page = admin.get("/services?for=tier:thcs&q=zalo").text
    shown = re.search(r'name="shown" value="([^"]*)"', page)[1].split(",")
    assert set(shown) == {"zalo", "zalo-ai"}
    switch(web, admin, "tier:thcs", ["zalo"], shown)
    assert blocked(load(web.site.config), Target("tier", "thcs")) == {"tiktok", "zalo"}


def test_ticks_that_are_no_service_change_nothing(web):
    admin = web.as_person("quan-tri")
    assert switch(web, admin, "tier:thcs", ["nope", "<script>"], ["nope", "<script>"]).status_code == 303
    assert load(web.site.config).tiers == {}


@pytest.mark.parametrize("target", ["tier:nope", "group:nope", "group:guest", "x", "tier:<script>alert(1)</script>"])
def test_a_tier_or_group_that_there_is_not(web, target):
    admin = web.as_person("quan-tri")
    page = admin.get("/services", params={"for": target})
    assert page.status_code == 404
    assert "<script>alert" not in page.text
    data = {"for": target, "seen": seen(web), "shown": "tiktok", "blocked": "tiktok"}
    assert admin.post("/services", data, seen="/services?for=tier:thcs").status_code == 404


def test_an_older_page_is_refused(web):
    admin, before = web.as_person("quan-tri"), seen(web)
    switch(web, admin, "tier:thcs", ["tiktok"])
    data = {"for": "tier:thcs", "seen": before, "shown": "zalo", "blocked": "zalo"}
    assert admin.post("/services", data, seen="/services?for=tier:thcs").status_code == 409
    assert load(web.site.config).tiers["thcs"].services == ("tiktok",)


def test_no_page_is_large_with_a_hundred_groups(web):
    text = web.site.config.read_text(encoding="utf-8")
    groups = "".join(f'  - {{name: lop-{number}, title: "Lớp 10A{number} <b>", tier: thpt}}\n' for number in range(100))
    web.site.config.write_text(text.replace("timetable:\n", f"{groups}timetable:\n"), encoding="utf-8")
    admin = web.as_person("quan-tri")
    for path in ("/services", "/services?for=group:lop-7", "/services?for=tier:mam-non"):
        page = admin.get(path)
        assert page.status_code == 200
        assert len(page.content) < 60_000
        assert "10A7 <b>" not in page.text


def test_services_for_programs(web):
    headers = web.token("quan-tri")
    assert len(web.client.get("/api/v1/services", headers=headers).json()) == len(CATALOGUE)
    assert [each["id"] for each in web.client.get("/api/v1/services?q=muscdn", headers=headers).json()] == ["tiktok"]
    etag = web.client.get("/api/v1/services/groups/6a1", headers=headers).headers["etag"]
    put = web.client.put("/api/v1/services/groups/6a1", json={"services": ["zalo", "tiktok"]}, headers=headers | {"If-Match": etag})
    assert put.json() == {"services": ["tiktok", "zalo"], "by_tier": []}
    assert load(web.site.config).groups[0].services == ("tiktok", "zalo")
    assert web.client.put("/api/v1/services/groups/6a1", json={"services": []}, headers=headers | {"If-Match": etag}).status_code == 412
    assert web.client.put("/api/v1/services/tiers/thcs", json={"services": ["tik-tok"]}, headers=headers).status_code == 422
    assert web.client.put("/api/v1/services/tiers/nope", json={"services": []}, headers=headers).status_code == 404
    assert web.client.put("/api/v1/services/pupils/x", json={"services": []}, headers=headers).status_code == 422
    assert web.client.put("/api/v1/services/tiers/thcs", json={"services": []}, headers=web.token("hieu-truong")).status_code == 403
