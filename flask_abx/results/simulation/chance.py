"""Chance that is the same each time: every draw is a hash of a name."""

from __future__ import annotations

import math
from hashlib import blake2b
from statistics import NormalDist
from struct import Struct

_DRAWS = Struct(">8Q")
_NORMAL = NormalDist()


class Chance:
    """Draws that depend on nothing but a name, and on how many came before.

    Args:
        name: What is drawn for; another name has other draws.
    """

    __slots__ = ("_block", "_hash", "_left")

    def __init__(self, name: str) -> None:
        self._hash = blake2b(f"{name}\0".encode("utf-8", "surrogatepass"))
        self._block = 0
        self._left: list[int] = []

    def uniform(self) -> float:
        """Draw a number between 0 and 1, both left out."""
        if not self._left:
            block = self._hash.copy()
            block.update(self._block.to_bytes(4, "big"))
            self._block += 1
            self._left.extend(_DRAWS.unpack(block.digest()))
        return ((self._left.pop() >> 11) + 0.5) / 2**53

    def happens(self, share: float) -> bool:
        """Draw whether something happens that does in a share of all cases."""
        return self.uniform() < share

    def lognormal(self, median: float, sigma: float) -> float:
        """Draw a positive number, of which a few are large."""
        return median * math.exp(sigma * _NORMAL.inv_cdf(self.uniform()))

    def exponential(self, mean: float) -> float:
        """Draw how long it takes until something happens that may at any time."""
        return -mean * math.log(self.uniform())

    def poisson(self, mean: float) -> int:
        """Draw how often something happens that may at any time."""
        left, count = self.uniform(), 0
        share = math.exp(-mean)
        while left > share and share > 0:
            left -= share
            count += 1
            share *= mean / count
        return count
