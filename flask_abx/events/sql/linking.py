"""Links: which visitor is which user, and whose an event is therefore."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sqlalchemy import Text, literal, select

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.events.sql.rows import unit_of, units_of, visitor_of
from flask_abx.events.sql.statements import (
    ONE,
    find,
    insert,
    insert_from,
    is_postgresql,
    unnested,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, FromClause

    from flask_abx.events.sql.rows import Exposed, Happened, Units
    from flask_abx.schema import Tables

    Told: TypeAlias = Exposed | Happened
    #: A visitor, and a user with its type.
    Pair: TypeAlias = tuple[str, str]
    #: The users of one visitor.
    Users: TypeAlias = dict[str, "Link"]

_BELONGING = ("unit", "name", "at", "event_id", "value")


class Link(NamedTuple):
    """When a user was seen with a visitor first, and whether no other was before."""

    at: int
    first: int


class Links:
    """The links that one transaction knows of."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self._connection = connection
        self._tables = tables
        self._user_of: dict[str, str | None] = {}
        self._visitors_of: dict[str, list[str]] = {}

    def learn(self, told: Iterable[Told]) -> dict[str, str]:
        """Store the links that records tell of.

        Returns:
            The visitors whose first user is another one now, with that user.
        """
        told = list(told)
        known = self._look_up(each.units for each in told)
        changed: dict[str, Users] = defaultdict(dict)
        for (visitor, user), at in _pairs(told).items():
            link = known[visitor].get(user)
            if link is None or at < link.at:
                changed[visitor][user] = Link(at, 0)
        rows = []
        fresh = {}
        for visitor, users in sorted(changed.items()):
            before = known[visitor]
            after = {**before, **users}
            first = min(after, key=lambda user: (after[user].at, user))
            for user in sorted(after):
                link = after[user]._replace(first=int(user == first))
                if link != before.get(user):
                    rows.append((visitor, user, link.first, link.at))
            if first != self._user_of[visitor]:
                fresh[visitor] = self._user_of[visitor] = first
        columns = ("visitor", "unit", "first", "at")
        insert(
            self._connection,
            self._tables.links,
            columns,
            rows,
            lambda new: {"first": new("first"), "at": new("at")},
        )
        return fresh

    def user_of(self, visitor: str) -> str | None:
        """Find the first user of a visitor that was looked up."""
        return self._user_of.get(visitor)

    def prepare(self, events: Iterable[Units]) -> None:
        """Look up who else the events of some units belong to."""
        events = list(events)
        self._look_up(units for units in events if USER not in units)
        users = {
            unit_of(USER, units[USER])
            for units in events
            if USER in units and VISITOR not in units
        } - self._visitors_of.keys()
        if not users:
            return
        each = self._tables.links.c
        query = select(each.visitor, each.unit, each.first)
        self._visitors_of.update({user: [] for user in users})
        for row in find(self._connection, query, each.unit, users):
            if row.first:
                self._visitors_of[row.unit].append(row.visitor)

    def all_units_of(self, units: Units) -> set[str]:
        """Write every unit that an event belongs to, the linked ones included."""
        found = set(units_of(units))
        if USER not in units:
            user = self._user_of.get(units.get(VISITOR, ""))
            if user is not None:
                found.add(user)
        elif VISITOR not in units:
            visitors = self._visitors_of.get(unit_of(USER, units[USER]), ())
            found.update(unit_of(VISITOR, each) for each in visitors)
        return found

    def _look_up(self, told: Iterable[Units]) -> Mapping[str, Users]:
        visitors = {visitor_of(units) for units in told} - self._user_of.keys() - {None}
        known = _links_of(self._connection, self._tables, filter(None, visitors))
        for visitor in filter(None, visitors):
            self._user_of[visitor] = _first(known.get(visitor, {}))
        return known


def has_new_links(connection: Connection, tables: Tables, told: Iterable[Told]) -> bool:
    """Find out whether records tell of links that are not stored yet."""
    pairs = _pairs(told)
    known = _links_of(connection, tables, {visitor for visitor, _ in pairs})
    for (visitor, user), at in pairs.items():
        link = known[visitor].get(user)
        if link is None or at < link.at:
            return True
    return False


def share_events(
    connection: Connection, tables: Tables, user_of: Mapping[str, str]
) -> None:
    """Give the events of visitors to their first users, and the other way round.

    What a visitor did with another user stays that user's; what a user did with a
    visitor of its own stays that visitor's.

    Args:
        connection: In a transaction that writes, in which the links are stored.
        tables: The tables.
        user_of: The visitors with their first users.
    """
    if not user_of:
        return
    events, table = tables.events.c, tables.event_units
    known = table.alias("known")
    pairs = _given(connection, tables, user_of)
    visitor = literal(unit_of(VISITOR, "")) + pairs.c.visitor
    ways = ((visitor, pairs.c.unit, USER), (pairs.c.unit, visitor, VISITOR))
    for owner, other, kind in ways:
        # Quotes inside of a text are escaped, so this can only be a key.
        has_none = events.units.not_like(f'%"{kind}":%')
        columns = [other.label("unit"), *(known.c[name] for name in _BELONGING[1:])]
        query = (
            select(*columns)
            .select_from(pairs.join(known, known.c.unit == owner))
            .join(tables.events, events.id == known.c.event_id)
            .where(has_none)
            .order_by(*columns[:4])
        )
        insert_from(connection, table, query, _values(connection, user_of))


def _given(
    connection: Connection, tables: Tables, user_of: Mapping[str, str]
) -> FromClause:
    """Make rows of visitors and their first users."""
    if is_postgresql(connection):
        # A table that nobody has analysed yet is joined in the worst of ways.
        return unnested("pairs", {"visitor": Text(), "unit": Text()})
    each = tables.links.c
    query = select(each.visitor, each.unit).where(each.visitor.in_(sorted(user_of)))
    return query.where(each.first == ONE).subquery("pairs")


def _values(connection: Connection, user_of: Mapping[str, str]) -> dict[str, list[str]]:
    if not is_postgresql(connection):
        return {}
    return {"visitor": list(user_of), "unit": list(user_of.values())}


def _pairs(told: Iterable[Told]) -> dict[Pair, int]:
    """Find who was seen with whom, and when first."""
    found: dict[Pair, int] = {}
    for each in told:
        visitor = visitor_of(each.units)
        if visitor is not None and USER in each.units:
            pair = visitor, unit_of(USER, each.units[USER])
            found[pair] = min(each.at, found.get(pair, each.at))
    return found


def _links_of(
    connection: Connection, tables: Tables, visitors: Iterable[str]
) -> defaultdict[str, Users]:
    each = tables.links.c
    query = select(each.visitor, each.unit, each.at, each.first)
    found: defaultdict[str, Users] = defaultdict(dict)
    for row in find(connection, query, each.visitor, visitors):
        found[row.visitor][row.unit] = Link(row.at, row.first)
    return found


def _first(users: Mapping[str, Link]) -> str | None:
    return next((user for user, link in users.items() if link.first), None)
