"""When an experiment ran, and what was planned before anybody saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.experiments.metric import Plan
from flask_abx.results.looks.history import read_iteration
from flask_abx.results.looks.iteration import Iteration, Pause
from flask_abx.stores.database import reading
from tests.results.past import BEGIN, DAY, HOUR, Past, sqlite_past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
PLANNED = {**TWO, "plan": {"units": 1_000}}


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    """Make a past in which nothing has happened."""
    with sqlite_past(tmp_path) as past:
        yield past


def run_of(past: Past, number: int = 1) -> Iteration:
    """Read what is known of a run."""
    database = past.database
    with reading(database.own) as connection:
        return read_iteration(
            connection, database.tables, past.document, "headline", number
        )


def test_a_run_begins_when_it_takes_effect(past: Past) -> None:
    past.change(BEGIN, {**TWO, "status": "draft"})
    past.change(BEGIN + HOUR, TWO)
    past.expose({"bold": 1}, BEGIN + DAY)
    run = run_of(past)
    assert run.started_at == BEGIN + HOUR
    assert run.first_exposed_at == BEGIN + DAY
    assert [(each.number, each.began) for each in run.epochs] == [(1, BEGIN + HOUR)]


def test_a_run_without_exposures_has_none(past: Past) -> None:
    past.change(BEGIN, TWO)
    assert run_of(past).first_exposed_at is None


def test_a_pause_is_told_from_one_change_to_the_next(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.change(BEGIN + DAY, {**TWO, "status": "paused"})
    past.change(BEGIN + 2 * DAY, TWO)
    past.change(BEGIN + 3 * DAY, {**TWO, "status": "paused"})
    assert run_of(past).pauses == (
        Pause(BEGIN + DAY, BEGIN + 2 * DAY),
        Pause(BEGIN + 3 * DAY),
    )


def test_reopening_takes_the_end_back(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.change(BEGIN + DAY, {**TWO, "status": "concluded", "winner": "bold"})
    assert run_of(past).concluded_at == BEGIN + DAY
    past.change(BEGIN + 2 * DAY, TWO)
    assert run_of(past).concluded_at is None


def test_an_archived_run_ended_when_it_was_concluded(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.change(BEGIN + DAY, {**TWO, "status": "concluded"})
    past.change(BEGIN + 9 * DAY, {**TWO, "status": "archived"})
    assert run_of(past).concluded_at == BEGIN + DAY


def test_a_plan_of_before_counts_since_it_was_made(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.change(BEGIN + 1, PLANNED)
    past.change(BEGIN + 2, {**PLANNED, "name": "Loud"})
    past.expose({"bold": 1}, BEGIN + DAY)
    run = run_of(past)
    assert (run.plan, run.plan_saved_at) == (Plan(units=1_000), BEGIN + 1)
    assert run.is_plan_valid
    assert not run.is_plan_changed


def test_a_plan_made_after_the_first_look_is_told_and_does_not_count(
    past: Past,
) -> None:
    past.change(BEGIN, TWO)
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.change(BEGIN + DAY, PLANNED)
    run = run_of(past)
    assert (run.plan, run.plan_saved_at) == (Plan(units=1_000), BEGIN + DAY)
    assert not run.is_plan_valid


@pytest.mark.parametrize("later", [{"plan": {"units": 500}}, {}], ids=["less", "none"])
def test_the_first_plan_stays_the_plan(past: Past, later: dict[str, Any]) -> None:
    past.change(BEGIN, PLANNED)
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.change(BEGIN + DAY, {**TWO, **later})
    run = run_of(past)
    assert run.plan == Plan(units=1_000)
    assert run.is_plan_valid
    assert run.is_plan_changed


def test_a_metric_that_comes_late_is_named(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.change(BEGIN + DAY, {**TWO, "metrics": ["signup", "purchase"]})
    assert run_of(past).late_metrics == {"purchase"}


def test_what_is_made_primary_late_is_named(past: Past) -> None:
    roles = {"primary": ["signup"], "secondary": ["clicks"]}
    past.change(BEGIN, {**TWO, "metrics": roles})
    past.expose({"bold": 1}, BEGIN + HOUR)
    roles = {"primary": ["clicks"], "secondary": ["signup"]}
    past.change(BEGIN + DAY, {**TWO, "metrics": roles})
    assert run_of(past).late_metrics == {"clicks"}


@pytest.mark.parametrize(
    "later",
    [
        {"guardrail": [{"metric": "refund", "margin": 9.0}]},
        {"secondary": ["refund"]},
        {},
    ],
    ids=["wider", "demoted", "gone"],
)
def test_a_guardrail_of_before_stays(past: Past, later: dict[str, Any]) -> None:
    guard = {"guardrail": [{"metric": "refund", "margin": 0.05}]}
    past.change(BEGIN, {**TWO, "metrics": {"primary": ["signup"], **guard}})
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.change(BEGIN + DAY, {**TWO, "metrics": {"primary": ["signup"], **later}})
    run = run_of(past)
    [kept] = run.experiment.metrics.guardrail
    assert (kept.metric, kept.margin) == ("refund", 0.05)
    assert run.experiment.metrics.secondary == ()
    assert run.changed_metrics == {"refund"}


def test_the_analysis_of_before_stays(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.change(BEGIN + DAY, {**TWO, "analysis": {"alpha": 0.3}})
    run = run_of(past)
    assert run.experiment.analysis.alpha == 0.05
    assert run.is_plan_changed


def test_a_restart_ends_what_it_restarts(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.change(BEGIN + DAY, {**TWO, "iteration": 2})
    assert run_of(past, 1).concluded_at == BEGIN + DAY
    assert run_of(past, 2).concluded_at is None


def test_a_metric_that_changed_or_went_is_named(past: Past) -> None:
    metrics = ["signup", "spent", "clicks"]
    past.change(BEGIN, {**TWO, "metrics": metrics})
    for key in ("spent", "clicks"):
        past.metric(BEGIN, key, {"kind": "sum", "event": "purchase"})
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.metric(BEGIN + DAY, "spent", {"kind": "count", "event": "purchase"})
    past.metric(BEGIN + DAY, "clicks", None)
    run = run_of(past)
    assert run.changed_metrics == {"spent"}
    assert run.deleted_metrics == {"clicks"}


def test_another_name_of_a_metric_changes_nothing(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.metric(BEGIN, "signup", {"event": "signup"})
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.metric(BEGIN + DAY, "signup", {"event": "signup", "name": "Sign-ups"})
    assert run_of(past).changed_metrics == frozenset()


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ({"variants": {"control": 1, "bold": 9}}, "weights"),
        ({"unit": "user"}, "unit"),
        ({"salt": "new"}, "salt"),
    ],
    ids=["weights", "unit", "salt"],
)
def test_what_moves_units_about_is_named(
    past: Past, later: dict[str, Any], told: str
) -> None:
    past.change(BEGIN, TWO)
    past.expose({"bold": 1}, BEGIN + HOUR)
    past.change(BEGIN + DAY, {**TWO, **later})
    assert run_of(past).changed_midrun == (told,)


def test_closing_a_variant_moves_nobody(past: Past) -> None:
    past.change(BEGIN, TWO)
    past.expose({"bold": 1}, BEGIN + HOUR)
    variants = [{"key": "control"}, {"key": "bold", "closed": True}]
    past.change(BEGIN + DAY, {**TWO, "variants": variants})
    run = run_of(past)
    assert run.changed_midrun == ()
    assert [set(each.weights) for each in run.epochs] == [
        {"control", "bold"},
        {"control"},
    ]
    assert run.common_epochs("control", "bold") == {1}


def test_an_earlier_run_is_told_as_it_was_defined_then(past: Past) -> None:
    past.change(BEGIN, {**TWO, "metrics": ["letters"]})
    past.change(BEGIN + DAY, {**TWO, "iteration": 2})
    assert run_of(past, 1).experiment.metrics.primary == ("letters",)
    assert run_of(past, 2).experiment.metrics.primary == ("signup",)


def test_a_run_of_which_no_change_is_stored_begins_with_its_first_unit(
    past: Past,
) -> None:
    past.latest["experiment"] = {"headline": TWO}
    past.expose({"bold": 1}, BEGIN)
    run = run_of(past)
    assert run.started_at == BEGIN
    assert not run.is_plan_valid
