"""How units are split between variants."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import pytest

from flask_abx.results.checks.splits import split_p
from flask_abx.results.looks.iteration import Epoch
from flask_abx.results.scanning.sums import Aggregates, Exposed, Group
from flask_abx.results.sequential import srm_sequential
from flask_abx.results.shapes import CheckId, HealthCheck, Level
from tests.results.checked import AT, every, halves, only, units
from tests.results.judged import run

DAY = 86_400_000
THIRDS = ("control", "bold", "calm")


def by_country(*values: tuple[str | None, int, int]) -> Aggregates:
    """Expose units of each country in both variants."""
    told = {
        Group(variant, 1, value): Exposed(units=count, last_at=AT)
        for value, *counts in values
        for variant, count in zip(("control", "bold"), counts, strict=True)
    }
    total = {
        variant: sum(each.units for group, each in told.items() if group[0] == variant)
        for variant in ("control", "bold")
    }
    return replace(units(total), exposed_by={"country": told})


def dimension(aggregates: Aggregates) -> HealthCheck:
    return only(CheckId.SRM_DIMENSION, aggregates, run(dimensions=["country"]))


def test_lost_units_break_the_split() -> None:
    found = only(CheckId.SRM, units({"control": 10_000, "bold": 9_300}))
    assert found.level is Level.ERROR
    assert found.variant == "bold"
    assert found.value is not None
    assert found.value < 0.01 == found.limit


def test_the_sentence_on_the_split_has_every_number() -> None:
    found = only(CheckId.SRM, units({"control": 10_000, "bold": 9_300}))
    assert found.sentence == (
        "350 visitors are missing from bold: 48.2 % instead of 50.0 % (p = 5e-5, alarm "
        "below 0.01; chi-square p = 4e-7)."
    )
    assert found.way_out.endswith("flask abx restart headline")


def test_a_split_just_above_the_alarm_is_fine() -> None:
    counts = {"control": 10_000, "bold": 9_471}
    found = only(CheckId.SRM, units(counts))
    assert found.level is Level.OK
    assert found.value == srm_sequential([*counts.values()], [1, 1])
    assert 0.01 <= found.value < 0.0102


def test_a_few_units_less_and_the_split_is_broken() -> None:
    found = only(CheckId.SRM, units({"control": 10_000, "bold": 9_470}))
    assert found.level is Level.ERROR


def test_a_small_sample_can_be_split_badly() -> None:
    assert only(CheckId.SRM, units({"control": 350, "bold": 150})).level is Level.ERROR


def test_a_tiny_gap_of_many_units_does_not_read_as_none() -> None:
    found = only(CheckId.SRM, units({"control": 10_020_000, "bold": 9_980_000}))
    assert "49.9 % instead of 50.0 %" in found.sentence
    found = only(CheckId.SRM, units({"control": 400_100_000, "bold": 399_900_000}))
    assert "49.99 % instead of 50.00 %" in found.sentence


def test_nobody_is_no_split() -> None:
    assert only(CheckId.SRM, halves(0)).level is Level.SKIPPED


def test_one_variant_is_no_split() -> None:
    run_ = run(
        variants={"control": 1, "bold": 0}, epochs=(Epoch(1, {"control": 1}, 0),)
    )
    assert only(CheckId.SRM, units({"control": 900}), run_).level is Level.SKIPPED


def test_a_closed_variant_is_expected_while_it_was_open_only() -> None:
    epochs = (
        Epoch(1, dict.fromkeys(THIRDS, 1 / 3), AT - 14 * DAY, AT - 7 * DAY),
        Epoch(2, {"control": 1 / 3, "bold": 1 / 3}, AT - 7 * DAY),
    )
    exposed = units(dict.fromkeys(THIRDS, 1_000)).exposed
    later = units({"control": 5_000, "bold": 5_000}, epoch=2).exposed
    aggregates = replace(halves(1), exposed={**exposed, **later})
    iteration = run(variants=THIRDS, epochs=epochs)
    assert only(CheckId.SRM, aggregates, iteration).level is Level.OK
    without = replace(iteration, epochs=epochs[:1])
    assert only(CheckId.SRM, aggregates, without).level is Level.ERROR


def test_a_late_unit_of_a_closed_variant_is_left_out() -> None:
    iteration = run(
        variants=THIRDS, epochs=(Epoch(1, {"control": 1, "bold": 1}, AT - DAY),)
    )
    counts = {"control": 1_000, "bold": 1_000, "calm": 3}
    assert only(CheckId.SRM, units(counts), iteration).level is Level.OK


def test_without_known_epochs_the_weights_of_now_count() -> None:
    iteration = run(variants={"control": 9, "bold": 1}, epochs=())
    counts = {"control": 9_000, "bold": 1_000}
    assert only(CheckId.SRM, units(counts), iteration).level is Level.OK


def test_one_epoch_is_the_sequential_test_itself() -> None:
    counts, weights = {"control": 520, "bold": 480}, {"control": 1.0, "bold": 1.0}
    assert split_p([(counts, weights)]) == srm_sequential([520, 480], [1, 1])


def test_epochs_add_to_the_evidence() -> None:
    weights = {"control": 1.0, "bold": 1.0}
    one = ({"control": 5_200, "bold": 4_850}, weights)
    assert split_p([one, one]) < split_p([one]) < 1


def test_errors_of_two_epochs_do_not_cancel_out() -> None:
    weights = {"control": 1.0, "bold": 1.0}
    strata = [
        ({"control": 5_500, "bold": 4_500}, weights),
        ({"control": 4_500, "bold": 5_500}, weights),
    ]
    assert split_p(strata) < 1e-10


def test_a_right_split_of_two_epochs_rarely_alarms() -> None:
    def chance(units: int, share: float) -> float:
        return comb(40, units) * share**units * (1 - share) ** (40 - units)

    even, uneven = {"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.1}
    alarms = sum(
        chance(one, 0.5) * chance(other, 0.9)
        for one in range(41)
        for other in range(41)
        if split_p(
            [({"a": one, "b": 40 - one}, even), ({"a": other, "b": 40 - other}, uneven)]
        )
        < 0.05
    )
    assert 0 < alarms < 0.05


def test_a_huge_break_does_not_overflow() -> None:
    found = only(CheckId.SRM, units({"control": 10**9, "bold": 10}))
    assert "p < 1e-300" in found.sentence


def test_a_country_that_loses_units_is_named() -> None:
    found = dimension(by_country(("DE", 5_000, 5_000), ("AT", 900, 600)))
    assert found.level is Level.WARN
    assert (found.dimension, found.variant) == ("country", "bold")
    assert found.limit == 0.005
    assert found.sentence.startswith(
        "With country = 'AT', 150 visitors are missing from bold: 40.0 % instead of "
        "50.0 % (p = "
    )
    assert found.sentence.endswith("alarm below 0.005); 1 of 2 values are split badly.")


def test_many_countries_share_the_alarm() -> None:
    bad = ("AT", 10_000, 9_470)
    assert dimension(by_country(bad)).level is Level.WARN
    others = [(f"C{number}", 10, 10) for number in range(9)]
    assert dimension(by_country(bad, *others)).level is Level.OK


def test_units_without_the_dimension_are_a_value_too() -> None:
    found = dimension(by_country(("DE", 5_000, 5_000), (None, 900, 600)))
    assert found.sentence.startswith("Without country, 150 visitors are missing")


def test_without_dimensions_none_is_looked_at() -> None:
    assert only(CheckId.SRM_DIMENSION, halves(900)).level is Level.SKIPPED


def test_an_empty_variant_is_an_error() -> None:
    found = only(CheckId.EMPTY_VARIANT, units({"control": 100, "bold": 0}))
    assert (found.level, found.variant) == (Level.ERROR, "bold")
    assert (found.value, found.limit) == (100, 100)
    assert "the others have 100 (alarm from 100 on)" in found.sentence


def test_a_variant_without_a_row_is_empty() -> None:
    assert only(CheckId.EMPTY_VARIANT, units({"control": 100})).level is Level.ERROR


def test_below_a_hundred_others_a_variant_may_be_empty() -> None:
    found = only(CheckId.EMPTY_VARIANT, units({"control": 99, "bold": 0}))
    assert found.level is Level.OK


def test_a_tiny_variant_may_be_empty_for_longer() -> None:
    iteration = run(variants={"control": 999, "bold": 1})
    found = only(CheckId.EMPTY_VARIANT, units({"control": 500}), iteration)
    assert found.level is Level.OK


def test_a_closed_variant_may_be_empty() -> None:
    variants = {"control": 1, "bold": 1, "calm": {"closed": True}}
    found = only(CheckId.EMPTY_VARIANT, halves(400), run(variants=variants))
    assert found.level is Level.OK
    assert "400 visitors" in found.sentence


def test_two_empty_variants_are_told_apart() -> None:
    told = every(units({"control": 900}), run(variants=THIRDS))
    found = [each.variant for each in told if each.id is CheckId.EMPTY_VARIANT]
    assert found == ["bold", "calm"]


@pytest.mark.parametrize(
    ("mixed", "level"), [(50, Level.OK), (51, Level.WARN), (1_001, Level.ERROR)]
)
def test_mixed_units_are_told_by_their_share(mixed: int, level: Level) -> None:
    assert only(CheckId.MIXED_UNITS, halves(5_000, mixed=mixed)).level is level


def test_a_tenth_of_mixed_units_is_only_a_warning() -> None:
    found = only(CheckId.MIXED_UNITS, halves(5_000, mixed=1_000))
    assert (found.level, found.value, found.limit) == (Level.WARN, 0.1, 0.005)


@pytest.mark.parametrize(
    ("weight", "level"), [(1.5, Level.OK), (1.6, Level.WARN)], ids=["even", "uneven"]
)
def test_uneven_weights_bear_fewer_mixed_units(weight: float, level: Level) -> None:
    iteration = run(variants={"control": weight, "bold": 1})
    found = only(CheckId.MIXED_UNITS, halves(5_000, mixed=11), iteration)
    assert found.level is level


def test_the_sentence_on_mixed_units_has_every_number() -> None:
    found = only(CheckId.MIXED_UNITS, halves(5_000, mixed=71))
    assert found.sentence == (
        "71 of 10,000 visitors (0.710 %) met two variants (warning above 0.5 %)."
    )


def test_many_joined_units_are_told() -> None:
    found = only(CheckId.LINKED_UNITS, halves(5_000, linked=3_001))
    assert found.level is Level.WARN
    assert found.sentence == (
        "3,001 of 10,000 visitors (30.0 %) were joined with another by a login and "
        "count once (warning above 30 %)."
    )


def test_some_joined_units_are_fine() -> None:
    found = only(CheckId.LINKED_UNITS, halves(5_000, linked=3_000))
    assert (found.level, found.value) == (Level.OK, 0.3)
