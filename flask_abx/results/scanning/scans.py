"""Adding up the units of a cohort: caps, shifts, and the values of dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, literal, null, select

from flask_abx.results.scanning.cohort import per_unit
from flask_abx.results.scanning.crowd import reach
from flask_abx.results.scanning.dialects import text_of_token
from flask_abx.results.scanning.summing import (
    Treatment,
    letter_columns,
    reach_columns,
    read_sums,
    shifts_of,
    sum_columns,
)
from flask_abx.results.scanning.sums import Cap, Exposed, Group, Sums, added

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, FromClause, RowMapping, Select

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.crowd import Columns, Reader

#: How many values of a dimension are told apart, those of most units.
MOST_VALUES = 20
#: What the units of all other values are called.
OTHER = "other"
#: How many groups are folded here, before the database is asked to.
_MOST_GROUPS = 2_000
#: The share of the units that are not zero that a cap may touch, as one of so many.
_MOST_CUT = 20


@dataclass(frozen=True, slots=True)
class Found:
    """What one scan found.

    Attributes:
        odd: How many values are no numbers, in whatever window.
    """

    exposed: dict[Group, Exposed] = field(default_factory=dict)
    sums: dict[str, dict[Group, Sums]] = field(default_factory=dict)
    odd: int = 0


@dataclass(frozen=True, slots=True)
class Scanner:
    """Adds up the units of one cohort.

    Attributes:
        connection: In the transaction of the scan.
        reader: Of the units and their events.
        units: One row for each unit, as `cohort.per_unit` has them.
        measures: The metrics, in the order of the columns.
        dimensions: The dimensions, likewise.
        known: The events of metrics that look at properties, once they are found.
        is_kept: False where each statement makes the units anew.
    """

    connection: Connection
    reader: Reader
    units: FromClause
    measures: Sequence[Measure]
    dimensions: Sequence[str] = ()
    known: Mapping[str, FromClause] = field(default_factory=dict)
    is_kept: bool = True

    @property
    def crowd(self) -> tuple[Columns, list[ColumnElement[bool]]]:
        """Give the columns of the units alone, and which of them are units."""
        if self.is_kept:
            return self.units.c, []
        x = self.reader.crowd.tables.exposures.c
        return x, [self.reader.crowd.counts(x)]

    def of(self, index: int) -> tuple[Any, str]:
        """Give the columns of units that a metric needs, and what theirs begin with."""
        if self.is_kept:
            return self.units.c, f"m{index}"
        measure = self.measures[index]
        query = per_unit(self.reader.narrowed(measure), [measure])
        return query.subquery("alone").c, "m0"

    def caps(self) -> dict[str, Cap]:
        """Find the caps: the nearest rank over the units of all variants together."""
        return {
            each.key: self._cap(index, each, each.metric.cap)
            for index, each in enumerate(self.measures)
            if each.metric.cap is not None and not each.is_indicator
        }

    def _cap(self, index: int, measure: Measure, share: float) -> Cap:
        count = self._judged(measure)
        # As a fraction: 0.999 of 3,000 is 2,997 and not a little more.
        rank = math.ceil(Fraction(str(share)) * count)
        reasons, limits = [], {}
        for letter in "y" if measure.lower is None else "yd":
            limits[letter], reason = self._limit(index, letter, count - rank)
            if reason:
                what = "" if measure.lower is None else _PARTS[letter]
                reasons.append(reason.format(what=what))
        return Cap(limits["y"], limits.get("d"), " ".join(reasons))

    def _judged(self, measure: Measure) -> int:
        x, wheres = self.crowd
        judged = self.reader.crowd.is_judged(x, reach(measure))
        query = select(func.count(x.unit)).where(*wheres, judged)
        return int(self.connection.execute(query).scalar_one())

    def _limit(self, index: int, letter: str, above: int) -> tuple[float | None, str]:
        columns, prefix = self.of(index)
        value = columns[f"{prefix}{letter}"]
        query = select(value).where(value > 0).order_by(value.desc())
        limit = self.connection.execute(query.limit(1).offset(above)).scalar()
        if limit is None:
            return None, "Nothing{what} is cut, since the cap would be zero."
        counts = [
            func.sum(case((when, 1), else_=0))
            for when in (value > self.reader.crowd.words.number(limit), value != 0)
        ]
        row = self.connection.execute(select(*counts)).one()
        touched, nonzero = int(row[0]), int(row[1])
        if touched * _MOST_CUT > nonzero:
            return None, (
                f"Nothing{{what}} is cut, since the cap would touch {touched:,} of "
                f"{nonzero:,} units that are not zero, more than 5 %."
            )
        return float(limit), ""

    def scan(self, caps: Mapping[str, Cap]) -> tuple[Found, dict[str, Found]]:
        """Add up by variant and epoch, and by the values of each dimension too.

        Where the mean of a metric hides its variance it is added up once more.

        Returns:
            What was found of all units, and by dimension.
        """
        first = self.dimensions[0] if self.dimensions else None
        done = {
            each.key: Treatment(caps.get(each.key, Cap())) for each in self.measures
        }
        found = self._found(first, done)
        shifts = {
            each.key: shifts_of(each, found.sums[each.key].values())
            for each in self.measures
        }
        only = frozenset(key for key, told in shifts.items() if told)
        if only:
            done |= {key: replace(done[key], shifts=shifts[key]) for key in only}
            found.sums.update(self._found(first, done, only).sums)
        if first is None:
            return found, {}
        others = {each: self._found(each, done) for each in self.dimensions[1:]}
        return _whole(found), {first: found, **others}

    def _found(
        self,
        dimension: str | None,
        done: Mapping[str, Treatment],
        only: frozenset[str] | None = None,
    ) -> Found:
        if dimension is None:
            return self.add_up(done, only=only)
        token = self.units.c[f"d{self.dimensions.index(dimension)}"]
        found = self.add_up(done, only=only, token=token, limit=_MOST_GROUPS + 1)
        if len(found.exposed) > _MOST_GROUPS:
            common = self._common(token)
            rare = case(
                (token.in_(common), token),
                (token.is_(None), null()),
                else_=literal(_OTHERS),
            )
            found = self.add_up(done, only=only, token=rare)
        return _folded(self, found)

    def _common(self, token: ColumnElement[str]) -> list[str]:
        query = (
            select(token, func.count().label("units"))
            .where(token.is_not(None))
            .group_by(token)
            .order_by(func.count().desc(), self.reader.crowd.words.sorted_text(token))
            .limit(MOST_VALUES)
        )
        return [row[0] for row in self.connection.execute(query)]

    def add_up(
        self,
        done: Mapping[str, Treatment],
        *,
        only: frozenset[str] | None = None,
        token: ColumnElement[str] | None = None,
        limit: int | None = None,
    ) -> Found:
        """Add up all metrics in one pass over the units.

        Args:
            done: What is done to each metric.
            only: The metrics that are asked for; None for all of them.
            token: The value that units are grouped by besides.
            limit: How many groups are wanted at most.
        """
        asked = [
            (f"m{index}", each)
            for index, each in enumerate(self.measures)
            if only is None or each.key in only
        ]
        query = self._query(asked, done, token).limit(limit)
        found = Found(sums={each.key: {} for _, each in asked})
        odd = 0
        for row in self.connection.execute(query).mappings():
            group = Group(row["variant"], int(row["epoch"]), row.get("token"))
            found.exposed[group] = _exposed(row)
            odd += int(row["odd"] or 0)
            eligible = int(row["eligible"])
            for m, measure in asked:
                sums = read_sums(measure, done[measure.key], row, m, eligible)
                found.sums[measure.key][group] = sums
        return replace(found, odd=odd)

    def _query(
        self,
        asked: Sequence[tuple[str, Measure]],
        done: Mapping[str, Treatment],
        token: ColumnElement[str] | None,
    ) -> Select[Any]:
        crowd, u = self.reader.crowd, self.units.c
        columns: list[ColumnElement[Any]] = [u[name] for name in _OF_UNIT]
        columns.append(self._was_earlier().label("earlier"))
        if token is not None:
            columns.append(token.label("token"))
        for m, measure in asked:
            columns += letter_columns(crowd, measure, done[measure.key], u, m)
        inner = select(*columns).subquery("letters")
        keys = [inner.c.variant, inner.c.epoch]
        if token is not None:
            keys.append(inner.c.token)
        told = [*keys, *_exposed_columns(self, inner.c)]
        told += reach_columns(crowd, [reach(each) for _, each in asked], inner.c)
        for m, measure in asked:
            told += sum_columns(crowd, measure, done[measure.key], inner.c, m)
        return select(*told).group_by(*keys)

    def _was_earlier(self) -> ColumnElement[int]:
        """Tell whether a unit had an event before its exposure, and none since."""
        u, e = self.units.c, self.reader.source.rows.c
        wheres = [*self.reader.belongs(u.unit), e.at < u.first_at]
        found = select(e.unit).where(*wheres).correlate(self.units).exists()
        inner = case((found, 1), else_=0)
        return case((u.seen == 0, inner), else_=0)


_OF_UNIT = ("variant", "epoch", "first_at", "mixed", "ahead", "seen", "odd")
_PARTS = {"y": " of the numerator", "d": " of the denominator"}
#: No JSON is written so.
_OTHERS = "others"


def _exposed_columns(scanner: Scanner, u: Columns) -> list[ColumnElement[Any]]:
    judged = case((u.mixed == 0, 1), else_=0)
    leaves_out = scanner.reader.crowd.leaves_mixed_out
    return [
        func.count().label("units"),
        (func.sum(judged) if leaves_out else func.count()).label("eligible"),
        func.sum(u.mixed).label("mixed"),
        func.sum(u.seen).label("with_events"),
        func.sum(u.earlier).label("with_earlier"),
        func.sum(u.ahead).label("ahead"),
        func.max(u.first_at).label("last_at"),
        func.sum(u.odd).label("odd"),
    ]


def _exposed(row: RowMapping) -> Exposed:
    names = ("units", "mixed", "with_events", "with_earlier", "ahead", "last_at")
    return Exposed(**{name: int(row[name]) for name in names})


def together(parts: Iterable[Exposed]) -> Exposed:
    """Add up the exposed units of several groups."""
    parts = [*parts]
    return Exposed(
        units=sum(each.units for each in parts),
        mixed=sum(each.mixed for each in parts),
        linked=sum(each.linked for each in parts),
        with_events=sum(each.with_events for each in parts),
        with_earlier=sum(each.with_earlier for each in parts),
        ahead=sum(each.ahead for each in parts),
        last_at=max(each.last_at for each in parts),
    )


def value_of(scanner: Scanner, token: str | None) -> str | None:
    """Read the value of a dimension."""
    if token == _OTHERS:
        return OTHER
    return text_of_token(scanner.reader.crowd.words.plain_token(token))


def _folded(scanner: Scanner, found: Found) -> Found:
    """Read values as text, and put the rare ones together."""
    units: dict[str | None, int] = {}
    texts = {group: value_of(scanner, group.value) for group in found.exposed}
    for group, exposed in found.exposed.items():
        units[texts[group]] = units.get(texts[group], 0) + exposed.units
    named = [each for each in units if each is not None and each != OTHER]
    common = {
        None,
        OTHER,
        *sorted(named, key=lambda each: (-units[each], each))[:MOST_VALUES],
    }
    return _moved(
        found,
        {
            group: group._replace(value=text if text in common else OTHER)
            for group, text in texts.items()
        },
    )


def _whole(found: Found) -> Found:
    """Put the values of a dimension together."""
    return _moved(found, {group: group._replace(value=None) for group in found.exposed})


def _moved(found: Found, places: Mapping[Group, Group]) -> Found:
    """Put groups together that have one place."""
    exposed_by: dict[Group, list[Exposed]] = {}
    for group, place in places.items():
        exposed_by.setdefault(place, []).append(found.exposed[group])
    sums: dict[str, dict[Group, Sums]] = {}
    for key, groups in found.sums.items():
        by_place: dict[Group, list[Sums]] = {}
        for group, each in groups.items():
            by_place.setdefault(places[group], []).append(each)
        sums[key] = {place: added(parts) for place, parts in by_place.items()}
    exposed_of = {place: together(parts) for place, parts in exposed_by.items()}
    return Found(exposed_of, sums, found.odd)
