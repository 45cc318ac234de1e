"""Intervals hold the truth as often as their level says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flask_abx.results.figures.normal import beyond
from flask_abx.results.inference import (
    CupedSums,
    Moments,
    adjustment,
    difference,
    fixed_test,
    moments,
    ratio,
)
from tests.results.simulations.formulas import (
    fieller_ends,
    means,
    multipliers,
    standings,
)
from tests.results.simulations.streams import (
    baskets,
    chance,
    conversions,
    share,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.results.simulations.formulas import Means
    from tests.results.simulations.streams import Array, Chance

ALPHA = 0.05
FIXED = beyond(ALPHA / 2)


def held(ends: tuple[Array, Array], truth: float) -> float:
    """Tell in which share of the runs an interval held the truth at every look.

    Where there is no interval, it has excluded nothing.
    """
    low, high = ends
    return 1 - share((low > truth) | (high < truth))


def delta_ends(control: Means, treatment: Means, k: Array) -> tuple[Array, Array]:
    """Draw the relative interval that the package does not: the delta method's."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = treatment.mean / control.mean
        own = treatment.variance / treatment.n / control.mean**2
        other = control.variance / control.n * quotient**2 / control.mean**2
    reach = k * np.sqrt(own + other)
    return quotient - 1 - reach, quotient - 1 + reach


def test_a_relative_interval_holds_at_every_look() -> None:
    """sim-relative-cs: 50 looks of 40 units a variant, 5 % convert, a fifth more."""
    rng, runs = chance("sim-relative-cs"), 20_000
    pair = [means(conversions(rng, runs, 50, 40, rate=rate)) for rate in (0.05, 0.06)]
    k = multipliers(pair[0].n[0] * 2, 4_000, ALPHA)
    assert held(fieller_ends(pair[0], pair[1], k), 0.2) >= 0.95
    assert held(delta_ends(pair[0], pair[1], k), 0.2) < 0.95


def test_a_relative_interval_of_few_units_holds() -> None:
    """sim-relative-fixed: 200 units a variant, 5 % convert, a tenth more."""
    rng, runs, k = chance("sim-relative-fixed"), 100_000, np.array([FIXED])
    pair = [means(conversions(rng, runs, 1, 200, rate=rate)) for rate in (0.05, 0.055)]
    low, high = fieller_ends(pair[0], pair[1], k)
    is_held = np.abs(standings(pair[0], pair[1], 1.1)) <= k
    is_shown = np.isfinite(low)
    # What is held is what the interval is solved for; it has no ends in 1 % of runs.
    assert np.array_equal(((low <= 0.1) & (high >= 0.1))[is_shown], is_held[is_shown])
    assert 0.945 <= share(is_held) <= 0.956
    assert held(delta_ends(pair[0], pair[1], k), 0.1) < 0.945


def covered(pairs: Sequence[tuple[Moments, Moments]]) -> float:
    """Tell how often the interval of a fixed test holds no effect at all."""
    tests = (fixed_test(difference(*pair), ALPHA) for pair in pairs)
    return float(np.mean([not each.interval.excludes() for each in tests]))


def paired(found: Sequence[Moments]) -> list[tuple[Moments, Moments]]:
    """Take every other one for the control."""
    return [*zip(found[::2], found[1::2], strict=True)]


def test_a_ratio_knows_that_users_were_split() -> None:
    """sim-ratio: clicks per session, 1,000 users a variant who differ much."""
    rng, by_user, by_session = chance("sim-ratio"), [], []
    for _ in range(4_000 * 2):
        sessions = 1 + rng.poisson(2.0, 1_000)
        clicks = rng.binomial(sessions, rng.beta(1.0, 3.0, 1_000))
        y, d = clicks.astype(float), sessions.astype(float)
        by_user.append(ratio(1_000, y.sum(), d.sum(), y @ y, d @ d, y @ d))
        rate = y.sum() / d.sum()
        by_session.append(Moments(d.sum(), rate, rate * (1 - rate)))
    assert 0.94 <= covered(paired(by_user)) <= 0.96
    assert covered(paired(by_session)) < 0.93


def history(rng: Chance, units: int) -> CupedSums:
    """Draw events before and after, at a rate that stays a user's own."""
    rate = rng.gamma(2.0, 1.9, units)
    x, y = (rng.poisson(rate).astype(float) for _ in range(2))
    return CupedSums(units, y.sum(), y @ y, x.sum(), x @ x, y @ x)


def test_a_covariate_saves_variance_and_no_more() -> None:
    """sim-cuped: 1,000 units a variant."""
    rng, left = chance("sim-cuped"), []
    adjusted: list[Moments] = []
    shrunk: list[Moments] = []
    for _ in range(4_000):
        sums = [history(rng, 1_000) for _ in range(2)]
        found = adjustment(sums)
        adjusted += found.variants
        left.append(1 - found.variance_reduction)
        # An effect that is not adjusted has not become any surer.
        shrunk += [
            replace(moments(each.n, each.y, each.yy), variance=after.variance)
            for each, after in zip(sums, found.variants, strict=True)
        ]
    assert 0.94 <= covered(paired(adjusted)) <= 0.96
    assert covered(paired(shrunk)) < 0.94
    correlation = 1.9 / (1 + 1.9)
    assert np.mean(left) == pytest.approx(1 - correlation**2, abs=0.01)


def test_a_cap_on_both_variants_together_keeps_the_level() -> None:
    """sim-winsor: 2,000 units a variant, cut at the nearest rank of 99.9 %."""
    rng, capped, shrunk, left = chance("sim-winsor"), [], [], []
    rank = math.ceil(0.999 * 4_000) - 1
    for _ in range(2_000):
        values = baskets(rng, (2, 2_000), 1.5)
        cut = np.minimum(values, np.partition(values.ravel(), rank)[rank])
        plain, after = (
            [moments(2_000, each.sum(), each @ each) for each in both]
            for both in (values, cut)
        )
        capped += after
        left.append(after[0].variance / plain[0].variance)
        # An effect that is not cut has not become any surer.
        shrunk += [
            replace(each, variance=other.variance)
            for each, other in zip(plain, after, strict=True)
        ]
    assert 0.94 <= covered(paired(capped)) <= 0.965
    assert covered(paired(shrunk)) < 0.94
    assert 0.3 < np.mean(left) < 0.8
