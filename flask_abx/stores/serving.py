"""What a process serves now and next, and how sure it is of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING

from flask_abx.events.locks import ProcessLock
from flask_abx.stores.reading import BLANK, Mark

if TYPE_CHECKING:
    from flask_abx.stores.compiling import Compiled

#: By how much two clocks may drift apart, in milliseconds a second.
_DRIFT = 0.1


class Standing(StrEnum):
    """How sure a store is of what it serves."""

    READY = "READY"
    STALE = "STALE"
    EMPTY = "EMPTY"


class Offset:
    """How far the clock of the database is from the one of this process.

    The quickest reading counts, until it is too old or another one contradicts it: a
    slow one tells half of the time that it took too much or too little.
    """

    def __init__(self) -> None:
        self._milliseconds: float | None = None
        self._doubt = 0.0
        self._noted_at = 0.0

    def note(self, now: int, asked: float, answered: float) -> None:
        """Take a reading: it was `now` between two moments of `monotonic`."""
        found = now - (asked + answered) / 2 * 1000
        # The clock is told in whole milliseconds.
        doubt = (answered - asked) / 2 * 1000 + 1
        known = self._milliseconds
        if known is not None:
            known_doubt = self._doubt + (answered - self._noted_at) * _DRIFT
            if doubt > known_doubt and abs(found - known) <= doubt + known_doubt:
                return
        self._milliseconds, self._doubt, self._noted_at = found, doubt, answered

    def here(self, moment: int) -> float:
        """Translate a moment of the database to one of `monotonic`."""
        return (moment - (self._milliseconds or 0.0)) / 1000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Definitions from a moment on, told in milliseconds of the database's clock."""

    since: int
    version: int
    compiled: Compiled


@dataclass(frozen=True, slots=True)
class Served:
    """What is in force, and what follows.

    Attributes:
        until: The moment of `monotonic` at which the next takes over; None is never.
    """

    now: Stretch
    later: tuple[Stretch, ...] = ()
    until: float | None = None


class Serving:
    """What one process serves; written by whoever polls, read by every request.

    Attributes:
        served: What is in force, or None while nothing is known.
        fallback: The copy from disk, for as long as the database has not answered.
        mark: How far the database was when it was read last.
        confirmed_at: When that was known to be the latest, by `monotonic`.
        offset: How far the clock of the database is from the own one.
    """

    def __init__(self) -> None:
        self.served: Served | None = None
        self.fallback: Served | None = None
        self.fallback_mark = BLANK
        self.mark = BLANK
        self.confirmed_at: float | None = None
        self.offset = Offset()
        self._lock = ProcessLock()

    @property
    def known(self) -> Mark:
        """The furthest mark that this process has heard of."""
        return self.mark if self.served is not None else self.fallback_mark

    def adopt(self, mark: Mark, stretches: tuple[Stretch, ...]) -> None:
        """Serve what was read: the first stretch now, the others in their time."""
        first, *later = stretches
        with self._lock:
            known = self.served.now.version if self.served is not None else 0
            # A clock that goes back must not take back what is in force.
            while later and mark.lineage == self.mark.lineage and first.version < known:
                first = later.pop(0)
            self.mark = mark
            self.served = self._at_present(Served(first, tuple(later)))

    def advance(self) -> Served | None:
        """Give what is in force at this moment."""
        served = self.served
        if served is None or not served.later:
            return served
        # A request must not put back what the thread has just replaced.
        with self._lock:
            if self.served is not None:
                self.served = self._at_present(self.served)
            return self.served

    def _at_present(self, served: Served) -> Served:
        now, later, here = served.now, served.later, self.offset.here
        while later and monotonic() >= here(later[0].since):
            now, *rest = later
            later = tuple(rest)
        return Served(now, later, here(later[0].since) if later else None)

    def standing(self, patience: float) -> Standing:
        """Tell how sure it is.

        Args:
            patience: After so many seconds without confirmation it is stale.
        """
        if self.served is None and self.fallback is None:
            return Standing.EMPTY
        confirmed = self.confirmed_at
        is_fresh = confirmed is not None and monotonic() - confirmed <= patience
        return Standing.READY if is_fresh else Standing.STALE
