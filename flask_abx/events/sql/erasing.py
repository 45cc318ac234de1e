"""Erasing one unit from the tables, in one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flask_abx.assignment.decision import USER, VISITOR, Unit
from flask_abx.events.sql.erasures import digest_of, lock, make_sentinel
from flask_abx.events.sql.retrying import retried
from flask_abx.events.sql.rows import json_text, unit_of
from flask_abx.events.sql.units import in_parts, is_exactly, person_of, text_of
from flask_abx.stores.database import clock, writing
from flask_abx.stores.reading import begin_lineage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Table

    from flask_abx.events.sql.units import Person
    from flask_abx.schema import Tables


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure took away.

    Attributes:
        person: The unit, and the visitors that went with it.
        at: When, in milliseconds of the database's clock.
        exposures: How many exposures are gone.
        events: How many events are gone, as they belonged to nobody else.
        shared: How many stay for another unit, without this one.
        links: How many links between a visitor and a user are gone.
    """

    person: Person
    at: int
    exposures: int
    events: int
    shared: int
    links: int


def erase(
    engine: Engine, tables: Tables, unit: Unit, told: Collection[str] = ()
) -> Erased:
    """Erase a unit and the visitors that are the same person: all of it, or nothing.

    From then on a record of before is refused, wherever it comes from.

    Args:
        engine: Whose connections are used.
        tables: The tables.
        unit: The unit.
        told: Visitors that were seen with it, as records say that still wait.
    """
    # Without a lineage there is no pepper, and without the sentinel nothing to lock.
    begin_lineage(engine, tables)
    make_sentinel(engine, tables)
    return retried(partial(_erase, engine, tables, unit, told))


def _erase(engine: Engine, tables: Tables, unit: Unit, told: Collection[str]) -> Erased:
    with writing(engine) as connection:
        lock(connection, tables, alone=True)
        # Only now: what was stored until here is deleted, the rest is refused.
        now = clock(connection)
        person = person_of(connection, tables, unit, told)
        _remember(connection, tables, person.texts, now)
        exposures = _erase_exposures(connection, tables, person)
        events, shared = _erase_events(connection, tables, person.texts)
        links = _erase_links(connection, tables, person)
        return Erased(person, now, exposures, events, shared, links)


def _remember(
    connection: Connection, tables: Tables, texts: Sequence[str], now: int
) -> None:
    table, state = tables.erasures, tables.state.c
    pepper = connection.execute(select(state.pepper).where(state.id == 1)).scalar_one()
    for digest in sorted(digest_of(pepper, text) for text in texts):
        own = table.c.digest == digest
        known = connection.execute(select(table.c.erased_at).where(own)).scalar()
        if known is None:
            row = table.insert().values(digest=digest, erased_at=now)
            connection.execute(row)
        elif known < now:
            connection.execute(table.update().where(own).values(erased_at=now))


def _erase_exposures(connection: Connection, tables: Tables, person: Person) -> int:
    table, links = tables.exposures, tables.links.c
    each, own = table.c, text_of(person.unit)
    count = sum(
        _delete(connection, table, is_exactly(each.unit, text)) for text in person.texts
    )
    for visitor in _visitors_of(person):
        row = table.update().where(is_exactly(each.visitor, visitor))
        connection.execute(row.values(visitor=None))
    if person.unit.type != USER:
        return count
    # A visitor that is by now the browser of somebody else is counted by itself again.
    where = is_exactly(links.unit, own)
    for visitor in connection.scalars(select(links.visitor).where(where)).all():
        text = text_of(Unit(VISITOR, visitor))
        merged = (is_exactly(each.unit, text), is_exactly(each.merged_into, own))
        connection.execute(table.update().where(*merged).values(merged_into=None))
    return count


def _erase_events(
    connection: Connection, tables: Tables, texts: Sequence[str]
) -> tuple[int, int]:
    """Give how many events went, and how many stay for others."""
    column, gone = tables.event_units.c, frozenset(texts)
    events = shared = 0
    for text in texts:
        own = select(column.event_id).where(is_exactly(column.unit, text))
        # All at once: to look again is to go past what was just deleted each time.
        while ids := sorted(connection.scalars(own)):
            for part in in_parts(ids):
                deleted, kept = _part(connection, tables, part, gone)
                events, shared = events + deleted, shared + kept
    return events, shared


def _part(
    connection: Connection, tables: Tables, ids: Sequence[str], gone: Collection[str]
) -> tuple[int, int]:
    """Take units out of events, and the events away that are nobody's then."""
    table, belonging = tables.events, tables.event_units
    has_others = _forget(connection, belonging, ids, gone)
    rows = connection.execute(
        select(table.c.id, table.c.units).where(table.c.id.in_(ids))
    )
    doomed: list[str] = []
    # Events that are the same people's are changed by one statement.
    changed: defaultdict[str, list[str]] = defaultdict(list)
    shared = 0
    for event, text in rows.all():
        units = json.loads(text)
        left = {
            kind: id_ for kind, id_ in units.items() if unit_of(kind, id_) not in gone
        }
        if not left and event not in has_others:
            doomed.append(event)
            continue
        shared += 1
        if left != units:
            changed[json_text(left, "units")].append(event)
    if doomed:
        _delete(connection, table, table.c.id.in_(doomed))
    for text, events in sorted(changed.items()):
        cut = table.update().where(table.c.id.in_(events))
        # Nobody can tell which of the properties are about whom.
        connection.execute(cut.values(units=text, properties="{}"))
    return len(doomed), shared


def _forget(
    connection: Connection, belonging: Table, ids: Sequence[str], gone: Collection[str]
) -> set[str]:
    """Take away that events belong to units, and name those that others have too."""
    column = belonging.c
    rows = connection.execute(
        select(column.event_id, column.unit).where(column.event_id.in_(ids))
    ).all()
    for text in sorted({unit for _, unit in rows if unit in gone}):
        own = [id_ for id_, unit in rows if unit == text]
        where = (is_exactly(column.unit, text), column.event_id.in_(own))
        connection.execute(belonging.delete().where(*where))
    return {id_ for id_, unit in rows if unit not in gone}


def _erase_links(connection: Connection, tables: Tables, person: Person) -> int:
    table = tables.links
    count = sum(
        _delete(connection, table, is_exactly(table.c.visitor, visitor))
        for visitor in _visitors_of(person)
    )
    where = is_exactly(table.c.unit, text_of(person.unit))
    return count + _delete(connection, table, where)


def _visitors_of(person: Person) -> Sequence[str]:
    unit = person.unit
    return (unit.id,) if unit.type == VISITOR else person.visitors


def _delete(connection: Connection, table: Table, where: ColumnElement[Any]) -> int:
    return connection.execute(table.delete().where(where)).rowcount
