"""An effect of the planned size is found as often as the plan says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flask_abx.results.figures.normal import beyond
from flask_abx.results.power import (
    ANY_TIME_INFLATION,
    HYBRID_INFLATION,
    power,
    sample_size,
)
from tests.results.simulations.formulas import means, multipliers, standings
from tests.results.simulations.streams import (
    chance,
    conversions,
    error_of,
    share,
    walks,
)

if TYPE_CHECKING:
    from tests.results.simulations.streams import Array, Found

ALPHA, ANY_TIME, FINAL = 0.05, 0.01, 0.04
FIXED = beyond(ALPHA / 2)
LOOKS = 20
# Standard errors that an effect with a power of 80 % lies away, on average.
PLANNED = FIXED - beyond(0.8)


def sequence(alpha: float, looks: int = LOOKS) -> Array:
    """Give what an effect must exceed at each look, tuned at the planned one."""
    return multipliers(np.arange(1, looks + 1), LOOKS, alpha)


@pytest.mark.parametrize(("part", "is_enough"), [(1.0, True), (0.8, False)])
def test_a_sample_size_keeps_its_power(part: float, *, is_enough: bool) -> None:
    """sim-power-fixed: 10 % of units convert, 5 % more of them are to be found."""
    runs, rng = 20_000, chance("sim-power-fixed")
    units = sample_size(0.005, rate=0.1).units // 2
    assert units == 57_763
    control, treatment = (
        conversions(rng, runs, 1, int(units * part), rate=rate) for rate in (0.1, 0.105)
    )
    found = share(standings(means(control), means(treatment)) > FIXED)
    assert (abs(found - 0.8) <= 0.01) == is_enough
    told = power(0.005, 2 * int(units * part), rate=0.1)
    assert abs(found - told) < 4 * error_of(told, runs)


def test_a_sequence_finds_what_it_should_in_time() -> None:
    """sim-power-acs: after 1, 1.5, 2 and 3 times the units of a fixed test."""
    t = walks(chance("sim-power-acs"), 20_000, 60, drift=PLANNED, planned=LOOKS)
    found = t > sequence(ALPHA, 60)
    for look, measured in ((20, 0.499), (30, 0.725), (40, 0.863), (60, 0.972)):
        assert abs(share(found[:, :look]) - measured) <= 0.02
    # A stricter alpha would not pass for this one.
    strict = t[:, :20] > sequence(ANY_TIME)
    assert abs(share(strict) - 0.499) > 0.02


def test_a_hybrid_keeps_alpha_and_most_of_the_power() -> None:
    """sim-hybrid: 0.01 at any time, and 0.04 at the end of the plan."""
    rng, runs = chance("sim-hybrid"), 40_000
    nulls = np.abs(walks(rng, runs, LOOKS))
    planned = walks(rng, runs, LOOKS, drift=PLANNED)
    assert share(hybrid(nulls)) <= 0.05
    assert share(hybrid(planned)) >= 0.76
    # The final test at each look errs too often; without a final look it is blind.
    assert share(nulls > beyond(FINAL / 2)) > 0.05
    assert share(planned > sequence(ALPHA)) < 0.76


def hybrid(t: Array) -> Found:
    """Find at any time with one part of alpha, and at the last look with the rest."""
    found: Found = t > sequence(ANY_TIME)
    found[:, -1] |= t[:, -1] > beyond(FINAL / 2)
    return found


def at_any_time(t: Array) -> Found:
    found: Found = t > sequence(ALPHA)
    return found


@pytest.mark.parametrize(
    ("inflation", "is_hybrid"),
    [(ANY_TIME_INFLATION, False), (HYBRID_INFLATION, True)],
    ids=["any_time", "hybrid"],
)
def test_what_looking_costs_buys_the_power_back(
    inflation: float, *, is_hybrid: bool
) -> None:
    drift = PLANNED * math.sqrt(inflation)
    rng = chance("inflation")
    paid, unpaid = (walks(rng, 20_000, LOOKS, drift=each) for each in (drift, PLANNED))
    found = hybrid if is_hybrid else at_any_time
    assert 0.79 <= share(found(paid)) <= 0.83
    assert share(found(unpaid)) < 0.79


def test_winners_that_stop_early_exaggerate() -> None:
    """sim-exaggeration: why a winner shows its interval, and not its effect alone."""
    rng = chance("sim-exaggeration")
    just, twice = (walks(rng, 20_000, LOOKS, drift=each * PLANNED) for each in (1, 2))
    naive = exaggeration(just, np.full(LOOKS, FIXED), PLANNED)
    careful = exaggeration(just, sequence(ALPHA), PLANNED)
    clear = exaggeration(twice, sequence(ALPHA), 2 * PLANNED)
    assert naive > careful > clear > 1
    assert abs(naive - 1.69) < 0.1
    assert abs(clear - 1.14) < 0.05
    # Without stopping there is nothing to exaggerate.
    assert abs(np.mean(just[:, -1]) / PLANNED - 1) < 0.01


def exaggeration(t: Array, k: Array, drift: float) -> float:
    """Compare the effect at the first look that finds it with the true one."""
    found = t > k
    first, runs = found.argmax(axis=1), found.any(axis=1)
    # Standard errors shrink as units grow, so t times their size is the effect.
    effects = t / np.sqrt(np.arange(1, LOOKS + 1) / LOOKS)
    return float(np.mean(effects[runs, first[runs]]) / drift)
