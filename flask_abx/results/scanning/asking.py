"""What is asked of the units of a run besides its metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from flask_abx.results.scanning.crowd import TOLERANCE, is_value_asked, reach
from flask_abx.results.scanning.sums import Exposed, Group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.crowd import Condition, Crowd, Reader

#: How many events an experiment without metrics shows.
MOST_NAMES = 20
#: From so many units on, less than a thousandth of them should not be without events.
_ASKED_FROM = 500
_FEWEST = 1_000


def first_exposure(connection: Connection, crowd: Crowd) -> int | None:
    """Find the earliest exposure that counts; None without any."""
    x = crowd.tables.exposures.c
    query = select(func.min(x.first_at)).where(crowd.counts(x))
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def nth(connection: Connection, crowd: Crowd, count: int) -> tuple[int, str] | None:
    """Find the so-manieth unit in the order of the first exposures."""
    x = crowd.tables.exposures.c
    query = (
        select(x.first_at, x.unit)
        .where(crowd.counts(x))
        .order_by(x.first_at, crowd.words.sorted_text(x.unit))
        .limit(1)
        .offset(count - 1)
    )
    found = connection.execute(query).one_or_none()
    return None if found is None else (int(found.first_at), found.unit)


def linked(
    connection: Connection, crowd: Crowd, dimension: str | None = None
) -> dict[Group, int]:
    """Count the units that others were merged into; by the JSON of a dimension too."""
    table = crowd.tables.exposures
    other = table.alias("merged")
    into = (
        select(other.c.merged_into.label("unit"))
        .where(
            other.c.experiment == crowd.iteration.experiment.key,
            other.c.iteration == crowd.iteration.number,
            other.c.merged_into.is_not(None),
        )
        .distinct()
        .subquery("linked")
    )
    columns: list[ColumnElement[Any]] = [table.c.variant, table.c.epoch]
    if dimension is not None:
        token = crowd.words.short_token(table.c.dimensions, dimension)
        columns.append(token.label("token"))
    inner = (
        select(*columns)
        .select_from(table.join(into, into.c.unit == table.c.unit))
        .where(crowd.counts(table.c))
        .subquery("told")
    )
    query = select(*inner.c, func.count().label("units")).group_by(*inner.c)
    return {
        _group(row): int(row["units"]) for row in connection.execute(query).mappings()
    }


def with_linked(
    exposed: Mapping[Group, Exposed],
    counts: Mapping[Group, int],
    place: Callable[[Group], Group] = lambda group: group,
) -> dict[Group, Exposed]:
    """Add how many units others were merged into.

    Args:
        exposed: The exposed units.
        counts: How many.
        place: Finds the group of a count.
    """
    found = dict(exposed)
    for group, count in counts.items():
        where = place(group)
        if where in found:
            known = found[where]
            found[where] = replace(known, linked=known.linked + count)
    return found


def bad_rows(
    connection: Connection,
    reader: Reader,
    measure: Measure,
    dimension: str | None = None,
) -> dict[Group, int]:
    """Count the rows of a metric that are left out, as they can be reckoned with not.

    Their value is no number or, in a statement of the application, their time is none.

    Args:
        connection: In the transaction of the scan.
        reader: Of the units and the events.
        measure: The metric.
        dimension: By whose JSON they are counted too.
    """
    x, e = reader.crowd.tables.exposures.c, reader.source.rows.c
    due = reader.is_due(measure, x.first_at)
    parts = []
    for part in measure.parts:
        if is_value_asked(measure, part):
            named = reader.is_named(part)
            alike = [reader.is_alike(part)] if part.where else []
            wheres = [due, ~reader.is_number(), *alike]
            parts.append(and_(*wheres if named is None else [named, *wheres]))
    found: dict[Group, int] = {}
    if parts:
        joined = reader.narrowed(measure).is_joined(TOLERANCE)
        found = _counted(connection, reader, measure, dimension, joined, or_(*parts))
    if reader.source.is_select:
        joined = and_(*reader.belongs(x.unit), e.at.is_(None))
        undated = _counted(connection, reader, measure, dimension, joined, joined)
        for group, count in undated.items():
            found[group] = found.get(group, 0) + count
    return found


def _counted(
    connection: Connection,
    reader: Reader,
    measure: Measure,
    dimension: str | None,
    joined: Condition,
    where: Condition,
) -> dict[Group, int]:
    crowd = reader.crowd
    x = crowd.tables.exposures
    columns: list[ColumnElement[Any]] = [x.c.variant, x.c.epoch]
    if dimension is not None:
        columns.append(
            crowd.words.short_token(x.c.dimensions, dimension).label("token")
        )
    judged = crowd.is_judged(x.c, reach(measure))
    inner = (
        select(*columns)
        .select_from(x.join(reader.source.rows, joined))
        .where(crowd.counts(x.c), judged, where)
        .subquery("told")
    )
    query = select(*inner.c, func.count().label("units")).group_by(*inner.c)
    return {
        _group(row): int(row["units"]) for row in connection.execute(query).mappings()
    }


def _group(row: RowMapping) -> Group:
    return Group(row["variant"], int(row["epoch"]), row.get("token"))


def event_names(connection: Connection, reader: Reader) -> tuple[str, ...]:
    """List the events that exposed units have had, the most frequent of them."""
    x, e = reader.crowd.tables.exposures, reader.source.rows
    joined = x.join(e, reader.is_joined(TOLERANCE))
    query = (
        select(e.c.name)
        .select_from(joined)
        .where(reader.crowd.counts(x.c))
        .group_by(e.c.name)
        .order_by(func.count().desc(), reader.crowd.words.sorted_text(e.c.name))
        .limit(MOST_NAMES)
    )
    return tuple(sorted(connection.scalars(query)))


def is_silent(exposed: Mapping[Group, Exposed]) -> bool:
    """Tell whether so few units have events that it is asked whether any arrive."""
    units = sum(each.units for each in exposed.values())
    having = sum(each.with_events for each in exposed.values())
    return units >= _ASKED_FROM and having * _FEWEST < units


def events_arrive(connection: Connection, reader: Reader, since: int) -> bool:
    """Tell whether such events were stored since a moment, whoever had them."""
    if reader.source.is_select:
        rows = reader.source.rows
        query = select(rows.c.at).where(rows.c.at >= since)
        return connection.execute(query.limit(1)).first() is not None
    events = reader.crowd.tables.events.c
    query = select(events.stored_at).where(events.stored_at >= since)
    if reader.names is not None:
        query = query.where(events.name.in_(reader.names))
    return connection.execute(query.limit(1)).first() is not None
