"""The exposed units of a run, and what each of them did: one row for each unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from flask_abx.experiments.metric import Kind, Mixed, PartOf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause, Select

    from flask_abx.results.dialects import Words
    from flask_abx.results.iteration import Iteration
    from flask_abx.results.metrics import Measure, Part
    from flask_abx.schema import Tables

#: Clocks differ: an event counts that is so much earlier than the exposure.
TOLERANCE = 2_000
#: Beyond it the cube of a sum would be no number any more.
LARGEST = 1e90

Condition: TypeAlias = ColumnElement[bool]
#: The columns of a table, or of what stands for one.
Columns: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Source:
    """Where the events of some metrics are.

    Attributes:
        rows: Of a unit, at a moment, with a value; events have a name and an id too.
        is_select: True for the rows of a statement of the application.
    """

    rows: FromClause
    is_select: bool = False


@dataclass(frozen=True, slots=True)
class Crowd:
    """The exposed units of a run.

    Attributes:
        words: Of the kind of database.
        tables: The tables.
        iteration: The run.
        end: Up to where exposures and events count.
        last: The last unit that counts, by its first exposure; None for all.
    """

    words: Words
    tables: Tables
    iteration: Iteration
    end: int
    last: tuple[int, str] | None = None

    @property
    def leaves_mixed_out(self) -> bool:
        """True where units that met two variants are not judged."""
        return self.iteration.experiment.analysis.mixed is Mixed.EXCLUDE

    def counts(self, x: Columns) -> Condition:  
        """Tell whether a row of the exposures is a unit that counts."""
        wheres = [
            x.experiment == self.iteration.experiment.key,
            x.iteration == self.iteration.number,
            x.merged_into.is_(None),
            x.first_at < self.end,
        ]
        if self.last is not None:
            at, unit = self.last
            is_before = self.words.sorted_text(x.unit) <= unit
            wheres.append(
                or_(x.first_at < at, and_(x.first_at == at, is_before)),
            )
        return and_(*wheres)

    def is_judged(self, x: Columns, reach: int) -> Condition:  
        """Tell whether a unit is judged by a metric that looks so far ahead."""
        is_closed = x.first_at <= self.end - reach
        return and_(is_closed, x.mixed == 0) if self.leaves_mixed_out else is_closed


def reach(measure: Measure) -> int:
    """Tell how long after its first exposure a unit can be judged."""
    return measure.delay + (measure.window or 0)


def is_value_asked(measure: Measure, part: Part) -> bool:
    """Tell whether an event without a number counts for nothing."""
    if part.of is PartOf.SUM or measure.metric.kind is Kind.MEAN:
        return True
    return part.min_value is not None or part.max_value is not None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what events mean to the units of a crowd.

    Attributes:
        crowd: The units.
        source: Where the events are.
        names: Those that are looked at; None for events of any name.
    """

    crowd: Crowd
    source: Source
    names: tuple[str, ...] | None = None

    @property
    def _x(self) -> Any:  
        return self.crowd.tables.exposures.c

    def is_named(self, part: Part) -> Condition | None:
        """Tell whether an event has the name; None where all are the same."""
        if self.source.is_select:
            return None
        return self.source.rows.c.name == part.event  # type: ignore[no-any-return]

    def is_due(self, measure: Measure, first_at: ColumnElement[int]) -> Condition:  # noqa: ANN401
        """Tell whether an event lies within the window."""
        e = self.source.rows.c
        lower = measure.delay or -TOLERANCE
        wheres = [e.at >= first_at + lower]
        if measure.window is not None:
            wheres.append(e.at < first_at + reach(measure))
        return and_(*wheres)

    def is_past(self, measure: Measure, first_at: ColumnElement[int]) -> Condition:  # noqa: ANN401
        """Tell whether an event lies within the time looked at before the exposure."""
        e = self.source.rows.c
        covariate = measure.covariate or 0
        return and_(e.at >= first_at - covariate, e.at < first_at - TOLERANCE)

    def is_number(self) -> Condition:
        """Tell whether the value can be reckoned with; NULL where there is none."""
        words, value = self.crowd.words, self.source.rows.c.value
        # Text is above all numbers in SQLite, and so is NaN in PostgreSQL.
        return value.between(words.number(-LARGEST), words.number(LARGEST))

    def fits(self, measure: Measure, part: Part) -> list[Condition]:
        """List what must be true of an event besides its name and its moment."""
        value, words = self.source.rows.c.value, self.crowd.words
        wheres = []
        if is_value_asked(measure, part):
            wheres.append(self.is_number())
        if part.min_value is not None:
            wheres.append(value >= words.number(part.min_value))
        if part.max_value is not None:
            wheres.append(value <= words.number(part.max_value))
        if part.where:
            wheres.append(self.is_alike(part))
        return wheres

    def is_alike(self, part: Part) -> Condition:
        """Tell whether the properties of an event are those that are wanted."""
        words, events = self.crowd.words, self.crowd.tables.events
        wheres = [events.c.id == self.source.rows.c.event_id]
        for key, wanted in part.where.items():
            if isinstance(wanted, dict):
                is_there = words.has(events.c.properties, key)
                wheres.append(is_there if wanted["$exists"] else ~is_there)
            else:
                wheres.append(words.has_text(events.c.properties, key, wanted))
        found = select(events.c.id).where(*wheres)
        return found.correlate(self.source.rows).exists()

    def worth(self, part: Part) -> ColumnElement[Any]:
        """Give what one event adds."""
        if part.of is PartOf.SUM:
            return self.source.rows.c.value  # type: ignore[no-any-return]
        return self.crowd.words.number(1)

    def chosen(
        self,
        measure: Measure,
        part: Part,
        when: Condition,
        worth: Any,  # noqa: ANN401 - of whatever type
        otherwise: Any = None,  # noqa: ANN401 - the same
    ) -> ColumnElement[Any]:
        """Give the worth of an event that counts; its properties are looked at last."""
        named, fits = self.is_named(part), self.fits(measure, part)
        inner = case((and_(*fits), worth), else_=otherwise) if fits else worth
        outer = when if named is None else and_(named, when)
        return case((outer, inner), else_=otherwise)

    def narrowed(self, measure: Measure) -> Reader:
        """Look at the events of one metric alone."""
        return (
            self
            if self.source.is_select
            else self.of(self.crowd, self.source, [measure])
        )

    @classmethod
    def of(cls, crowd: Crowd, source: Source, measures: Sequence[Measure]) -> Reader:
        """Look at the events of some metrics."""
        if source.is_select:
            return cls(crowd, source)
        names = {part.event for each in measures for part in each.parts}
        return cls(crowd, source, tuple(sorted(names)))

    def belongs(self, unit: ColumnElement[str]) -> list[Condition]:
        """Tell which events belong to a unit, and are looked at."""
        e = self.source.rows.c
        wheres = [e.unit == unit]
        if self.names is not None:
            wheres.append(e.name.in_(self.names))
        return wheres

    def is_joined(self, begin: int) -> Condition:
        """Tell which events may count.

        Args:
            begin: How long before the first exposure.
        """
        x, e = self._x, self.source.rows.c
        at_most = e.at < self.crowd.end
        return and_(*self.belongs(x.unit), e.at >= x.first_at - begin, at_most)


