"""Storing records: idempotent, in the order of their keys, in one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from flask_abx.events.sql.erasures import erased, lock
from flask_abx.events.sql.exposing import store_exposures
from flask_abx.events.sql.linking import Links, has_new_links, share_events
from flask_abx.events.sql.merging import merge
from flask_abx.events.sql.rows import Exposed, Happened, json_text, read, units_of
from flask_abx.events.sql.statements import find, insert
from flask_abx.stores.database import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from flask_abx.events.sql.rows import Units
    from flask_abx.schema import Tables

_COLUMNS = (
    "id",
    "name",
    "at",
    "stored_at",
    "value",
    "units",
    "properties",
    "variants",
    "version",
)
_BELONGING = ("unit", "name", "at", "event_id", "value")


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of records.

    Attributes:
        exposures: How many were taken, new or known already.
        events: How many were taken, new or known already.
        refused: How many belonged to an erased unit, and were older than its erasure.
    """

    exposures: int
    events: int
    refused: int


#: After so many milliseconds an event that is told again arrives again.
_LATE = 60_000


class _Event(NamedTuple):
    """What of a stored event tells to whom it belongs."""

    id: str
    name: str
    at: int
    value: float | None
    units: Units
    stored_at: int


def store(
    connection: Connection,
    tables: Tables,
    records: Sequence[Mapping[str, Any]],
    kinds_of: Callable[[str], tuple[str, ...]],
    *,
    arrives_again: bool = False,
) -> Stored:
    """Store records; those that are known add nothing.

    Args:
        connection: In a transaction of ours that writes, and has done nothing yet.
        tables: The tables.
        records: At most a few hundred, as `to_dict` gives them.
        kinds_of: Gives the types of unit that an experiment is on, none if unknown.
        arrives_again: True where a known event may have been hidden until a moment ago,
            in a transaction of the application that was open for long.

    Raises:
        RecordRefused: If no database could store one of them.
    """
    told = [read(record) for record in records]
    # Who links stores alone: what others store of the same visitor at this moment
    # would be seen by neither of the two.
    is_server = connection.dialect.name != "sqlite"
    is_alone = is_server and has_new_links(connection, tables, told)
    lock(connection, tables, alone=is_alone)
    now = clock(connection)
    welcome = _welcome(connection, tables, told)
    exposures = [each for each in welcome if isinstance(each, Exposed)]
    events = [each for each in welcome if isinstance(each, Happened)]
    links = Links(connection, tables)
    fresh = links.learn(welcome)
    store_exposures(connection, tables, exposures, now)
    merge(connection, tables, links, exposures, fresh, kinds_of, now)
    share_events(connection, tables, fresh)
    known = _store_events(connection, tables, links, events, now)
    if arrives_again:
        _tell_again(connection, tables, known, now)
    if len(welcome) < len(told):
        _take_back(connection, tables, told, welcome)
    return Stored(len(exposures), len(events), len(told) - len(welcome))


def store_event(
    connection: Connection, tables: Tables, record: Mapping[str, Any]
) -> None:
    """Store one event in a transaction of the application.

    Nothing is linked, merged or refused here: the same event comes by `store` later.

    Raises:
        RecordRefused: If no database could store it.
    """
    event = read(record)
    if isinstance(event, Happened):
        links = Links(connection, tables)
        _store_events(connection, tables, links, [event], clock(connection))


def _welcome(
    connection: Connection, tables: Tables, told: Sequence[Exposed | Happened]
) -> Sequence[Exposed | Happened]:
    """Leave out what is older than the erasure of one of its units."""
    units = {f"{kind}:{id_}" for each in told for kind, id_ in each.units.items()}
    erased_at = erased(connection, tables, units)
    if not erased_at:
        return told
    return [
        each
        for each in told
        if all(each.at > erased_at.get(unit, -1) for unit in units_of(each.units))
    ]


def _take_back(
    connection: Connection,
    tables: Tables,
    told: Sequence[Exposed | Happened],
    welcome: Sequence[Exposed | Happened],
) -> None:
    """Remove what the application's own transaction stored of an erased unit.

    It was still open while the unit was erased, so that nobody could see the row.
    """
    kept = set(map(id, welcome))
    gone = {
        each.id: each
        for each in told
        if isinstance(each, Happened) and id(each) not in kept
    }
    # An erasure that did see the row has taken the unit out of it.
    found = sorted(
        each.id
        for each in _stored(connection, tables, gone)
        if each.units == gone[each.id].units
    )
    for table, column in ((tables.event_units, "event_id"), (tables.events, "id")):
        if found:
            connection.execute(table.delete().where(table.c[column].in_(found)))


def _store_events(
    connection: Connection,
    tables: Tables,
    links: Links,
    events: Iterable[Happened],
    now: int,
) -> list[_Event]:
    """Store events; give those that may have been known."""
    first = {each.id: each for each in reversed(list(events))}
    told = [first[id_] for id_ in sorted(first)]
    rows = [
        (
            each.id,
            each.name,
            each.at,
            now,
            each.value,
            json_text(each.units, "units"),
            each.properties,
            each.variants,
            each.version,
        )
        for each in told
    ]
    are_new = insert(connection, tables.events, _COLUMNS, rows)
    known = [] if are_new else _stored(connection, tables, first)
    stored: Sequence[_Event | Happened] = known or told
    links.prepare(each.units for each in stored)
    belonging = sorted(
        [
            (unit, each.name, each.at, each.id, each.value)
            for each in stored
            for unit in links.all_units_of(each.units)
        ]
    )
    insert(connection, tables.event_units, _BELONGING, belonging)
    return known


def _stored(connection: Connection, tables: Tables, ids: Iterable[str]) -> list[_Event]:
    """Read events back: what was stored first decides to whom they belong."""
    each = tables.events.c
    query = select(each.id, each.name, each.at, each.value, each.units, each.stored_at)
    return [
        _Event(
            row.id, row.name, row.at, row.value, json.loads(row.units), row.stored_at
        )
        for row in find(connection, query, each.id, ids)
    ]


def _tell_again(
    connection: Connection, tables: Tables, stored: Iterable[_Event], now: int
) -> None:
    """Let events arrive now that were hidden in an open transaction until a moment ago.

    Whoever asks for what has arrived since then would else never see them.
    """
    hidden = sorted(each.id for each in stored if now - each.stored_at >= _LATE)
    if hidden:
        table = tables.events
        connection.execute(
            table.update().where(table.c.id.in_(hidden)).values(stored_at=now)
        )
