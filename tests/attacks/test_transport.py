"""Endless data, slow retrieval and malicious mirrors (TUF specification 1.0, section 1.5.2): bounded bytes, bounded time, and the next mirror."""

from collections.abc import Callable, Iterator

import pytest

from blocklists.box import kept_targets
from blocklists.box.download import Limits
from tests.attacks.attacker import UNTOUCHED, own_key, publish_signed_by
from tests.attacks.school import HOUR, School
from tests.province import DAY, NOW, Province, entry
from tests.web import Web, serving

NEWER = UNTOUCHED | {"newer.example": "unlawful"}
METADATA = ["timestamp.json", "2.root.json", "2.snapshot.json", "2.mandatory.json"]
TARGET = "list.csv"
STEP = 20.0
"""seconds that seem to pass with each piece that comes: an honest answer is one piece, a dripping one is over time with the fourth"""


@pytest.fixture
def newer(province: Province, school: School) -> Province:
    """The province has another release than the school."""
    return province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()


def of_path(end: str, answer: Callable) -> Callable:
    """A misbehaviour for the paths that end so."""

    def misbehave(handler, path: str) -> bool:
        if not path.endswith(end):
            return False
        answer(handler)
        return True

    return misbehave


def channel_of(end: str) -> str:
    return "mandatory" if end in {"2.mandatory.json", TARGET} else ""


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch: pytest.MonkeyPatch) -> str:
    """Large target files are fetched in another way, with resuming."""
    if request.param == "large":
        monkeypatch.setattr(kept_targets, "SMALL", 0)
    return request.param


# ---- endless data ----


@pytest.mark.parametrize("end", METADATA)
def test_endless_metadata_is_cut_off(newer: Province, school: School, web: Web, end: str):
    web.misbehave.append(of_path(end, lambda handler: handler.drip(b"x" * 65536, 0)))
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", channel_of(end))}
    assert school.status.received < 2_000_000


def test_an_endless_target_is_cut_off(newer: Province, school: School, web: Web, size: str):
    web.misbehave.append(of_path(TARGET, lambda handler: handler.drip(b"x" * 4096, 0)))
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}
    assert school.status.received < 2_000_000
    assert all(path.stat().st_size < 100_000 for path in school.place.directory.rglob("*") if path.is_file()), "no disk is filled"


@pytest.mark.parametrize("name", ["timestamp.json", "2.mandatory.json"])
def test_a_kilobyte_that_unpacks_to_a_gigabyte_is_cut_off(newer: Province, school: School, web: Web, name: str):
    from gzip import compress

    bomb = compress(b"\0" * 50_000_000)
    web.misbehave.append(of_path(name, lambda handler: handler.answer(200, bomb, {"Content-Encoding": "gzip"})))
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", channel_of(name))}


# ---- slow retrieval ----


@pytest.fixture
def passing_time(open_school: Callable[..., School], province: Province, web: Web) -> School:
    """It has the first release; there is a second."""
    made = open_school(web.url, step=STEP)
    made.poll(NOW)
    assert made.serves() == UNTOUCHED
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    return made


@pytest.mark.parametrize("end", [*METADATA, TARGET])
def test_an_answer_that_drips_is_given_up(passing_time: School, web: Web, end: str):
    web.misbehave.append(of_path(end, lambda handler: handler.drip(b"x", 0.001)))
    passing_time.poll(NOW)
    assert passing_time.serves() == UNTOUCHED
    assert passing_time.troubles == {("slow", channel_of(end))}


@pytest.mark.parametrize("end", ["timestamp.json", TARGET])
def test_an_answer_whose_head_drips_is_given_up(newer: Province, school: School, web: Web, end: str):
    web.misbehave.append(of_path(end, lambda handler: handler.drip(b"X-Waiting: yes\r\n", 0.01, b"HTTP/1.1 200 OK\r\n")))
    impatient = School(school.place.directory, newer.root, web.url, limits=Limits(small_seconds=1.0))
    impatient.poll(NOW)
    impatient.close()
    assert impatient.serves() == UNTOUCHED
    assert impatient.troubles == {("slow", channel_of(end))}


def test_a_large_file_that_drips_is_given_up(passing_time: School, web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept_targets, "SMALL", 0)
    web.misbehave.append(of_path(TARGET, lambda handler: handler.drip(b"x", 0.001)))
    passing_time.poll(NOW)
    assert passing_time.serves() == UNTOUCHED
    assert passing_time.troubles == {("slow", "mandatory")}


def test_after_the_slowness_the_release_is_taken(passing_time: School, web: Web):
    web.misbehave.append(of_path(TARGET, lambda handler: handler.drip(b"x", 0.001)))
    passing_time.poll(NOW)
    web.misbehave.clear()
    passing_time.poll(NOW)
    assert passing_time.serves() == NEWER
    assert passing_time.status.troubles == ()


