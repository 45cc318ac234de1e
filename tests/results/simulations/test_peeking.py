"""Whoever looks every day errs no more often than alpha says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flask_abx.results.figures.normal import beyond
from flask_abx.results.inference import Estimate, chance_to_beat
from tests.results.simulations.formulas import means, multipliers, standings
from tests.results.simulations.streams import (
    Stream,
    chance,
    conversions,
    error_of,
    normal,
    revenue,
    share,
    walks,
)

if TYPE_CHECKING:
    from tests.results.simulations.streams import Array, Chance, Draw

ALPHA = 0.05
N_STAR = 20_000
FIXED = beyond(ALPHA / 2)


def nulls(draw: Draw, rng: Chance, runs: int, looks: int, units: int) -> Array:
    """Draw two variants that do not differ, and compare them at each look."""
    control, treatment = (draw(rng, runs, looks, units) for _ in range(2))
    return np.abs(standings(means(control), means(treatment)))


def at_any_time(looks: int, units: int) -> Array:
    """Give what an effect must exceed at each look, so many units a variant."""
    return multipliers(np.arange(1, looks + 1) * 2 * units, N_STAR, ALPHA)


@pytest.mark.parametrize(
    ("draw", "runs"),
    [(normal, 20_000), (conversions, 20_000), (revenue, 6_000)],
    ids=["normal", "conversion", "revenue"],
)
def test_twenty_looks(draw: Draw, runs: int) -> None:
    """sim-peek-20: 1,000 units a variant and look."""
    t = nulls(draw, chance("sim-peek-20"), runs, 20, 1_000)
    assert share(t > at_any_time(20, 1_000)) <= 0.05
    # A fixed test is right at its one look, and at no other time.
    assert share(t > FIXED) > 0.15
    last = share(t[:, -1] > FIXED)
    assert abs(last - ALPHA) < 4 * error_of(ALPHA, runs)


@pytest.mark.parametrize(
    ("draw", "runs"),
    [(conversions, 10_000), (revenue, 6_000)],
    ids=["conversion", "revenue"],
)
def test_a_hundred_looks(draw: Draw, runs: int) -> None:
    """sim-peek-100: 200 units a variant and look."""
    t = nulls(draw, chance("sim-peek-100"), runs, 100, 200)
    assert share(t > at_any_time(100, 200)) <= 0.05
    assert share(t > FIXED) > 0.15


@pytest.mark.parametrize("draw", [conversions, revenue], ids=["conversion", "revenue"])
def test_looks_from_the_tenth_unit_on(draw: Draw) -> None:
    """sim-peek-early: 400 looks of 10 units a variant, without any gate."""
    t = nulls(draw, chance("sim-peek-early"), 3_000, 400, 10)
    assert share(t > at_any_time(400, 10)) <= 0.05
    assert share(t > FIXED) > 0.15


@pytest.mark.parametrize("draw", [normal, conversions], ids=["normal", "conversion"])
def test_a_chance_to_beat_is_not_safe_against_peeking(draw: Draw) -> None:
    """sim-bayes-peek: stop when it leaves 0.025 to 0.975 at any of 20 looks."""
    t = nulls(draw, chance("sim-bayes-peek"), 6_000, 20, 1_000)
    beaten = t[np.arange(200), 0], t[:200, 0] > FIXED
    for standing, is_left in zip(*beaten, strict=True):
        told = chance_to_beat(Estimate(float(standing), 1.0, 1))
        assert (told > 0.975) == is_left
    assert share(t > FIXED) > 0.15


def days_of(rng: Chance, shape: tuple[int, ...], unit_share: float) -> Array:
    """Draw what units have on each day, of which a share stays the same for a unit."""
    if unit_share:
        same = rng.normal(0, unit_share**0.5, (*shape[:-1], 1))
        return same + rng.normal(0, (1 - unit_share) ** 0.5, shape)
    return rng.poisson(rng.gamma(1.0, 0.3, (*shape[:-1], 1)), shape).astype(float)


def daily(values: Array, window: int, *, is_matured: bool) -> Stream:
    """Look every day at values by run, day of entry, unit and age.

    Those of a unit count up to the window. Before it is closed they do not count where
    only matured units do.
    """
    runs, days, units, _ = values.shape
    totals = np.cumsum(values, axis=3)
    least = window - 1 if is_matured else 0
    found = np.zeros((3, runs, days - least))
    for look in range(least, days):
        for entered in range(look - least + 1):
            known = totals[:, entered, :, min(look - entered, window - 1)]
            found[0, :, look - least] += units
            found[1, :, look - least] += known.sum(axis=1)
            found[2, :, look - least] += (known**2).sum(axis=1)
    n, y, yy = found
    return Stream(n, y, yy, yy, yy)


@pytest.mark.parametrize("unit_share", [0.05, 0.5, 0.9, 0], ids=lambda each: f"{each}")
@pytest.mark.parametrize(
    ("window", "is_matured"),
    [(28, False), (7, False), (7, True)],
    ids=["open", "all", "matured"],
)
def test_units_that_go_on_adding_up(
    window: int, unit_share: float, *, is_matured: bool
) -> None:
    """sim-longitudinal: 28 daily looks, the last of 0 being counts of events."""
    rng = chance("sim-longitudinal")
    drawn = (days_of(rng, (600, 28, 10, 28), unit_share) for _ in range(2))
    control, treatment = (
        means(daily(each, window, is_matured=is_matured)) for each in drawn
    )
    t = np.abs(standings(control, treatment))
    assert share(t > multipliers(2 * control.n[0], 2 * 280, ALPHA)) <= 0.05
    assert share(t > FIXED) > 0.1


@pytest.mark.parametrize("looks", [365, 2_000])
def test_the_same_units_for_years(looks: int) -> None:
    """sim-constant-n: all units enter on the first day, and go on for good.

    The information grows by the day where the units do not.
    """
    rng, days, units = chance("sim-constant-n"), np.arange(1, looks + 1), 10_000
    by_days = multipliers(units * np.maximum(1, days / 28), units, ALPHA)
    # Without that, and with a test that is no sequence at all.
    by_units = multipliers(np.full(looks, units), units, ALPHA)
    control = by_units if looks > 365 else np.full(looks, FIXED)
    found = np.zeros((2, 0), dtype=bool)
    for _ in range(10):
        t = np.abs(walks(rng, 2_000, looks))
        once = np.array([(t > each).any(axis=1) for each in (by_days, control)])
        found = np.hstack([found, once])
    assert share(found[0]) <= 0.05
    assert share(found[1]) > 0.05
