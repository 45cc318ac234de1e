"""Everything that the tables hold of one unit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from flask_abx.assignment.decision import USER, VISITOR, Unit
from flask_abx.events.records import stamp
from flask_abx.events.sql.erasures import erased
from flask_abx.events.sql.rows import unit_of
from flask_abx.stores.change import moment_of
from flask_abx.stores.database import reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Engine, RowMapping, Select

    from flask_abx.schema import Tables

#: How many ids one statement names; some databases take no more than 999.
AT_ONCE = 500
_AS_JSON = ("units", "properties", "variants")


@dataclass(frozen=True, slots=True)
class Person:
    """A unit, with the visitors that are the same person.

    Attributes:
        visitors: The browsers whose first user it is, if it is a user.
    """

    unit: Unit
    visitors: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The unit and its visitors, as the tables name them."""
        own = text_of(self.unit)
        return (own, *(text_of(Unit(VISITOR, each)) for each in self.visitors))

    def is_met(self, units: Mapping[str, str]) -> bool:
        """Tell whether what belongs to these units belongs to this person.

        What a visitor did while another user was logged in is that user's.
        """
        if units.get(self.unit.type) == self.unit.id:
            return True
        if units.get(VISITOR) not in self.visitors:
            return False
        return units.get(USER, self.unit.id) == self.unit.id


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the tables hold of a unit, as plain values.

    Attributes:
        unit: The unit, such as ``user:7``.
        visitors: The visitors that are the same person.
        erased_at: When it was erased last, or None.
    """

    unit: str
    visitors: list[str]
    erased_at: str | None
    exposures: list[dict[str, Any]]
    events: list[dict[str, Any]]
    event_units: list[dict[str, Any]]
    links: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        return asdict(self)


def text_of(unit: Unit) -> str:
    """Write a unit as the tables do."""
    return unit_of(unit.type, unit.id)


def is_exactly(column: Column[Any], text: str) -> ColumnElement[bool]:
    """Compare with a text; MariaDB alone would overlook blanks at the end."""
    return and_(column == text, func.char_length(column) == len(text))


def in_parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Divide ids into what one statement takes."""
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def person_of(
    connection: Connection, tables: Tables, unit: Unit, told: Collection[str] = ()
) -> Person:
    """Find the visitors that are the same person as a unit.

    Args:
        connection: In a transaction of ours.
        tables: The tables.
        unit: The unit.
        told: Visitors that were seen with it, as records say that still wait.
    """
    if unit.type != USER:
        return Person(unit)
    links, is_first = tables.links.c, tables.links.c.first == 1
    query = select(links.visitor).where(is_exactly(links.unit, text_of(unit)), is_first)
    found = set(connection.scalars(query))
    new = sorted(set(told) - found)
    for part in in_parts(new):
        # A browser that somebody else used first stays with that one.
        taken = select(links.visitor).where(links.visitor.in_(part), is_first)
        found.update(set(part).difference(connection.scalars(taken)))
    return Person(unit, tuple(sorted(found)))


def find_person(
    engine: Engine, tables: Tables, unit: Unit, told: Collection[str] = ()
) -> Person:
    """Find the visitors that are the same person as a unit, on a connection of ours."""
    with reading(engine) as connection:
        return person_of(connection, tables, unit, told)


def holdings_of(engine: Engine, tables: Tables, person: Person) -> Holdings:
    """Read everything that is stored of a person, as of one moment."""
    with reading(engine, is_steady=True) as connection:
        own = text_of(person.unit)
        events = dict(_events(connection, tables, person))
        moment = erased(connection, tables, [own]).get(own)
        return Holdings(
            unit=own,
            visitors=list(person.visitors),
            erased_at=None if moment is None else _stamp(moment),
            exposures=list(_exposures(connection, tables, person)),
            events=list(events.values()),
            event_units=list(_event_units(connection, tables, person, events)),
            links=list(_links(connection, tables, person.unit)),
        )


def _exposures(
    connection: Connection, tables: Tables, person: Person
) -> Iterator[dict[str, Any]]:
    table = tables.exposures
    found: dict[tuple[Any, ...], RowMapping] = {}
    unit = person.unit
    visitors = (unit.id,) if unit.type == VISITOR else person.visitors
    wheres = [is_exactly(table.c.unit, text) for text in person.texts]
    wheres += [is_exactly(table.c.visitor, visitor) for visitor in visitors]
    for where in wheres:
        for row in _rows(connection, select(table).where(where)):
            kind, _, id_ = row["unit"].partition(":")
            # A second user of the same browser is somebody else.
            if kind != USER or unit.type == VISITOR or id_ == unit.id:
                found[row["experiment"], row["iteration"], row["unit"]] = row
    for _, row in sorted(found.items()):
        yield {
            **row,
            "first_at": _stamp(row["first_at"]),
            "mixed": bool(row["mixed"]),
            "dimensions": json.loads(row["dimensions"]),
            "stored_at": _stamp(row["stored_at"]),
        }


def _events(
    connection: Connection, tables: Tables, person: Person
) -> Iterator[tuple[str, dict[str, Any]]]:
    table, own = tables.events, text_of(person.unit)
    found: dict[str, RowMapping] = {}
    for text in person.texts:
        belonging = tables.event_units.c
        ids = select(belonging.event_id).where(is_exactly(belonging.unit, text))
        for row in _rows(connection, select(table).where(table.c.id.in_(ids))):
            if text == own or person.is_met(json.loads(row["units"])):
                found[row["id"]] = row
    for row in sorted(found.values(), key=lambda row: (row["at"], row["id"])):
        yield (
            row["id"],
            {
                "type": "event",
                **row,
                "at": _stamp(row["at"]),
                "stored_at": _stamp(row["stored_at"]),
                **{name: json.loads(row[name]) for name in _AS_JSON},
            },
        )


def _event_units(
    connection: Connection, tables: Tables, person: Person, events: Iterable[str]
) -> Iterator[dict[str, Any]]:
    table, known = tables.event_units, frozenset(events)
    key = (table.c.name, table.c.at, table.c.event_id)
    own = text_of(person.unit)
    for text in person.texts:
        rows = select(table).where(is_exactly(table.c.unit, text)).order_by(*key)
        for row in _rows(connection, rows):
            if text == own or row["event_id"] in known:
                yield {**row, "at": _stamp(row["at"])}


def _links(
    connection: Connection, tables: Tables, unit: Unit
) -> Iterator[dict[str, Any]]:
    table = tables.links
    where = is_exactly(table.c.unit, text_of(unit))
    if unit.type == VISITOR:
        where = or_(where, is_exactly(table.c.visitor, unit.id))
    rows = select(table).where(where).order_by(table.c.visitor, table.c.unit)
    for row in _rows(connection, rows):
        yield {**row, "first": bool(row["first"]), "at": _stamp(row["at"])}


def _rows(connection: Connection, statement: Select[Any]) -> Sequence[RowMapping]:
    return connection.execute(statement).mappings().all()


def _stamp(milliseconds: int) -> str:
    return stamp(moment_of(milliseconds))
