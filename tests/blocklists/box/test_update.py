"""A box follows its publisher: what is served after each thing that can happen on the way. No internet; a province is a folder (tests/province.py)."""

import errno
import json
import shutil
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from blocklists.box import asking, contents, update, update_status
from blocklists.box.asking import Place
from blocklists.box.download import Downloader, Limits
from blocklists.box.mirrors import Mirrors
from blocklists.box.release_record import HISTORY, RECORD, STATUS, read_record, read_status
from blocklists.box.rolling_back import NothingBefore, roll_back
from blocklists.box.update import poll
from blocklists.channels import BASE, CHANNELS
from blocklists.durable import alone
from blocklists.install import Busy, current
from filters.bundle import NAMES, read_manifest
from filters.domain_index import DomainIndex
from tests.province import CONTACT_TEXT, DAY, NOW, Province, entry, good
from tests.web import serving

QUICK = Limits(silence=0.5, small_seconds=1.0, pace=1000.0, pace_over=0.3)
HOUR = 3600.0


class Box:
    """A school's box, its clock in the test's hand."""

    def __init__(self, directory: Path, root: bytes, *urls: str) -> None:
        self.directory = directory
        self.root = root
        self.urls = urls
        self.now = NOW
        self.uptime = 0.0
        self.trusted = True
        self.place: Place | None = None
        self.restart()

    def restart(self) -> None:
        """Another process: nothing is known but what is on the disk."""
        self.stop()
        mirrors = Mirrors(self.urls, lambda: 0.0)
        self.place = Place(
            self.directory, self.root, mirrors, Downloader(limits=QUICK), lambda: self.uptime, accept_contacts=refuse_nonsense
        )

    def stop(self) -> None:
        if self.place is not None:
            self.place.downloader.close()

    def after(self, seconds: float) -> update.Outcome:
        """One poll, so much later."""
        self.now += seconds
        self.uptime += max(seconds, 0.0)
        return poll(self.place, self.now, clock_trusted=self.trusted)

    def categories(self, name: str) -> set[str]:
        """What the lists in force say of a name."""
        with closing(DomainIndex.open(self.directory / "current")) as index:
            return {match.source.category for match in index.lookup(name)}

    def kinds(self) -> set[tuple[str, str]]:
        return {(trouble.kind, trouble.channel) for trouble in read_status(self.directory).troubles}


def refuse_nonsense(data: bytes) -> None:
    if not data.startswith(b"name:"):
        raise ValueError("not a province")


@pytest.fixture
def province(tmp_path) -> Province:
    return good(tmp_path / "province")


@pytest.fixture
def web(province):
    with serving(province.repository) as server:
        yield server


@pytest.fixture
def box(tmp_path, province, web):
    made = Box(tmp_path / "lists", province.root, web.url)
    yield made
    made.stop()


# ---- when all is well ----


def test_the_first_update_brings_every_channel(box):
    outcome = box.after(0)
    assert outcome.changed
    assert outcome.status.troubles == ()
    assert box.categories("www.bad.example") == {"unlawful"}
    assert box.categories("hoc.example") == {"learning"}
    assert box.categories("casino.example") == {"gambling"}
    assert (box.directory / "province.yaml").read_text() == CONTACT_TEXT
    status = read_status(box.directory)
    assert (status.success_at, status.checked_at, status.bundle) == (NOW, NOW, current(box.directory).name)
    assert {name: (channel.version, channel.entries) for name, channel in status.channels.items()} == {
        "mandatory": (1, 1),
        "categories": (1, 0),
        "learning": (1, 1),
        "province": (1, 0),
    }
    assert status.expires_at == pytest.approx(NOW + 3 * DAY, abs=1)


def test_who_is_behind_an_entry_travels_with_it(box):
    box.after(0)
    with closing(DomainIndex.open(box.directory / "current")) as index:
        (match,) = index.lookup("bad.example")
    assert (match.source.name, match.source.authority, match.source.document) == ("mandatory", "Công an tỉnh", "123/QĐ-CAT")


def test_a_channel_that_was_never_published_is_no_trouble(province, box):
    province.left_out = {"learning"}
    province.publish()
    outcome = box.after(0)
    assert outcome.status.troubles == ()
    assert outcome.status.channels["learning"].version == 0
    assert box.categories("hoc.example") == set()
    province.left_out.clear()
    province.publish()
    assert box.after(60).status.troubles == ()
    assert box.categories("hoc.example") == {"learning"}


