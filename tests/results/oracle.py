"""What the tables say of metrics, row by row in plain Python and in exact fractions."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

from flask_abx.experiments.metric import Kind, Mixed, PartOf
from flask_abx.results.scanning.sums import Aggregates, Cap, Day, Exposed, Group, Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure, Part

    Row: TypeAlias = Mapping[str, Any]
    #: What one unit adds to the sums of a metric.
    Told: TypeAlias = list[tuple["Person", dict[str, Any]]]

DAY = 86_400_000
#: Clocks of servers disagree by so much.
TOLERANCE = 2_000
#: Every name made of the letters is the sum of their product.
PRODUCTS = tuple(each.name for each in fields(Sums) if set(each.name) <= set("ydxw"))
_SERIES = ("y", "d", "yy", "yd", "dd")


@dataclass(frozen=True, slots=True)
class Person:
    """An exposed unit, and by name all that ever happened to it."""

    row: Row
    is_linked: bool
    dimensions: Row
    happened: Mapping[str, Sequence[Row]]

    @property
    def first_at(self) -> int:
        return int(self.row["first_at"])

    def rows(self, names: Iterable[str], low: float, high: int) -> list[Row]:
        found = (row for name in names for row in self.happened.get(name, ()))
        return [row for row in found if low <= row["at"] < high]

    def group(self, dimension: str | None) -> Group:
        value = None if dimension is None else _text(self.dimensions.get(dimension))
        return Group(self.row["variant"], self.row["epoch"], value)

    def day(self, at: int, zone: ZoneInfo) -> Day:
        day = datetime.fromtimestamp(at // 1000, UTC).astimezone(zone).date()
        return Day(self.row["variant"], self.row["epoch"], day)


def oracle(
    exposures: Iterable[Row],
    event_units: Iterable[Row],
    events: Iterable[Row],
    iteration: Iteration,
    measures: Sequence[Measure],
    *,
    as_of: int,
    dimensions: Sequence[str] = (),
) -> Aggregates:
    """Add up what metrics are made of; every sum is a fraction, without any shift.

    Args:
        exposures: Rows of the table, of whatever experiments.
        event_units: Likewise.
        events: Likewise.
        iteration: The run that is asked for.
        measures: The metrics that are asked for, none of them a select.
        as_of: The moment of the scan, in milliseconds since 1970.
        dimensions: What the exposed units are broken down by.
    """
    end = iteration.end(as_of)
    people = _people(exposures, event_units, events, iteration, end)
    analysis = iteration.experiment.analysis
    is_strict = analysis.mixed is Mixed.EXCLUDE
    counted = [each for each in people if not (is_strict and each.row["mixed"])]
    names = {part.event for each in measures for part in each.parts}
    zone = ZoneInfo(analysis.time_zone)
    caps = {each.key: _cap(each, counted, end) for each in measures if each.metric.cap}
    cap_of = {each.key: caps.get(each.key, Cap()) for each in measures}
    told = {m.key: _told(m, counted, end, cap_of[m.key]) for m in measures}
    return Aggregates(
        as_of=as_of,
        end=end,
        exposed=_exposed(people, names, end, None),
        sums={key: _added(each, None) for key, each in told.items()},
        caps=caps,
        exposed_by={each: _exposed(people, names, end, each) for each in dimensions},
        sums_by={
            dimension: {key: _added(each, dimension) for key, each in told.items()}
            for dimension in dimensions
        },
        series={m.key: _series(m, counted, end, cap_of[m.key], zone) for m in measures},
        days=dict(Counter(each.day(each.first_at, zone) for each in people)),
    )


def _people(
    exposures: Iterable[Row],
    event_units: Iterable[Row],
    events: Iterable[Row],
    iteration: Iteration,
    end: int,
) -> list[Person]:
    run = (iteration.experiment.key, iteration.number)
    rows = [row for row in exposures if (row["experiment"], row["iteration"]) == run]
    merged = {row["merged_into"] for row in rows}
    properties = {row["id"]: json.loads(row["properties"]) for row in events}
    happened: defaultdict[str, defaultdict[str, list[Row]]]
    happened = defaultdict(lambda: defaultdict(list))
    for row in event_units:
        told = {**row, "properties": properties[row["event_id"]]}
        happened[row["unit"]][row["name"]].append(told)
    return [
        Person(row, unit in merged, json.loads(row["dimensions"]), happened[unit])
        for row in rows
        if row["merged_into"] is None and row["first_at"] < end
        for unit in (row["unit"],)
    ]


def _exposed(
    people: Iterable[Person], names: set[str], end: int, dimension: str | None
) -> dict[Group, Exposed]:
    found: defaultdict[Group, Counter[str]] = defaultdict(Counter)
    last_at: Counter[Group] = Counter()
    for each in people:
        group, since = each.group(dimension), each.first_at - TOLERANCE
        has_events = bool(each.rows(names, since, end))
        has_earlier = not has_events and bool(each.rows(names, -math.inf, since))
        found[group].update(
            units=1,
            mixed=each.row["mixed"],
            linked=int(each.is_linked),
            with_events=int(has_events),
            with_earlier=int(has_earlier),
            ahead=int(each.first_at > each.row["stored_at"] + 60_000),
        )
        last_at[group] = max(last_at[group], each.first_at)
    return {
        group: Exposed(**counts, last_at=last_at[group])
        for group, counts in found.items()
    }


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _wanted(value: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        return (value is not None) is wanted["$exists"]
    return isinstance(wanted, tuple) and _text(value) in wanted


def _matches(part: Part, row: Row) -> bool:
    value = row["value"]
    if row["name"] != part.event:
        return False
    if part.min_value is not None and (value is None or value < part.min_value):
        return False
    if part.max_value is not None and (value is None or value > part.max_value):
        return False
    return all(_wanted(row["properties"].get(key), w) for key, w in part.where.items())


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _is_bad(measure: Measure, row: Row) -> bool:
    # An event may have no value; what it has must be a number.
    is_odd = row["value"] is not None and not _is_finite(row["value"])
    return is_odd and any(_matches(part, row) for part in measure.parts)


def _counts(measure: Measure, row: Row) -> bool:
    needs = measure.metric.kind is Kind.MEAN
    return any(
        _is_finite(row["value"]) or not (needs or part.of is PartOf.SUM)
        for part in measure.parts
        if _matches(part, row)
    )


def _closes_at(measure: Measure, person: Person) -> int:
    return person.first_at + measure.delay + (measure.window or 0)


def _in_window(measure: Measure, person: Person, end: int) -> list[Row]:
    first, delay = person.first_at, measure.delay
    low = first + delay if delay else first - TOLERANCE
    high = end if measure.window is None else min(end, _closes_at(measure, person))
    return person.rows({part.event for part in measure.parts}, low, high)


def _before(measure: Measure, person: Person) -> list[Row]:
    if measure.covariate is None:
        return []
    low, high = person.first_at - measure.covariate, person.first_at - TOLERANCE
    return person.rows({part.event for part in measure.parts}, low, high)


def _total(measure: Measure, part: Part | None, rows: Iterable[Row]) -> Fraction | int:
    if part is None:
        return 0
    found = [row["value"] for row in rows if _matches(part, row)]
    if measure.is_indicator:
        return int(bool(found))
    values = [Fraction(value) for value in found if _is_finite(value)]
    if part.of is PartOf.SUM:
        return sum(values)
    return len(values if measure.metric.kind is Kind.MEAN else found)


def _products(
    measure: Measure, rows: Iterable[Row], cap: Cap, before: Iterable[Row] = ()
) -> Any:  # noqa: ANN401 - a counter of fractions
    """Multiply what a unit has, cut at the cap; what was before is never cut."""
    y = _total(measure, measure.upper, rows)
    d = _total(measure, measure.lower, rows)
    letters = {
        "y": y if cap.value is None else min(y, Fraction(cap.value)),
        "d": d if cap.lower is None else min(d, Fraction(cap.lower)),
        "x": _total(measure, measure.upper, before),
        "w": _total(measure, measure.lower, before),
    }
    # What is not counted is zero, and most units have nothing of most.
    found = {letter: value for letter, value in letters.items() if value}
    names = (name for name in PRODUCTS if found.keys() >= set(name)) if found else ()
    return Counter({name: math.prod(found[each] for each in name) for name in names})


def _cap(measure: Measure, people: Iterable[Person], end: int) -> Cap:
    judged = [each for each in people if _closes_at(measure, each) <= end]
    has = [_products(measure, _in_window(measure, p, end), Cap()) for p in judged]

    def rank(letter: str) -> float | None:
        totals = sorted(each[letter] for each in has)
        place = math.ceil(Fraction(str(measure.metric.cap)) * len(totals))
        cap = totals[place - 1] if totals else 0
        touched, nonzero = sum(t > cap for t in totals), sum(t != 0 for t in totals)
        return None if cap == 0 or 20 * touched > nonzero else float(cap)

    value, lower = rank("y"), None if measure.lower is None else rank("d")
    is_cut = value is not None and (measure.lower is None or lower is not None)
    return Cap(value, lower, "" if is_cut else "skipped")


def _told(measure: Measure, people: Iterable[Person], end: int, cap: Cap) -> Told:
    found: Told = []
    for each in people:
        if _closes_at(measure, each) > end:
            found.append((each, {"immature": 1}))
            continue
        rows, before = _in_window(measure, each, end), _before(measure, each)
        cut = _products(measure, rows, cap, before)
        raw = _products(measure, rows, Cap(), before)
        told = {
            "n": 1,
            "nonzero": int(raw["y"] != 0),
            "capped": int(cut != raw),
            "history": int(any(_counts(measure, row) for row in before)),
            "bad": sum(_is_bad(measure, row) for row in rows),
            "days": Fraction(end - each.first_at, DAY),
            **cut,
            "raw": raw["y"],
            "raw_squares": raw["yy"],
            "raw_d": raw["d"],
        }
        found.append((each, told))
    return found


def _added(told: Told, dimension: str | None) -> dict[Group, Sums]:
    found: defaultdict[Group, Counter[str]] = defaultdict(Counter)
    raw: defaultdict[Group, list[Any]] = defaultdict(list)
    for person, added in told:
        group = person.group(dimension)
        found[group].update(added)
        raw[group] += [added["raw"]] if "raw" in added else []
    made: Any = Sums
    return {
        group: made(**sums, highest=max(raw[group], default=0))
        for group, sums in found.items()
    }


def _series(
    measure: Measure, people: Iterable[Person], end: int, cap: Cap, zone: ZoneInfo
) -> dict[Day, Sums]:
    found: defaultdict[Day, Counter[str]] = defaultdict(Counter)
    for each in people:
        closes_at = _closes_at(measure, each)
        if closes_at > end:
            continue
        rows = _in_window(measure, each, end)
        found[each.day(closes_at, zone)].update(n=1)
        if measure.window is not None:
            # It comes in whole, on the day on which it is all there.
            day_of = {row["event_id"]: each.day(closes_at, zone) for row in rows}
        else:
            day_of = {row["event_id"]: each.day(row["at"], zone) for row in rows}
        known = _products(measure, (), cap)
        for day in sorted(set(day_of.values())):
            until = [row for row in rows if day_of[row["event_id"]] <= day]
            grown = _products(measure, until, cap)
            added: Any = {name: grown[name] - known[name] for name in _SERIES}
            found[day].update(added)
            known = grown
    made: Any = Sums
    return {day: made(**sums) for day, sums in found.items()}
