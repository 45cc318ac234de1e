"""Mean and variance of a metric in one variant, from sums over its units."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from flask_abx.errors import UsageError
from flask_abx.results.figures.inputs import at_least, finite

if TYPE_CHECKING:
    from collections.abc import Sequence

# By how much a sum of squares may fall short of what its sum demands, relative to it.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Moments:
    """What one variant tells about one metric.

    Attributes:
        n: Units, at least 2.
        mean: Mean per unit, in the metric's own measure.
        variance: Variance of one unit (not of the mean), in that measure squared.

    Raises:
        UsageError: If n is below 2, the variance negative, or one is not finite.
    """

    n: float
    mean: float
    variance: float

    def __post_init__(self) -> None:
        at_least(2, "n", self.n)
        finite("The mean", self.mean)
        at_least(0, "The variance", self.variance)


@dataclass(frozen=True, slots=True)
class CupedSums:
    """Sums over the units of one variant: a metric, and itself before the exposure.

    Attributes:
        n: Units, those without history included (their covariate is 0).
        y: Sum of the metric.
        yy: Sum of its squares.
        x: Sum of the covariate, which lies before each unit's first exposure.
        xx: Sum of its squares.
        yx: Sum of the products of both.
    """

    n: float
    y: float
    yy: float
    x: float
    xx: float
    yx: float


@dataclass(frozen=True, slots=True)
class RatioSums:
    """Sums over the units of one variant: a ratio, and itself before the exposure.

    Attributes:
        n: Units.
        y: Sum of the numerator.
        d: Sum of the denominator.
        x: Sum of the numerator before the exposure.
        e: Sum of the denominator before the exposure.
        yy: Sum of squares or products, as all that follow: ``yd`` is that of y times d.
    """

    n: float
    y: float
    d: float
    x: float
    e: float
    yy: float
    yd: float
    yx: float
    ye: float
    dd: float
    dx: float
    de: float
    xx: float
    xe: float
    ee: float


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a covariate has done.

    Attributes:
        theta: How much of the covariate's deviation is taken off the metric.
        variance_reduction: Share of the variance within variants that is gone, at
            most 1; below 0 where the covariate did harm.
        variants: The adjusted moments, in the order of the sums.
    """

    theta: float
    variance_reduction: float
    variants: tuple[Moments, ...]


def moments(n: float, total: float, squares: float, *, shift: float = 0.0) -> Moments:
    """Work out mean and sample variance from two sums.

    Args:
        n: Units, at least 2.
        total: Sum of the values.
        squares: Sum of the squared values.
        shift: What was taken off every value before it was summed.

    Raises:
        UsageError: If n is below 2, a sum is not finite, or no values have such sums.
    """
    variance = _covariance(n, total, total, squares)
    return Moments(n, finite("shift", shift) + total / n, _clipped(variance, squares))


def merge(first: Moments, second: Moments) -> Moments:
    """Put the moments of two groups of units together.

    Source: Chan, Golub, LeVeque 1979, Updating formulae and a pairwise algorithm.
    """
    n = first.n + second.n
    gap = second.mean - first.mean
    deviations = (
        (first.n - 1) * first.variance
        + (second.n - 1) * second.variance
        + gap * gap * first.n * (second.n / n)
    )
    return Moments(n, first.mean + gap * (second.n / n), deviations / (n - 1))


def ratio(n: float, y: float, d: float, yy: float, dd: float, yd: float) -> Moments:
    """Work out a ratio of two sums and the linearised variance of one unit.

    Source: Deng, Knoblich, Lu 2018, Applying the delta method in metric analytics.

    Args:
        n: Units (those that were randomised), at least 2.
        y: Sum of the numerator.
        d: Sum of the denominator, not 0.
        yy: Sum of the squared numerators.
        dd: Sum of the squared denominators.
        yd: Sum of the products.

    Raises:
        UsageError: If n is below 2, a sum is not finite, the denominator sums to 0, or
            no values have such sums.
    """
    value = _quotient(y, d)
    variance = (
        _clipped(_covariance(n, y, y, yy), yy)
        - 2 * value * _covariance(n, y, d, yd)
        + value * value * _clipped(_covariance(n, d, d, dd), dd)
    )
    scale = d / n
    rough = yy + value * value * dd
    return Moments(n, value, _clipped(variance, rough) / scale / scale)


