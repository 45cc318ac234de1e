"""What an experiment costs: units and days for an effect, and the other way round."""

from __future__ import annotations

import math
from typing import Any

import pytest

from flask_abx.errors import UsageError
from flask_abx.experiments.definition import parse_entry
from flask_abx.experiments.metric import AnalysisTest
from flask_abx.experiments.model import Experiment
from flask_abx.results.plans.sizing import (
    Baseline,
    Pace,
    Pair,
    Terms,
    around,
    effect_of,
    family_of,
    inflation_of,
    pairs_of,
    sizes,
    units_for,
)
from flask_abx.results.power import ANY_TIME_INFLATION, HYBRID_INFLATION
from flask_abx.results.shapes import Role

TENTH = Baseline(0.1)
EVEN = (Pair(0.5, 1.0),)


def terms(**told: Any) -> Terms:
    """Give a single look at an even split, unless told otherwise."""
    chosen: dict[str, Any] = {
        "alpha": 0.05,
        "power": 0.8,
        "family": 1,
        "pairs": EVEN,
        "inflation": 1.0,
        **told,
    }
    return Terms(**chosen)


def experiment(**fields: Any) -> Experiment:
    body = {"variants": ["control", "bold"], "metrics": ["signup"], **fields}
    made = parse_entry("experiments", "headline", body)
    assert isinstance(made, Experiment)
    return made


def test_a_share_takes_what_the_formula_says() -> None:
    assert units_for(0.05, TENTH, terms()) == 2 * 57_763


def test_a_mean_takes_what_the_formula_says() -> None:
    needed = units_for(0.1, Baseline(5.0, sd=10.0), terms())
    assert needed == pytest.approx(4 * (1.959964 + 0.841621) ** 2 * 400, abs=2)


def test_a_decrease_takes_other_units_than_an_increase() -> None:
    down = units_for(0.05, TENTH, terms(is_lower_better=True))
    assert down == pytest.approx(2 * 56_000, rel=0.02)
    assert down != units_for(0.05, TENTH, terms())


@pytest.mark.parametrize(
    ("told", "factor"),
    [
        ({"inflation": ANY_TIME_INFLATION}, 1.8),
        ({"inflation": HYBRID_INFLATION}, 1.07),
        ({"family": 4}, 1.4207),
        ({"pairs": (Pair(0.5, 0.5), Pair(0.5, 0.5))}, 2.0),
    ],
    ids=["any-time", "hybrid", "four-comparisons", "a-third-variant"],
)
def test_units_grow_with_what_is_asked_beside(
    told: dict[str, Any], factor: float
) -> None:
    mean = Baseline(5.0, sd=10.0)
    plain, grown = (units_for(0.01, mean, each) for each in (terms(), terms(**told)))
    assert plain
    assert grown
    assert grown / plain == pytest.approx(factor, rel=1e-3)


def test_a_covariate_saves_units() -> None:
    plain, saved = (
        units_for(0.01, Baseline(5.0, 10.0, saved=each), terms()) for each in (0, 0.4)
    )
    assert plain
    assert saved
    assert saved / plain == pytest.approx(0.6, rel=1e-4)


def test_the_treatment_that_needs_most_decides() -> None:
    pairs = (Pair(0.5, 0.8), Pair(0.25, 0.5))
    alone = [units_for(0.05, TENTH, terms(pairs=(each,))) for each in pairs]
    assert None not in alone
    assert units_for(0.05, TENTH, terms(pairs=pairs)) == max(
        each for each in alone if each
    )


def test_a_share_cannot_change_beyond_everybody() -> None:
    assert units_for(0.5, Baseline(0.8), terms()) is None
    assert units_for(0.25, Baseline(0.8), terms()) is not None


