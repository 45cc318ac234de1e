"""Moving records from the spool into the tables, turn by turn."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

from flask_abx.events.porter import PATIENCE, Disturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask_abx.events.porter import Porter
    from flask_abx.events.spool.frames import Line
    from flask_abx.events.spool.haul import Haul
    from flask_abx.events.spool.letters import Letter
    from flask_abx.events.spool.spool import Spool
    from flask_abx.stores.life import Life

#: Of a file that others left less is stored at once: questions of our own wait for it.
ADOPTED_CHUNK = 50
#: How often records are moved into the database, in seconds.
_BEAT = 0.5
#: The same on SQLite, where others wait meanwhile.
_SQLITE_BEAT = 1.0
#: How soon a quiet moment is looked for again, in seconds.
_SHORTLY = 0.01
#: How often the folder is looked through, in seconds.
_LOOK = 1.0


class Drain:
    """Stores what this process has recorded; an errand of the background thread.

    Args:
        spool: Where the records wait.
        porter: Stores them.
        is_ready: Tells whether the definitions are known, which links need.
    """

    name = "store the records"

    def __init__(
        self, spool: Spool, porter: Porter, is_ready: Callable[[], bool]
    ) -> None:
        self._spool = spool
        self._porter = porter
        self._is_ready = is_ready
        self._next_at = 0.0
        self._since: float | None = None
        self._wanted = (0, 0)

    def hurry(self) -> int:
        """Have all that is recorded so far stored in the next turn; give how far."""
        goal = self._spool.appended
        self._wanted = (os.getpid(), goal)
        return goal

    @property
    def _is_wanted(self) -> bool:
        pid, goal = self._wanted
        # What the parent of a fork was asked for is its own concern.
        return pid == os.getpid() and self._spool.settled < goal

    @property
    def refused(self) -> int:
        """How many records the database has refused so far."""
        return self._porter.refused

    @property
    def rest(self) -> float:
        """How long there is nothing to do, in seconds."""
        return max(0.0, self._next_at - monotonic())

    def run(self, life: Life) -> None:
        """Store what waits, where it is time."""
        spool, now = self._spool, monotonic()
        is_wanted = self._is_wanted
        if not is_wanted and now < self._next_at:
            return
        self._next_at = now + _BEAT
        if spool.is_empty:
            self._since = None
            return
        if self._porter.is_sqlite(life):
            self._next_at = now + _SQLITE_BEAT
        since = self._since = now if self._since is None else self._since
        if not self._is_ready():
            return
        if not self._porter.may_write(since):
            self._next_at = now + _SHORTLY
            return
        if not is_wanted and spool.has_drainer():
            spool.hand_over()
            self._since = None
            return
        self._store(life, is_patient=now - since < PATIENCE)

    def _store(self, life: Life, *, is_patient: bool) -> None:
        goal = self._spool.appended
        try:
            while self._spool.settled < goal and not life.is_over:
                haul = self._spool.take()
                if haul is None:
                    break
                self._porter.carry(haul, life, is_patient=is_patient)
        except Disturbed:
            self._next_at = monotonic() + _SHORTLY
            return
        self._since = None


class Adoption:
    """Stores what processes have left that are gone; an errand that can wait.

    A chunk a turn, so that this process's own records and questions come first.
    """

    name = "store the records that other processes left"

    def __init__(
        self, spool: Spool, porter: Porter, is_ready: Callable[[], bool]
    ) -> None:
        self._spool = spool
        self._porter = porter
        self._is_ready = is_ready
        self._pid = os.getpid()
        self._life: Life | None = None
        self._haul: Haul | None = None
        self._chunks: Iterator[list[Line]] = iter(())
        self._lines: list[Line] | None = None
        self._refused: list[Letter] = []
        self._next_at = 0.0
        self._since = 0.0

    @property
    def rest(self) -> float:
        """How long there is nothing to do, in seconds."""
        return max(0.0, self._next_at - monotonic())

    def run(self, life: Life) -> None:
        """Store the next chunk, or look for a file that nobody owns."""
        now = monotonic()
        if now < self._next_at or not self._is_ready():
            return
        # That is when it is tried again, should something fail.
        self._next_at = now + _LOOK
        haul = self._held(life)
        if haul is None:
            return
        self._porter.is_sqlite(life)
        if not self._porter.may_write(self._since):
            self._next_at = now + _SHORTLY
            return
        try:
            self._go_on(haul, life, is_patient=now - self._since < PATIENCE)
        except Disturbed:
            self._next_at = now + _SHORTLY
        else:
            self._next_at = now

    def _held(self, life: Life) -> Haul | None:
        """Give the file at work, or the next one."""
        if self._pid != os.getpid():
            # The parent of a fork goes on with the file that it has locked.
            self._pid, self._haul = os.getpid(), None
        haul = self._haul
        if haul is None and not self._spool.has_drainer():
            haul = self._spool.adopt()
        # Another thread may have been in the middle of it.
        if haul is not None and (self._haul is None or self._life is not life):
            self._begin(haul, life)
        return haul

    def _begin(self, haul: Haul, life: Life) -> None:
        self._life, self._haul, self._refused = life, haul, []
        self._chunks = haul.chunks(ADOPTED_CHUNK)
        self._lines, self._since = None, monotonic()

    def _go_on(self, haul: Haul, life: Life, *, is_patient: bool) -> None:
        if self._lines is None:
            self._lines = next(self._chunks, None)
        if self._lines is None:
            self._porter.end(haul, self._refused, life)
            self._haul = None
            return
        self._refused += self._porter.store(self._lines, life, is_patient=is_patient)
        self._lines, self._since = None, monotonic()