# ---- malicious mirrors: the first is bad, the second is good ----

MISBEHAVIOURS = {
    "has nothing": lambda handler: handler.answer(404),
    "is overloaded": lambda handler: handler.answer(503, headers={"Retry-After": "999999999"}),
    "is cut off": lambda handler: handler.answer(200, b'{"signed', promised=4000),
    "never ends": lambda handler: handler.drip(b"x" * 65536, 0),
    "drips": lambda handler: handler.drip(b"x", 0.001),
    "is a captive portal": lambda handler: handler.answer(200, b"<html>Please log in</html>"),
    "leads in circles": lambda handler: handler.answer(302, headers={"Location": handler.path}),
}
ALARMING = {"never ends": "refused", "drips": "slow", "is a captive portal": "refused"}
"""what no honest mirror does is said, although the other one had everything"""


@pytest.fixture
def bad(tmp_path, province: Province) -> Iterator[Web]:
    """The first mirror; it has the first release and is well until a test says otherwise."""
    with serving(province.copy(tmp_path / "mirror")) as server:
        yield server


@pytest.fixture
def two(open_school: Callable[..., School], bad: Web, web: Web) -> School:
    """A school with two mirrors, the bad one first, that has the first release."""
    assert int(NOW // HOUR) % 2 == 0, "so that the first mirror is asked first"
    made = open_school(bad.url, web.url, step=STEP)
    made.poll(NOW)
    assert made.serves() == UNTOUCHED
    return made


@pytest.mark.parametrize("how", MISBEHAVIOURS)
@pytest.mark.parametrize("end", ["timestamp.json", "2.snapshot.json", "2.mandatory.json", TARGET])
def test_what_one_mirror_withholds_or_spoils_another_has(province: Province, two: School, bad: Web, how: str, end: str):
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    province.copy(bad.folder)
    bad.misbehave.append(of_path(end, MISBEHAVIOURS[how]))
    two.poll(NOW)
    assert two.serves() == NEWER
    if end == "timestamp.json":
        assert {kind for kind, _ in two.troubles} == ({ALARMING[how]} if how in ALARMING else set())


def test_a_mirror_that_forges_is_passed_over_and_named(tmp_path, province: Province, two: School, bad: Web):
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    forging = Province(tmp_path / "forging")
    forging.say("mandatory", entry("victim.example")).publish()
    bad.folder = forging.repository
    two.poll(NOW)
    assert two.serves() == NEWER
    assert two.troubles == {("refused", "")}


def test_a_mirror_that_stands_still_is_found_out_within_two_hours(province: Province, two: School):
    """Its signatures are good for two days yet, so only the other mirror can tell."""
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    two.poll(NOW + HOUR)
    assert two.serves() == NEWER


def test_a_mirror_that_was_found_out_cannot_keep_the_box_from_the_next_release(province: Province, two: School):
    """Its timestamp, older than what is known, is refused once; that it stands still afterwards (304) says nothing of what is new."""
    for number in range(2, 5):
        province.say("mandatory", entry("bad.example"), entry(f"release-{number}.example")).publish()
        two.poll(NOW + HOUR + 60 * number)
        assert f"release-{number}.example" in two.serves(), number
        assert two.troubles == ({("refused", "")} if number > 2 else set())


def test_a_mirror_that_lies_about_one_file_costs_only_that_file(province: Province, two: School, bad: Web):
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    province.copy(bad.folder)
    (bad.folder / province.target_file("mandatory/list.csv")).write_bytes(b"name,category\n")
    two.poll(NOW)
    assert two.serves() == NEWER


def test_two_mirrors_that_are_both_bad_change_nothing(province: Province, two: School, bad: Web, web: Web):
    province.say("mandatory", entry("bad.example"), entry("newer.example"))
    publish_signed_by(province, "timestamp", own_key())
    province.copy(bad.folder)
    two.poll(NOW)
    assert two.serves() == UNTOUCHED
    assert two.troubles == {("refused", "")}
    two.poll(NOW + 4 * DAY)
    assert two.serves() == UNTOUCHED


def test_one_who_stands_in_the_middle_for_one_poll_delays_by_no_more(province: Province, school: School):
    """What was refused is asked for again, although the publisher has nothing newer."""
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    true = (province.repository / province.target_file("mandatory/list.csv")).read_bytes()
    province.spoil(province.target_file("mandatory/list.csv"), b"forged")
    school.poll(NOW + 60)
    assert school.troubles == {("refused", "mandatory")}
    province.spoil(province.target_file("mandatory/list.csv"), true)
    school.poll(NOW + 120)
    assert school.serves() == NEWER
    assert school.status.troubles == ()
