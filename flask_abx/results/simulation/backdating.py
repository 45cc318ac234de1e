"""Moving the beginning of an experiment to that of its simulated traffic, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import and_, select

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Table

    from flask_abx.schema import Tables

    AnyRow: TypeAlias = Row[*tuple[Any, ...]]

#: What a note ends in whose change was moved; without it nothing could be put back.
_MARK = re.compile(
    r"\n?\[moved by flask abx simulate from (\d+), in effect from (\d+);? ?([\d: ]*)\]$"
)


def backdate(
    connection: Connection,
    tables: Tables,
    key: str,
    began: int,
    metrics: Collection[str] = (),
) -> bool:
    """Let an experiment have begun at a moment, at the latest.

    What it was at last counts from then on. Where something was later it is noted in
    the audit, and `restore` puts it back.

    Args:
        connection: In a transaction that writes.
        tables: The tables.
        key: The experiment.
        began: The moment, in milliseconds since 1970.
        metrics: Its metrics whose definitions may move with it.

    Returns:
        False where it had begun by then.
    """
    epochs = _epochs(connection, tables, key)
    moved = _move_epochs(connection, tables, epochs, began)
    own = _changes(connection, tables, "experiment", key)
    told = " ".join(f"{row.iteration}:{row.epoch}:{row.started_at}" for row in moved)
    is_moved = _move_changes(connection, tables, own, began, told)
    for metric in sorted(metrics):
        named = _changes(connection, tables, "metric", metric)
        _move_changes(connection, tables, named, began)
    return is_moved or bool(moved)


def restore(
    connection: Connection, tables: Tables, key: str, *, with_metrics: bool
) -> None:
    """Put back what `backdate` moved; nothing where it moved nothing.

    Args:
        connection: In a transaction that writes.
        tables: The tables.
        key: The experiment.
        with_metrics: True to put back all metrics, too.
    """
    found = _changes(connection, tables, "experiment", key)
    if with_metrics:
        found = [*found, *_changes(connection, tables, "metric")]
    for row in found:
        mark = _MARK.search(row.note)
        if mark is None:
            continue
        _update(
            connection,
            tables.changes,
            row,
            note=row.note[: mark.start()],
            at=int(mark[1]),
            effective_at=int(mark[2]),
        )
        for told in mark[3].split():
            iteration, epoch, started_at = map(int, told.split(":"))
            each = tables.epochs.c
            of_run = and_(each.experiment == key, each.iteration == iteration)
            is_it = and_(of_run, each.epoch == epoch)
            update = tables.epochs.update().where(is_it).values(started_at=started_at)
            connection.execute(update)


def _epochs(connection: Connection, tables: Tables, key: str) -> Sequence[AnyRow]:
    table = tables.epochs
    query = select(*table.c).where(table.c.experiment == key)
    return connection.execute(query.order_by(table.c.iteration, table.c.epoch)).all()


def _changes(
    connection: Connection, tables: Tables, kind: str, key: str | None = None
) -> Sequence[AnyRow]:
    each = tables.changes.c
    columns = (each.version, each.kind, each.key, each.note, each.at, each.effective_at)
    query = select(*columns).where(each.kind == kind).order_by(each.version)
    return connection.execute(
        query if key is None else query.where(each.key == key)
    ).all()


def _move_epochs(
    connection: Connection, tables: Tables, epochs: Sequence[AnyRow], began: int
) -> list[AnyRow]:
    """Move epochs, the last one to a moment; give those that were later."""
    moved = []
    for after, row in enumerate(reversed(epochs)):
        if row.started_at > began - after:
            _update(connection, tables.epochs, row, started_at=began - after)
            moved.append(row)
    return moved


def _move_changes(
    connection: Connection,
    tables: Tables,
    changes: Sequence[AnyRow],
    began: int,
    epochs: str = "",
) -> bool:
    """Move changes, the last one to a moment; tell whether one was later."""
    is_moved = False
    for after, row in enumerate(reversed(changes)):
        # Published before the first exposure, or it would be told as too late.
        effective_at = min(row.effective_at, began - after)
        at = min(row.at, effective_at - 1)
        is_last = after == 0
        if effective_at == row.effective_at and not (is_last and epochs):
            continue
        is_moved = True
        more = f"; {epochs}" if is_last and epochs else ""
        mark = (
            f"[moved by flask abx simulate from {row.at}, in effect from "
            f"{row.effective_at}{more}]"
        )
        note = f"{row.note}\n{mark}" if row.note else mark
        _update(
            connection, tables.changes, row, note=note, at=at, effective_at=effective_at
        )
    return is_moved


def _update(
    connection: Connection, table: Table, row: AnyRow, **values: object
) -> None:
    is_it: list[ColumnElement[bool]] = [
        column == getattr(row, column.name) for column in table.primary_key
    ]
    connection.execute(table.update().where(*is_it).values(**values))
