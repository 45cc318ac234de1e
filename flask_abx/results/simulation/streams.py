"""The events that metrics are made of, as simulated people have them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from flask_abx.assignment.position import position
from flask_abx.errors import UsageError
from flask_abx.experiments.metric import Direction, Kind, PartOf
from flask_abx.results.metrics import measures
from flask_abx.results.shapes import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from flask_abx.experiments.metric import Metric
    from flask_abx.experiments.model import Experiment
    from flask_abx.results.metrics import Measure, Part

#: What people do in an experiment that names no metric.
USUAL_EVENT = "conversion"
#: What a property holds that only has to be there.
ANYTHING = ("yes",)

_WEEK = 7 * 86_400_000
#: How many events have the properties that a metric asks for.
_MATCHES = 0.8
#: The same where this share is what an effect changes.
_MATCHES_EVENLY = 0.5
_LEAST_MEDIAN, _BREADTH = 12.0, 48.0
#: How much values differ from one event to the next, as the logarithm has it.
_SIGMA = 0.6
#: So many times that lies between the usual value and a bound.
_FAR = 4


class Knob(StrEnum):
    """What an effect changes: how many do it, its value, or which kind they do."""

    RATE = "rate"
    VALUE = "value"
    MATCH = "match"


class Habit(NamedTuple):
    """How usual an event is.

    Attributes:
        rank: Of two habits the lower one counts.
        low: The least share of units that have any.
        high: The largest.
        more: How often these have it again, on average.
    """

    rank: int
    low: float
    high: float
    more: float


_RARE = Habit(0, 0.01, 0.04, 0.0)
_HABITS: Mapping[Kind, Habit] = {
    Kind.CONVERSION: Habit(1, 0.05, 0.12, 0.15),
    Kind.SUM: Habit(2, 0.05, 0.12, 0.3),
    Kind.MEAN: Habit(3, 0.08, 0.16, 0.3),
    Kind.RETENTION: Habit(4, 0.2, 0.35, 0.0),
    Kind.COUNT: Habit(5, 0.3, 0.5, 1.2),
    Kind.RATIO: Habit(6, 0.3, 0.5, 0.8),
}
_EVERYBODY = Habit(7, 0.94, 0.98, 1.5)


class Values(NamedTuple):
    """Which values events have.

    Attributes:
        median: The usual one.
        sigma: How much others differ from it, as the logarithm has it.
        low: The least that there is.
        high: The largest.
    """

    median: float
    sigma: float
    low: float
    high: float


class _Use(NamedTuple):
    """One metric of one experiment that is made of the events of a name."""

    key: str
    measure: Measure
    part: Part
    is_moved: bool

    @property
    def habit(self) -> Habit:
        """How usual events are that this metric is made of."""
        metric, measure = self.measure.metric, self.measure
        if measure.is_indicator and metric.direction is Direction.LOWER:
            return _RARE
        is_lower = self.part is measure.lower
        if metric.kind is Kind.RATIO and is_lower:
            return _EVERYBODY
        return _HABITS[metric.kind]

    @property
    def knob(self) -> Knob | None:
        """What moves the metric by an effect, and leaves the rest alone."""
        upper, lower = self.measure.upper, self.measure.lower
        if not self.is_moved or self.part is not upper:
            return None
        if lower is None or upper.event != lower.event:
            return Knob.RATE
        return Knob.VALUE if upper.of is PartOf.SUM else Knob.MATCH


@dataclass(frozen=True, slots=True)
class Stream:
    """The events of one name.

    Attributes:
        event: The name.
        rate: The share of units of a control that have any.
        more: How often these have it again, on average.
        values: Which values they have; None where they have none.
        where: What metrics ask of its properties.
        matches: How many events have these.
        returns: From when to when after the first visit units come back for it, in
            milliseconds; None where they do it whenever they come.
        is_immediate: False where they only come back for it.
        history: How long before the first visit it happened too, in milliseconds.
        knobs: What the effects of which experiments change.
    """

    event: str
    rate: float
    more: float
    values: Values | None
    where: Mapping[str, Sequence[str]]
    matches: float
    returns: tuple[int, int] | None
    is_immediate: bool
    history: int | None
    knobs: Mapping[Knob, Collection[str]]

    def factor(self, knob: Knob, effects: Mapping[str, float]) -> float:
        """Give what the effects of experiments, by key, multiply something by."""
        found = 1.0
        for key in self.knobs.get(knob, ()):
            found *= 1 + effects.get(key, 0.0)
        return found


def streams(
    metrics: Mapping[str, Metric],
    experiments: Iterable[Experiment],
    base_rates: Mapping[str, float],
    selects: Collection[str] = (),
) -> tuple[Stream, ...]:
    """Work out which events there are, so that every metric has its own.

    Args:
        metrics: The metrics that are declared.
        experiments: The experiments whose metrics count.
        base_rates: The share of units of a control that have an event at all, by its
            name or that of a metric; others have a usual one.
        selects: The metrics that are made from tables of the application.

    Raises:
        UsageError: If a share is none.
    """
    for name, rate in base_rates.items():
        if not 0 < rate <= 1:
            raise UsageError(
                f"The base rate of {name!r} is {rate!r}, must be above 0, at most 1."
            )
    uses: defaultdict[str, list[_Use]] = defaultdict(list)
    for use in _uses(metrics, experiments):
        if use.measure.key not in selects:
            uses[use.part.event].append(use)
    return tuple(_stream(name, uses[name], base_rates) for name in sorted(uses))


def _uses(
    metrics: Mapping[str, Metric], experiments: Iterable[Experiment]
) -> Iterator[_Use]:
    for experiment in experiments:
        has_names = bool(experiment.metrics.names)
        for measure in measures(experiment, metrics, {}, seen=(USUAL_EVENT,)):
            # Where no metric is named, the one event there is stands for all of them.
            is_moved = measure.role is Role.PRIMARY or not has_names
            for part in measure.parts:
                yield _Use(experiment.key, measure, part, is_moved)


def _stream(
    event: str, uses: Sequence[_Use], base_rates: Mapping[str, float]
) -> Stream:
    habit = min(use.habit for use in uses)
    told = [base_rates[use.measure.key] for use in uses if _is_told(use, base_rates)]
    usual = habit.low + position("simulate:rate", event) * (habit.high - habit.low)
    knobs = _knobs(uses)
    return Stream(
        event=event,
        rate=base_rates.get(event, told[0] if told else usual),
        more=max(use.habit.more for use in uses),
        values=_values(event, uses),
        where=_where(uses),
        matches=_MATCHES_EVENLY if Knob.MATCH in knobs else _MATCHES,
        returns=next(_returns(uses), None),
        is_immediate=any(not use.measure.delay for use in uses),
        history=max((use.measure.covariate or 0 for use in uses), default=0) or None,
        knobs=knobs,
    )


def _is_told(use: _Use, base_rates: Mapping[str, float]) -> bool:
    return use.measure.key in base_rates and use.part is use.measure.upper


def _knobs(uses: Iterable[_Use]) -> Mapping[Knob, frozenset[str]]:
    found: defaultdict[Knob, set[str]] = defaultdict(set)
    for use in uses:
        if use.knob is not None:
            found[use.knob].add(use.key)
    return {knob: frozenset(keys) for knob, keys in found.items()}


def _returns(uses: Iterable[_Use]) -> Iterator[tuple[int, int]]:
    for use in uses:
        if use.measure.delay:
            yield use.measure.delay, use.measure.window or _WEEK


def _where(uses: Iterable[_Use]) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for use in uses:
        for name, wanted in use.part.where.items():
            if isinstance(wanted, tuple):
                found[name] = wanted
            elif wanted["$exists"]:
                found.setdefault(name, ANYTHING)
    return found


def _values(event: str, uses: Sequence[_Use]) -> Values | None:
    """Find values that every metric takes; None where events need none."""
    lows = [use.part.min_value for use in uses if use.part.min_value is not None]
    highs = [use.part.max_value for use in uses if use.part.max_value is not None]
    if not (lows or highs or any(use.part.of is PartOf.SUM for use in uses)):
        return None
    low, high = max(lows, default=-math.inf), min(highs, default=math.inf)
    median = _LEAST_MEDIAN + position("simulate:value", event) * _BREADTH
    sigma = _SIGMA
    if 0 < low < high < math.inf:
        median = math.sqrt(low * high)
    elif low > 0:
        median = max(median, 4 * low)
    elif 0 < high < math.inf:
        median = min(median, high / 4)
    # Where many were cut off at a bound, an effect would be lost there.
    if low > 0:
        sigma = min(sigma, math.log(median / low) / _FAR) if median > low else 0.0
    if 0 < high < math.inf:
        sigma = min(sigma, math.log(high / median) / _FAR) if high > median else 0.0
    return Values(median, sigma, low, high)
