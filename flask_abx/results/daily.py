"""What each day added to the sums of a metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from flask_abx.results.cohort import TOLERANCE, reach
from flask_abx.results.summing import cut
from flask_abx.results.sums import Cap, Day, Sums
from flask_abx.results.zones import date_of, offsets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select

    from flask_abx.results.cohort import Columns, Crowd
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scans import Scanner
    from flask_abx.results.zones import Offset

_NAMES = ("n", "y", "yy", "d", "yd", "dd")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of a run, in the time zone of its analysis.

    Attributes:
        crowd: The units.
        offsets: How far the clocks of the zone are ahead.
    """

    crowd: Crowd
    offsets: Sequence[Offset]

    def day(self, at: ColumnElement[int]) -> ColumnElement[int]:
        """Find the day of a moment."""
        return self.crowd.words.day(at, self.offsets)


def calendar(crowd: Crowd, begin: int) -> Calendar:
    """Make the calendar of a run.

    Args:
        crowd: The units.
        begin: The first exposure of all.
    """
    zone = crowd.iteration.experiment.analysis.time_zone
    return Calendar(crowd, offsets(zone, begin, crowd.end))


def days(scanner: Scanner, dates: Calendar) -> dict[Day, int]:
    """Count the units first exposed on each day."""
    query = _units(dates, 0, is_judged=False)
    return {_day(row): int(row["n"]) for row in _rows(scanner, query)}


def series(
    scanner: Scanner, dates: Calendar, caps: Mapping[str, Cap]
) -> dict[str, dict[Day, Sums]]:
    """Tell what each day added to each metric.

    A unit comes on the day on which it begins to be judged. Without a window its events
    come on their own days, though never before the unit: one of the last seconds
    before the exposure comes with it.
    """
    found: dict[str, dict[Day, dict[str, float]]] = {}
    for index, measure in enumerate(scanner.measures):
        cap = caps.get(measure.key, Cap())
        into = found.setdefault(measure.key, {})
        queries: list[Select[Any]]
        if measure.window is not None:
            queries = [_closing(scanner, dates, index, measure, cap)]
        else:
            came = _units(dates, measure.delay, is_judged=True)
            if measure.is_indicator:
                queries = [came, _first(scanner, dates, index)]
            else:
                queries = [came, _running(scanner, dates, measure, cap)]
        for query in queries:
            for row in _rows(scanner, query):
                told = into.setdefault(_day(row), {})
                for name in _NAMES:
                    if name in row:
                        told[name] = told.get(name, 0) + (row[name] or 0)
    return {
        key: {day: _sums(told) for day, told in by_day.items()}
        for key, by_day in found.items()
    }


def _sums(told: Mapping[str, float]) -> Sums:
    values = {name: float(told.get(name, 0)) for name in _NAMES[1:]}
    return Sums(n=int(told.get("n", 0)), **values)  # type: ignore[arg-type] # floats


def _rows(scanner: Scanner, query: Select[Any]) -> Iterator[Any]:
    yield from scanner.connection.execute(query).mappings()


def _day(row: Any) -> Day:  # noqa: ANN401 - a row
    return Day(row["variant"], int(row["epoch"]), date_of(int(row["day"])))


def _by_day(inner: Select[Any], columns: Mapping[str, Any]) -> Select[Any]:
    """Add up by variant, epoch and day what a query finds of units or events."""
    u = inner.subquery("moments").c
    keys = [u.variant, u.epoch, u.day]
    told = [make(u).label(name) for name, make in columns.items()]
    return select(*keys, *told).group_by(*keys)


def _count(u: Columns) -> ColumnElement[int]:
    del u
    return func.count()


def _units(dates: Calendar, delay: int, *, is_judged: bool) -> Select[Any]:
    """Count units by the day on which they come."""
    crowd = dates.crowd
    x = crowd.tables.exposures.c
    wheres = [crowd.counts(x)]
    if is_judged:
        wheres.append(crowd.is_judged(x, delay))
    day = dates.day(x.first_at + delay).label("day")
    inner = select(x.variant, x.epoch, day).where(*wheres)
    return _by_day(inner, {"n": _count})


def _first(scanner: Scanner, dates: Calendar, index: int) -> Select[Any]:
    """Count units by the day of the first event, where they count once."""
    u, m = scanner.of(index)
    at = u[f"{m}f"]
    day = dates.day(case((at < u.first_at, u.first_at), else_=at)).label("day")
    inner = select(u.variant, u.epoch, day).where(at.is_not(None))
    return _by_day(inner, {"y": _count, "yy": _count})


