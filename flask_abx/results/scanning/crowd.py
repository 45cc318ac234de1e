"""The exposed units of a run, and what an event means to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import and_, case, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from flask_abx.experiments.metric import Kind, Mixed, PartOf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure, Part
    from flask_abx.results.scanning.dialects import Words
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
            self.words.in_order(x.first_at) < self.end,
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
        is_closed = self.words.in_order(x.first_at) <= self.end - reach
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
    def _x(self) -> Columns:
        return self.crowd.tables.exposures.c

    def is_named(self, part: Part) -> Condition | None:
        """Tell whether an event has the name; None where all are the same."""
        if self.source.is_select:
            return None
        return self.source.rows.c.name == part.event

    def is_due(self, measure: Measure, first_at: ColumnElement[int]) -> Condition:
        """Tell whether an event lies within the window."""
        e = self.source.rows.c
        lower = measure.delay or -TOLERANCE
        wheres = [e.at >= first_at + lower]
        if measure.window is not None:
            wheres.append(e.at < first_at + reach(measure))
        return and_(*wheres)

    def is_past(self, measure: Measure, first_at: ColumnElement[int]) -> Condition:
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
            return self.source.rows.c.value
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

    def counts(self, measure: Measure, part: Part) -> Condition:
        """Tell whether an event is one of a part of a metric, whenever it was."""
        named, fits = self.is_named(part), self.fits(measure, part)
        return and_(true(), *([] if named is None else [named]), *fits)

    def is_joined(self, begin: int, x: Columns = None) -> Condition:
        """Tell which events may count.

        Args:
            begin: How long before the first exposure.
            x: The columns of the units; None for those of the exposures.
        """
        x, e = self._x if x is None else x, self.source.rows.c
        at_most = e.at < self.crowd.end
        return and_(*self.belongs(x.unit), e.at >= x.first_at - begin, at_most)
