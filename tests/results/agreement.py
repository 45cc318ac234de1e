"""Whether two counts of the same rows agree: counts exactly, moments to nine digits."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

from flask_abx.results.scanning.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask_abx.results.scanning.sums import Day, Group

_COUNTS = ("n", "immature", "nonzero", "capped", "history", "bad")


def pairs(
    found: Mapping[Any, Sums], expected: Mapping[Any, Sums]
) -> Iterator[tuple[Group | Day, Sums, Sums]]:
    """Give the sums of every group that one of the two has."""
    for group in {**expected, **found}:
        yield group, found.get(group, Sums()), expected.get(group, Sums())


def differences(
    found: Mapping[str, Mapping[Group, Sums]],
    expected: Mapping[str, Mapping[Group, Sums]],
) -> Iterator[tuple[str, Group | Day, str, float, float]]:
    """Tell what differs: metric, group, name, what was found and what is right."""
    for key in expected:
        for group, mine, own in pairs(found.get(key, {}), expected[key]):
            for name in _COUNTS:
                if getattr(mine, name) != getattr(own, name):
                    yield key, group, name, getattr(mine, name), getattr(own, name)
            seen, right = moments(mine), moments(own)
            for name, (value, _) in seen.items():
                exact, scale = right.get(name, (Fraction(0), 0.0))
                if abs(value - exact) > 1e-9 * scale + rounding(mine, name):
                    yield key, group, name, float(value), float(exact)


def different_days(
    found: Mapping[str, Mapping[Day, Sums]], expected: Mapping[str, Mapping[Day, Sums]]
) -> Iterator[tuple[str, Group | Day, str, float, float]]:
    """Tell which days differ: metric, day, name, what was found and what is right."""
    for key, days in expected.items():
        for name in ("n", "y", "d", "yy", "yd", "dd"):
            largest = max((abs(getattr(s, name)) for s in days.values()), default=0)
            close = float(largest) * (0 if name == "n" else 1e-9)
            for day, mine, own in pairs(found.get(key, {}), days):
                value, right = getattr(mine, name), getattr(own, name)
                if abs(value - right) > close:
                    yield key, day, name, float(value), float(right)


def moments(sums: Sums) -> dict[str, tuple[Fraction, float]]:
    """Give means and central moments, and how large each is for its letters.

    Fractions add no error of their own, so that a shift is undone exactly.
    """
    n = sums.n
    if not n:
        return {}
    mean = {each: Fraction(getattr(sums, each)) / n for each in "ydxw"}
    second: dict[str, Fraction] = {}
    for one, other in combinations_with_replacement("ydxw", 2):
        product = Fraction(getattr(sums, one + other)) / n
        second[one + other] = product - mean[one] * mean[other]
    sd = {each: math.sqrt(max(second[2 * each], Fraction(0))) for each in "ydxw"}
    found = {
        each: (mean[each] + Fraction(getattr(sums, f"shift_{each}")), sd[each])
        for each in "ydxw"
    }
    found |= {
        name: (value, sd[name[0]] * sd[name[1]]) for name, value in second.items()
    }
    for name in ("yyy", "yyd", "ydd", "ddd"):
        a, b, c = name
        third = Fraction(getattr(sums, name)) / n - mean[a] * mean[b] * mean[c]
        third -= mean[a] * second[b + c] + mean[b] * second[a + c]
        third -= mean[c] * second[a + b]
        found[name] = third, sd[a] * sd[b] * sd[c]
    spread = math.sqrt(n * sums.raw_squares)
    for name in ("days", "raw", "raw_squares", "raw_d", "highest"):
        value = Fraction(getattr(sums, name))
        found[name] = value, max(abs(float(value)), spread if name == "raw" else 0)
    return found


def rounding(sums: Sums, name: str) -> float:
    """Tell what doubles lose when moments are taken from such sums."""
    if not sums.n or not set(name) <= set("ydxw"):
        return 0
    sizes = (math.sqrt(max(getattr(sums, 2 * each), 0) / sums.n) for each in name)
    return 1e-13 * math.prod(sizes)
