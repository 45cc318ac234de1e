"""What was changed after the first exposure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flask_abx.results.looks.iteration import Epoch
from flask_abx.results.shapes import CheckId, Level
from tests.results.checked import AT, HOUR, halves, only
from tests.results.judged import run

DAY = 24 * HOUR
BEGAN = AT - 14 * DAY
PLAN = {"units": 40_000}


def epochs(*weights: dict[str, float]) -> tuple[Epoch, ...]:
    """Give every set of weights a day."""
    return tuple(
        Epoch(number, each, BEGAN + (number - 1) * DAY, BEGAN + number * DAY)
        for number, each in enumerate(weights, 1)
    )


def test_an_untouched_run_is_fine() -> None:
    found = only(CheckId.CHANGED_MIDRUN, halves(900))
    assert (found.level, found.value) == (Level.OK, 0)


def test_changed_salt_and_unit_are_named() -> None:
    iteration = replace(run(), changed_midrun=("unit", "salt"))
    found = only(CheckId.CHANGED_MIDRUN, halves(900), iteration)
    assert (found.level, found.value) == (Level.ERROR, 2)
    assert found.sentence == (
        "2 of 3 things that place visitors changed after the first exposure: unit and "
        "salt."
    )
    assert found.way_out.endswith("flask abx restart headline")


def test_other_weights_are_told_with_their_shares() -> None:
    told = epochs({"control": 0.5, "bold": 0.5}, {"control": 0.9, "bold": 0.1})
    found = only(CheckId.CHANGED_MIDRUN, halves(900), run(epochs=told))
    assert (found.level, found.value) == (Level.ERROR, 1)
    assert "weights" in found.sentence
    assert found.sentence.endswith("control went from 50.0 % to 90.0 %.")


def test_closing_and_opening_a_variant_changes_no_weight() -> None:
    third = 1 / 3
    whole = {"control": third, "bold": third, "calm": third}
    told = epochs(whole, {"control": third, "bold": third}, whole)
    found = only(CheckId.CHANGED_MIDRUN, halves(900), run(epochs=told))
    assert found.level is Level.OK


def test_a_variant_more_moves_units() -> None:
    third = 1 / 3
    told = epochs(
        {"control": 0.5, "bold": 0.5}, {"control": third, "bold": third, "calm": third}
    )
    found = only(CheckId.CHANGED_MIDRUN, halves(900), run(epochs=told))
    assert found.level is Level.ERROR


def test_weights_may_change_before_the_first_exposure() -> None:
    told = epochs({"control": 0.9, "bold": 0.1}, {"control": 0.5, "bold": 0.5})
    iteration = replace(run(epochs=told), first_exposed_at=BEGAN + DAY)
    assert only(CheckId.CHANGED_MIDRUN, halves(900), iteration).level is Level.OK


@pytest.mark.parametrize("check", [CheckId.CHANGED_MIDRUN, CheckId.PLAN_CHANGED])
def test_before_the_first_exposure_all_may_change(check: CheckId) -> None:
    iteration = replace(run(plan=PLAN), first_exposed_at=None)
    assert only(check, halves(0), iteration).level is Level.SKIPPED


def test_a_plan_that_was_kept_is_fine() -> None:
    found = only(CheckId.PLAN_CHANGED, halves(900), run(plan=PLAN))
    assert (found.level, found.value) == (Level.OK, 40_000)


def test_without_a_plan_none_was_changed() -> None:
    assert only(CheckId.PLAN_CHANGED, halves(900)).level is Level.SKIPPED


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"units": 20_000}, "and is 20,000 visitors now"),
        ({"days": 21}, "and is 21 days now"),
        ({"mde": 0.05, "power": 0.9}, "and is an effect of 5 % with power 90 % now"),
        (None, "and is taken away (0 visitors) now"),
    ],
    ids=["units", "days", "mde", "none"],
)
def test_a_changed_plan_is_told(now: dict[str, Any] | None, told: str) -> None:
    before = run(plan=PLAN)
    after = run(plan=now).experiment
    iteration = replace(before, experiment=after, is_plan_changed=True)
    found = only(CheckId.PLAN_CHANGED, halves(900), iteration)
    assert found.level is Level.WARN
    assert "40,000 visitors before the first exposure" in found.sentence
    assert told in found.sentence


def test_a_late_plan_does_not_count() -> None:
    iteration = replace(
        run(plan=PLAN, is_plan_valid=False), plan_saved_at=BEGAN + 36 * HOUR
    )
    found = only(CheckId.PLAN_CHANGED, halves(900), iteration)
    assert (found.level, found.value) == (Level.WARN, 1.5)
    assert "1.5 days after the first exposure" in found.sentence


@pytest.mark.parametrize(
    ("check", "field"),
    [
        (CheckId.METRIC_CHANGED, "changed_metrics"),
        (CheckId.METRIC_DELETED, "deleted_metrics"),
    ],
    ids=["changed", "deleted"],
)
def test_touched_metrics_are_named(check: CheckId, field: str) -> None:
    iteration = run(metrics=["signup", "purchase", "visit"])
    assert only(check, halves(900), iteration).level is Level.OK
    touched: Any = {field: frozenset({"visit", "signup"})}
    found = only(check, halves(900), replace(iteration, **touched))
    assert (found.level, found.value, found.metric) == (Level.WARN, 2, None)
    assert found.sentence.startswith("2 metrics of 3 were ")
    assert found.sentence.endswith(": signup and visit.")


def test_a_deleted_metric_has_the_line_to_paste() -> None:
    iteration = replace(run(), deleted_metrics=frozenset({"signup"}))
    found = only(CheckId.METRIC_DELETED, halves(900), iteration)
    assert found.metric == "signup"
    assert "[metrics.signup]" in found.way_out


def test_an_experiment_without_metrics_has_none_to_touch() -> None:
    found = only(CheckId.METRIC_CHANGED, halves(900), run(metrics=[]))
    assert found.level is Level.SKIPPED


def test_a_metric_of_other_units_is_told() -> None:
    metrics = {"signup": {"unit": "account"}}
    found = only(CheckId.METRIC_UNIT, halves(900), metrics=metrics)
    assert (found.level, found.value, found.metric) == (Level.WARN, 1, "signup")
    assert found.sentence == (
        "signup is told by account, the experiment assigns by visitor: 1 metric of "
        "1 cannot be joined."
    )


def test_a_metric_of_one_of_several_units_is_fine() -> None:
    metrics = {"signup": {"unit": "visitor"}}
    iteration = run(unit=["user", "visitor"])
    found = only(CheckId.METRIC_UNIT, halves(900), iteration, metrics=metrics)
    assert found.level is Level.OK
