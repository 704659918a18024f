import html
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from dashboard.access import Scope
from dashboard.refusal import Refused
from dashboard.settings import school_file
from dashboard.settings.school_text import Text
from dashboard.settings.tiers import BLOCKABLE, LIFTABLE, add_tier, base_of, put_tier, remove_tier, reset_tier
from dashboard.store.tables import audit
from filters.category import CATEGORIES
from policies.load import load, parse
from policies.model import Titles
from policies.tiers import TIERS, resolve_modes, resolve_tiers

FILE = b"""\
school: {name: A}  # a
dns: {upstreams: [9.9.9.9]}
groups:
  - {name: 6a1, tier: thcs}
  - {name: clb, tier: clb}
tiers:
  clb: {title: CLB, based_on: thcs}
"""
SCRIPT = "<script>alert(1)</script>"


def seen(web) -> str:
    return school_file.digest(web.site.config)


def changed(change, data: bytes = FILE) -> str:
    text = Text(data)
    change(text.document)
    return text.changed().decode()


def form_of(page: str, action: str) -> dict[str, list[str]]:
    """What a browser would send of the form, untouched."""
    body = re.search(rf'<form method="post" action="{action}".*?</form>', page, re.DOTALL)[0]
    fields: dict[str, list[str]] = {}
    for tag in re.findall(r"<input [^>]*>", body):
        kind = re.search(r'type="(\w+)"', tag)[1]
        if kind == "file":
            continue
        name, value = re.search(r' name="([^"]*)"', tag)[1], re.search(r' value="([^"]*)"', tag)[1]
        if kind not in ("checkbox", "radio") or " checked" in tag:
            fields.setdefault(name, []).append(html.unescape(value))
    for name, inner in re.findall(r'<select [^>]*name="(\w+)".*?>(.*?)</select>', body, re.DOTALL):
        fields[name] = re.findall(r'value="([^"]*)" selected', inner)
    for name, inner in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>\n(.*?)</textarea>', body, re.DOTALL):
        fields[name] = [html.unescape(inner)]
    return fields


# ---- what is written ------------------------------------------------------------------------------------------------


def test_only_what_differs_from_the_built_in_tier_is_written_and_going_back_removes_it():
    base = TIERS["thcs"]
    games = changed(
        lambda document: put_tier(document, "thcs", base, {"categories": {"games": "allow", "adult": "block"}, "safe_search": True})
    )
    assert parse(games, "f").tiers["thcs"].model_dump(exclude_unset=True) == {"categories": {"games": "allow"}}
    back = changed(lambda document: put_tier(document, "thcs", base, {"categories": {"games": "block"}}), games.encode())
    assert back.encode() == FILE


def test_a_set_that_is_said_in_another_order_is_the_same():
    liftable = list(reversed(TIERS["thcs"].liftable))
    assert changed(lambda document: put_tier(document, "thcs", TIERS["thcs"], {"liftable": liftable})).encode() == FILE


def test_a_tier_that_the_school_closed_says_what_is_open():
    text = changed(lambda document: put_tier(document, "thcs", TIERS["thcs"], {"default": "block", "categories": {"video": "allow"}}))
    assert parse(text, "f").tiers["thcs"].categories == {"video": "allow"}
    text = changed(
        lambda document: put_tier(document, "thcs", TIERS["thcs"], {"categories": {"violence": "block", "video": "allow"}}), text.encode()
    )
    assert parse(text, "f").tiers["thcs"].categories == {"video": "allow"}


def test_a_young_tier_says_what_is_open_although_everything_is_closed():
    base = TIERS["mam-non"]
    text = changed(lambda document: put_tier(document, "mam-non", base, {"categories": {"video": "allow", "learning": "allow"}}))
    assert parse(text, "f").tiers["mam-non"].categories == {"video": "allow"}


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(BLOCKABLE), st.sampled_from(["allow", "block"])),
    st.sampled_from([*TIERS, "clb"]),
    st.fixed_dictionaries(
        {},
        optional={
            "safe_search": st.booleans(),
            "strip_ech": st.booleans(),
            "default": st.sampled_from(["allow", "block"]),
            "youtube": st.sampled_from(["off", "moderate", "strict"]),
            "ttl_limit": st.integers(0, 86400),
            "liftable": st.lists(st.sampled_from(LIFTABLE), unique=True),
        },
    ),
)
def test_what_was_asked_for_is_what_holds(categories, tier, fields):
    file = parse(FILE, "f")
    base = base_of(file, tier)
    text = changed(lambda document: put_tier(document, tier, base, {"categories": categories, **fields}))
    now = resolve_tiers(parse(text, "f").tiers)[tier]
    for category, decision in categories.items():
        assert (now.categories.get(category, "allow") == "block") == (decision == "block")
    for name, value in fields.items():
        assert (set(getattr(now, name)) == set(value)) if name == "liftable" else getattr(now, name) == value
    assert now.categories.keys() - categories.keys() <= base.categories.keys()
    assert text.startswith("school: {name: A}  # a\n")


