"""The sink that brings records into the database, by way of the spool."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from flask_abx.events.draining import Drain
    from flask_abx.events.flights import Flights
    from flask_abx.events.records import Record
    from flask_abx.events.spool.spool import Spool
    from flask_abx.events.tally import Tally
    from flask_abx.stores.background import Background

#: How long the end of a process waits for what is left, in seconds.
EXIT_WAIT = 2.0
#: How long a test waits for its records, in seconds.
_TEST_WAIT = 2.0


class SqlSink:
    """Appends to the spool of this process, which the background thread drains.

    Args:
        spool: Where the records wait.
        drain: Stores them; asked to hurry where somebody waits.
        background: The thread that does it.
        flights: The requests under way, for which it may wait in turn.
        wait: How long a request waits for it, in seconds.
        tally: Counts the waits that were in vain.
        logger: Where they are told.
    """

    def __init__(
        self,
        spool: Spool,
        drain: Drain,
        background: Background,
        flights: Flights,
        wait: float,
        tally: Tally,
        logger: logging.Logger,
    ) -> None:
        self._spool = spool
        self._drain = drain
        self._background = background
        self._flights = flights
        self._wait = wait
        self._tally = tally
        self._logger = logger
        self._leaving: int | None = None

    def write(self, batch: Sequence[Record]) -> None:
        """Append a batch; from then on the process may be killed."""
        if len(batch) == 1:
            self._spool.append((batch[0].to_json(),))
        else:
            self._spool.append([record.to_json() for record in batch])
        if self._leaving != os.getpid():
            self._leaving = os.getpid()
            _close_at_exit(self)

    def settle(self, *, is_awaited: bool, is_test: bool) -> None:
        """Have what a request has written stored, as far as it waits for that.

        Args:
            is_awaited: True where something was promised to be in the database.
            is_test: True in the tests of the application, which read on at once.
        """
        background = self._background
        if is_test:
            # A table that is made in the middle of a test is there from then on.
            background.forgive()
        if background.is_here:
            self._is_drained(0.0)
            return
        if not (is_awaited or is_test):
            return
        seconds = max(self._wait, _TEST_WAIT) if is_test else self._wait
        is_stored = self._is_drained(seconds)
        is_waiting = not is_stored and not self._spool.is_empty
        if is_waiting and self._tally.count("delivery_late"):
            self._logger.warning(
                "Records are not in the database within %g s%s: they wait in the spool "
                "and follow when it answers.",
                seconds,
                "" if is_test else " (ABX_WAIT)",
            )

    def flush(self, timeout: float) -> bool:
        """Wait until all that was written is in the database, at most so long."""
        return self._is_drained(timeout, is_last=True)

    def close(self) -> None:
        """Store what is left, for at most two seconds; the rest stays in the spool."""
        try:
            if not self._spool.is_empty:
                self._is_drained(EXIT_WAIT, is_last=True)
        finally:
            self._spool.close()

    def _is_drained(self, seconds: float, *, is_last: bool = False) -> bool:
        spool, drain = self._spool, self._drain
        goal, refused = drain.hurry(), drain.refused
        # The thread would wait for the very request that waits for it.
        is_own = self._flights.are_counted and self._flights.are_own
        is_done = self._background.wait_until(
            lambda: spool.settled >= goal,
            0.0 if is_own else seconds,
            is_last=is_last or is_own,
        )
        return is_done and drain.refused == refused


def _close_at_exit(sink: SqlSink) -> None:
    reference, pid = weakref.ref(sink), os.getpid()

    def close() -> None:
        alive = reference()
        # A child that was forked has what it wrote itself, and its own hook.
        if alive is not None and os.getpid() == pid:
            alive.close()

    atexit.register(close)
    # At the exit itself it would take away the hook before it has run.
    weakref.finalize(sink, atexit.unregister, close).atexit = False