def cuped(
    variants: Sequence[CupedSums] | Sequence[RatioSums], *, theta: float | None = None
) -> tuple[Moments, ...]:
    """Adjust the moments of every variant for what its units did before.

    See `adjustment`, which tells theta and the variance saved besides.
    """
    return adjustment(variants, theta=theta).variants


def adjustment(
    variants: Sequence[CupedSums] | Sequence[RatioSums], *, theta: float | None = None
) -> Adjustment:
    """Adjust the moments of every variant, and tell what it has done.

    A covariate that does not vary adjusts nothing. Ratios are linearised: theta where
    all units together lie, each variance where its variant lies.

    Source: Deng, Xu, Kohavi, Walker 2013, Improving the sensitivity of online
    controlled experiments; for ratios their appendix, and Deng, Knoblich, Lu 2018.

    Args:
        variants: The sums of all variants, at least one.
        theta: A theta to use; None takes that of all variants merged.

    Raises:
        UsageError: If there is no variant, one has under 2 units, a sum is not finite,
            or a denominator sums to 0.
    """
    if not variants:
        raise UsageError(
            "There are no variants to adjust, give the sums of at least 1."
        )
    whole, middle = _linear(_added(variants))
    if theta is None:
        _, spread, shared = _spreads(whole)
        theta = shared / spread if spread else 0.0
    before, after, adjusted = 0.0, 0.0, []
    for sums in variants:
        line, (mean, history) = _linear(sums)
        variance, spread, shared = _spreads(line)
        left = max(variance + theta * (theta * spread - 2 * shared), 0.0)
        before += (line.n - 1) * variance
        after += (line.n - 1) * left
        adjusted.append(Moments(line.n, mean - theta * (history - middle[1]), left))
    reduction = 1 - after / before if before else 0.0
    return Adjustment(finite("theta", theta), reduction, tuple(adjusted))


def _added(
    variants: Sequence[CupedSums] | Sequence[RatioSums],
) -> CupedSums | RatioSums:
    """Add the sums of all variants up."""
    kind = type(variants[0])
    names = [field.name for field in fields(kind)]
    return kind(
        *(math.fsum(getattr(sums, name) for sums in variants) for name in names)
    )


def _linear(sums: CupedSums | RatioSums) -> tuple[CupedSums, tuple[float, float]]:
    """Turn ratios into linearised values; give metric and covariate besides."""
    at_least(2, "n", sums.n)
    if isinstance(sums, CupedSums):
        return sums, (sums.y / sums.n, sums.x / sums.n)
    r, q = _quotient(sums.y, sums.d), _quotient(sums.x, sums.e)
    d, e = sums.d / sums.n, sums.e / sums.n
    squares = sums.yy - 2 * r * sums.yd + r * r * sums.dd
    history = sums.xx - 2 * q * sums.xe + q * q * sums.ee
    shared = sums.yx - q * sums.ye - r * sums.dx + r * q * sums.de
    line = CupedSums(
        n=sums.n,
        y=0.0,
        yy=_clipped(squares, sums.yy + r * r * sums.dd) / d / d,
        x=0.0,
        xx=_clipped(history, sums.xx + q * q * sums.ee) / e / e,
        yx=shared / d / e,
    )
    return line, (r, q)


def _spreads(line: CupedSums) -> tuple[float, float, float]:
    """Give the variances of metric and covariate, and what they vary together."""
    return (
        _clipped(_covariance(line.n, line.y, line.y, line.yy), line.yy),
        _clipped(_covariance(line.n, line.x, line.x, line.xx), line.xx),
        _covariance(line.n, line.y, line.x, line.yx),
    )


def _quotient(numerator: float, denominator: float) -> float:
    """Divide two sums, the lower of which may be zero for want of data."""
    finite("The numerator's sum", numerator)
    if finite("The denominator's sum", denominator) == 0:
        raise UsageError(
            f"The denominator's sum is {denominator!r}, a ratio needs another one."
        )
    return numerator / denominator


def _covariance(n: float, a: float, b: float, ab: float) -> float:
    """Work out a sample covariance from sums."""
    at_least(2, "n", n)
    finite("A sum", a)
    finite("A sum", b)
    finite("A sum", ab)
    return (ab - a * (b / n)) / (n - 1)


def _clipped(variance: float, size: float) -> float:
    """Take rounding for no variance, and refuse what rounding cannot explain."""
    if variance < -ROUNDING * size:
        raise UsageError(
            f"The sums give a variance of {variance!r}: no values have such sums, "
            "check that all come from the same units."
        )
    return max(variance, 0.0)
