"""Merging: exposures of a visitor become those of the user that it turned out to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sqlalchemy import bindparam, select

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.events.sql.exposing import ExposureRow, together, upsert_exposures
from flask_abx.events.sql.rows import slot_of, unit_of
from flask_abx.events.sql.statements import find

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from flask_abx.events.sql.linking import Links
    from flask_abx.events.sql.rows import Exposed
    from flask_abx.schema import Tables

    KindsOf: TypeAlias = Callable[[str], tuple[str, ...]]

_PERSONAL = frozenset({VISITOR, USER})
_OF_VISITOR = unit_of(VISITOR, "")
_OF_USER = unit_of(USER, "")


class _Merge(NamedTuple):
    """One exposure of a visitor, and the user that it is merged into."""

    row: ExposureRow
    user: str
    is_marked: bool

    @property
    def merged(self) -> ExposureRow:
        """The exposure as the user's."""
        row, user_id = self.row, self.user.removeprefix(_OF_USER)
        return row._replace(
            unit=self.user,
            slot=slot_of(row.experiment, row.iteration, user_id),
            visitor=row.unit.removeprefix(_OF_VISITOR),
        )


def merge(
    connection: Connection,
    tables: Tables,
    links: Links,
    exposures: Iterable[Exposed],
    fresh: Collection[str],
    kinds_of: KindsOf,
    now: int,
) -> None:
    """Give the users of visitors the exposures of these, in experiments on both.

    Args:
        connection: In a transaction that writes, in which the exposures are stored.
        tables: The tables.
        links: Who is who.
        exposures: What was told just now.
        fresh: The visitors whose first user became known just now.
        kinds_of: Gives the types of unit that an experiment is on.
        now: When it is stored, in milliseconds.
    """

    def is_on_both(experiment: str) -> bool:
        return _PERSONAL.issubset(kinds_of(experiment))

    told = {each.key for each in exposures if is_on_both(each.experiment)}
    visitors = {
        unit.removeprefix(_OF_VISITOR)
        for *_, unit in told
        if unit.startswith(_OF_VISITOR)
    }
    visitors = {each for each in visitors if links.user_of(each)}.union(fresh)
    merges = [
        each
        for each in _merges_of(connection, tables, links, visitors)
        if is_on_both(each.row.experiment)
        and (each.row.key in told or not each.is_marked)
    ]
    if merges:
        rows = together(each.merged for each in merges)
        upsert_exposures(connection, tables, rows, now)
        _mark(connection, tables, [each for each in merges if not each.is_marked])


def _merges_of(
    connection: Connection, tables: Tables, links: Links, visitors: Iterable[str]
) -> list[_Merge]:
    each = tables.exposures.c
    names = (*ExposureRow._fields, "merged_into")
    query = select(*(each[name] for name in names))
    units = [unit_of(VISITOR, visitor) for visitor in visitors]
    found = []
    for stored in find(connection, query, each.unit, units):
        row, merged_into = ExposureRow._make(stored[:-1]), stored[-1]
        user = merged_into or links.user_of(row.unit.removeprefix(_OF_VISITOR))
        if user is not None:
            found.append(_Merge(row, user, is_marked=merged_into is not None))
    # Of two browsers of one user, the one that was exposed first decides.
    return sorted(found, key=lambda each: (each.row.first_at, each.row.key))


def _mark(connection: Connection, tables: Tables, merges: Sequence[_Merge]) -> None:
    names = ("own_experiment", "own_iteration", "own_unit", "own_user")
    marks: list[dict[str, Any]] = [
        dict(zip(names, (*each.row.key, each.user), strict=True))
        for each in sorted(merges)
    ]
    if not marks:
        return
    table = tables.exposures
    update = (
        table.update()
        .where(table.c.experiment == bindparam(names[0]))
        .where(table.c.iteration == bindparam(names[1]))
        .where(table.c.unit == bindparam(names[2]))
        .where(table.c.merged_into.is_(None))
        .values(merged_into=bindparam(names[3]))
    )
    connection.execute(update, marks)