def per_unit(
    reader: Reader, measures: Sequence[Measure], dimensions: Sequence[str] = ()
) -> Select[Any]:
    """Write the query that has one row for each unit.

    Its columns are `unit`, `variant`, `epoch`, `first_at`, `mixed`, `ahead`; `seen`,
    which is 1 with an event since the exposure; `odd`, the number of values that are no
    numbers; `d0`, `d1` ... for the dimensions; and of the first metric `m0f`, the
    moment of the first event where a unit counts once, or else `m0y`, `m0d`; `m0x`,
    `m0w` and `m0h` of the time before, and so on. Those of a unit that is not judged
    are NULL.
    """
    crowd, e = reader.crowd, reader.source.rows.c
    x = crowd.tables.exposures.c
    begin = max([TOLERANCE, *(each.covariate or 0 for each in measures)])
    is_since = e.at >= x.first_at - TOLERANCE
    columns = [
        x.unit,
        *(func.min(x[name]).label(name) for name in _TOLD),
        func.max(case((x.first_at > x.stored_at + _AHEAD, 1), else_=0)).label("ahead"),
        func.max(case((is_since, 1), else_=0)).label("seen"),
        _odd(reader, measures),
    ]
    told = func.min(x.dimensions)
    columns += [
        crowd.words.token(told, key).label(f"d{index}")
        for index, key in enumerate(dimensions)
    ]
    for index, measure in enumerate(measures):
        columns += _letters(reader, measure, f"m{index}")
    joined = crowd.tables.exposures.outerjoin(
        reader.source.rows, reader.is_joined(begin)
    )
    return select(*columns).select_from(joined).where(crowd.counts(x)).group_by(x.unit)


_TOLD = ("variant", "epoch", "first_at", "mixed")
#: A minute.
_AHEAD = 60_000


def _odd(reader: Reader, measures: Sequence[Measure]) -> ColumnElement[int]:
    asked = any(is_value_asked(each, part) for each in measures for part in each.parts)
    if not asked:
        return func.min(0).label("odd")
    return func.sum(case((~reader.is_number(), 1), else_=0)).label("odd")


def _letters(reader: Reader, measure: Measure, prefix: str) -> list[ColumnElement[Any]]:
    first_at = reader.crowd.tables.exposures.c.first_at
    zero = reader.crowd.words.number(0)
    due = reader.is_due(measure, first_at)
    found: dict[str, ColumnElement[Any]] = {}
    if measure.is_indicator:
        at = reader.source.rows.c.at
        found["f"] = func.min(reader.chosen(measure, measure.upper, due, at))
    else:
        for letter, part in zip("yd", measure.parts, strict=False):
            worth = reader.worth(part)
            found[letter] = func.sum(reader.chosen(measure, part, due, worth, zero))
    if measure.covariate is not None:
        found |= _history(reader, measure)
    judged = reader.crowd.is_judged(_Least(reader.crowd), reach(measure))
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


class _Least:
    """The columns of a unit, of which there is one row or, with events, several."""

    def __init__(self, crowd: Crowd) -> None:
        x = crowd.tables.exposures.c
        self.first_at = func.min(x.first_at)
        self.mixed = func.min(x.mixed)
