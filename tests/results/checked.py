"""Experiments to check: exposed units by variant and epoch, and what they lead to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask_abx.experiments.metric import Metric
from flask_abx.results.health import check
from flask_abx.results.metrics import measures
from flask_abx.results.scanning.sums import Aggregates, Exposed, Group
from tests.results.judged import NOW, conversions, found, milliseconds, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.scanning.sums import Sums
    from flask_abx.results.shapes import CheckId, HealthCheck

HOUR = 3_600_000
AT = milliseconds(NOW)


def units(counts: Mapping[str, int], *, epoch: int = 1, **told: int) -> Aggregates:
    """Expose so many units of each variant, and tell more of the first variant."""
    exposed = {
        Group(variant, epoch): Exposed(units=each, with_events=each, last_at=AT - HOUR)
        for variant, each in counts.items()
    }
    first = next(iter(exposed))
    exposed[first] = replace(exposed[first], **told)
    return Aggregates(as_of=AT, end=AT, exposed=exposed, sums={})


def halves(each: int, **told: int) -> Aggregates:
    """Expose so many units of both variants."""
    return units({"control": each, "bold": each}, **told)


def summed(metric: str, **variants: Sums) -> Aggregates:
    """Sum one metric of each variant."""
    return found({metric: variants})


def hits(n: int, converted: int) -> Aggregates:
    """Count units of both variants, of which so many have signed up."""
    told = conversions(n, converted)
    return summed("signup", control=told, bold=told)


def every(
    aggregates: Aggregates,
    iteration: Iteration | None = None,
    *,
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    selects: Mapping[str, Any] | None = None,
    **more: Any,
) -> tuple[HealthCheck, ...]:
    """Check an experiment."""
    iteration = run() if iteration is None else iteration
    declared = {key: Metric(**told) for key, told in (metrics or {}).items()}
    asked = measures(iteration.experiment, declared, selects or {})
    return check(iteration, asked, aggregates, now=NOW, **more)


def only(
    id_: CheckId,
    aggregates: Aggregates,
    iteration: Iteration | None = None,
    **more: Any,
) -> HealthCheck:
    """Give the one check of an id."""
    told = [each for each in every(aggregates, iteration, **more) if each.id is id_]
    assert len(told) == 1, told
    return told[0]
