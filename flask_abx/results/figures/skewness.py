"""How far sums of skewed values are from normal, where the split is uneven."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flask_abx.errors import UsageError
from flask_abx.results.figures.inputs import at_least, finite


@dataclass(frozen=True, slots=True)
class CubeSums:
    """Sums over the units of one variant, up to the cubes.

    Attributes:
        n: Units, at least 1.
        y: Sum of the metric, which may be shifted by the same amount in both variants.
        yy: Sum of its squares.
        yyy: Sum of its cubes.
    """

    n: float
    y: float
    yy: float
    yyy: float


@dataclass(frozen=True, slots=True)
class RatioCubeSums:
    """Sums over the units of one variant for a ratio, up to the cubes.

    Attributes:
        n: Units, at least 1.
        y: Sum of the numerator.
        d: Sum of the denominator.
        yy: Sum of products, as all that follow: ``yyd`` is that of y times y times d.
    """

    n: float
    y: float
    d: float
    yy: float
    yd: float
    dd: float
    yyy: float
    yyd: float
    ydd: float
    ddd: float


def skewness(control: CubeSums, treatment: CubeSums) -> float:
    """Tell how skewed the difference of two means is, as a number of at least 0.

    It is the skewness of the difference if both variants had the same variance and the
    same third central moment, those of all their units together. An even split has
    none; without variance there is none either.

    Source: third cumulant of a difference of means, the leading term of its Edgeworth
    expansion (Hall 1992, The bootstrap and Edgeworth expansion, section 2.4).

    Raises:
        UsageError: If a variant has no unit, or a sum is not finite.
    """
    n = at_least(1, "n", control.n) + at_least(1, "n", treatment.n)
    y = finite("A sum", control.y + treatment.y)
    yy = finite("A sum", control.yy + treatment.yy)
    yyy = finite("A sum", control.yyy + treatment.yyy)
    mean = y / n
    variance = (yy - y * mean) / (n - 1)
    # What is left of equal values is rounding, and so would be its cubes.
    if variance <= 1e-15 * yy / n:
        return 0.0
    third = yyy / n - 3 * mean * (yy / n) + 2 * mean * mean * mean
    lean = third * (1 / treatment.n**2 - 1 / control.n**2)
    spread = variance * (1 / treatment.n + 1 / control.n)
    return abs(lean) / (spread * math.sqrt(spread))


def linearised(
    control: RatioCubeSums, treatment: RatioCubeSums
) -> tuple[CubeSums, CubeSums]:
    """Turn a ratio into a mean per unit, for `skewness`.

    Each unit counts (y - r d) / d̄, with the ratio and the denominator's mean of both
    variants together.

    Source: Deng, Knoblich, Lu 2018, Applying the delta method in metric analytics.

    Raises:
        UsageError: If a variant has no unit, a sum is not finite, or the denominators
            sum to 0.
    """
    for sums in (control, treatment):
        at_least(1, "n", sums.n)
    total = finite("The denominator's sum", control.d + treatment.d)
    if total == 0:
        raise UsageError(
            f"The denominator's sum is {total!r}, a ratio needs another one."
        )
    r = (control.y + treatment.y) / total
    middle = total / (control.n + treatment.n)
    first, second = (_line(sums, r, middle) for sums in (control, treatment))
    return first, second


def _line(sums: RatioCubeSums, r: float, middle: float) -> CubeSums:
    """Sum the linearised values of one variant."""
    squares = sums.yy - 2 * r * sums.yd + r * r * sums.dd
    cubes = sums.yyy - 3 * r * sums.yyd + 3 * r * r * sums.ydd - r * r * r * sums.ddd
    return CubeSums(
        n=sums.n,
        y=(sums.y - r * sums.d) / middle,
        yy=squares / (middle * middle),
        yyy=cubes / (middle * middle * middle),
    )