def test_a_tier_of_ones_own_is_added_reset_and_removed():
    file = parse(FILE, "f")
    text = changed(lambda document: add_tier(document, file, "noi-tru", Titles(vi="Nội trú", en="Boarding"), "thpt"))
    own = parse(text, "f")
    assert own.tiers["noi-tru"].model_dump(exclude_unset=True) == {"title": {"vi": "Nội trú", "en": "Boarding"}, "based_on": "thpt"}
    more = changed(lambda document: put_tier(document, "noi-tru", base_of(own, "noi-tru"), {"safe_search": False}), text.encode())
    assert "safe_search: false" in more
    assert changed(lambda document: reset_tier(document, "noi-tru"), more.encode()) == text
    assert changed(lambda document: remove_tier(document, own, "noi-tru"), text.encode()).encode() == FILE


@pytest.mark.parametrize(("tier", "status"), [("thcs", 409), ("clb", 409), ("nope", 404)])
def test_what_cannot_be_removed(tier, status):
    with pytest.raises(Refused) as refused:
        remove_tier(Text(FILE).document, parse(FILE, "f"), tier)
    assert refused.value.status == status


# ---- the pages ------------------------------------------------------------------------------------------------------


def test_the_matrix_shows_what_holds_and_says_what_changed(web):
    admin = web.as_person("quan-tri")
    page = admin.get("/tiers").text
    form = form_of(page, "/tiers")
    assert "games:thcs" in form["blocked"]
    assert "ai:thpt" not in form["blocked"]
    for category in CATEGORIES.values():
        boxes = len(re.findall(rf'value="{category.id}:', page))
        assert boxes == (0 if category.locked or category.open else len(TIERS))
    untouched = admin.post("/tiers", form, seen="/tiers")
    assert untouched.status_code == 303
    assert load(web.site.config).tiers == {}
    assert "Nothing was different" in admin.get("/tiers").text
    form["blocked"] = [*(each for each in form["blocked"] if each != "games:thcs"), "video:thcs"]
    form.pop("once")
    assert admin.post("/tiers", form, seen="/tiers").status_code == 303
    assert load(web.site.config).tiers["thcs"].model_dump(exclude_unset=True) == {"categories": {"games": "allow", "video": "block"}}
    after = html.unescape(admin.get("/tiers").text)
    assert "Lower secondary school (years 6-9): Video and streaming is blocked now" in after
    assert "Games is open now" in after
    assert web.site.config.read_text(encoding="utf-8").startswith("# Ghi chú này phải còn nguyên.\n")
    assert [(row.action, row.object, row.outcome) for row in web.rows(select(audit))] == [("tier.changed", "thcs", "done")]


def test_a_forged_tick_opens_nothing_that_is_locked(web):
    admin = web.as_person("quan-tri")
    form = form_of(admin.get("/tiers").text, "/tiers")
    form["blocked"] += ["learning:thcs", "nonsense:thcs", "games:nope"]
    form["tiers"] = ["thcs,nope"]
    admin.post("/tiers", form, seen="/tiers")
    assert load(web.site.config).tiers == {}


def test_two_administrators_at_once(web):
    admin, before = web.as_person("quan-tri"), seen(web)
    data = form_of(admin.get("/tiers/thcs").text, "/tiers/thcs") | {"seen": [before]}
    data.pop("safe_search")
    first = admin.post("/tiers/thcs", data, seen="/tiers")
    data.pop("once")
    second = admin.post("/tiers/thcs", data | {"youtube": ["strict"]}, seen="/tiers")
    assert (first.status_code, second.status_code) == (303, 409)
    assert "Somebody else has changed" in html.unescape(second.text)
    assert load(web.site.config).tiers["thcs"].model_dump(exclude_unset=True) == {"safe_search": False}


