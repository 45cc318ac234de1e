"""Sums that grow from look to look, drawn for many runs at once and never as rows."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Array: TypeAlias = npt.NDArray[np.float64]
Found: TypeAlias = npt.NDArray[np.bool_]
Chance: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class Stream:
    """What one variant has at each look: a row for each run, a column for each look.

    Attributes:
        n: Units.
        y: Sum of the metric.
        yy: Sum of its squares.
        yyy: Sum of its cubes.
        nonzero: Units whose metric is not zero.
    """

    n: Array
    y: Array
    yy: Array
    yyy: Array
    nonzero: Array

    def at(self, look: int) -> Stream:
        """Give one look alone."""
        each = (self.n, self.y, self.yy, self.yyy, self.nonzero)
        return Stream(*(column[:, look, None] for column in each))


Draw: TypeAlias = "Callable[[Chance, int, int, int], Stream]"


def chance(name: str) -> Chance:
    """Give the chance of one check, which is the same in every run of the tests."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(rng: Chance, runs: int, looks: int, units: int) -> Stream:
    """Draw standard normal values, so many units a look."""
    y = rng.normal(0, units**0.5, (runs, looks))
    yy = y * y / units + rng.chisquare(units - 1, (runs, looks))
    # Of normal values, nobody asks for cubes or zeros.
    return grown(units, y, yy, np.zeros_like(y), np.full_like(y, units))


def conversions(
    rng: Chance, runs: int, looks: int, units: int, *, rate: float = 0.05
) -> Stream:
    """Draw conversions, so many units a look."""
    y = rng.binomial(units, rate, (runs, looks)).astype(float)
    return grown(units, y, y, y, y)


def revenue(
    rng: Chance,
    runs: int,
    looks: int,
    units: int,
    *,
    rate: float = 0.05,
    spread: float = 1.2,
    log_mean: float = 3.0,
) -> Stream:
    """Draw revenue, of which most units have none and few have much."""
    buyers = rng.binomial(units, rate, (runs, looks))
    y, yy, yyy = powers(rng, buyers.ravel(), log_mean, spread)
    shape = buyers.shape
    return grown(
        units,
        y.reshape(shape),
        yy.reshape(shape),
        yyy.reshape(shape),
        buyers.astype(float),
    )


def powers(
    rng: Chance, buyers: npt.NDArray[np.int64], log_mean: float, spread: float
) -> tuple[Array, Array, Array]:
    """Draw lognormal baskets, and add up their first three powers by look."""
    baskets = np.exp(rng.normal(log_mean, spread, int(buyers.sum())))
    ends = np.concatenate([[0], np.cumsum(buyers)])
    found = []
    for values in (baskets, baskets**2, baskets**3):
        # Differences of a running sum would lose the digits of the small ones.
        sums = np.add.reduceat(np.append(values, 0.0), ends[:-1])
        found.append(np.where(buyers > 0, sums, 0.0))
    return found[0], found[1], found[2]


def baskets(rng: Chance, shape: tuple[int, ...], spread: float) -> Array:
    """Draw what each unit spends, nine of ten nothing."""
    values = np.exp(rng.normal(3.0, spread, shape))
    return np.where(rng.random(shape) < 0.1, values, 0.0)


def walks(
    rng: Chance, runs: int, looks: int, *, drift: float = 0.0, planned: int = 0
) -> Array:
    """Draw the standard errors that an effect lies away from zero, at each look.

    On average they come to the drift at the planned look, which is the last one unless
    it is told.
    """
    steps = rng.normal(drift / (planned or looks) ** 0.5, 1.0, (runs, looks))
    return np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, looks + 1))


def grown(units: int, *increments: Array) -> Stream:
    """Add increments up over the looks."""
    y, yy, yyy, nonzero = (np.cumsum(each, axis=1) for each in increments)
    n = np.broadcast_to(np.arange(1.0, y.shape[1] + 1) * units, y.shape)
    return Stream(n, y, yy, yyy, nonzero)


def share(found: Found) -> float:
    """Tell in which share of the runs anything was found at any look."""
    return float(np.mean(found.any(axis=1) if found.ndim > 1 else found))


def error_of(expected: float, runs: int) -> float:
    """Give the standard error of a share."""
    return math.sqrt(expected * (1 - expected) / runs)
