"""Which sums a metric needs, and how a row of them is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, and_, case, func, or_

from flask_abx.results.scanning.crowd import reach
from flask_abx.results.scanning.sums import Cap, Sums, added

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, RowMapping

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.crowd import Columns, Crowd

#: Beyond it, what is added up loses digits: the mean is taken off first.
_KAPPA = 1e4
#: Nothing is cut.
NO_CAP = Cap()
#: Each product of letters, by what a metric has.
_PLAIN = ("y", "yy", "yyy")
_LOWER = ("d", "yd", "dd", "yyd", "ydd", "ddd")
_PAST = ("x", "yx", "xx")
_LOWER_PAST = ("w", "yw", "dx", "dw", "xw", "ww")
_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to the letters of a unit before they are added up.

    Attributes:
        cap: Where they are cut.
        shifts: What is taken off, by letter.
    """

    cap: Cap = NO_CAP
    shifts: Mapping[str, float] | None = None

    def shift(self, letter: str) -> float:
        """Tell what is taken off a letter."""
        return (self.shifts or {}).get(letter, 0.0)


def letters(measure: Measure) -> str:
    """List the letters of a metric that are numbers."""
    upper, past = "y", "x" if measure.covariate is not None else ""
    if measure.lower is None:
        return upper + past
    return upper + "d" + past + ("w" if past else "")


def products(measure: Measure) -> tuple[str, ...]:
    """List the sums that a metric needs."""
    if measure.is_indicator:
        # Zeros and ones are their own squares.
        return () if measure.covariate is None else ("x", "yx")
    found: tuple[str, ...] = _PLAIN
    if measure.lower is not None:
        found += _LOWER
    if measure.covariate is not None:
        found += _PAST if measure.lower is None else _PAST + _LOWER_PAST
    return found


def cut(
    crowd: Crowd,
    value: ColumnElement[float],
    limit: float | None,
    shift: float = 0.0,
) -> ColumnElement[float]:
    """Cut a letter, take its shift off, and make its products safe."""
    if limit is not None:
        most = crowd.words.number(limit)
        value = case((value > most, most), else_=value)
    if shift:
        value = value - crowd.words.number(shift)
    return crowd.words.calm(value)


def letter_columns(
    crowd: Crowd,
    measure: Measure,
    treatment: Treatment,
    u: Columns,
    m: str,
) -> list[ColumnElement[Any]]:
    """Write the letters of a unit as they are added up, and as they were.

    Args:
        crowd: The units.
        measure: The metric.
        treatment: What is done to its letters.
        u: The columns of the units.
        m: What the names of its columns begin with.
    """
    if measure.is_indicator:
        names = ["f"] if measure.covariate is None else ["f", "x"]
        return [u[f"{m}{name}"] for name in names]
    limits = {"y": treatment.cap.value, "d": treatment.cap.lower}
    found: list[ColumnElement[Any]] = []
    for letter in letters(measure):
        value = u[f"{m}{letter}"]
        told = cut(crowd, value, limits.get(letter), treatment.shift(letter))
        found.append(told.label(f"{m}{letter}"))
        if letter in "yd":
            found.append(value.label(f"{m}r{letter}"))
    if measure.covariate is not None:
        found.append(u[f"{m}h"])
    return found


def sum_columns(
    crowd: Crowd,
    measure: Measure,
    treatment: Treatment,
    u: Columns,
    m: str,
) -> list[ColumnElement[Any]]:
    """Write the sums of a metric over units whose letters are as they are added up."""
    if measure.is_indicator:
        return _indicator_columns(measure, u, m)
    raw = u[f"{m}ry"]
    calm = crowd.words.calm(raw)
    found: dict[str, ColumnElement[Any]] = {
        each: func.sum(_product(u, m, each)) for each in products(measure)
    }
    found["nonzero"] = func.sum(case((raw != 0, 1), else_=0))
    found["highest"] = func.max(raw)
    if treatment.cap.value is not None or treatment.shift("y"):
        found |= {"raw": func.sum(raw), "raw_squares": func.sum(calm * calm)}
    is_lower_changed = treatment.cap.lower is not None or treatment.shift("d")
    if measure.lower is not None and is_lower_changed:
        found["raw_d"] = func.sum(u[f"{m}rd"])
    is_cut = _is_cut(crowd, treatment.cap, u, m)
    if is_cut is not None:
        found["capped"] = func.sum(case((is_cut, 1), else_=0))
    if measure.covariate is not None:
        found["history"] = func.sum(case((u[f"{m}h"] > 0, 1), else_=0))
    return [value.label(f"{m}_{name}") for name, value in found.items()]