def _closing(
    scanner: Scanner, dates: Calendar, index: int, measure: Measure, cap: Cap
) -> Select[Any]:
    """Add up units by the day on which their windows close."""
    crowd, (u, m) = dates.crowd, scanner.of(index)
    ahead = reach(measure)
    day = dates.day(u.first_at + ahead).label("day")
    judged = crowd.is_judged(u, ahead)
    if measure.is_indicator:
        y = case((u[f"{m}f"].is_not(None), 1), else_=0).label("y")
        inner = select(u.variant, u.epoch, day, y).where(judged)
        total = {"y": lambda c: func.sum(c.y), "yy": lambda c: func.sum(c.y)}
        return _by_day(inner, {"n": _count, **total})
    limits = {"y": cap.value, "d": cap.lower}
    letters = "y" if measure.lower is None else "yd"
    values = [cut(crowd, u[f"{m}{each}"], limits[each]).label(each) for each in letters]
    inner = select(u.variant, u.epoch, day, *values).where(judged)
    names = _NAMES[1:3] if measure.lower is None else _NAMES[1:]
    return _by_day(inner, {"n": _count, **{name: _summed(name) for name in names}})


def _summed(name: str) -> Any:  # noqa: ANN401 - a function of columns
    def make(u: Columns) -> ColumnElement[float]:
        first, *others = (u[letter] for letter in name)
        for each in others:
            first = first * each
        return func.sum(first)

    return make


def _running(
    scanner: Scanner, dates: Calendar, measure: Measure, cap: Cap
) -> Select[Any]:
    """Add up what each event adds to the total of its unit, cut as that is.

    When a total goes from a to b, its square grows by b * b - a * a.
    """
    totals = _totals(scanner, dates, measure).subquery("totals").c
    crowd = dates.crowd
    letters = "y" if measure.lower is None else "yd"
    limits = {"y": cap.value, "d": cap.lower}
    columns: list[ColumnElement[Any]] = [totals.variant, totals.epoch, totals.day]
    for each in letters:
        after = totals[each]
        before = after - totals[f"v{each}"]
        columns.append(cut(crowd, after, limits[each]).label(f"b{each}"))
        columns.append(cut(crowd, before, limits[each]).label(f"a{each}"))
    names = _NAMES[1:3] if measure.lower is None else _NAMES[1:]
    return _by_day(select(*columns), {name: _grown(name) for name in names})


def _grown(name: str) -> Any:  # noqa: ANN401 - a function of columns
    def make(u: Columns) -> ColumnElement[float]:
        after, before = ([u[f"{side}{letter}"] for letter in name] for side in "ba")
        if len(name) == 1:
            return func.sum(after[0] - before[0])
        return func.sum(after[0] * after[1] - before[0] * before[1])

    return make


def _totals(scanner: Scanner, dates: Calendar, measure: Measure) -> Select[Any]:
    """List the events of units, each with the total of its unit up to it."""
    crowd, reader = dates.crowd, scanner.reader
    x, e = crowd.tables.exposures, reader.source.rows.c
    due = reader.is_due(measure, x.c.first_at)
    zero = crowd.words.number(0)
    values = {
        letter: reader.chosen(measure, part, due, reader.worth(part), zero)
        for letter, part in zip("yd", measure.parts, strict=False)
    }
    at = case((e.at < x.c.first_at, x.c.first_at), else_=e.at)
    joined = x.join(reader.source.rows, reader.narrowed(measure).is_joined(TOLERANCE))
    counts = [crowd.counts(x.c), crowd.is_judged(x.c, reach(measure)), due]
    told = (
        select(
            x.c.variant,
            x.c.epoch,
            x.c.unit,
            dates.day(at).label("day"),
            e.at.label("at"),
            *(value.label(f"v{letter}") for letter, value in values.items()),
        )
        .select_from(joined)
        .where(*counts)
        .subquery("told")
    )
    window: dict[str, Any] = {
        "partition_by": told.c.unit,
        "order_by": told.c.at,
        "rows": (None, 0),
    }
    running = [
        func.sum(told.c[f"v{letter}"]).over(**window).label(letter) for letter in values
    ]
    steps = [told.c[f"v{letter}"] for letter in values]
    return select(told.c.variant, told.c.epoch, told.c.day, *steps, *running)
