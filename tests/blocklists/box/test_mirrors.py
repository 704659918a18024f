"""Which mirror is asked next: in the province's order, not one that has failed lately, and none is given up for ever."""

from blocklists.box.mirrors import FIRST_PAUSE, LONGEST_ASKED, LONGEST_PAUSE, Mirrors


def urls(mirrors: Mirrors, now: float, turn: int = 0) -> list[str]:
    return [mirror.url for mirror in mirrors.to_ask(now, turn)]


def made(chance: float = 0.0) -> Mirrors:
    return Mirrors(["https://a.example/", "https://b.example", "https://c.example"], lambda: chance)


def test_they_are_asked_in_the_province_s_order_and_every_one_comes_first_in_its_turn():
    mirrors = made()
    assert urls(mirrors, 0.0) == ["https://a.example", "https://b.example", "https://c.example"]
    assert [urls(mirrors, 0.0, turn)[0] for turn in range(4)] == [
        "https://a.example",
        "https://b.example",
        "https://c.example",
        "https://a.example",
    ]


def test_one_that_fails_is_left_alone_for_longer_and_longer_and_never_for_ever():
    mirrors = made()
    first = mirrors.to_ask(0.0)[0]
    pauses = []
    for _ in range(12):
        mirrors.failed(first, 0.0)
        pauses.append(first.not_before)
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert urls(mirrors, 1.0) == ["https://b.example", "https://c.example"]
    assert urls(mirrors, LONGEST_PAUSE)[0] == "https://a.example"
    mirrors.answered(first)
    assert urls(mirrors, 1.0)[0] == "https://a.example"


def test_a_server_may_ask_to_be_left_alone_but_not_for_ever():
    mirrors = made()
    first = mirrors.to_ask(0.0)[0]
    mirrors.failed(first, 0.0, 500.0)
    assert first.not_before == 500.0
    mirrors.failed(first, 0.0, 1e12)
    assert first.not_before == LONGEST_ASKED


def test_schools_do_not_come_back_in_step():
    early, late = made(0.0), made(1.0)
    for mirrors in (early, late):
        mirrors.failed(mirrors.to_ask(0.0)[0], 0.0, 100.0)
    assert [mirrors._mirrors[0].not_before for mirrors in (early, late)] == [100.0, 120.0]


def test_the_best_mirror_comes_first_and_the_others_follow():
    mirrors = made()
    second = mirrors.to_ask(0.0)[1]
    assert mirrors.others(second) == ["https://b.example", "https://a.example", "https://c.example"]
