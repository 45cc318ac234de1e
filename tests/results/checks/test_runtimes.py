"""Whether an experiment ran as long as it should, and no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from flask_abx.results.health import check_reading
from flask_abx.results.looks.iteration import Pause
from flask_abx.results.shapes import CheckId, Level, VerdictCode
from tests.results.checked import AT, HOUR, halves, only
from tests.results.judged import NOW, run
from tests.results.shown import SHOWN, too_early, winner

if TYPE_CHECKING:
    from flask_abx.results.shapes import HealthCheck, Results

DAY = 24 * HOUR


@pytest.mark.parametrize(("hours", "level"), [(33.6, Level.OK), (34, Level.WARN)])
def test_a_long_pause_is_told(hours: float, level: Level) -> None:
    began = AT - 5 * DAY
    iteration = replace(run(), pauses=(Pause(began, began + round(hours * HOUR)),))
    told = only(CheckId.PAUSED, halves(900), iteration)
    assert (told.level, told.limit) == (level, 0.1)
    assert told.value == pytest.approx(hours / 24 / 14)
    assert "10." in told.sentence
    assert "14.0 days" in told.sentence


def test_an_experiment_that_is_paused_now_is_told() -> None:
    iteration = replace(run(status="paused"), pauses=(Pause(AT - HOUR),))
    told = only(CheckId.PAUSED, halves(900), iteration)
    assert told.level is Level.WARN
    assert "so far for 0.298 % of its 14.0 days" in told.sentence
    assert "flask abx resume headline" in told.way_out


def test_a_run_without_a_break_is_fine() -> None:
    told = only(CheckId.PAUSED, halves(900))
    assert (told.level, told.value) == (Level.OK, 0)


@pytest.mark.parametrize("check", [CheckId.PAUSED, CheckId.WHOLE_WEEKS])
def test_what_has_not_started_has_no_length(check: CheckId) -> None:
    iteration = replace(run(), started_at=None)
    assert only(check, halves(0), iteration).level is Level.SKIPPED


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (6.9, Level.WARN, "Only 6.9 days are covered"),
        (7.0, Level.OK, "7.0 days are covered, 1 week in full"),
        (11.0, Level.OK, "11.0 days are covered, 1 week in full"),
        (14.5, Level.OK, "14.5 days are covered, 2 weeks in full"),
    ],
)
def test_a_running_experiment_needs_a_week(
    days: float, level: Level, text: str
) -> None:
    told = only(CheckId.WHOLE_WEEKS, halves(900), run(days=days))
    assert told.level is level
    assert told.sentence.startswith(text)
    assert told.value == pytest.approx(days)


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (3.0, Level.WARN, "Only 3.0 days"),
        (6.9, Level.OK, "6.9 days are covered, about 1 whole week."),
        (14.0, Level.OK, "14.0 days are covered, about 2 whole weeks."),
        (14.7, Level.OK, "14.7 days"),
        (16.0, Level.WARN, "16.0 days are covered, 2.0 days off 2 whole weeks"),
        (57.0, Level.OK, "57.0 days are covered, about 8 whole weeks."),
    ],
)
def test_an_experiment_ends_after_whole_weeks(
    days: float, level: Level, text: str
) -> None:
    iteration = run(days=days + 2, status="concluded", concluded_at=AT - 2 * DAY)
    told = only(CheckId.WHOLE_WEEKS, halves(900), iteration)
    assert told.level is level
    assert told.sentence.startswith(text)


@pytest.mark.parametrize(
    ("hours", "level", "text"),
    [
        (36, Level.WARN, "The end that was set was 1.5 days ago"),
        (-36, Level.OK, "The end that was set is in 1.5 days."),
    ],
    ids=["past", "to-come"],
)
def test_an_end_that_was_set_is_kept(hours: int, level: Level, text: str) -> None:
    iteration = run(end_at=NOW - timedelta(hours=hours))
    told = only(CheckId.PAST_END, halves(900), iteration)
    assert (told.level, told.value) == (level, hours / 24)
    assert told.sentence.startswith(text)


@pytest.mark.parametrize(("units", "level"), [(1_999, Level.OK), (2_000, Level.WARN)])
def test_a_plan_of_units_that_is_met_is_told(units: int, level: Level) -> None:
    told = only(CheckId.PAST_END, halves(units), run(plan={"units": 4_000}))
    assert (told.level, told.value, told.limit) == (level, 2 * units, 4_000)
    assert f"{2 * units:,}" in told.sentence


@pytest.mark.parametrize(("days", "level"), [(14, Level.OK), (13, Level.WARN)])
def test_a_plan_of_days_that_is_met_is_told(days: int, level: Level) -> None:
    told = only(CheckId.PAST_END, halves(900), run(plan={"days": days}))
    assert told.level is level
    assert f"The last of {days} planned days" in told.sentence


def test_a_planned_effect_is_met_once_its_units_are_known() -> None:
    iteration = run(plan={"mde": 0.05})
    told = only(CheckId.PAST_END, halves(900), iteration)
    assert told.level is Level.SKIPPED
    told = only(CheckId.PAST_END, halves(900), iteration, plan_units=1_800)
    assert told.level is Level.WARN


def test_a_plan_that_does_not_count_is_not_met() -> None:
    iteration = run(plan={"units": 4}, is_plan_valid=False)
    assert only(CheckId.PAST_END, halves(900), iteration).level is Level.SKIPPED


def test_a_concluded_experiment_does_not_run_on() -> None:
    iteration = run(plan={"units": 4}, status="concluded", concluded_at=AT)
    assert only(CheckId.PAST_END, halves(900), iteration).level is Level.SKIPPED


def read(results: Results, hours: float = 0.0) -> dict[CheckId, HealthCheck]:
    """Check results that are read so long after they were computed."""
    told = check_reading(results, results.as_of + timedelta(hours=hours))
    return {each.id: each for each in told}


@pytest.mark.parametrize(("hours", "level"), [(36.0, Level.OK), (36.5, Level.WARN)])
def test_old_numbers_are_stale(hours: float, level: Level) -> None:
    told = read(winner(), hours)[CheckId.STALE]
    assert (told.level, told.value, told.limit) == (level, hours, 36)
    assert f"{hours} hours old" in told.sentence


def test_numbers_of_a_finished_experiment_never_get_stale() -> None:
    results = replace(winner(), status="concluded")
    assert {each.level for each in read(results, 99).values()} == {Level.SKIPPED}


def test_a_clock_that_lags_behind_makes_no_negative_age() -> None:
    assert read(winner(), -5)[CheckId.STALE].value == 0


def decided(code: VerdictCode, days: float) -> HealthCheck:
    """Check a verdict that was first reached so many days ago."""
    results = SHOWN[code]()
    first_at = results.as_of - timedelta(days=days)
    verdict = replace(results.verdict, first_code=code, first_at=first_at)
    told = replace(results, verdict=verdict, status="running")
    return read(told)[CheckId.DECIDED_RUNNING]


@pytest.mark.parametrize(
    "code",
    [VerdictCode.WINNER, VerdictCode.HARM, VerdictCode.LOSER, VerdictCode.FLAT],
)
def test_a_verdict_that_nobody_acts_on_is_told(code: VerdictCode) -> None:
    told = decided(code, 3.1)
    assert told.level is Level.WARN
    assert told.value == pytest.approx(3.1)
    assert "first reached 3.1 days ago" in told.sentence
    assert told.way_out.startswith("Act on it: flask abx conclude ")
    assert decided(code, 2.9).level is Level.OK


def test_an_open_question_may_run() -> None:
    assert read(too_early())[CheckId.DECIDED_RUNNING].level is Level.OK
