"""The same units, split at random again and again, differ as often as alpha says."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from flask_abx.results.inference import (
    CupedSums,
    Moments,
    adjustment,
    difference,
    fixed_test,
    moments,
    ratio,
    srm_chi2,
)
from tests.results.simulations.streams import baskets, chance

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHA = 0.05
RUNS, UNITS = 1_000, 20_000


class Half(NamedTuple):
    """What one half of the units has, with products named by their letters.

    Attributes:
        c: Units that bought.
        y: What they spent.
        d: Their sessions.
        x: What they spent before.
        z: What they spent, capped.
    """

    n: float
    c: float
    y: float
    d: float
    x: float
    z: float
    yy: float
    dd: float
    xx: float
    zz: float
    yd: float
    yx: float


@cache
def halves() -> list[tuple[Half, Half]]:
    """Split the units of one log, in which heavy users stay heavy."""
    rng = chance("sim-aa-pipeline")
    activity = rng.gamma(1.5, 1.0, UNITS)
    d = 1.0 + rng.poisson(activity)
    x, y = (baskets(rng, (UNITS,), 1.2) * activity for _ in range(2))
    z = np.minimum(y, np.sort(y)[math.ceil(0.999 * UNITS) - 1])
    log = np.stack(
        [d / d, y > 0, y, d, x, z, y * y, d * d, x * x, z * z, y * d, y * x], axis=1
    )
    total = log.sum(axis=0)
    found: list[tuple[Half, Half]] = []
    for _ in range(RUNS // 100):
        firsts = (rng.random((100, UNITS)) < 0.5).astype(float) @ log
        found += [(Half(*first), Half(*(total - first))) for first in firsts]
    return found


def revenue(half: Half) -> Moments:
    return moments(half.n, half.y, half.yy)


def converted(half: Half) -> Moments:
    return moments(half.n, half.c, half.c)


def capped(half: Half) -> Moments:
    return moments(half.n, half.z, half.zz)


def per_session(half: Half) -> Moments:
    return ratio(half.n, half.y, half.d, half.yy, half.dd, half.yd)


def as_if_sessions_were_split(half: Half) -> Moments:
    """Take sessions for units, each of which spent the same part of the total."""
    rate = half.d / half.n
    return Moments(half.d, half.y / half.d, half.yy / half.d / rate / 2)


def rejected(pairs: list[tuple[Moments, Moments]]) -> float:
    """Tell how often one look at a split finds a difference."""
    tests = (fixed_test(difference(*pair), ALPHA) for pair in pairs)
    return float(np.mean([test.p_value < ALPHA for test in tests]))


def is_kept(found: float) -> bool:
    return abs(found - ALPHA) <= 3 * 0.0069


@pytest.mark.parametrize("metric", [revenue, converted, capped, per_session])
def test_a_metric_finds_no_more_than_alpha(metric: Callable[[Half], Moments]) -> None:
    """sim-aa-pipeline: the statistics come from the sums of each half."""
    found = rejected([(metric(one), metric(other)) for one, other in halves()])
    assert is_kept(found)


def test_a_covariate_finds_no_more_than_alpha() -> None:
    pairs = []
    for pair in halves():
        sums = [CupedSums(h.n, h.y, h.yy, h.x, h.xx, h.yx) for h in pair]
        control, treatment = adjustment(sums).variants
        pairs.append((control, treatment))
    assert is_kept(rejected(pairs))


def test_the_split_itself_finds_no_more_than_alpha() -> None:
    found = [
        srm_chi2([round(one.n), round(other.n)], (1, 1)).p_value < ALPHA
        for one, other in halves()
    ]
    assert is_kept(float(np.mean(found)))


def test_a_variance_by_session_finds_too_much() -> None:
    pairs = [
        (as_if_sessions_were_split(one), as_if_sessions_were_split(other))
        for one, other in halves()
    ]
    assert not is_kept(rejected(pairs))