@pytest.mark.parametrize("forgotten", [(), ("snapshot",)])
def test_a_channel_that_was_accepted_and_is_then_left_out_keeps_what_it_said(province, box, forgotten):
    """Who has the key of the snapshot alone cannot make a channel disappear, not even on a box whose disk lost the snapshot before."""
    box.after(0)
    for role in forgotten:
        (box.directory / "tuf" / "metadata" / f"{role}.json").unlink()
    province.left_out = {"learning"}
    province.publish()
    box.after(60)
    assert {kind for kind, _ in box.kinds()} == {"refused"}
    assert box.categories("hoc.example") == {"learning"}
    assert box.categories("bad.example") == {"unlawful"}


def test_nothing_new_costs_one_small_request_and_no_write(box, web):
    box.after(0)
    web.asked.clear()
    before = (box.directory / STATUS).stat().st_mtime_ns
    outcomes = [box.after(60) for _ in range(5)]
    assert web.paths() == ["/metadata/timestamp.json"] * 5
    assert (box.directory / STATUS).stat().st_mtime_ns == before
    assert not any(outcome.changed for outcome in outcomes)
    assert outcomes[-1].status.success_at == box.now, "what is said is new, although it was not written"
    assert outcomes[-1].status.requests == outcomes[0].status.requests + 4
    per_poll = (outcomes[-1].status.received + outcomes[-1].status.sent - outcomes[0].status.received - outcomes[0].status.sent) / 4
    assert per_poll < 400
    box.after(600)
    assert read_status(box.directory).success_at == box.now
    assert read_status(box.directory).requests == outcomes[-1].status.requests + 1


def test_a_restarted_process_knows_what_it_has_seen(box, web):
    box.after(0)
    web.asked.clear()
    box.restart()
    box.after(60)
    assert web.paths() == ["/metadata/timestamp.json"]
    assert "if-none-match" in web.asked[0][1]


def test_an_urgent_entry_costs_little(box, province, web):
    province.base({"gambling": [f"casino{number}.example" for number in range(5000)]}).publish()
    box.after(0)
    before = box.after(60).status
    province.say("mandatory", entry("bad.example"), entry("urgent.example")).publish()
    outcome = box.after(60)
    assert outcome.changed
    assert box.categories("urgent.example") == {"unlawful"}
    assert outcome.status.received + outcome.status.sent - before.received - before.sent < 5000
    assert not any("base" in path for path in web.paths()[-6:])


def test_an_overlay_lies_over_its_base(box, province):
    province.base({"gambling": ["casino.example", "closed.example"]}, {"gambling": ["casino.example"], "adult": ["new.example"]}).publish()
    box.after(0)
    assert (box.categories("casino.example"), box.categories("closed.example")) == ({"gambling"}, set())
    assert box.categories("new.example") == {"adult"}
    assert box.categories("bad.example") == {"unlawful"}, "and the text entries over both"


def test_an_unlisted_name_leaves_the_lists_and_never_the_mandatory_one(box, province):
    unlisted = [entry(name, "", unlist=True) for name in ("casino.example", "bad.example")]
    province.say("categories", *unlisted).publish()
    box.after(0)
    assert (box.categories("casino.example"), box.categories("bad.example")) == (set(), {"unlawful"})


def test_an_entry_that_is_removed_is_gone(box, province):
    box.after(0)
    province.say("mandatory").publish()
    assert box.after(60).changed
    assert box.categories("bad.example") == set()


def test_a_province_without_a_base_lies_over_the_starter_lists(tmp_path):
    province = Province(tmp_path / "province").say("mandatory", entry("bad.example")).publish()
    box = Box(tmp_path / "lists", province.root, province.repository.as_uri())
    assert box.after(0).status.troubles == ()
    assert box.categories("bad.example") == {"unlawful"}
    with closing(DomainIndex.open(box.directory / "current")) as index:
        assert index.names > 1000


def test_a_stick_is_as_good_as_the_network(tmp_path, province, box):
    box.after(0)
    province.say("mandatory", entry("stick.example")).publish()
    stick = province.copy(tmp_path / "stick")
    by_stick = Box(box.directory, province.root, stick.as_uri())
    assert by_stick.after(60).changed
    assert box.categories("stick.example") == {"unlawful"}