@pytest.mark.parametrize(
    "baseline",
    [TENTH, Baseline(5.0, 10.0), Baseline(-3.0, 4.0), Baseline(0.1, saved=0.3)],
    ids=["share", "mean", "below-zero", "covariate"],
)
@pytest.mark.parametrize("is_lower", [False, True], ids=["higher", "lower"])
def test_the_effect_of_units_is_the_units_of_the_effect(
    baseline: Baseline, *, is_lower: bool
) -> None:
    told = terms(is_lower_better=is_lower, family=2)
    units = units_for(0.07, baseline, told)
    assert units
    assert effect_of(units, baseline, told) == pytest.approx(0.07, rel=1e-3)


def test_a_handful_of_units_finds_nothing() -> None:
    assert effect_of(4, Baseline(0.9), terms()) is None


def test_the_table_holds_what_is_asked_for() -> None:
    found = sizes(around(0.05), TENTH, terms(), Pace(daily=10_000))
    assert [each.effect for each in found] == [0.02, 0.03, 0.05, 0.075, 0.1]
    units = [each.units or math.inf for each in found]
    assert units == sorted(units, reverse=True)
    assert found[2].days == 12


def test_a_decrease_is_told_below_zero() -> None:
    found = sizes([0.05], TENTH, terms(is_lower_better=True), Pace())
    assert (found[0].effect, found[0].days) == (-0.05, None)


def test_looking_without_a_plan_costs_more() -> None:
    planned = terms(inflation=HYBRID_INFLATION)
    (found,) = sizes([0.05], TENTH, planned, Pace())
    assert found.units
    assert found.unplanned
    assert found.unplanned / found.units == pytest.approx(1.8 / 1.07, rel=1e-3)


def test_days_wait_for_the_window_of_the_last_unit() -> None:
    assert Pace(daily=1_000, follow=7).days(10_000) == 17


def test_days_are_no_fewer_than_the_analysis_runs() -> None:
    assert Pace(daily=1_000, least=7).days(2_000) == 7


def test_units_of_days_are_those_who_are_watched_in_time() -> None:
    assert Pace(daily=1_000, follow=7).units(17) == 10_000
    with pytest.raises(UsageError, match="watched for 7 days"):
        Pace(daily=1_000, follow=7).units(7)


def test_nobody_knows_days_without_traffic() -> None:
    assert Pace().days(100) is None
    with pytest.raises(UsageError, match="how many units come"):
        Pace().units(14)


@pytest.mark.parametrize(
    ("test", "is_planned", "factor"),
    [
        (AnalysisTest.AUTO, True, HYBRID_INFLATION),
        (AnalysisTest.AUTO, False, ANY_TIME_INFLATION),
        (AnalysisTest.HYBRID, True, HYBRID_INFLATION),
        (AnalysisTest.ANY_TIME, True, ANY_TIME_INFLATION),
        (AnalysisTest.FIXED, False, 1.0),
    ],
)
def test_the_test_says_what_looking_costs(
    test: AnalysisTest, factor: float, *, is_planned: bool
) -> None:
    assert inflation_of(test, is_planned=is_planned) == factor


def test_pairs_are_the_open_treatments() -> None:
    variants = [
        {"key": "control", "weight": 60},
        {"key": "bold", "weight": 20},
        {"key": "calm", "weight": 20, "closed": True},
    ]
    assert pairs_of(experiment(variants=variants)) == (Pair(0.25, 1.0),)


def test_an_experiment_of_one_open_variant_compares_nothing() -> None:
    variants = ["control", {"key": "bold", "closed": True}]
    with pytest.raises(UsageError, match="no two open variants"):
        pairs_of(experiment(variants=variants))


def test_a_primary_metric_shares_alpha_with_the_others() -> None:
    made = experiment(variants=["a", "b", "c"], metrics=["signup", "purchase"])
    assert family_of(made, Role.PRIMARY) == 4
    assert family_of(made, Role.SECONDARY) == 1


@pytest.mark.parametrize(
    ("mean", "sd"),
    [(0.0, None), (1.0, None), (-0.1, None), (0.0, 3.0), (2.0, -1.0), (math.nan, 1.0)],
)
def test_a_baseline_that_is_none_is_refused(mean: float, sd: float | None) -> None:
    with pytest.raises(UsageError):
        Baseline(mean, sd)
