"""Rows of exposures: the first variant of a unit, and its earliest moment."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import case, or_, select

from flask_abx.events.sql.rows import visitor_of
from flask_abx.events.sql.statements import ONE, find, insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from flask_abx.events.sql.rows import Exposed, ExposureKey
    from flask_abx.schema import Tables

#: What `epochs` begins with.
FIRST_EPOCH = 1


class ExposureRow(NamedTuple):
    """A row of the table, without what is set later: merged_into and stored_at."""

    experiment: str
    iteration: int
    unit: str
    variant: str
    epoch: int
    reason: str
    first_at: int
    mixed: int
    visitor: str | None
    dimensions: str
    slot: int
    version: str

    @property
    def key(self) -> ExposureKey:
        """What the row is found by."""
        return self[:3]


def store_exposures(
    connection: Connection, tables: Tables, exposures: Iterable[Exposed], now: int
) -> None:
    """Store exposures: of each unit the first one, at its earliest moment."""
    rows = together(map(_row_of, exposures))
    if not rows:
        return
    epoch_of = _epochs(connection, tables, {row.experiment for row in rows})
    dated = [
        row if epoch == row.epoch else row._replace(epoch=epoch)
        for row, epoch in zip(rows, map(epoch_of, rows), strict=True)
    ]
    upsert_exposures(connection, tables, dated, now)


def upsert_exposures(
    connection: Connection, tables: Tables, rows: Sequence[ExposureRow], now: int
) -> None:
    """Insert rows that are sorted and told once; of known ones the variant stays.

    Args:
        connection: In a transaction that writes.
        tables: The tables.
        rows: The rows.
        now: When they arrive, in milliseconds.
    """
    table = tables.exposures
    known = table.c

    def changes(new: Callable[[str], ColumnElement[Any]]) -> dict[str, Any]:
        is_earlier = new("first_at") < known.first_at
        is_mixed = or_(new("mixed") == ONE, new("variant") != known.variant)
        # MariaDB and MySQL set one after the other: the epoch has to come before.
        return {
            "epoch": case((is_earlier, new("epoch")), else_=known.epoch),
            "first_at": case((is_earlier, new("first_at")), else_=known.first_at),
            "mixed": case((is_mixed, ONE), else_=known.mixed),
        }

    columns = (*ExposureRow._fields, "stored_at")
    insert(connection, table, columns, [(*row, now) for row in rows], changes)


def together(rows: Iterable[ExposureRow]) -> list[ExposureRow]:
    """Make one row of all that have a key, as if they were stored one by one."""
    found: dict[ExposureKey, ExposureRow] = {}
    for row in rows:
        key = row.key
        known = found.get(key)
        found[key] = row if known is None else _added(known, row)
    return [found[key] for key in sorted(found)]


def _added(known: ExposureRow, row: ExposureRow) -> ExposureRow:
    is_mixed = known.mixed or row.mixed or known.variant != row.variant
    earlier = min(known, row, key=lambda each: each.first_at)
    return known._replace(
        epoch=earlier.epoch, first_at=earlier.first_at, mixed=int(is_mixed)
    )


def _row_of(told: Exposed) -> ExposureRow:
    return ExposureRow(
        told.experiment,
        told.iteration,
        told.unit,
        told.variant,
        FIRST_EPOCH,
        told.reason,
        told.at,
        0,
        visitor_of(told.units),
        told.dimensions,
        told.slot,
        told.version,
    )


def _epochs(
    connection: Connection, tables: Tables, experiments: Iterable[str]
) -> Callable[[ExposureRow], int]:
    """Find the epochs of experiments: which one was open when a unit was exposed?"""
    each = tables.epochs.c
    query = select(each.experiment, each.iteration, each.started_at, each.epoch)
    known: Mapping[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for row in find(connection, query, each.experiment, experiments):
        known[row.experiment, row.iteration].append((row.started_at, row.epoch))

    def epoch_of(row: ExposureRow) -> int:
        epochs = known.get((row.experiment, row.iteration))
        if not epochs:
            return FIRST_EPOCH
        begun = [each for each in epochs if each[0] <= row.first_at]
        return max(begun)[1] if begun else min(epochs)[1]

    return epoch_of