def test_a_new_root_is_followed(box, province):
    box.after(0)
    province.rotate("root").rotate("timestamp").rotate("mandatory").say("mandatory", entry("later.example")).publish()
    assert box.after(60).status.troubles == ()
    assert box.categories("later.example") == {"unlawful"}
    assert read_status(box.directory).release.root == 2


def test_a_new_root_is_looked_for_every_hour(box, province, web):
    """Although the timestamp stands still: it may be a thief's who holds the old online keys."""
    box.after(0)
    web.asked.clear()
    box.after(HOUR + 1)
    assert "/metadata/2.root.json" in web.paths()


# ---- when something is wrong ----


def test_a_bad_channel_keeps_what_it_said_and_the_others_go_on(box, province):
    box.after(0)
    province.thresholds["learning"] = 1
    wrong = Province(province.folder / "wrong").signers["learning"]
    right, province.signers["learning"] = province.signers["learning"], wrong
    province.say("learning", entry("other.example", "learning")).say("mandatory", entry("urgent.example")).publish()
    outcome = box.after(60)
    assert box.kinds() == {("refused", "learning")}
    assert not outcome.status.well
    assert (box.categories("urgent.example"), box.categories("hoc.example"), box.categories("other.example")) == (
        {"unlawful"},
        {"learning"},
        set(),
    )
    since = outcome.status.troubles[0].since
    assert box.after(60).status.troubles[0].since == since, "and it is still said while nothing changes"
    province.signers["learning"] = right
    province.publish("learning")
    assert box.after(60).status.troubles == ()
    assert box.categories("other.example") == {"learning"}


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("learning/list.csv", b"<html>", "web page"),
        ("learning/list.csv", b"name,category,authority,document,reason,added,expires\nx.example,unlawful,A,1,,2026-01-01,\n", "may only"),
        ("mandatory/list.csv", b"name,category,authority,document,reason,added,expires\nx.example,gambling,A,1,,2026-01-01,\n", "may only"),
        ("categories/base.tar.xz", b"not an archive", "not a packed bundle"),
        ("province/contacts.yaml", b"nonsense", "not a province"),
    ],
    ids=["a page", "the learning team orders", "an authority decides what is gambling", "no archive", "no contacts"],
)
def test_content_that_may_not_be_used_is_refused_with_its_channel(box, province, path, data, said):
    box.after(0)
    province.put(path, data).publish()
    status = box.after(60).status
    channel = path.partition("/")[0]
    assert box.kinds() == {("content", channel)}
    assert said in status.troubles[0].what
    assert (box.categories("bad.example"), box.categories("hoc.example"), box.categories("casino.example")) == (
        {"unlawful"},
        {"learning"},
        {"gambling"},
    )
    assert (box.directory / "province.yaml").read_text() == CONTACT_TEXT


def test_a_base_that_fills_a_locked_category_is_refused(box, province):
    """Only the mandatory channel may: the list team could otherwise order in an authority's name."""
    box.after(0)
    province.base({"unlawful": ["ministry.example"]}).publish()
    box.after(60)
    assert box.kinds() == {("content", "categories")}
    assert (box.categories("ministry.example"), box.categories("casino.example")) == (set(), {"gambling"})


def test_an_overlay_over_another_base_is_refused(box, province):
    province.base({"gambling": ["a.example"]}, {"gambling": ["b.example"]})
    overlay = province.contents["categories"]["categories/overlay.tar.xz"]
    province.base({"gambling": ["other.example"]}).put("categories/overlay.tar.xz", overlay).publish()
    box.after(0)
    assert box.kinds() == {("content", "categories")}


def test_expired_metadata_goes_on_serving_and_says_so(box, province):
    box.after(0)
    status = box.after(4 * DAY).status
    assert box.kinds() == {("expired", "")}
    assert status.success_at == NOW
    assert box.categories("bad.example") == {"unlawful"}
    province.now = box.now
    province.publish()
    assert box.after(HOUR).status.troubles == ()


def test_one_expired_channel_does_not_stop_the_others(box, province):
    box.after(0)
    province.now += 91 * DAY
    province.say("mandatory", entry("urgent.example")).publish()
    box.after(91 * DAY)
    assert box.kinds() == {("expired", "categories")}
    assert (box.categories("urgent.example"), box.categories("casino.example")) == ({"unlawful"}, {"gambling"})


