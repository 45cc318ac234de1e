"""Draws that are the same each time, and spread as they should be."""

from __future__ import annotations

from statistics import fmean, median

import pytest

from flask_abx.results.simulation.chance import Chance

COUNT = 20_000


def test_a_name_has_its_own_draws() -> None:
    one, again, other = (Chance(name) for name in ("one", "one", "other"))
    drawn = [one.uniform() for _ in range(20)]
    assert drawn == [again.uniform() for _ in range(20)]
    assert not set(drawn).intersection(other.uniform() for _ in range(20))


def test_numbers_spread_evenly() -> None:
    chance = Chance("even")
    drawn = sorted(chance.uniform() for _ in range(COUNT))
    gaps = [abs(value - index / COUNT) for index, value in enumerate(drawn)]
    assert max(gaps) < 1.63 / COUNT**0.5


@pytest.mark.parametrize("mean", [0.15, 1.5, 6.0])
def test_counts_have_their_mean_and_variance(mean: float) -> None:
    chance = Chance("counts")
    drawn = [chance.poisson(mean) for _ in range(COUNT)]
    assert fmean(drawn) == pytest.approx(mean, rel=0.06)
    assert fmean((each - mean) ** 2 for each in drawn) == pytest.approx(mean, rel=0.06)


def test_nothing_is_counted_where_nothing_happens() -> None:
    assert Chance("none").poisson(0.0) == 0


def test_waits_have_their_mean() -> None:
    chance = Chance("waits")
    drawn = [chance.exponential(3.0) for _ in range(COUNT)]
    assert min(drawn) > 0
    assert fmean(drawn) == pytest.approx(3.0, rel=0.03)


def test_values_have_their_median_and_a_few_are_large() -> None:
    chance = Chance("values")
    drawn = [chance.lognormal(40.0, 0.6) for _ in range(COUNT)]
    assert median(drawn) == pytest.approx(40.0, rel=0.02)
    assert fmean(drawn) == pytest.approx(40.0 * 1.197, rel=0.03)