def test_the_settings_of_one_tier(web):
    admin = web.as_person("quan-tri")
    for tier in TIERS:
        form = form_of(admin.get(f"/tiers/{tier}").text, f"/tiers/{tier}")
        assert admin.post(f"/tiers/{tier}", form, seen="/tiers").status_code == 303
    assert load(web.site.config).tiers == {}
    form |= {"youtube": ["strict"], "block_answer": ["null"], "ttl_limit": ["30"], "liftable": ["games", "ai"], "title_vi": ["Khách mời"]}
    form.pop("once")
    assert admin.post("/tiers/guest", form, seen="/tiers").status_code == 303
    tier = resolve_tiers(load(web.site.config).tiers)["guest"]
    assert (tier.youtube, tier.block_answer, tier.ttl_limit, tier.liftable) == ("strict", "null", 30, ("games", "ai"))
    assert tier.title == Titles(vi="Khách mời", en="Guests")
    page = admin.get("/tiers/guest").text
    assert "/tiers/guest/reset" in page
    assert "/tiers/guest/remove" not in page
    assert admin.post("/tiers/guest/reset", {"seen": seen(web)}, seen="/tiers").status_code == 303
    assert load(web.site.config).tiers == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [("ttl_limit", "soon"), ("ttl_limit", "-1"), ("ttl_limit", "99999999"), ("youtube", "none"), ("default", ""), ("block_answer", "x")],
)
def test_a_wrong_setting_comes_back_with_the_form(web, field, value):
    admin = web.as_person("quan-tri")
    form = form_of(admin.get("/tiers/thcs").text, "/tiers/thcs") | {field: [value]}
    answer = admin.post("/tiers/thcs", form, seen="/tiers")
    assert answer.status_code == 422
    assert 'class="error"' in answer.text or 'role="alert"' in answer.text
    assert load(web.site.config).tiers == {}


def test_a_tier_with_a_hostile_title(web):
    admin = web.as_person("quan-tri")
    new = {"seen": seen(web), "id": "clb", "title_vi": SCRIPT, "title_en": "{0} {{ 7*7 }} %s", "based_on": "thcs"}
    assert admin.post("/new-tier", new, seen="/tiers").status_code == 303
    for path in ("/tiers", "/tiers/clb", "/services", "/services?for=tier:clb"):
        page = admin.get(path)
        assert page.status_code == 200
        assert SCRIPT not in page.text
    web.write(text("UPDATE people SET language = 'vi'"))
    page = admin.get("/tiers").text
    assert SCRIPT not in page
    assert html.escape(SCRIPT) in page
    assert admin.post("/tiers/clb/remove", {"seen": seen(web)}, seen="/tiers").status_code == 303
    assert load(web.site.config).tiers == {}


@pytest.mark.parametrize("identifier", ["", "A B", "../x", "thcs", SCRIPT, "a" * 63 + "b", "é"])
def test_a_tier_with_a_wrong_id_is_refused_at_its_field(web, identifier):
    admin = web.as_person("quan-tri")
    answer = admin.post("/new-tier", {"seen": seen(web), "id": identifier, "title_vi": "X", "based_on": "thcs"}, seen="/tiers")
    assert answer.status_code == 422
    assert SCRIPT not in answer.text
    assert load(web.site.config).tiers == {}


def test_a_tier_that_a_group_uses_stays(web):
    content = web.site.config.read_text(encoding="utf-8").replace("tier: staff", "tier: clb")
    web.site.config.write_text(content + "tiers: {clb: {title: CLB}}\n", encoding="utf-8")
    admin = web.as_person("quan-tri")
    assert "Giáo viên" in html.unescape(admin.get("/tiers/clb").text)
    answer = admin.post("/tiers/clb/remove", {"seen": seen(web)}, seen="/tiers")
    assert answer.status_code == 409
    assert "clb" in load(web.site.config).tiers


def test_modes(web):
    admin = web.as_person("quan-tri")
    for mode in ("normal", "study", "exam", "break", "offline"):
        form = form_of(admin.get(f"/modes/{mode}").text, f"/modes/{mode}")
        assert admin.post(f"/modes/{mode}", form, seen="/modes").status_code == 303
    assert load(web.site.config).modes == {}
    new = {"seen": seen(web), "id": "doc-sach", "title_vi": "Đọc sách"}
    assert admin.post("/new-mode", new, seen="/modes").headers["location"] == "/modes/doc-sach"
    form = form_of(admin.get("/modes/doc-sach").text, "/modes/doc-sach")
    form |= {"only": ["sites"], "sites": ["thuvien.vn\r\nBücher.example"], "blocks": ["games"]}
    assert admin.post("/modes/doc-sach", form, seen="/modes").status_code == 303
    mode = resolve_modes(load(web.site.config).modes)["doc-sach"]
    assert (mode.only, mode.sites, mode.blocks) == ("sites", ("thuvien.vn", "xn--bcher-kva.example"), ("games",))
    form.pop("once")
    bad = admin.post("/modes/doc-sach", form | {"seen": [seen(web)], "sites": ["not a name!"]}, seen="/modes")
    assert bad.status_code == 422
    assert admin.post("/modes/doc-sach/remove", {"seen": seen(web)}, seen="/modes").status_code == 303
    assert load(web.site.config).modes == {}
    assert admin.post("/modes/exam/remove", {"seen": seen(web)}, seen="/modes").status_code == 409