def test_nobody_there(box, web, province):
    box.after(0)
    web.misbehave.append(lambda handler, _: handler.answer(500) or True)
    box.after(60)
    assert box.kinds() == {("network", "")}
    assert box.categories("bad.example") == {"unlawful"}
    web.asked.clear()
    box.after(1)
    assert web.asked == [], "it is left alone for a while"
    assert box.kinds() == {("network", "")}
    web.misbehave.clear()
    box.after(60)
    assert box.kinds() == set()


def test_a_server_that_asks_to_be_left_alone_is_left_alone(box, web):
    web.misbehave.append(lambda handler, _: handler.answer(429, b"", {"Retry-After": "500"}) or True)
    box.after(0)
    web.asked.clear()
    box.after(400)
    assert web.asked == []
    box.after(200)
    assert len(web.asked) == 1


def test_the_next_mirror_has_what_the_first_keeps_back(tmp_path, province, web):
    old = province.copy(tmp_path / "old")
    province.say("mandatory", entry("urgent.example")).publish()
    web.misbehave.append(lambda handler, _: handler.answer(503) or True)
    box = Box(tmp_path / "lists", province.root, web.url, province.repository.as_uri())
    assert box.after(0).status.troubles == ()
    assert box.categories("urgent.example") == {"unlawful"}
    box.stop()
    # a mirror that then shows an older release is said, and does no harm
    replaying = Box(tmp_path / "lists", province.root, old.as_uri(), province.repository.as_uri())
    replaying.now = NOW + 60
    replaying.after(60)
    assert replaying.kinds() == {("refused", "")}
    assert box.categories("urgent.example") == {"unlawful"}


def test_a_mirror_that_stands_still_is_found_out_within_an_hour_or_two(tmp_path, province):
    frozen = province.copy(tmp_path / "frozen")
    box = Box(tmp_path / "lists", province.root, frozen.as_uri(), province.repository.as_uri())
    box.after(0)
    province.say("mandatory", entry("urgent.example")).publish()
    box.after(60)
    assert box.categories("urgent.example") == set()
    for _ in range(2):
        box.after(HOUR + 1)
    assert box.categories("urgent.example") == {"unlawful"}


def test_a_download_that_was_cut_off_is_gone_on_with(box, province, web):
    """The metadata is accepted before the file is here: what was kept then must not make the next poll believe that nothing is new."""
    box.after(0)
    province.say("mandatory", entry("urgent.example")).publish()
    web.misbehave.append(lambda handler, path: "/targets/" in path and (handler.answer(200, b"", promised=99) or True))
    box.after(60)
    assert box.kinds() == {("network", "mandatory")}
    assert box.categories("urgent.example") == set()
    web.misbehave.clear()
    box.restart()
    box.after(60)
    assert box.categories("urgent.example") == {"unlawful"}
    assert box.kinds() == set()


@pytest.mark.parametrize("where", ["put_in_force", "write_record", "tell_history", "prune", "save"])
def test_a_process_that_dies_after_the_metadata_was_accepted_is_followed_by_one_that_finishes(box, province, monkeypatch, where):
    """The next timestamp is the one that is here already; it was taken for *nothing new*, and the entry waited for the next release."""
    box.after(0)
    province.say("mandatory", entry("urgent.example")).publish()

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(update, where, kill)
        box.after(60)
    box.restart()
    assert box.after(60).status.troubles == ()
    assert box.categories("urgent.example") == {"unlawful"}


def test_a_slow_mirror_is_cut_off_and_said(box, web):
    box.after(0)
    web.misbehave.append(lambda handler, path: path.endswith("timestamp.json") and (handler.drip(b"x", 0.05) or True))
    box.after(60)
    assert box.kinds() == {("slow", "")}


# ---- the clock ----


def test_a_clock_in_the_past_rolls_nothing_back_and_lets_nothing_expire(box, province):
    box.after(0)
    province.say("mandatory", entry("old.example", expires=date(2026, 12, 1)), entry("urgent.example")).publish()
    status = box.after(-40 * 365 * DAY).status
    assert box.kinds() == {("clock", "")}
    assert status.well, "it is said, but an update is an update"
    assert (box.categories("urgent.example"), box.categories("old.example")) == ({"unlawful"}, {"unlawful"})


