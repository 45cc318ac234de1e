"""Axes: what they span, where their ticks stand, and where a number falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
#: An axis is never narrower than this, so that noise does not look like an effect.
_LEAST = 1e-3
#: How many times the usual extent an axis spans at most; beyond it marks are cut.
_WIDE = 2.5
#: And how many times for the sake of a single point.
_FAR = 6.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight way from numbers to places.

    Attributes:
        low: The number at `start`.
        high: The number at `end`, above `low`.
        start: A place; above `end` where the axis runs upwards.
        end: The other.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Give the place of a number, that of the nearer end if it lies outside."""
        inside = min(max(value, self.low), self.high)
        return self.free(inside)

    def free(self, value: float) -> float:
        """Give the place of a number, wherever it lies."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Tell whether a number lies on the axis."""
        return self.low <= value <= self.high


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Choose round numbers on an axis, about so many."""
    if not high > low:
        return [low]
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * size for size in _STEPS if power * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def spread(
    extents: Iterable[tuple[float, float]], points: Sequence[float] = ()
) -> tuple[float, float]:
    """Choose what an axis of effects spans.

    It holds zero and what is usual; a few intervals that are much wider than the
    others are cut, or nobody could read the others.

    Args:
        extents: The ends of each mark, low and high.
        points: What should be seen too, unless it lies far out.
    """
    kept = [pair for pair in extents if all(map(math.isfinite, pair))]
    if not kept:
        return -0.05, 0.05
    sizes = [max(abs(low), abs(high)) for low, high in kept]
    usual = median(sizes)
    near = [abs(point) for point in points if abs(point) <= _FAR * usual]
    bound = max(_WIDE * usual, 1.05 * max(near, default=0.0), _LEAST)
    low = max(min(0.0, *(low for low, _ in kept)), -bound)
    high = min(max(0.0, *(high for _, high in kept)), bound)
    # Zero has some room on both sides, also where every effect lies on one.
    room = max(0.2 * (high - low), _LEAST)
    low, high = min(low, -room), max(high, room)
    pad = 0.06 * (high - low)
    return low - pad, high + pad


def latest(bands: Sequence[tuple[float, float]], final: int) -> tuple[float, float]:
    """Choose what an axis over time spans: a few times the extent of its last days.

    Args:
        bands: The ends of each mark, in the order of time.
        final: How many of them, from the end, are the last days.
    """
    ends = [end for pair in bands[-final:] for end in pair if math.isfinite(end)]
    low, high = min(0.0, *ends, 0.0), max(0.0, *ends, 0.0)
    reach = max(high - low, _LEAST)
    wanted = [end for pair in bands for end in pair if math.isfinite(end)]
    low = max(min([low, *wanted]), low - 0.6 * reach)
    high = min(max([high, *wanted]), high + 0.6 * reach)
    pad = 0.05 * max(high - low, _LEAST)
    return low - pad, high + pad
