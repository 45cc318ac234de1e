"""Counting what goes wrong, and telling it once a minute."""

from __future__ import annotations

import pytest

from flask_abx.events import tally as module
from flask_abx.events.tally import QUIET, Tally


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


def test_a_trouble_is_told_at_once_and_then_once_a_minute(clock: Clock) -> None:
    tally, told = Tally(), []
    for seconds in (0, 1, QUIET - 2, 1, QUIET, QUIET - 1):
        clock.now += seconds
        told.append(tally.count("lost"))
    assert told == [True, False, False, True, True, False]
    assert tally.counts == {"lost": 6}


def test_each_trouble_has_its_own_minute(clock: Clock) -> None:
    tally = Tally()
    assert [tally.count("a"), tally.count("b"), tally.count("a")] == [True, True, False]
    clock.now += QUIET
    assert tally.count("a")


def test_a_trouble_counts_as_many_as_it_hit(clock: Clock) -> None:
    tally = Tally()
    tally.count("lost", 3)
    clock.now += 1
    tally.count("lost", 4)
    assert tally.counts["lost"] == 7
    assert tally.counts["never"] == 0


def test_a_first_time_is_told_once_for_ever(clock: Clock) -> None:
    tally, told = Tally(), []
    for _ in range(3):
        clock.now += 10 * QUIET
        told.append(tally.first("seen"))
    assert told == [True, False, False]
    assert tally.counts["seen"] == 3