def test_a_clock_in_the_future_that_nobody_vouches_for_is_the_clock_s_trouble(box):
    box.after(0)
    box.trusted = False
    box.after(20 * 365 * DAY)
    assert box.kinds() == {("clock", "")}
    assert box.categories("bad.example") == {"unlawful"}


def test_an_entry_ends_with_its_last_day_and_not_before(box, province):
    province.say("mandatory", entry("bad.example"), entry("week.example", expires=date(2026, 11, 29))).publish()
    box.after(0)
    for _ in range(7):
        province.now = box.now
        province.publish_timestamp()
        box.after(DAY)
        assert box.categories("week.example") == {"unlawful"}
    province.publish_timestamp()
    assert box.after(DAY).changed
    assert (box.categories("week.example"), box.categories("bad.example")) == (set(), {"unlawful"})
    assert box.after(-2 * DAY).changed, "the clock was wrong: it holds again"
    assert box.categories("week.example") == {"unlawful"}


def test_with_a_clock_that_nobody_vouches_for_no_entry_ends(box, province):
    province.say("mandatory", entry("week.example", expires=date(2026, 11, 29))).publish()
    box.trusted = False
    province.now += 30 * DAY
    province.publish("timestamp")
    box.after(20 * DAY)
    assert box.categories("week.example") == {"unlawful"}
    box.trusted = True
    box.after(60)
    assert box.categories("week.example") == set()


# ---- going back ----


def released_twice(box, province):
    """A second release whose lists are bad; then a mandatory entry on top."""
    box.after(0)
    province.base({"gambling": ["casino.example"], "adult": ["docs.example"]}).say("learning").publish()
    box.after(60)
    province.say("mandatory", entry("bad.example"), entry("urgent.example")).publish()
    box.after(60)
    assert (box.categories("docs.example"), box.categories("hoc.example")) == ({"adult"}, set())


def test_a_rollback_brings_the_lists_before_and_keeps_what_is_mandatory(box, province):
    released_twice(box, province)
    status = roll_back(box.directory, "Lan", "docs.example is no adult site", box.now)
    assert (box.categories("docs.example"), box.categories("hoc.example")) == (set(), {"learning"})
    assert box.categories("urgent.example") == {"unlawful"}, "nobody in a school can lift it"
    assert (status.rollback.by, read_status(box.directory).rollback.reason) == ("Lan", "docs.example is no adult site")
    told = [json.loads(line) for line in (box.directory / HISTORY).read_text().splitlines()]
    assert [line["event"] for line in told] == ["installed"] * 3 + ["rolled back"]
    assert (told[-1]["by"], told[-1]["reason"], told[-1]["at"]) == ("Lan", "docs.example is no adult site", box.now)


def test_a_rollback_holds_until_the_publisher_has_something_else(box, province):
    released_twice(box, province)
    roll_back(box.directory, "Lan", "bad", box.now)
    for _ in range(3):
        box.restart()
        box.after(HOUR + 1)
        assert box.categories("docs.example") == set()
    province.publish("categories")  # signed again, the same
    province.say("mandatory", entry("urgent.example"), entry("third.example")).publish()
    box.after(60)
    assert (box.categories("docs.example"), box.categories("third.example")) == (set(), {"unlawful"})
    assert read_status(box.directory).rollback is not None
    province.base({"gambling": ["casino.example", "new.example"]}).publish()
    box.after(60)
    assert box.categories("new.example") == {"gambling"}
    province.say("learning", entry("hoc2.example", "learning")).publish()
    box.after(60)
    assert read_status(box.directory).rollback is None


def test_there_may_be_nothing_to_go_back_to(box, province):
    with pytest.raises(NothingBefore):
        roll_back(box.directory, "Lan", "bad", NOW)
    box.after(0)
    province.say("mandatory", entry("other.example")).publish()
    box.after(60)
    with pytest.raises(NothingBefore):  # only the mandatory list has changed, and that is not rolled back
        roll_back(box.directory, "Lan", "bad", NOW)


def test_a_rollback_twice_goes_back_once(box, province):
    released_twice(box, province)
    roll_back(box.directory, "Lan", "bad", box.now)
    with pytest.raises(NothingBefore):
        roll_back(box.directory, "Lan", "bad", box.now)


def test_a_rollback_need_not_wait_for_a_slow_download(box, province):
    released_twice(box, province)
    with alone(box.directory / update.POLLING):
        roll_back(box.directory, "Lan", "bad", box.now)
    assert box.categories("docs.example") == set()


