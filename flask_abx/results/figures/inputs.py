"""Refuse figures that no formula can do anything with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from flask_abx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Side = Literal["two", "greater", "less"]

SIDES = ("two", "greater", "less")
#: Comparing is quicker than a call, and what is no number compares as false.
_MOST = math.inf


def finite(name: str, value: float) -> float:
    """Take any finite number.

    Raises:
        UsageError: If it is infinite or not a number.
    """
    if not -_MOST < value < _MOST:
        raise UsageError(f"{name} is {value!r}, must be a finite number.")
    return float(value)


def at_least(lowest: float, name: str, value: float) -> float:
    """Take a finite number that is not below a limit.

    Raises:
        UsageError: If it is below, infinite or not a number.
    """
    if not lowest <= value < _MOST:
        raise UsageError(
            f"{name} is {value!r}, must be a finite number of at least {lowest:g}."
        )
    return float(value)


def positive(name: str, value: float) -> float:
    """Take a finite number above zero.

    Raises:
        UsageError: If it is zero or below, infinite or not a number.
    """
    if not 0 < value < _MOST:
        raise UsageError(f"{name} is {value!r}, must be a finite number above 0.")
    return float(value)


def fraction(name: str, value: float) -> float:
    """Take a number between zero and one, both left out.

    Raises:
        UsageError: If it is anything else.
    """
    if not 0 < value < 1:
        raise UsageError(f"{name} is {value!r}, must lie between 0 and 1.")
    return float(value)


def level_of_side(name: str, alpha: float, side: Side) -> float:
    """Take the error probability of a test: below 0.5 where it has one side only.

    Raises:
        UsageError: If it is anything else, or the side is none of the three.
    """
    if side == "two":
        return fraction(name, alpha)
    if side not in SIDES:
        raise UsageError(f"side is {side!r}, must be 'two', 'greater' or 'less'.")
    if not 0 < alpha < 0.5:
        raise UsageError(
            f"{name} is {alpha!r}, must lie between 0 and 0.5 for a test of one side."
        )
    return float(alpha)


def expected_shares(
    counts: Sequence[int], weights: Sequence[float]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Keep the counts of variants with a weight, beside the shares they should have.

    Raises:
        UsageError: If there are not as many weights as counts, one of them is negative
            or no number, or all weights are zero.
    """
    if len(counts) != len(weights):
        raise UsageError(
            f"There are {len(counts)!r} counts and {len(weights)!r} weights, "
            "give one weight for each count."
        )
    for count in counts:
        at_least(0, "A count", count)
    # Shares of the largest first: the sum of huge weights is infinite.
    largest = max((at_least(0, "A weight", weight) for weight in weights), default=0)
    if largest == 0:
        raise UsageError(
            f"The weights {list(weights)!r} are all zero, one must be positive."
        )
    kept = [
        (count, weight / largest)
        for count, weight in zip(counts, weights, strict=True)
        if weight / largest > 0
    ]
    total = math.fsum(weight for _, weight in kept)
    return tuple(count for count, _ in kept), tuple(w / total for _, w in kept)
