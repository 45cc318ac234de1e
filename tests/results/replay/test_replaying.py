"""Random splits of units that all had the same, looked at by two tests."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from flask_abx.experiments.definition import parse
from flask_abx.results.metrics import Measure, measures
from flask_abx.results.replay.replaying import Slots, halved, replayed, slots_of
from flask_abx.results.scanning.sums import Day, Sums
from flask_abx.results.simulation.chance import Chance

FIRST = date(2026, 1, 5)


def measure(**metric: Any) -> Measure:
    document = parse(
        {
            "experiments": {"headline": {"variants": ["a", "b"], "metrics": "signup"}},
            "metrics": {"signup": metric},
        }
    )
    return measures(document.experiments["headline"], document.metrics, {})[0]


def traffic(
    asked: Measure,
    *,
    days: int = 14,
    units: int = 6,
    slots: int = 100,
    rate: float = 0.2,
) -> dict[Day, Sums]:
    """Draw what the units of each slot did each day."""
    chance, series = Chance("units"), {}
    for slot in range(slots):
        for day in range(days):
            values = [
                chance.lognormal(5, 1) if asked.metric.kind == "sum" else 1.0
                for _ in range(units)
                if chance.happens(rate)
            ]
            series[Day(str(slot), 1, FIRST + timedelta(days=day))] = Sums(
                n=units, y=sum(values), yy=sum(each * each for each in values)
            )
    return series


@pytest.mark.parametrize("kind", ["conversion", "sum"])
def test_an_ordinary_test_is_fooled_and_ours_is_not(kind: str) -> None:
    asked = measure(kind=kind)
    slots = slots_of(asked, traffic(asked))
    found = replayed(slots, splits=300, seed=1, alpha=0.05)
    assert found.units == 8_400
    assert found.ordinary_wins > 0.15 * 300
    assert found.our_wins <= 0.05 * 300


def test_a_single_look_of_an_ordinary_test_errs_as_it_says() -> None:
    asked = measure()
    slots = slots_of(asked, traffic(asked, days=1, units=60))
    found = replayed(slots, splits=400, seed=1, alpha=0.05)
    assert 0.02 < found.ordinary_wins / 400 < 0.08


def test_a_difference_that_is_there_is_found() -> None:
    asked, series = measure(), {}
    for slot in range(200):
        rate = 0.5 if slot < 100 else 0.1
        for day in range(3):
            many = round(10 * rate)
            series[Day(str(slot), 1, FIRST + timedelta(days=day))] = Sums(
                n=10, y=many, yy=many
            )
    slots = slots_of(asked, series)
    halves = Slots(asked, slots.days, {key: slots.added[key] for key in ("0", "150")})
    # Two slots are always parted, so each split has the whole effect; 30 units wait.
    assert replayed(halves, splits=5, seed=1, alpha=0.05).our_wins == 0
    more = {key: tuple(20 * each for each in halves.added[key]) for key in halves.added}
    sure = replayed(Slots(asked, slots.days, more), splits=5, seed=1, alpha=0.05)
    assert sure.our_wins == 5


def test_wins_never_become_fewer() -> None:
    asked = measure()
    found = replayed(slots_of(asked, traffic(asked)), splits=100, seed=1, alpha=0.05)
    for counts in (found.ordinary, found.ours):
        assert list(counts) == sorted(counts)
        assert len(counts) == len(found.days) == 14


def test_the_same_seed_is_the_same_splits() -> None:
    asked = measure()
    slots = slots_of(asked, traffic(asked, days=7))
    one, again, other = (
        replayed(slots, splits=60, seed=seed, alpha=0.05) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_halves_are_even_and_share_nobody() -> None:
    names = [str(each) for each in range(200)]
    one, other = halved(names, Chance("a split"))
    assert (len(one), len(other)) == (100, 100)
    assert sorted([*one, *other]) == sorted(names)


def test_every_slot_lands_in_either_half() -> None:
    names = ["a", "b", "c", "d"]
    firsts = [halved(names, Chance(f"split {each}"))[0] for each in range(400)]
    for name in names:
        assert 150 < sum(name in half for half in firsts) < 250


def test_days_without_anything_are_looked_at_too() -> None:
    series = {
        Day("1", 1, FIRST): Sums(n=3, y=1, yy=1),
        Day("1", 1, FIRST + timedelta(days=3)): Sums(n=2),
    }
    slots = slots_of(measure(), series)
    assert (len(slots.days), slots.units) == (4, 5)
    assert slots_of(measure(), series, 2).units == 3


def test_epochs_of_a_slot_are_added_up() -> None:
    series = {
        Day("1", 1, FIRST): Sums(n=3, y=1, yy=1),
        Day("1", 2, FIRST): Sums(n=2, y=1, yy=1),
    }
    assert slots_of(measure(), series).added["1"][:3] == (5, 2, 2)


def test_too_little_is_told() -> None:
    asked = measure()
    assert slots_of(asked, traffic(asked)).is_enough
    assert not slots_of(asked, {}).is_enough
    assert not slots_of(asked, traffic(asked, days=1, units=60)).is_enough
    assert not slots_of(asked, traffic(asked, slots=10)).is_enough
    assert not slots_of(asked, traffic(asked, rate=0.001)).is_enough


def test_progress_reaches_the_end() -> None:
    asked, told = measure(), []
    slots = slots_of(asked, traffic(asked, days=2))
    replayed(slots, splits=25, seed=1, alpha=0.05, tell=lambda *each: told.append(each))
    assert told == [(10, 25), (10, 25), (5, 25)]