def _is_cut(
    crowd: Crowd,
    cap: Cap,
    u: Columns,
    m: str,
) -> ColumnElement[bool] | None:
    told = (("ry", cap.value), ("rd", cap.lower))
    cuts = [
        u[f"{m}{letter}"] > crowd.words.number(limit)
        for letter, limit in told
        if limit is not None
    ]
    return or_(*cuts) if cuts else None


def _indicator_columns(
    measure: Measure,
    u: Columns,
    m: str,
) -> list[ColumnElement[Any]]:
    happened = u[f"{m}f"].is_not(None)
    found = {"y": func.sum(case((happened, 1), else_=0))}
    if measure.covariate is not None:
        was = u[f"{m}x"] > 0
        found["x"] = func.sum(case((was, 1), else_=0))
        found["yx"] = func.sum(case((and_(happened, was), 1), else_=0))
    return [value.label(f"{m}_{name}") for name, value in found.items()]


def _product(u: Columns, m: str, name: str) -> ColumnElement[float]:
    first, *others = (u[f"{m}{letter}"] for letter in name)
    for each in others:
        first = first * each
    return first  # type: ignore[no-any-return]


def reach_columns(
    crowd: Crowd,
    reaches: Iterable[int],
    u: Columns,
) -> list[ColumnElement[Any]]:
    """Count the units that are judged, and their days, for each reach."""
    found: list[ColumnElement[Any]] = []
    for ahead in sorted(set(reaches)):
        judged = crowd.is_judged(u, ahead)
        days = crowd.words.as_double(crowd.end - u.first_at)
        days = days.op("/", return_type=Double())(crowd.words.number(_DAY))
        zero = crowd.words.number(0)
        found.append(func.sum(case((judged, 1), else_=0)).label(f"n{ahead}"))
        found.append(func.sum(case((judged, days), else_=zero)).label(f"t{ahead}"))
    return found


def read_sums(
    measure: Measure, treatment: Treatment, row: RowMapping, m: str, eligible: int
) -> Sums:
    """Read the sums of one group.

    Args:
        measure: The metric.
        treatment: What was done to its letters.
        row: What the statement found.
        m: What the names of its columns begin with.
        eligible: How many units there are, judged or not.
    """
    ahead = reach(measure)
    n = int(row[f"n{ahead}"])
    head = Sums(n=n, immature=eligible - n, days=float(row[f"t{ahead}"]))
    if measure.is_indicator:
        return _read_indicator(measure, head, row, m)
    told = {each: _number(row, f"{m}_{each}") for each in products(measure)}
    shifts = {f"shift_{each}": treatment.shift(each) for each in letters(measure)}
    return replace(
        head,
        **told,  # type: ignore[arg-type] # names of floats
        **shifts,  # type: ignore[arg-type] # the same
        nonzero=int(row[f"{m}_nonzero"] or 0),
        capped=int(row.get(f"{m}_capped") or 0),
        history=int(row.get(f"{m}_history") or 0),
        raw=_number(row, f"{m}_raw", told["y"]),
        raw_squares=_number(row, f"{m}_raw_squares", told["yy"]),
        raw_d=_number(row, f"{m}_raw_d", told.get("d", 0.0)),
        highest=_number(row, f"{m}_highest"),
    )


def _read_indicator(measure: Measure, head: Sums, row: RowMapping, m: str) -> Sums:
    y = int(row[f"{m}_y"])
    one = float(y)
    found = replace(
        head,
        nonzero=y,
        y=one,
        yy=one,
        yyy=one,
        raw=one,
        raw_squares=one,
        highest=1.0 if y else 0.0,
    )
    if measure.covariate is None:
        return found
    x, yx = int(row[f"{m}_x"]), int(row[f"{m}_yx"])
    return replace(found, history=x, x=float(x), xx=float(x), yx=float(yx))


def _number(row: RowMapping, name: str, otherwise: float = 0.0) -> float:
    if name not in row:
        return otherwise
    value = row[name]
    return 0.0 if value is None else float(value)


def shifts_of(measure: Measure, groups: Iterable[Sums]) -> dict[str, float]:
    """Find the letters whose mean hides their variance, and what to take off them."""
    if measure.is_indicator:
        return {}
    pooled = added(groups)
    found = {}
    for letter in letters(measure):
        total, squares = getattr(pooled, letter), getattr(pooled, letter * 2)
        if _is_hidden(pooled.n, total, squares):
            # Every engine reads twelve digits as the same number.
            found[letter] = float(f"{total / pooled.n:.12g}")
    return found


def _is_hidden(n: int, total: float, squares: float) -> bool:
    if n < 2 or not squares:
        return False
    variance = (squares - total * total / n) / (n - 1)
    return squares > _KAPPA * n * variance
