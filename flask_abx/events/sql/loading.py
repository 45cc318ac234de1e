"""Loading the records of a log into the tables, each of them once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.events.sql.erasures import make_sentinel
from flask_abx.events.sql.halving import halved
from flask_abx.events.sql.rows import RecordRefused, read
from flask_abx.events.sql.storing import store
from flask_abx.stores.database import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask_abx.events.lines import Line
    from flask_abx.stores.database import Database

#: So many records are stored in one transaction.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that was not stored, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(slots=True)
class Loaded:
    """What has come of the lines so far.

    Attributes:
        exposures: The records of each kind that are in the tables now, also those
            that were there before.
        skipped: The lines that are no record.
        erased: The records of units that were erased after it.
        refused: The records that cannot be stored.
    """

    exposures: int = 0
    events: int = 0
    skipped: int = 0
    erased: int = 0
    refused: int = 0


class Loader:
    """Stores the records of lines, in small transactions.

    Args:
        database: Where they go.
        kinds_of: Gives the units of an experiment, in their order.
        tell: Is given each record that cannot be stored.

    Attributes:
        loaded: What has come of the lines so far.
    """

    def __init__(
        self,
        database: Database,
        kinds_of: Callable[[str], tuple[str, ...]],
        tell: Callable[[Refusal], None],
    ) -> None:
        self.loaded = Loaded()
        self._database = database
        self._kinds_of = kinds_of
        self._tell = tell
        self._waiting: list[Line] = []
        self._is_ready = False

    def add(self, line: Line) -> None:
        """Take a line; its record is stored with others, at the latest by `flush`."""
        if line.is_broken:
            self._refuse(line, "The record is cut off, or no JSON.")
        elif line.record is None:
            self.loaded.skipped += 1
        else:
            self._waiting.append(line)
            if len(self._waiting) >= CHUNK:
                self.flush()

    def flush(self) -> None:
        """Store what has been taken.

        Raises:
            SetupError: If the tables are not there.
            DBAPIError: If the database cannot be used.
        """
        lines = [line for line in self._waiting if self._is_sound(line)]
        self._waiting.clear()
        if lines:
            with self._database.explained(self._database.own):
                if not self._is_ready:
                    make_sentinel(self._database.own, self._database.tables)
                    self._is_ready = True
                for line, reason in halved(lines, self._store):
                    self._refuse(line, f"The database refuses it ({reason}).")

    def _is_sound(self, line: Line) -> bool:
        try:
            read(line.record or {})
        except RecordRefused as error:
            self._refuse(line, str(error))
            return False
        return True

    def _store(self, lines: Sequence[Line]) -> None:
        records = [line.record for line in lines if line.record is not None]
        with writing(self._database.own) as connection:
            stored = store(connection, self._database.tables, records, self._kinds_of)
        self.loaded.exposures += stored.exposures
        self.loaded.events += stored.events
        self.loaded.erased += stored.refused

    def _refuse(self, line: Line, reason: str) -> None:
        self.loaded.refused += 1
        self._tell(Refusal(line.file, line.number, reason))
