"""How the effect stood at the end of each day, from what each day added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.results.inference import difference, fieller
from flask_abx.results.judgement.comparing import SETTLED_DAYS
from flask_abx.results.judgement.gates import LEAST_EVENTS, LEAST_UNITS
from flask_abx.results.judgement.planning import UNPLANNED, Yardstick
from flask_abx.results.judgement.sampling import (
    NOTHING,
    by_variant,
    moments_of,
    shared_epochs,
)
from flask_abx.results.scanning.sums import Group, Sums
from flask_abx.results.shapes import Basis, SeriesPoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from flask_abx.results.inference import Interval
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates, Day
    from flask_abx.results.shapes import Method


def series_of(
    iteration: Iteration,
    measures: Sequence[Measure],
    aggregates: Aggregates,
    method: Method,
    n_star: Mapping[str, Mapping[str, int]],
) -> Iterator[SeriesPoint]:
    """Tell value, effect and any-time interval of each variant at the end of each day.

    An interval is that of one comparison by itself, undivided and without a covariate;
    the one of the last day is therefore not the one that is judged by.

    Args:
        iteration: Whose variants they are.
        measures: The metrics.
        aggregates: What each day added.
        method: Whose any-time share of alpha is used; the whole of it without one.
        n_star: Where each comparison is tuned, by metric in its role and variant.
    """
    alpha = method.alpha_any_time or method.alpha
    test = Yardstick(Basis.ANY_TIME, alpha, method.alpha)
    for measure in measures:
        added = aggregates.series.get(measure.key)
        if added:
            tuned = n_star.get(f"{measure.role.value}/{measure.key}", {})
            told = _Told(iteration, measure, test, tuned)
            yield from told.points(added, aggregates.days)


class _Told:
    """One metric, day after day."""

    def __init__(
        self,
        iteration: Iteration,
        measure: Measure,
        test: Yardstick,
        n_star: Mapping[str, int],
    ) -> None:
        self._measure = measure
        self._test = test
        self._n_star = n_star
        self._control = iteration.control
        self._epochs = {
            each: shared_epochs(iteration, iteration.control, each)
            for each in iteration.treatments
        }

    def points(
        self, added: Mapping[Day, Sums], exposed: Mapping[Day, int]
    ) -> Iterator[SeriesPoint]:
        """Add up day by day."""
        running: dict[Group, Sums] = {}
        units: dict[str, int] = {}
        by_day = _by_day(added)
        came: dict[date, list[tuple[str, int]]] = {}
        for day, count in exposed.items():
            came.setdefault(day.day, []).append((day.variant, count))
        last: date | None = None
        for today in sorted({*by_day, *came}):
            elapsed = 0 if last is None else (today - last).days
            last = today
            # Whoever was there has grown older, with or without an event.
            running = {
                group: _grown(sums, elapsed, by_day.get(today, {}).get(group, NOTHING))
                for group, sums in {
                    **dict.fromkeys(by_day.get(today, {}), NOTHING),
                    **running,
                }.items()
            }
            for variant, count in came.get(today, ()):
                units[variant] = units.get(variant, 0) + count
            yield from self._day(today, running, units)

    def _day(
        self, today: date, running: Mapping[Group, Sums], units: Mapping[str, int]
    ) -> Iterator[SeriesPoint]:
        sums = by_variant(running)
        for variant in (self._control, *self._epochs):
            own = sums.get(variant, NOTHING)
            relative, interval = None, None
            if variant != self._control:
                relative, interval = self._compared(variant, running)
            yield SeriesPoint(
                metric=self._measure.key,
                variant=variant,
                day=today,
                units=units.get(variant, own.n),
                value=_value(self._measure, own),
                relative_effect=relative,
                interval=interval,
            )

    def _compared(
        self, variant: str, running: Mapping[Group, Sums]
    ) -> tuple[float | None, Interval | None]:
        sums = by_variant(running, self._epochs[variant])
        pair = sums.get(self._control, NOTHING), sums.get(variant, NOTHING)
        values = [_value(self._measure, each) for each in pair]
        if values[0] is None or values[1] is None or not values[0]:
            return None, None
        relative = (values[1] - values[0]) / abs(values[0])
        try:
            return relative, self._interval(variant, *pair)
        except (ValueError, ArithmeticError):
            return relative, None

    def _interval(
        self, variant: str, baseline: Sums, treatment: Sums
    ) -> Interval | None:
        if not _is_enough(self._measure, baseline, treatment):
            return None
        control = moments_of(self._measure, baseline)
        other = moments_of(self._measure, treatment)
        if not difference(control, other).se:
            return None
        n = float(baseline.n + treatment.n)
        if self._measure.window is None:
            n *= max(1.0, (baseline.days + treatment.days) / n / SETTLED_DAYS)
        k = self._test.multiplier(n, self._n_star.get(variant, UNPLANNED), 1)
        return fieller(control, other, k, level=1 - self._test.alpha)


def _by_day(added: Mapping[Day, Sums]) -> dict[date, dict[Group, Sums]]:
    found: dict[date, dict[Group, Sums]] = {}
    for day, sums in added.items():
        found.setdefault(day.day, {})[Group(day.variant, day.epoch)] = sums
    return found


def _grown(sums: Sums, elapsed: int, more: Sums) -> Sums:
    return Sums(
        n=sums.n + more.n,
        days=sums.days + elapsed * sums.n,
        y=sums.y + more.y,
        yy=sums.yy + more.yy,
        d=sums.d + more.d,
        yd=sums.yd + more.yd,
        dd=sums.dd + more.dd,
    )


def _is_enough(measure: Measure, baseline: Sums, treatment: Sums) -> bool:
    """Ask the gates that need no more than a day's sums."""
    smaller, n = min(baseline.n, treatment.n), baseline.n + treatment.n
    if smaller < LEAST_UNITS:
        return False
    if not measure.is_indicator:
        return True
    found = baseline.y + treatment.y
    return min(found, n - found) / n * smaller >= LEAST_EVENTS


def _value(measure: Measure, sums: Sums) -> float | None:
    lower = sums.n if measure.lower is None else sums.d
    return sums.y / lower if lower else None
