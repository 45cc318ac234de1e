"""Every health check of an experiment, in the order in which they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.results.checks import arrivals, drift, extremes, runtimes, splits
from flask_abx.results.checks.checkup import Checkup
from flask_abx.results.judgement.gates import skews as waiting
from flask_abx.results.judgement.planning import milliseconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.results.shapes import HealthCheck, Results

_CHECKS: tuple[Callable[[Checkup], Iterator[HealthCheck]], ...] = (
    splits.srm,
    splits.srm_dimension,
    splits.empty_variant,
    arrivals.exposures_stopped,
    splits.mixed_units,
    splits.linked_units,
    drift.changed_midrun,
    drift.plan_changed,
    drift.metric_changed,
    drift.metric_deleted,
    arrivals.metric_silent,
    drift.metric_unit,
    arrivals.id_join,
    arrivals.events_before_exposure,
    extremes.bad_values,
    arrivals.clock,
    extremes.pre_period,
    extremes.outlier,
    extremes.skew,
    runtimes.paused,
    runtimes.whole_weeks,
    runtimes.past_end,
)


def check(
    iteration: Iteration,
    measures: Sequence[Measure],
    aggregates: Aggregates,
    *,
    now: datetime,
    skews: Mapping[tuple[str, str], float] | None = None,
    plan_units: int | None = None,
) -> tuple[HealthCheck, ...]:
    """Ask everything that one look can answer; what is fine is told, too.

    Args:
        iteration: The run, with what was planned and changed.
        measures: What it measures.
        aggregates: What the tables hold.
        now: The time of the look.
        skews: How skewed the comparisons are that wait for it, by metric and variant;
            None works it out.
        plan_units: The units that a planned effect takes, once they are known.

    Returns:
        At least one check of each id, but for those of `check_reading`.
    """
    plan = iteration.plan if iteration.is_plan_valid else None
    checkup = Checkup(
        iteration=iteration,
        measures=measures,
        aggregates=aggregates,
        now=milliseconds_of(now),
        skews=waiting(iteration, measures, aggregates) if skews is None else skews,
        planned=None if plan is None else plan.units or plan_units,
    )
    return tuple(told for ask in _CHECKS for told in ask(checkup))


def check_reading(results: Results, now: datetime) -> tuple[HealthCheck, ...]:
    """Ask what depends on when the results are read.

    Args:
        results: The last look.
        now: The time of reading.
    """
    return (runtimes.decided_running(results, now), runtimes.stale(results, now))
