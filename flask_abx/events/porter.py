"""Bringing the lines of a file into the tables, whatever the database says to some."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.events.bounded import Bounded
from flask_abx.events.spool.letters import Letter
from flask_abx.events.spool.waiting import record_of
from flask_abx.events.sql.erasures import make_sentinel
from flask_abx.events.sql.halving import halved
from flask_abx.events.sql.storing import store
from flask_abx.stores.database import writing

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine

    from flask_abx.events.flights import Flights
    from flask_abx.events.spool.frames import Line
    from flask_abx.events.spool.haul import Haul
    from flask_abx.events.spool.letters import DeadLetters
    from flask_abx.events.tally import Tally
    from flask_abx.stores.database import Database
    from flask_abx.stores.life import Life

#: How many records one transaction stores.
CHUNK = 500
#: On SQLite others wait for the writer, so it writes less at once.
SQLITE_CHUNK = 200
#: After so many seconds a write on SQLite no longer waits for a quiet moment.
PATIENCE = 5.0
#: How many logins a process remembers to have told.
_LINKED = 10_000


class Disturbed(Exception):  # noqa: N818 - it is no error
    """SQLite is not written to, as a request is under way or the thread is over."""


class Porter:
    """Stores the lines of a haul, whatever the database says to some of them.

    Args:
        database: Where the tables are.
        kinds_of: Gives the unit types of an experiment.
        flights: The requests under way, which a write on SQLite could disturb.
        letters: Finds where the records go that the database refuses.
        forget: Told each unit of which there is something new.
        tally: Counts what is refused.
        logger: Where that is told.

    Attributes:
        refused: How many records the database has refused so far.
    """

    def __init__(
        self,
        database: Database,
        kinds_of: Callable[[str], tuple[str, ...]],
        flights: Flights,
        letters: Callable[[], DeadLetters | None],
        forget: Callable[[str], None],
        tally: Tally,
        logger: logging.Logger,
    ) -> None:
        self._database = database
        self._kinds_of = kinds_of
        self._flights = flights
        self._letters = letters
        self._forget = forget
        self._tally = tally
        self._logger = logger
        self.refused = 0
        self._guarded: Engine | None = None
        self._linked: Bounded[tuple[str | None, str | None], bool] = Bounded(_LINKED)

    def is_sqlite(self, life: Life) -> bool:
        """Tell whether it is SQLite in a file, where writers and readers meet."""
        is_it = life.engine.dialect.name == "sqlite"
        # Elsewhere nobody is disturbed, and no request need be counted.
        self._flights.are_counted = is_it and not self._database.is_in_memory
        return is_it

    def may_write(self, since: float) -> bool:
        """Tell whether a write disturbs nobody, or has waited long enough.

        Args:
            since: Since when there is something to write, by `monotonic`.
        """
        return not self._disturbs() or monotonic() - since >= PATIENCE

    def _disturbs(self) -> bool:
        return self._flights.are_counted and not self._flights.are_none

    def carry(self, haul: Haul, life: Life, *, is_patient: bool = True) -> None:
        """Store a whole haul, and end it.

        Args:
            haul: What is stored.
            life: The thread that does it.
            is_patient: False to write whoever is under way.

        Raises:
            Disturbed: If a request is under way; the rest is for another time.
        """
        refused: list[Letter] = []
        size = SQLITE_CHUNK if self.is_sqlite(life) else CHUNK
        try:
            for lines in haul.chunks(size):
                refused += self.store(lines, life, is_patient=is_patient)
            self.end(haul, refused, life)
        except BaseException:
            haul.release()
            raise

    def end(self, haul: Haul, refused: Sequence[Letter], life: Life) -> None:
        """Let a haul go, all of which is stored but what was refused.

        Raises:
            Disturbed: If another thread has taken over meanwhile.
        """
        if life.is_over:
            raise Disturbed
        if refused:
            self._put_away(refused)
        haul.done()

    def _put_away(self, refused: Sequence[Letter]) -> None:
        self.refused += len(refused)
        fault = self._write(refused)
        name = "record_refused" if fault is None else "record_dropped:refused"
        if self._tally.count(name, len(refused)):
            self._logger.error(
                "%d %s could not be stored (%s), %s.",
                len(refused),
                "record" if len(refused) == 1 else "records",
                refused[-1].reason,
                "kept for `flask abx events dead-letters list`"
                if fault is None
                else f"lost, as {fault}",
            )

    def _write(self, refused: Sequence[Letter]) -> str | None:
        """Keep what is refused; say why it cannot be, as others do not wait for it."""
        letters = self._letters()
        if letters is None:
            return "nothing is kept on disk here"
        try:
            letters.add(refused)
        except OSError as error:
            return f"the file of dead letters cannot be written: {error}"
        return None

    def store(
        self, lines: Sequence[Line], life: Life, *, is_patient: bool = True
    ) -> list[Letter]:
        """Store some lines, and give those that no database would take.

        Raises:
            Disturbed: If a request is under way; nothing is stored then.
        """
        told = [(line, record_of(line)) for line in lines]
        records = [record for _, record in told if record is not None]
        damaged = [line for line, record in told if record is None]
        transact = partial(self._transact, life=life, is_patient=is_patient)
        return [
            *(_letter("The line is damaged.", line=line) for line in damaged),
            *(_letter(why, record=one) for one, why in halved(records, transact)),
        ]

    def _transact(
        self, records: Sequence[dict[str, Any]], life: Life, *, is_patient: bool
    ) -> None:
        engine, tables = life.engine, self._database.tables
        if self._guarded is not engine:
            make_sentinel(engine, tables)
            self._guarded = engine
        self._check(life, is_patient=is_patient)
        try:
            with writing(engine) as connection:
                # Not before: who else is writing may keep us waiting.
                self._flights.hold()
                self._check(life, is_patient=is_patient)
                stored = store(
                    connection, tables, records, self._kinds_of, arrives_again=True
                )
                # Whoever came all the same may have read what was before.
                self._check(life, is_patient=is_patient)
        finally:
            self._flights.release()
        if stored.refused:
            self._tally.count("record_dropped:erased", stored.refused)
        for record in records:
            self._tell(record)

    def _check(self, life: Life, *, is_patient: bool) -> None:
        if life.is_over or (is_patient and self._disturbs()):
            raise Disturbed

    def _tell(self, record: Mapping[str, Any]) -> None:
        """Have forgotten what was known of units that may have a new row."""
        units = record["units"]
        if record["type"] == "exposure":
            self._forget(f"{record['unit_type']}:{record['unit']}")
        pair = (units.get(VISITOR), units.get(USER))
        if all(pair) and not self._linked.get(pair):
            self._linked.put(pair, value=True)
            self._forget(f"{USER}:{pair[1]}")


def _letter(
    reason: str, *, record: dict[str, Any] | None = None, line: Line | None = None
) -> Letter:
    raw = None if line is None else line.raw.decode("ascii", "backslashreplace")
    return Letter(reason, datetime.now(UTC), record, raw)
