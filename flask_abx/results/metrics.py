"""Metrics as one experiment asks for them: what is added up, from when to when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flask_abx.experiments.metric import Format, Kind, Metric, PartOf
from flask_abx.results.shapes import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flask_abx.experiments.metric import Where
    from flask_abx.experiments.model import Experiment

_MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]+)([smhd])")


@dataclass(frozen=True, slots=True)
class Part:
    """What is added up of the events of a unit.

    Attributes:
        event: The name of the events.
        where: What their properties must be.
        of: Their number, or the sum of their values.
        min_value: Only events with at least this value.
        max_value: Only events with at most this value.
    """

    event: str
    where: Where
    of: PartOf
    min_value: float | None = None
    max_value: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric in its role in one experiment.

    Attributes:
        select: The statement over the tables of the application, whose columns are
            `unit`, `time` and `value`; None where events are counted.
        upper: What is added up of a unit.
        lower: The second part of a ratio, or of a mean.
        exploratory: True where it makes no winner; a late guardrail may forbid one.
    """

    key: str
    role: Role
    metric: Metric
    upper: Part
    lower: Part | None
    select: Any = None
    margin: float | None = None
    margin_abs: float | None = None
    exploratory: bool = False

    @property
    def is_indicator(self) -> bool:
        """True where a unit counts once, however much it has."""
        kind = self.metric.kind
        return kind is Kind.CONVERSION or kind is Kind.RETENTION

    @property
    def window(self) -> int | None:
        """How long events count after the delay, in milliseconds; None is for ever."""
        window = self.metric.window
        return None if window is None else milliseconds(window)

    @property
    def delay(self) -> int:
        """How long after the first exposure events begin to count, in milliseconds."""
        return milliseconds(self.metric.delay)

    @property
    def covariate(self) -> int | None:
        """The time before the first exposure that is looked at, in milliseconds."""
        told = self.metric.covariate
        return None if told is None else milliseconds(told)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is added up, one part or two."""
        return (self.upper,) if self.lower is None else (self.upper, self.lower)

    @property
    def format(self) -> Format:
        """How people read it."""
        if self.metric.format is not None:
            return self.metric.format
        return Format.PERCENT if self.is_indicator else Format.NUMBER

    @property
    def name(self) -> str:
        """What people call it."""
        return self.metric.name or self.key


@lru_cache(maxsize=256)
def milliseconds(duration: str) -> int:
    """Read a duration such as ``7d``; a day has 24 hours."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration!r} is no duration, write '7d', '12h' or '30m'.")
    return int(found[1]) * _MILLISECONDS[found[2]]


def measures(
    experiment: Experiment,
    metrics: Mapping[str, Metric],
    selects: Mapping[str, Any],
    *,
    seen: Iterable[str] = (),
    late: Iterable[str] = (),
) -> tuple[Measure, ...]:
    """List what an experiment measures, in the order of the roles.

    Args:
        experiment: The experiment.
        metrics: The metrics that are declared.
        selects: The statements over tables of the application, by metric.
        seen: The names of the events that its units have had; taken as exploratory
            conversions where it names no metric.
        late: The metrics that it has named only since its first exposure.
    """
    roles = experiment.metrics
    if not roles.names:
        names: Iterable[tuple[str, Role, Any]] = (
            (name, Role.SECONDARY, None) for name in seen
        )
        all_late = frozenset(seen)
    else:
        names, all_late = _named(experiment), frozenset(late)
    return tuple(
        _measure(key, role, guard, metrics, selects, all_late)
        for key, role, guard in names
    )


def _named(experiment: Experiment) -> Iterator[tuple[str, Role, Any]]:
    roles = experiment.metrics
    for key in roles.primary:
        yield key, Role.PRIMARY, None
    for key in roles.secondary:
        yield key, Role.SECONDARY, None
    for guard in roles.guardrail:
        yield guard.metric, Role.GUARDRAIL, guard


def _measure(
    key: str,
    role: Role,
    guard: Any,  # noqa: ANN401 - a guardrail or None
    metrics: Mapping[str, Metric],
    selects: Mapping[str, Any],
    late: frozenset[str],
) -> Measure:
    metric = metrics.get(key, Metric())
    upper, lower = _parts(key, metric)
    # What came late explains, but was not asked before.
    is_late = key in late
    if is_late and role is Role.PRIMARY:
        role = Role.SECONDARY
    margin, margin_abs = metric.margin, metric.margin_abs
    if guard is not None and (guard.margin, guard.margin_abs) != (None, None):
        margin, margin_abs = guard.margin, guard.margin_abs
    return Measure(
        key=key,
        role=role,
        metric=metric,
        upper=upper,
        lower=lower,
        select=selects.get(key),
        margin=margin if role is Role.GUARDRAIL else None,
        margin_abs=margin_abs if role is Role.GUARDRAIL else None,
        exploratory=is_late or role is Role.SECONDARY,
    )


def _parts(key: str, metric: Metric) -> tuple[Part, Part | None]:
    bounds = metric.min_value, metric.max_value
    if metric.numerator is not None and metric.denominator is not None:
        upper, lower = (
            Part(each.event, each.where, each.of, *bounds)
            for each in (metric.numerator, metric.denominator)
        )
        return upper, lower
    event = metric.event or key
    adds = metric.kind in {Kind.SUM, Kind.MEAN}
    of = PartOf.SUM if adds else PartOf.COUNT
    part = Part(event, metric.where, of, *bounds)
    if metric.kind is Kind.MEAN:
        return part, Part(event, metric.where, PartOf.COUNT, *bounds)
    return part, None
