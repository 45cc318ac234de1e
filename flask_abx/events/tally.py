"""Counting what goes wrong, and telling it without flooding the log."""

from __future__ import annotations

from collections import Counter
from time import monotonic

from flask_abx.events.locks import ProcessLock

#: Seconds between two log lines about the same thing.
QUIET = 60.0
#: How many names are counted apart; a name may hold what a stranger wrote.
NAMES = 1_000


class Tally:
    """The troubles of one application in this process, counted by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._told: dict[str, float] = {}
        self._lock = ProcessLock()

    def count(self, name: str, number: int = 1) -> bool:
        """Count a trouble; True when it is time to log it (once a minute)."""
        now = monotonic()
        with self._lock:
            name = self._add(name, number)
            told = self._told.get(name)
            if told is not None and now - told < QUIET:
                return False
            self._told[name] = now
            return True

    def first(self, name: str, number: int = 1) -> bool:
        """Count a thing; True only the first time."""
        with self._lock:
            name = self._add(name, number)
            return self.counts[name] == number

    def _add(self, name: str, number: int) -> str:
        if name not in self.counts and len(self.counts) >= NAMES:
            name = f"{name.partition(':')[0]}:others"
        self.counts[name] += number
        return name
