"""What an export consists of: five datasets and their columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from flask_abx.events.records import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

Row: TypeAlias = tuple[Any, ...]

_START = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000


class Kind(StrEnum):
    """What the cells of a column hold; any of them may be None."""

    TEXT = "text"
    JSON = "json"
    TIME = "time"
    WHOLE = "whole"
    NUMBER = "number"
    TRUTH = "truth"


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and what is in it: times are milliseconds, JSON is text."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows of one shape.

    Attributes:
        name: What its files are called.
        day: The place of the time by whose day its rows may be parted, or None.
    """

    name: str
    columns: tuple[Column, ...]
    day: int | None = None

    def day_of(self, row: Row) -> str | None:
        """Tell the day of a row in UTC, as ``2026-11-23``."""
        return None if self.day is None else day_text(row[self.day])


class Writer(Protocol):
    """Writes the rows of one dataset into files."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write more rows."""
        ...

    def close(self) -> None:
        """Write what was kept back, and finish the files."""
        ...

    def abandon(self) -> None:
        """Let go of the files, which nobody wants any more."""
        ...


def time_text(milliseconds: int) -> str:
    """Write a time as records have it."""
    return stamp(_START + timedelta(milliseconds=milliseconds))


def day_text(milliseconds: int) -> str:
    """Write the day of a time, in UTC."""
    return (_START + timedelta(days=milliseconds // _DAY)).date().isoformat()


def _dataset(name: str, columns: str, day: str | None = None) -> Dataset:
    """Read ``NAME NAME:KIND ...``; what says no kind is text."""
    pairs = [each.partition(":") for each in columns.split()]
    made = tuple(Column(each, Kind(kind or "text")) for each, _, kind in pairs)
    names = [each.name for each in made]
    return Dataset(name, made, None if day is None else names.index(day))


#: The fields of the record, in the order in which the log writes them.
EVENTS = _dataset(
    "events",
    "type id at:time name value:number variants:json units:json properties:json "
    "version",
    day="at",
)
#: The fields of the record, and what the row alone knows.
EXPOSURES = _dataset(
    "exposures",
    "type id at:time experiment iteration:whole variant reason unit_type unit "
    "units:json dimensions:json version epoch:whole first_at:time mixed:truth "
    "merged_into slot:whole",
    day="first_at",
)
EVENT_UNITS = _dataset(
    "event_units", "unit_type unit name at:time event_id value:number", day="at"
)
LINKS = _dataset("links", "visitor unit_type unit first:truth at:time", day="at")
EPOCHS = _dataset(
    "epochs", "experiment iteration:whole epoch:whole weights:json started_at:time"
)
DATASETS = (EVENTS, EXPOSURES, EVENT_UNITS, LINKS, EPOCHS)
