"""A split that is right raises no alarm, whenever one looks; a wrong one does soon."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flask_abx.results.inference import srm_chi2
from flask_abx.results.sequential import KAPPAS, srm_sequential
from tests.results.simulations.streams import chance, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.results.simulations.streams import Array

    Split = Callable[[Sequence[int], Sequence[float]], float]

HALVES = (0.5, 0.5)
LOOKS, STEP = 200, 1_000


def chi2(counts: Sequence[int], weights: Sequence[float]) -> float:
    return srm_chi2(counts, weights).p_value


def limits(test: Split, alpha: float, totals: Iterable[int]) -> Array:
    """Find the counts of one of two halves from which on a test raises an alarm.

    The further a count is away from one half, the smaller is the p-value.
    """
    found = []
    for total in totals:
        low, high = total // 2, total + 1
        while high - low > 1:
            middle = (low + high) // 2
            if test((middle, total - middle), HALVES) < alpha:
                high = middle
            else:
                low = middle
        found.append(high)
    return np.array(found, dtype=float)


def counts_of(name: str, runs: int, looks: int, step: int, rate: float = 0.5) -> Array:
    """Draw how many units the larger half has at each look."""
    drawn = np.cumsum(chance(name).binomial(step, rate, (runs, looks)), axis=1)
    totals = step * np.arange(1, looks + 1)
    counts: Array = np.maximum(drawn, totals - drawn).astype(float)
    return counts


TOTALS = range(STEP, STEP * LOOKS + 1, STEP)


def test_a_limit_is_where_the_test_turns() -> None:
    for test in (srm_sequential, chi2):
        (limit,) = limits(test, 0.01, [5_000])
        at, before = int(limit), int(limit) - 1
        assert test((at, 5_000 - at), HALVES) < 0.01
        assert test((5_000 - at, at), HALVES) < 0.01
        assert test((before, 5_000 - before), HALVES) >= 0.01


def test_a_right_split_raises_no_alarm() -> None:
    """sim-srm: 200 looks of 1,000 units."""
    counts = counts_of("sim-srm", 4_000, LOOKS, STEP)
    assert share(counts >= limits(srm_sequential, 0.01, TOTALS)) <= 0.01
    assert share(counts >= limits(chi2, 0.05, TOTALS)) > 0.05
    assert share(counts >= limits(chi2, 0.001, TOTALS)) > 0.001


def test_a_split_that_is_a_little_off_raises_an_alarm_in_time() -> None:
    """sim-srm-power: 50.5 % instead of 50 %."""
    limit = limits(srm_sequential, 0.01, TOTALS)
    off = counts_of("sim-srm-power", 2_000, LOOKS, STEP, 0.505)
    assert share(off >= limit) > 0.75
    # It is small: nobody sees it in a tenth of the units.
    assert share((off >= limit)[:, : LOOKS // 10]) < 0.3


def test_a_broken_split_raises_an_alarm_at_once() -> None:
    """sim-srm-power: 60 % instead of 50 %, of a few hundred units."""
    totals = range(20, 801, 20)
    broken = counts_of("sim-srm-broken", 4_000, 40, 20, 0.6)
    found = broken >= limits(srm_sequential, 0.01, totals)
    assert share(found[:, :20]) > 0.5
    assert share(found) > 0.95
    one = partial(srm_sequential, kappas=(10_000.0,))
    assert share((broken >= limits(one, 0.01, totals))[:, :20]) < 0.01


@pytest.mark.parametrize(("kappas", "is_seen"), [(KAPPAS, True), ((10_000.0,), False)])
def test_one_prior_alone_does_not_see_a_small_broken_split(
    kappas: tuple[float, ...], *, is_seen: bool
) -> None:
    assert (srm_sequential((350, 150), HALVES, kappas) < 0.01) == is_seen


def test_three_variants_in_uneven_shares_raise_no_alarm() -> None:
    weights = (60.0, 20.0, 20.0)
    rng = chance("srm-uneven")
    shares = [each / 100 for each in weights]
    drawn = np.cumsum(rng.multinomial(500, shares, (300, 20)), axis=1)
    found = [
        [[test(look.tolist(), weights) < alpha for look in run] for run in drawn]
        for test, alpha in ((srm_sequential, 0.01), (chi2, 0.05))
    ]
    assert share(np.array(found[0])) <= 0.02
    assert share(np.array(found[1])) > 0.1
