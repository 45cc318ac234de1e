"""Counting what goes wrong, and telling it without flooding the log."""

from __future__ import annotations

from collections import Counter
from time import monotonic

#: Seconds between two log lines about the same thing.
QUIET = 60.0
#: How many names are counted apart; a name may hold what a stranger wrote.
NAMES = 1_000


class Tally:
    """The troubles of one application in this process, counted by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._told: dict[str, float] = {}

    def count(self, name: str, number: int = 1) -> bool:
        """Count a trouble; True when it is time to log it (once a minute)."""
        name = self._bounded(name)
        self.counts[name] += number
        now = monotonic()
        told = self._told.get(name)
        if told is not None and now - told < QUIET:
            return False
        self._told[name] = now
        return True

    def first(self, name: str) -> bool:
        """Count a thing; True only the first time."""
        name = self._bounded(name)
        self.counts[name] += 1
        return self.counts[name] == 1

    def _bounded(self, name: str) -> str:
        is_known = name in self.counts or len(self.counts) < NAMES
        return name if is_known else f"{name.partition(':')[0]}:others"
