"""Status, start and end act by themselves, at the right second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.ruleset import compile_ruleset
from flask_abx.experiments.definition import parse

START = "2030-01-01T09:00:00+02:00"
END = "2030-01-08T07:00:00Z"
NINE = datetime(2030, 1, 1, 7, tzinfo=UTC)
LATER = datetime(2030, 1, 8, 7, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def decided(now: datetime, **fields: object) -> tuple[str, str, bool]:
    """Decide for somebody who lands in the treatment, at a moment."""
    experiment = {"unit": "user", "variants": {"a": 0, "b": 1}, **fields}
    ruleset = compile_ruleset(parse({"experiments": {"e": experiment}}), "c0", {})
    answer = decide(ruleset.rules["e"], Person({"user": "7"}), now)
    return answer.variant, answer.reason.value, answer.in_experiment


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NINE - TICK, ("a", "not_started", False)),
        (NINE, ("b", "allocated", True)),
        (LATER - TICK, ("b", "allocated", True)),
        (LATER, ("a", "ended", False)),
    ],
    ids=["before", "at the start", "just before the end", "at the end"],
)
def test_an_experiment_starts_and_ends_at_its_second(
    now: datetime, expected: tuple[str, str, bool]
) -> None:
    assert decided(now, start_at=START, end_at=END) == expected


def test_the_time_zone_of_now_does_not_matter() -> None:
    zone = timezone(timedelta(hours=-9))
    assert decided((NINE - TICK).astimezone(zone), start_at=START)[1] == "not_started"
    assert decided(NINE.astimezone(zone), start_at=START)[1] == "allocated"


def test_a_datetime_is_taken_as_well_as_a_text() -> None:
    assert decided(NINE - TICK, start_at=NINE)[1] == "not_started"
    assert decided(NINE, start_at=NINE)[1] == "allocated"


STATUSES = {
    "draft": ("a", "draft", False),
    "running": ("b", "allocated", True),
    "paused": ("a", "paused", False),
    "concluded": ("a", "concluded", False),
    "archived": ("a", "concluded", False),
}


@pytest.mark.parametrize(("status", "expected"), STATUSES.items(), ids=STATUSES)
def test_a_status_acts_by_itself(status: str, expected: tuple[str, str, bool]) -> None:
    assert decided(NINE, status=status) == expected


@pytest.mark.parametrize("status", ["concluded", "archived"])
def test_everyone_gets_the_winner_of_what_is_over(status: str) -> None:
    assert decided(NINE, status=status, winner="b") == ("b", "concluded", False)


@pytest.mark.parametrize("status", ["draft", "paused", "concluded"])
def test_a_status_stands_before_the_schedule(status: str) -> None:
    assert decided(NINE - TICK, status=status, start_at=START)[1] == status


def test_an_experiment_runs_unless_it_says_otherwise() -> None:
    assert decided(NINE) == ("b", "allocated", True)


def test_a_closed_experiment_and_a_closed_variant_take_no_new_unit() -> None:
    closed = {"a": 0, "b": {"weight": 1, "closed": True}}
    assert decided(NINE, closed=True) == ("a", "closed", False)
    assert decided(NINE, variants=closed) == ("a", "closed", False)
