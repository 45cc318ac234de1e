"""The normal distribution, accurate far out in both tails."""

from __future__ import annotations

import math
from functools import lru_cache


def below(z: float) -> float:
    """Give the probability that a standard normal variable is below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def density(z: float) -> float:
    """Give the density of a standard normal variable at z."""
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


@lru_cache(maxsize=256)
def beyond(tail: float) -> float:
    """Give the z that a standard normal variable exceeds with this probability.

    Args:
        tail: The probability, between 0 and 1, both left out.
    """
    # Brings fractions, decimals and more along, which takes as long as all the rest.
    from statistics import NormalDist

    # Asked of the lower tail: the complement of a small tail would round it away.
    return -NormalDist().inv_cdf(tail)
