"""What each day added to the sums of a metric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from flask_abx.results.scanning.cohort import steps
from flask_abx.results.scanning.crowd import reach
from flask_abx.results.scanning.summing import NO_CAP, cut
from flask_abx.results.scanning.sums import Day, Sums
from flask_abx.results.scanning.zones import date_of, offsets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.crowd import Columns, Crowd
    from flask_abx.results.scanning.scans import Scanner
    from flask_abx.results.scanning.sums import Cap
    from flask_abx.results.scanning.zones import Offset

_NAMES = ("y", "yy", "d", "yd", "dd")
_NOTHING = Sums()


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
    """Count the units first exposed on each day, judged or not."""
    return _counted(scanner, _units(scanner, dates, 0, is_judged=False))


def series(
    scanner: Scanner,
    dates: Calendar,
    caps: Mapping[str, Cap],
    exposed: Mapping[Day, int],
) -> dict[str, dict[Day, Sums]]:
    """Tell what each day added to each metric.

    A unit comes on the day on which it begins to be judged. Without a window its events
    come on their own days, though never before the unit: one of the last seconds
    before the exposure comes with it.

    Args:
        scanner: Of the units.
        dates: The days.
        caps: Where values are cut, by metric.
        exposed: What `days` counts.
    """
    came = {} if dates.crowd.leaves_mixed_out else {0: exposed}
    found: dict[str, dict[Day, Sums]] = {}
    for index, measure in enumerate(scanner.measures):
        cap = caps.get(measure.key, NO_CAP)
        if measure.window is not None:
            query = _closing(scanner, dates, index, measure, cap)
            found[measure.key] = _read(scanner, query)
            continue
        if measure.delay not in came:
            units = _units(scanner, dates, measure.delay, is_judged=True)
            came[measure.delay] = _counted(scanner, units)
        if measure.is_indicator:
            query = _first(scanner, dates, index)
        else:
            query = _running(scanner, dates, measure, cap)
        grown = _read(scanner, query)
        for day, count in came[measure.delay].items():
            grown[day] = replace(grown.get(day, _NOTHING), n=count)
        found[measure.key] = grown
    return found


def _counted(scanner: Scanner, query: Select[Any]) -> dict[Day, int]:
    rows = scanner.connection.execute(query).mappings()
    return {_day(row): int(row["n"]) for row in rows}


def _read(scanner: Scanner, query: Select[Any]) -> dict[Day, Sums]:
    rows = scanner.connection.execute(query).mappings()
    return {_day(row): _sums(row) for row in rows}


def _sums(row: RowMapping) -> Sums:
    told = {name: float(row[name] or 0) for name in _NAMES if name in row}
    return Sums(n=int(row.get("n", 0)), **told)  # type: ignore[arg-type] # floats


def _day(row: RowMapping) -> Day:
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


def _units(
    scanner: Scanner, dates: Calendar, delay: int, *, is_judged: bool
) -> Select[Any]:
    """Count units by the day on which they come."""
    x, wheres = scanner.crowd
    if is_judged:
        wheres = [*wheres, dates.crowd.is_judged(x, delay)]
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
    names = _NAMES[:2] if measure.lower is None else _NAMES
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
    names = _NAMES[:2] if measure.lower is None else _NAMES
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
    found = scanner.known.get(measure.key)
    if found is None:
        units = scanner.units if scanner.is_kept else None
        found = steps(scanner.reader, measure, units).subquery("steps")
    told = found.c
    day = dates.day(case((told.at < told.first_at, told.first_at), else_=told.at))
    letters = "y" if measure.lower is None else "yd"
    window: dict[str, Any] = {
        "partition_by": told.place,
        "order_by": told.at,
        "rows": (None, 0),
    }
    return select(
        told.variant,
        told.epoch,
        day.label("day"),
        *(told[f"v{each}"] for each in letters),
        *(func.sum(told[f"v{each}"]).over(**window).label(each) for each in letters),
    )
