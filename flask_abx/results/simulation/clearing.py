"""Taking away what was simulated for an experiment, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import and_, func, or_, select

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.events.sql.retrying import retried
from flask_abx.events.sql.rows import unit_of
from flask_abx.events.sql.statements import find
from flask_abx.events.sql.units import in_parts
from flask_abx.results.simulation.backdating import restore
from flask_abx.results.simulation.traffic import SIMULATED_USER
from flask_abx.stores.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Column, Connection, Engine, Row, Table

    from flask_abx.schema import Tables

    AnyRow: TypeAlias = Row[*tuple[Any, ...]]

#: The version that simulated records tell of.
SIMULATED = "simulated"

#: How many exposures one transaction takes away, with what belongs to them.
_CHUNK = 2_000
_USERS = unit_of(USER, SIMULATED_USER)


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was taken away.

    Attributes:
        exposures: How many exposures.
        events: How many events.
        links: How many links between a visitor and a user.
        looks: How many looks that counted them.
    """

    exposures: int = 0
    events: int = 0
    links: int = 0
    looks: int = 0

    def __add__(self, other: Cleared) -> Cleared:
        return Cleared(
            self.exposures + other.exposures,
            self.events + other.events,
            self.links + other.links,
            self.looks + other.looks,
        )

    def __bool__(self) -> bool:
        return self != Cleared()


def is_exposed(
    connection: Connection, tables: Tables, key: str, *, simulated: bool
) -> bool:
    """Tell whether an experiment has exposures that were simulated, or were not."""
    each = tables.exposures.c
    is_it = each.version == SIMULATED if simulated else each.version != SIMULATED
    query = select(each.unit).where(each.experiment == key, is_it).limit(1)
    return connection.execute(query).first() is not None


def clear(
    engine: Engine,
    tables: Tables,
    key: str,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Cleared:
    """Take away what was simulated for an experiment.

    An event that was simulated for several of them stays for the others.

    Args:
        engine: Whose connections are used.
        tables: The tables.
        key: The experiment.
        tell: Is given how many exposures more are gone, and of how many.
    """
    each = tables.exposures.c
    is_simulated = and_(each.experiment == key, each.version == SIMULATED)
    with reading(engine) as connection:
        others = _others(connection, tables, key)
        query = select(func.count(), func.min(each.stored_at)).where(is_simulated)
        total, since = connection.execute(query).one()
    cleared = retried(partial(_begin, engine, tables, key, since, others))
    columns = (each.iteration, each.unit, each.visitor)
    rows = select(*columns).where(is_simulated).order_by(*columns[:2]).limit(_CHUNK)
    after: Any = ()
    while True:
        with reading(engine) as connection:
            found = connection.execute(rows.where(*after)).all()
        if not found:
            return cleared
        cleared += retried(partial(_drop, engine, tables, key, found, others))
        tell(len(found), total)
        iteration, unit, _ = found[-1]
        later = and_(each.iteration == iteration, each.unit > unit)
        after = (or_(each.iteration > iteration, later),)


def _others(connection: Connection, tables: Tables, key: str) -> frozenset[str]:
    """Name the other experiments that something was simulated for."""
    column = tables.exposures.c.experiment
    first, found = select(func.min(column)), set()
    other = connection.execute(first).scalar()
    while other is not None:
        if other != key and is_exposed(connection, tables, other, simulated=True):
            found.add(other)
        other = connection.execute(first.where(column > other)).scalar()
    return frozenset(found)


def _begin(
    engine: Engine,
    tables: Tables,
    key: str,
    since: int | None,
    others: Collection[str],
) -> Cleared:
    """Put the beginning back, and take away every look since the simulation."""
    with writing(engine) as connection:
        restore(connection, tables, key, with_metrics=not others)
        if since is None:
            return Cleared()
        each = tables.looks.c
        is_later = and_(each.experiment == key, each.computed_at >= since)
        gone = connection.execute(tables.looks.delete().where(is_later))
        return Cleared(looks=gone.rowcount)


def _drop(
    engine: Engine,
    tables: Tables,
    key: str,
    rows: Sequence[AnyRow],
    others: Collection[str],
) -> Cleared:
    with writing(engine) as connection:
        visitors = {row.visitor for row in rows if row.visitor}
        units = {row.unit for row in rows}
        units |= {unit_of(VISITOR, each) for each in visitors}
        events = _drop_events(connection, tables, key, units, others)
        exposures = _drop_exposures(connection, tables, key, rows)
        if others:
            units -= _kept(connection, tables, units, others)
        links = _drop_links(connection, tables, units)
        return Cleared(exposures, events, links)


def _drop_events(
    connection: Connection,
    tables: Tables,
    key: str,
    units: Collection[str],
    others: Collection[str],
) -> int:
    """Take away the simulated events of units that are no other experiment's."""
    events, belonging = tables.events, tables.event_units
    owned = select(belonging.c.event_id)
    ids = {row.event_id for row in find(connection, owned, belonging.c.unit, units)}
    query = select(events.c.id, events.c.variants)
    query = query.where(events.c.version == SIMULATED)
    kept = frozenset(others) - {key}
    doomed = sorted(
        row.id
        for row in find(connection, query, events.c.id, ids)
        if not kept or kept.isdisjoint(json.loads(row.variants))
    )
    _delete(connection, belonging, belonging.c.event_id, doomed)
    return _delete(connection, events, events.c.id, doomed)


def _drop_exposures(
    connection: Connection, tables: Tables, key: str, rows: Iterable[AnyRow]
) -> int:
    table = tables.exposures
    units: dict[int, list[str]] = {}
    for row in rows:
        units.setdefault(row.iteration, []).append(row.unit)
    return sum(
        _delete(
            connection,
            table,
            table.c.unit,
            units[iteration],
            and_(
                table.c.experiment == key,
                table.c.iteration == iteration,
                table.c.version == SIMULATED,
            ),
        )
        for iteration in sorted(units)
    )


def _kept(
    connection: Connection,
    tables: Tables,
    units: Collection[str],
    others: Collection[str],
) -> set[str]:
    """Name the units that other experiments still have."""
    each = tables.exposures.c
    query = select(each.unit).where(each.experiment.in_(sorted(others)))
    return {row.unit for row in find(connection, query, each.unit, units)}


def _drop_links(connection: Connection, tables: Tables, units: Collection[str]) -> int:
    table, prefix = tables.links, unit_of(VISITOR, "")
    visitors = [
        unit.removeprefix(prefix) for unit in sorted(units) if unit.startswith(prefix)
    ]
    is_simulated = table.c.unit.startswith(_USERS, autoescape=True)
    count = _delete(connection, table, table.c.visitor, visitors, is_simulated)
    # Whoever is a unit may have come from devices that are none.
    users = sorted(unit for unit in units if unit.startswith(_USERS))
    return count + _delete(connection, table, table.c.unit, users)


def _delete(
    connection: Connection,
    table: Table,
    column: Column[Any],
    values: Sequence[str],
    *where: Any,
) -> int:
    return sum(
        connection.execute(table.delete().where(column.in_(part), *where)).rowcount
        for part in in_parts(values)
    )
