"""What each exposed unit of a run did: one row for each unit, or for each event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Table, case, func, select

from flask_abx.results.scanning.crowd import TOLERANCE, is_value_asked, reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, FromClause, Select

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.crowd import Condition, Crowd, Reader

#: What the exposures tell of a unit.
_TOLD = ("variant", "epoch", "first_at", "mixed")
#: A minute.
_AHEAD = 60_000


def per_unit(
    reader: Reader,
    measures: Sequence[Measure],
    dimensions: Sequence[str] = (),
    known: Mapping[str, FromClause] | None = None,
) -> Select[Any]:
    """Write the query that has one row for each unit.

    Its columns are `unit`, `variant`, `epoch`, `first_at`, `mixed`, `ahead`; `seen`,
    which is 1 with an event since the exposure; `odd`, the number of values that are no
    numbers; `d0`, `d1` ... for the dimensions; and of the first metric `m0f`, the
    moment of the first event where a unit counts once, or else `m0y`, `m0d`; `m0x`,
    `m0w` and `m0h` of the time before, and so on. Those of a unit that is not judged
    are NULL.

    Args:
        reader: Of the units and their events.
        measures: The metrics.
        dimensions: By whose values units are told apart.
        known: The events that count, as `steps` finds them, of metrics that look at
            properties; else these are looked at here.
    """
    crowd = reader.crowd
    x = crowd.tables.exposures.c
    begin = max([TOLERANCE, *(each.covariate or 0 for each in measures)])
    columns = _told(reader, measures, dimensions)
    joined = crowd.tables.exposures.outerjoin(
        reader.source.rows, reader.is_joined(begin)
    )
    for index, measure in enumerate(measures):
        steps_of = (known or {}).get(measure.key)
        totals = None if steps_of is None else _totals(measure, steps_of, index)
        if totals is not None:
            joined = joined.outerjoin(totals, totals.c.unit == x.unit)
        columns += _letters(reader, measure, f"m{index}", totals)
    query = select(*columns).select_from(joined).where(crowd.counts(x))
    return query.group_by(*_keys(crowd))


def _keys(crowd: Crowd) -> list[ColumnElement[Any]]:
    """Write what stands for a unit: its key, on which all else of it depends."""
    exposures: FromClause = crowd.tables.exposures
    x = exposures.c
    if crowd.words.is_mysql or crowd.words.is_duckdb:
        return [x.unit]
    # A query in the place of the table has no key that a database knows of.
    return [*(exposures.primary_key if isinstance(exposures, Table) else x)]


def _told(
    reader: Reader, measures: Sequence[Measure], dimensions: Sequence[str]
) -> list[ColumnElement[Any]]:
    """Write what is told of a unit, whatever is measured."""
    crowd, e = reader.crowd, reader.source.rows.c
    x = crowd.tables.exposures.c
    is_since = e.at >= x.first_at - TOLERANCE
    columns = [
        x.unit,
        *(crowd.words.one_of(x[name]).label(name) for name in _TOLD),
        case((crowd.words.one_of(x.first_at - x.stored_at) > _AHEAD, 1), else_=0).label(
            "ahead"
        ),
        func.max(case((is_since, 1), else_=0)).label("seen"),
        _odd(reader, measures),
    ]
    told = crowd.words.one_of(x.dimensions)
    return columns + [
        crowd.words.short_token(told, key).label(f"d{index}")
        for index, key in enumerate(dimensions)
    ]


def _totals(measure: Measure, found: FromClause, index: int) -> FromClause:
    """Add up the events of each unit that are known to count."""
    letters = "y" if measure.lower is None else "yd"
    sums = [func.sum(found.c[f"v{each}"]).label(each) for each in letters]
    query = select(found.c.unit, *sums).group_by(found.c.unit)
    return query.subquery(f"totals{index}")


def steps(
    reader: Reader, measure: Measure, units: FromClause | None = None
) -> Select[Any]:
    """Write the query that has one row for each event that counts.

    Its columns are `variant`, `epoch`, `first_at` and `place` of the unit, `unit`,
    `at`, and what the event adds: `vy` and `vd`. Places are in the order of the units.

    Args:
        reader: Of the units and their events.
        measure: The metric.
        units: One row for each unit, where there is such a table.
    """
    crowd, e = reader.crowd, reader.source.rows.c
    x = crowd.tables.exposures if units is None else units
    due = reader.is_due(measure, x.c.first_at)
    wheres = [due, crowd.is_judged(x.c, reach(measure))]
    # Who has no event at all needs not be looked for.
    wheres.append(crowd.counts(x.c) if units is None else x.c.seen == 1)
    values = _values(reader, measure, due)
    if measure.lower is None:
        # It is asked once and for all here what is asked for each part else.
        wheres.append(reader.counts(measure, measure.upper))
        values = {"y": reader.worth(measure.upper)}
    place = x.c.rowid if "rowid" in x.c else crowd.words.sorted_text(x.c.unit)
    is_joined = reader.narrowed(measure).is_joined(TOLERANCE, x.c)
    return (
        select(
            x.c.unit,
            place.label("place"),
            *(x.c[name] for name in ("variant", "epoch", "first_at")),
            e.at,
            *(value.label(f"v{letter}") for letter, value in values.items()),
        )
        .select_from(x.join(reader.source.rows, is_joined))
        .where(*wheres)
    )


def _values(
    reader: Reader, measure: Measure, when: Condition
) -> dict[str, ColumnElement[Any]]:
    """Give what an event adds to each part of a metric."""
    zero = reader.crowd.words.number(0)
    return {
        letter: reader.chosen(measure, part, when, reader.worth(part), zero)
        for letter, part in zip("yd", measure.parts, strict=False)
    }


def _odd(reader: Reader, measures: Sequence[Measure]) -> ColumnElement[int]:
    asked = any(is_value_asked(each, part) for each in measures for part in each.parts)
    if not asked:
        return func.min(0).label("odd")
    return func.sum(case((~reader.is_number(), 1), else_=0)).label("odd")


class _Unit(NamedTuple):
    """What is asked of a unit before it is judged."""

    first_at: ColumnElement[int]
    mixed: ColumnElement[int]


def _letters(
    reader: Reader, measure: Measure, prefix: str, totals: FromClause | None
) -> list[ColumnElement[Any]]:
    crowd = reader.crowd
    x, zero = crowd.tables.exposures.c, crowd.words.number(0)
    due = reader.is_due(measure, x.first_at)
    found: dict[str, ColumnElement[Any]] = {}
    if measure.is_indicator:
        at = reader.source.rows.c.at
        found["f"] = func.min(reader.chosen(measure, measure.upper, due, at))
    else:
        for letter, value in _values(reader, measure, due).items():
            if totals is None:
                found[letter] = func.sum(value)
            else:
                found[letter] = func.coalesce(func.max(totals.c[letter]), zero)
    if measure.covariate is not None:
        found |= _history(reader, measure)
    one_of = crowd.words.one_of
    unit = _Unit(one_of(x.first_at), one_of(x.mixed))
    judged = crowd.is_judged(unit, reach(measure))
    return [
        case((judged, value)).label(f"{prefix}{letter}")
        for letter, value in found.items()
    ]


def _history(reader: Reader, measure: Measure) -> dict[str, ColumnElement[Any]]:
    first_at = reader.crowd.tables.exposures.c.first_at
    zero, one = reader.crowd.words.number(0), reader.crowd.words.number(1)
    past = reader.is_past(measure, first_at)
    found: dict[str, ColumnElement[Any]] = {}
    for letter, part in zip("xw", measure.parts, strict=False):
        if measure.is_indicator:
            found[letter] = func.max(reader.chosen(measure, part, past, one, zero))
            continue
        worth = reader.worth(part)
        found[letter] = func.sum(reader.chosen(measure, part, past, worth, zero))
    flags = [reader.chosen(measure, each, past, 1, 0) for each in measure.parts]
    if not measure.is_indicator:
        found["h"] = func.max(sum(flags[1:], flags[0]))
    return found