def test_no_page_is_large_even_with_tiers_of_ones_own(web):
    with web.site.config.open("a", encoding="utf-8") as file:
        file.write("tiers:\n" + "".join(f"  own-{number}: {{title: Bậc riêng số {number}, based_on: thcs}}\n" for number in range(2)))
    admin = web.as_person("quan-tri")
    assert len(admin.get("/tiers").content) < 58_000


@pytest.mark.parametrize("person", ["co-lan", "hieu-truong"])
def test_only_administrators_see_and_change_tiers(web, person):
    visitor = web.as_person(person)
    assert visitor.get("/tiers").status_code == 403
    assert visitor.post("/tiers", {"tiers": "thcs", "seen": seen(web)}, seen="/tiers").status_code == 403
    assert load(web.site.config).tiers == {}


# ---- the API --------------------------------------------------------------------------------------------------------


def test_tiers_for_programs(web):
    headers = web.token("quan-tri")
    tiers = web.client.get("/api/v1/tiers", headers=headers)
    assert [each["id"] for each in tiers.json()] == list(TIERS)
    etag = tiers.headers["etag"]
    patch = {"categories": {"games": "allow"}, "safe_search": False}
    answer = web.client.patch("/api/v1/tiers/thcs", json=patch, headers=headers | {"If-Match": etag})
    assert answer.status_code == 200
    assert answer.json()["categories"]["games"] == "allow"
    assert answer.json()["changed"] == ["categories", "safe_search"]
    assert answer.headers["etag"] == f'"{seen(web)}"' != etag
    late = web.client.patch("/api/v1/tiers/thcs", json=patch, headers=headers | {"If-Match": etag})
    assert late.status_code == 412
    back = web.client.patch("/api/v1/tiers/thcs", json={"categories": {"games": None}, "safe_search": None}, headers=headers)
    assert back.json()["changed"] == []
    assert load(web.site.config).tiers == {}


@pytest.mark.parametrize(
    "patch",
    [
        {"categories": {"child-abuse": "allow"}}, {"categories": {"help": "block"}}, {"categories": {"nonsense": "block"}}, {"liftable": ["unlawful"]},
        {"services": ["nope"]}, {"ttl_limit": -1}, {"ttl_limit": 1e9}, {"based_on": "thpt"}, {"title": {"vi": "", "en": ""}}, {"unknown": 1},
        {"title": {"vi": "\ud800", "en": "x"}}, {"block_answer": "else"}, [],
    ],
)  # fmt: skip
def test_wrong_patches_are_refused(web, patch):
    answer = web.client.patch(
        "/api/v1/tiers/thcs", content=json.dumps(patch), headers=web.token("quan-tri") | {"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert load(web.site.config).tiers == {}


def test_own_tiers_and_modes_for_programs(web):
    headers = web.token("quan-tri")
    for kind, extra in (("tiers", {"based_on": "thcs"}), ("modes", {})):
        new = {"id": "own", "title": {"vi": "Riêng", "en": "Own"}, **extra}
        made = web.client.post(f"/api/v1/{kind}", json=new, headers=headers)
        assert (made.status_code, made.json()["built_in"]) == (201, False)
        assert web.client.post(f"/api/v1/{kind}", json=new, headers=headers).status_code == 409
        assert web.client.delete(f"/api/v1/{kind}/own", headers=headers).status_code == 204
        assert web.client.delete(f"/api/v1/{kind}/own", headers=headers).status_code == 404
        assert web.client.get(f"/api/v1/{kind}/own", headers=headers).status_code == 404
    study = web.client.patch("/api/v1/modes/study", json={"allows": ["video"], "sites": ["a.vn"]}, headers=headers)
    assert study.json()["changed"] == ["allows", "sites"]
    assert web.client.post("/api/v1/modes/study/reset", headers=headers).json()["changed"] == []


def test_scopes_and_roles_of_the_api(web):
    patch = {"safe_search": False}
    assert web.client.patch("/api/v1/tiers/thcs", json=patch, headers=web.token("quan-tri", Scope.SCHOOL_READ)).status_code == 403
    assert web.client.patch("/api/v1/tiers/thcs", json=patch, headers=web.token("hieu-truong")).status_code == 403
    assert web.client.get("/api/v1/tiers", headers=web.token("hieu-truong")).status_code == 200
    assert web.client.get("/api/v1/tiers", headers=web.token("co-lan")).status_code == 403
    assert web.client.get("/api/v1/tiers").status_code == 401
