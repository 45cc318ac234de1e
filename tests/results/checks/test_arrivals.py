"""Whether exposures and events arrive, in order, and meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flask_abx.results.looks.iteration import Iteration, Pause
from flask_abx.results.scanning.sums import Aggregates, Sums
from flask_abx.results.shapes import CheckId, HealthCheck, Level
from tests.results.checked import AT, HOUR, every, halves, hits, only, summed, units
from tests.results.judged import conversions, found, run


def last_seen(hours: float, each: int = 900) -> Aggregates:
    """Expose units, the last one so long ago."""
    at = AT - round(hours * HOUR)
    counts = {"control": each, "bold": 0}
    exposed = {
        group: replace(told, last_at=at)
        for group, told in units(counts).exposed.items()
    }
    return replace(units(counts), exposed=exposed)


def stopped(aggregates: Aggregates, iteration: Iteration | None = None) -> HealthCheck:
    return only(CheckId.EXPOSURES_STOPPED, aggregates, iteration)


def test_a_day_without_exposures_is_told() -> None:
    told = stopped(last_seen(24.1))
    assert (told.level, told.limit) == (Level.WARN, 24)
    assert told.value == pytest.approx(24.1)
    assert "24.1 hours ago" in told.sentence
    assert "flask abx doctor" in told.way_out


def test_just_under_a_day_is_fine() -> None:
    assert stopped(last_seen(23.9)).level is Level.OK


def test_where_few_come_the_wait_may_be_longer() -> None:
    rare = stopped(last_seen(48, each=20))
    assert rare.level is Level.OK
    assert rare.limit == pytest.approx(10 * (14 * 24 - 48) / 20)


def test_a_pause_is_no_wait() -> None:
    iteration = replace(run(), pauses=(Pause(AT - 80 * HOUR, AT - 5 * HOUR),))
    told = stopped(last_seen(80), iteration)
    assert (told.level, told.value) == (Level.OK, 5)


@pytest.mark.parametrize(
    "more",
    [{"status": "paused"}, {"closed": True}, {"traffic": 0.0}, {"concluded_at": AT}],
    ids=["paused", "closed", "no-traffic", "concluded"],
)
def test_where_nobody_may_come_nobody_is_missed(more: dict[str, Any]) -> None:
    assert stopped(last_seen(99), run(**more)).level is Level.SKIPPED


def test_after_its_end_nobody_is_missed() -> None:
    told = replace(last_seen(99), end=AT - 50 * HOUR)
    assert stopped(told).level is Level.SKIPPED


def test_before_the_first_exposure_nobody_is_missed() -> None:
    assert stopped(halves(0)).level is Level.SKIPPED


def test_a_metric_without_events_is_told() -> None:
    told = only(CheckId.METRIC_SILENT, hits(250, 0))
    assert (told.level, told.value, told.metric) == (Level.WARN, 500, "signup")
    assert told.sentence == (
        "None of 500 visitors has an event 'signup' for signup that counts (warning "
        "from 500 on)."
    )


def test_below_500_units_a_metric_may_be_silent() -> None:
    sums = {"control": conversions(249, 0), "bold": conversions(250, 0)}
    told = only(CheckId.METRIC_SILENT, summed("signup", **sums))
    assert told.level is Level.OK
    assert (
        "0 metrics of 1 have events; signup may wait for 500 visitors" in told.sentence
    )


def test_one_event_breaks_the_silence() -> None:
    sums = {"control": conversions(900, 1), "bold": conversions(900, 0)}
    told = only(CheckId.METRIC_SILENT, summed("signup", **sums))
    assert (told.level, told.value) == (Level.OK, 1)


def test_each_silent_metric_is_told() -> None:
    none = {"control": conversions(900, 0)}
    told = every(found({"a": none, "b": none}), run(metrics=["a", "b"]))
    silent = [each.metric for each in told if each.id is CheckId.METRIC_SILENT]
    assert silent == ["a", "b"]


def test_a_mean_of_zeros_is_not_silent() -> None:
    sums = Sums(n=900, d=40, raw_d=40)
    metrics = {"signup": {"kind": "mean"}}
    told = only(CheckId.METRIC_SILENT, summed("signup", control=sums), metrics=metrics)
    assert told.level is Level.OK


def test_a_silent_select_is_told_as_rows() -> None:
    told = only(CheckId.METRIC_SILENT, hits(900, 0), selects={"signup": "select 1"})
    assert "a row of signup" in told.sentence


def test_a_failed_metric_is_not_silent() -> None:
    failed = replace(hits(900, 0), failed={"signup": "No such table."})
    assert only(CheckId.METRIC_SILENT, failed).level is Level.SKIPPED


def joined(each: int, active: int, earlier: int = 0, **more: Any) -> HealthCheck:
    """Expose units of which so many have events at all."""
    aggregates = units({"control": each}, with_events=active, with_earlier=earlier)
    return only(CheckId.ID_JOIN, replace(aggregates, **more))


def test_events_of_other_ids_are_an_error() -> None:
    told = joined(10_000, 9)
    assert (told.level, told.value, told.limit) == (Level.ERROR, 0.0009, 0.001)
    assert told.sentence.startswith("9 of 10,000 visitors (0.0900 %) have an event")


def test_one_unit_in_a_thousand_is_joined_enough() -> None:
    assert joined(10_000, 10).level is Level.OK


def test_events_before_the_exposure_are_joined_too() -> None:
    assert joined(10_000, 5, 5).level is Level.OK


def test_below_500_units_ids_are_not_compared() -> None:
    assert joined(499, 0).level is Level.SKIPPED
    assert joined(500, 0).level is Level.ERROR


def test_without_any_event_ids_are_not_compared() -> None:
    assert joined(900, 0, events_arrive=False).level is Level.SKIPPED


def test_ids_of_selects_are_not_compared() -> None:
    aggregates = units({"control": 900}, with_events=0)
    told = only(CheckId.ID_JOIN, aggregates, selects={"signup": "select 1"})
    assert told.level is Level.SKIPPED


@pytest.mark.parametrize(("before", "level"), [(50, Level.OK), (51, Level.WARN)])
def test_events_that_came_too_early_are_told(before: int, level: Level) -> None:
    aggregates = units(
        {"control": 9_000}, with_events=1_000 - before, with_earlier=before
    )
    told = only(CheckId.EVENTS_BEFORE_EXPOSURE, aggregates)
    assert (told.level, told.value) == (level, before / 1_000)
    assert f"{before} of 1,000 visitors with events" in told.sentence


def test_without_events_none_came_too_early() -> None:
    aggregates = units({"control": 900}, with_events=0)
    told = only(CheckId.EVENTS_BEFORE_EXPOSURE, aggregates)
    assert told.level is Level.SKIPPED


@pytest.mark.parametrize(("ahead", "level"), [(10, Level.OK), (11, Level.WARN)])
def test_exposures_from_the_future_are_told(ahead: int, level: Level) -> None:
    told = only(CheckId.CLOCK, halves(5_000, ahead=ahead))
    assert (told.level, told.value) == (level, ahead / 10_000)
    assert f"{ahead} of 10,000 visitors (0.1" in told.sentence


def test_a_run_without_metrics_measures_nothing() -> None:
    told = {each.id: each.level for each in every(halves(900), run(metrics=[]))}
    assert told[CheckId.METRIC_SILENT] is Level.SKIPPED
    assert told[CheckId.ID_JOIN] is Level.SKIPPED