# ---- disks ----


@pytest.mark.parametrize("where", ["unpack", "install", "write_record", "write_status", "tell_history"])
def test_a_full_disk_leaves_the_lists_in_force_and_the_next_poll_mends_it(box, province, monkeypatch, where):
    box.after(0)
    before = current(box.directory)
    province.base({"gambling": ["new.example"]}).publish()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    module = {"unpack": contents, "install": contents, "write_status": update_status}.get(where, update)
    with monkeypatch.context() as patched:
        patched.setattr(module, where, full)
        status = box.after(60).status
        if where != "write_status":
            assert {trouble.kind for trouble in status.troubles} == {"disk"}
            assert "No space left" in status.troubles[0].what
        if where in {"unpack", "install"}:
            assert current(box.directory) == before
    assert box.categories("casino.example") | box.categories("new.example") == {"gambling"}
    box.after(60)
    assert (box.categories("new.example"), box.kinds()) == ({"gambling"}, set())


def test_lists_that_somebody_replaced_come_back(box):
    """`lists compile` by hand, a removed folder, a damaged disk: what is mandatory does not depend on it."""
    box.after(0)
    folder = current(box.directory)
    (box.directory / "current").unlink()
    shutil.rmtree(folder)
    box.after(60)
    assert box.categories("bad.example") == {"unlawful"}


@pytest.mark.parametrize("damaged", ["overlay", "base"])
def test_what_the_disk_damaged_is_made_again_within_the_hour(box, damaged):
    box.after(0)
    folder = current(box.directory)
    if damaged == "base":
        folder = box.directory / read_manifest(folder).base
    (folder / NAMES).write_bytes(b"other bytes than before")
    box.after(HOUR)
    assert box.categories("bad.example") == {"unlawful"}
    assert box.categories("casino.example") == {"gambling"}


def test_what_was_checked_before_is_not_checked_again(box, province, monkeypatch):
    checked = []
    monkeypatch.setattr(asking, "check", lambda directory, channel, *more: checked.append(channel.id))
    box.after(0)
    assert checked == list(CHANNELS)
    checked.clear()
    province.say("mandatory", entry("bad.example"), entry("worse.example")).publish()
    box.after(60)
    assert box.categories("worse.example") == {"unlawful"}
    box.after(HOUR)
    assert checked == ["mandatory"]


def test_a_lost_status_loses_nothing(box, province):
    released_twice(box, province)
    (box.directory / STATUS).write_text("{")
    box.restart()
    assert box.after(60).status.troubles == ()
    roll_back(box.directory, "Lan", "bad", box.now)


def test_a_lost_record_never_opens_what_was_blocked(box, province, web):
    """The mandatory channel cannot be had just then: the bundle in force has it, and stays."""
    box.after(0)
    (box.directory / RECORD).unlink()
    (box.directory / STATUS).unlink()
    shutil.rmtree(box.directory / "tuf" / "targets")
    province.say("learning").publish()
    web.misbehave.append(lambda handler, path: "mandatory" in path and (handler.answer(404) or True))
    box.after(60)
    assert box.categories("bad.example") == {"unlawful"}
    assert ("content", "") in box.kinds()
    web.misbehave.clear()
    box.after(HOUR)
    assert (box.categories("hoc.example"), box.kinds()) == (set(), set())


def test_only_what_is_needed_is_kept(box, province):
    for number in range(5):
        province.base({"gambling": [f"casino{number}.example"]}).say("mandatory", entry(f"bad{number}.example")).publish()
        box.after(60)
    kept = {kept.sha256 for content in read_record(box.directory).channels.values() for kept in content.files.values()}
    before = {kept.sha256 for content in read_record(box.directory).before.values() for kept in content.files.values()}
    assert {path.name for path in (box.directory / "tuf" / "targets").iterdir()} == kept | before
    bundles = [path for path in box.directory.iterdir() if path.is_dir() and len(path.name) == 64]
    assert len(bundles) <= 4, "two and their bases"


def test_two_at_once_do_not_meet(box):
    with alone(box.directory / update.POLLING), pytest.raises(Busy):
        box.after(0)


def test_every_channel_has_a_place_in_the_sequence(province):
    assert set(province.contents) == set(CHANNELS)
    assert BASE in province.contents["categories"]
