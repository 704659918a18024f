"""The built-in tiers keep what they promise, and a school's changes are laid over them field by field."""

from itertools import pairwise

import pytest

from filters.category import CATEGORIES, LOCKED
from policies.model import Mode, ModeChange, Tier, TierChange, YouTube
from policies.tiers import HARM, MODES, TIERS, resolve_modes, resolve_tiers

PUPILS = ("mam-non", "tieu-hoc", "thcs", "thpt", "guest")


def blocked(tier: Tier) -> set[str]:
    return {category for category, decision in tier.categories.items() if decision == "block"}


def test_the_tiers_and_modes_of_the_design_are_there_with_both_titles():
    assert list(TIERS) == ["mam-non", "tieu-hoc", "thcs", "thpt", "staff", "guest"]
    assert list(MODES) == ["normal", "study", "exam", "break", "offline"]
    for each in (*TIERS.values(), *MODES.values()):
        assert each.title.vi
        assert each.title.en


@pytest.mark.parametrize("tier", PUPILS)
def test_pupils_are_kept_from_harm_and_no_teacher_can_lift_it(tier):
    assert set(HARM) | {"bypass", "dating", "piracy"} <= blocked(TIERS[tier])
    assert not set(TIERS[tier].liftable) & {*HARM, "bypass", "dating", "piracy"}
    assert TIERS[tier].safe_search
    assert TIERS[tier].youtube is not YouTube.OFF


def test_the_older_the_pupil_the_less_is_blocked():
    order = [blocked(TIERS[tier]) for tier in ("mam-non", "tieu-hoc", "thcs", "thpt", "staff")]
    assert all(older <= younger for younger, older in pairwise(order))


def test_built_in_tiers_name_only_what_exists_and_never_touch_what_is_fixed():
    for tier in TIERS.values():
        assert tier.categories.keys() <= CATEGORIES.keys()
        assert not set(tier.liftable) & LOCKED
        assert not blocked(tier) & {"help", "learning"}


def test_a_change_has_every_field_of_what_it_changes():
    assert TierChange.model_fields.keys() - {"based_on"} == Tier.model_fields.keys()
    assert ModeChange.model_fields.keys() == Mode.model_fields.keys()


def test_categories_merge_key_by_key_and_other_fields_replace():
    change = TierChange.model_validate({"categories": {"ai": "allow"}, "liftable": ["games"], "youtube": "strict"})
    tier = resolve_tiers({"thcs": change})["thcs"]
    assert tier.categories == TIERS["thcs"].categories | {"ai": "allow"}
    assert tier.liftable == ("games",)
    assert tier.youtube is YouTube.STRICT
    assert (tier.title, tier.safe_search) == (TIERS["thcs"].title, TIERS["thcs"].safe_search)


def test_an_own_tier_starts_from_the_changed_tier_that_it_is_based_on():
    changes = {
        "clb": TierChange.model_validate({"title": "Câu lạc bộ Tin", "based_on": "thcs", "categories": {"games": "allow"}}),
        "thcs": TierChange.model_validate({"categories": {"ai": "allow"}}),
    }
    tier = resolve_tiers(changes)["clb"]
    assert tier.categories["games"] == tier.categories["ai"] == "allow"
    assert tier.categories["social"] == "block"
    assert (tier.title.vi, tier.title.en) == ("Câu lạc bộ Tin", "Câu lạc bộ Tin")


def test_an_own_tier_of_nothing_blocks_nothing_but_has_the_safe_settings():
    tier = resolve_tiers({"own": TierChange.model_validate({"title": {"vi": "Riêng", "en": "Own"}})})["own"]
    assert tier == Tier.model_validate({"title": {"vi": "Riêng", "en": "Own"}})
    assert tier.safe_search


def test_own_modes_and_changed_ones():
    changes = {
        "study": ModeChange.model_validate({"blocks": ["games"]}),
        "reading": ModeChange.model_validate({"title": "Đọc sách", "only": "sites", "sites": ["thuvien.example"]}),
    }
    modes = resolve_modes(changes)
    assert modes["study"].blocks == ("games",)
    assert modes["study"].title == MODES["study"].title
    assert modes["reading"].sites == ("thuvien.example",)


@pytest.mark.parametrize("change", [TierChange(), TierChange(based_on="nothing")])
def test_an_own_tier_without_title_or_with_an_unknown_base_is_refused(change):
    with pytest.raises(ValueError, match="own"):
        resolve_tiers({"own": change})


def test_an_own_mode_without_title_is_refused():
    with pytest.raises(ValueError, match="own"):
        resolve_modes({"own": ModeChange()})
