"""Whether values can be added up, and whether a few of them decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flask_abx.results.scanning.sums import Cap, Sums
from flask_abx.results.shapes import CheckId, HealthCheck, Level
from tests.results.checked import every, hits, only, summed
from tests.results.judged import conversions, run, values

REVENUE: dict[str, Any] = {"kind": "sum", "event": "purchase"}
METRICS = {"revenue": REVENUE}


def test_values_that_are_no_numbers_are_counted() -> None:
    bad = replace(conversions(900, 90), bad=7)
    told = only(
        CheckId.BAD_VALUES, summed("signup", control=bad, bold=replace(bad, bad=5))
    )
    assert (told.level, told.value, told.metric) == (Level.WARN, 12, "signup")
    assert told.sentence.startswith("12 rows of signup were left out")


def test_usable_values_are_fine() -> None:
    assert only(CheckId.BAD_VALUES, hits(900, 90)).level is Level.OK


def before(mean: float, other: float) -> HealthCheck:
    """Check variants whose units had such means before the exposure."""

    def having(mean: float) -> Sums:
        squares = 9_999 + 10_000 * mean * mean
        told = conversions(10_000, 900)
        return replace(told, history=5_000, x=10_000 * mean, xx=squares)

    return only(
        CheckId.PRE_PERIOD,
        summed("signup", control=having(mean), bold=having(other)),
        metrics={"signup": {"covariate": "14d"}},
    )


def test_variants_that_differed_before_are_told() -> None:
    told = before(3.0, 3.0467)
    assert (told.level, told.limit) == (Level.WARN, 0.001)
    assert (told.metric, told.variant) == ("signup", "bold")
    assert "(p = 9e-4, alarm below 0.001)" in told.sentence


def test_a_difference_just_above_the_alarm_is_fine() -> None:
    told = before(3.0, 3.0464)
    assert told.level is Level.OK
    assert told.value == pytest.approx(0.00103, rel=0.01)


def test_a_shift_changes_nothing_of_what_was_before() -> None:
    shifted = replace(
        conversions(10_000, 900), history=1, x=0.0, xx=9_999.0, shift_x=3.0467
    )
    plain = replace(shifted, x=30_000.0, xx=9_999.0 + 90_000.0, shift_x=0.0)
    told = only(
        CheckId.PRE_PERIOD,
        summed("signup", control=plain, bold=shifted),
        metrics={"signup": {"covariate": "14d"}},
    )
    assert told.value == pytest.approx(before(3.0, 3.0467).value)


def test_more_comparisons_share_the_alarm() -> None:
    same = replace(conversions(900, 90), history=9, x=9.0, xx=9.0)
    told = only(
        CheckId.PRE_PERIOD,
        summed("signup", control=same, bold=same, calm=same),
        run(variants=("control", "bold", "calm")),
        metrics={"signup": {"covariate": "14d"}},
    )
    assert (told.level, told.limit) == (Level.OK, 0.0005)


def test_without_a_covariate_nothing_is_known_of_before() -> None:
    assert only(CheckId.PRE_PERIOD, hits(900, 90)).level is Level.SKIPPED


def test_without_history_nothing_is_known_of_before() -> None:
    metrics = {"signup": {"covariate": "14d"}}
    told = only(CheckId.PRE_PERIOD, hits(900, 90), metrics=metrics)
    assert told.level is Level.SKIPPED


def buyers(highest: float, nonzero: int = 90) -> Sums:
    """Sum 10,000 of which the highest unit has so much."""
    return replace(
        values(1_000, 10.0, 5.0), nonzero=nonzero, raw=10_000.0, highest=highest
    )


def top(highest: float, nonzero: int = 90, cap: Cap | None = None) -> HealthCheck:
    aggregates = summed(
        "revenue", control=buyers(100, nonzero), bold=buyers(highest, nonzero)
    )
    if cap is not None:
        aggregates = replace(aggregates, caps={"revenue": cap})
    return only(
        CheckId.OUTLIER, aggregates, run(metrics="revenue"), metrics=METRICS, skews={}
    )


def test_one_unit_with_much_of_a_sum_is_told() -> None:
    told = top(501)
    assert (told.level, told.value, told.limit) == (Level.WARN, 0.0501, 0.05)
    assert (told.metric, told.variant) == ("revenue", "bold")
    assert "One visitor makes 5.01 % of revenue in bold" in told.sentence
    assert "cap = 0.999" in told.way_out


def test_a_twentieth_of_a_sum_is_fine() -> None:
    assert top(500).level is Level.OK


def test_a_cap_cuts_the_largest_unit() -> None:
    assert top(5_000, cap=Cap(value=400.0)).level is Level.OK
    assert top(5_000, cap=Cap(reason="It is zero.")).level is Level.WARN


def test_of_a_handful_of_units_each_is_large() -> None:
    assert top(5_000, nonzero=24).level is Level.SKIPPED


def test_a_conversion_has_no_large_units() -> None:
    told = only(CheckId.OUTLIER, hits(900, 90))
    assert (told.level, told.sentence) == (Level.SKIPPED, "No metric adds up values.")


def test_refunds_that_outweigh_a_sum_break_nothing() -> None:
    sums = replace(buyers(10), raw=-5.0)
    told = only(
        CheckId.OUTLIER,
        summed("revenue", control=sums, bold=sums),
        run(metrics="revenue"),
        metrics=METRICS,
        skews={},
    )
    assert told.level is Level.SKIPPED


def test_comparisons_that_wait_for_their_skewness_are_told() -> None:
    sums = buyers(100)
    told = [
        each
        for each in every(
            summed("revenue", control=sums, bold=sums),
            run(metrics="revenue"),
            metrics=METRICS,
            skews={("revenue", "bold"): 0.6},
        )
        if each.id is CheckId.SKEW
    ]
    assert [(each.level, each.value, each.limit) for each in told] == [
        (Level.WARN, 0.6, 0.3)
    ]
    assert "its skewness is 0.6 (read up to 0.3)" in told[0].sentence
    assert "about 4.0 times the visitors" in told[0].way_out


@pytest.mark.parametrize(
    ("third", "level"), [(900_000.0, Level.OK), (1_500_000.0, Level.WARN)]
)
def test_skewness_is_worked_out_where_it_is_not_given(
    third: float, level: Level
) -> None:
    told = only(
        CheckId.SKEW,
        summed(
            "revenue",
            control=values(9_000, 10.0, 50.0, third=third),
            bold=values(1_000, 10.0, 50.0, third=third),
        ),
        run(metrics="revenue", variants={"control": 9, "bold": 1}),
        metrics=METRICS,
    )
    assert told.level is level


def test_a_conversion_does_not_wait_for_skewness() -> None:
    assert only(CheckId.SKEW, hits(900, 90)).level is Level.SKIPPED
