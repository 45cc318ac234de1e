"""What a request wants to know of a unit, and what the database has answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

#: An experiment and its iteration.
Run: TypeAlias = tuple[str, int]
#: The variant of each run that a unit was exposed in.
Rows: TypeAlias = Mapping[Run, str]
#: How long "no row" counts, in seconds: another process may store one meanwhile.
FRESH = 60.0


class Wanted(NamedTuple):
    """What must be known of a unit.

    Attributes:
        runs: Every run in which it may be; to have been told "no row" a short while ago
            is enough.
        unconfirmed: Runs of which the browser remembers what may not be stored.
    """

    runs: frozenset[Run]
    unconfirmed: frozenset[Run] = frozenset()


class Answer(NamedTuple):
    """What is stored of a unit; a row never changes its variant.

    Attributes:
        rows: The variant of each run.
        asked_at: When the database was asked, by `monotonic`.
        told_at: Until when nothing is known to have come since; later it is news.
    """

    rows: Rows
    asked_at: float
    told_at: float

    def settles(self, wanted: Wanted, now: float) -> bool:
        """Tell whether it says enough to a request that asks now."""
        if self.asked_at >= now:
            return True
        rows = self.rows
        is_fresh = self.told_at == self.asked_at and self.asked_at >= now - FRESH
        return (
            is_fresh or wanted.runs <= rows.keys()
        ) and wanted.unconfirmed <= rows.keys()
