"""Experiments to judge: from sums that were never rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask_abx.experiments.metric import Metric, Plan
from flask_abx.experiments.model import Experiment
from flask_abx.results.judgement.judging import Judged, judge
from flask_abx.results.looks.iteration import Epoch, Iteration
from flask_abx.results.looks.kept import Kept
from flask_abx.results.metrics import measures
from flask_abx.results.scanning.sums import Aggregates, Cap, Exposed, Group, Sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask_abx.results.shapes import CheckId, Comparison

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
DAY = 86_400_000


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def run(
    *,
    variants: object = ("control", "bold"),
    metrics: object = "signup",
    plan: Mapping[str, Any] | None = None,
    is_plan_valid: bool = True,
    days: float = 14,
    epochs: tuple[Epoch, ...] | None = None,
    concluded_at: int | None = None,
    **experiment: Any,
) -> Iteration:
    """Run an experiment for some days until now."""
    defined = Experiment.model_validate(
        {
            "key": "headline",
            "variants": variants,
            "metrics": metrics,
            "plan": plan,
            **experiment,
        }
    )
    began = milliseconds(NOW - timedelta(days=days))
    weights = {each.key: each.weight for each in defined.variants if not each.closed}
    return Iteration(
        experiment=defined,
        number=1,
        started_at=began,
        concluded_at=concluded_at,
        first_exposed_at=began,
        epochs=(Epoch(1, weights, began),) if epochs is None else epochs,
        plan=None if plan is None else Plan(**plan),
        plan_saved_at=None if plan is None else began - DAY,
        is_plan_valid=plan is not None and is_plan_valid,
    )


def conversions(n: int, hits: int, *, days: float = 7) -> Sums:
    """Sum units of which so many did it."""
    return Sums(
        n=n,
        nonzero=hits,
        y=float(hits),
        yy=float(hits),
        yyy=float(hits),
        days=n * days,
        raw=float(hits),
        raw_squares=float(hits),
        highest=1.0,
    )


def values(n: int, mean: float, sd: float, *, third: float = 0.0) -> Sums:
    """Sum units of such a mean, standard deviation and third central moment."""
    y = n * mean
    yy = (n - 1) * sd * sd + n * mean * mean
    yyy = n * (third + 3 * mean * yy / n - 2 * mean**3)
    return Sums(
        n=n, nonzero=n, y=y, yy=yy, yyy=yyy, days=7.0 * n, raw=y, raw_squares=yy
    )


def found(
    sums: Mapping[str, Mapping[str, Sums]],
    *,
    epoch: int = 1,
    units: Mapping[str, int] | None = None,
    caps: Mapping[str, Cap] | None = None,
    **more: Any,
) -> Aggregates:
    """Aggregate what each variant has of each metric."""
    counted = {
        variant: each.n + each.immature
        for by_variant in sums.values()
        for variant, each in by_variant.items()
    }
    return Aggregates(
        as_of=milliseconds(NOW),
        end=milliseconds(NOW),
        exposed={
            Group(variant, epoch): Exposed(
                units=count, with_events=count, last_at=milliseconds(NOW) - DAY
            )
            for variant, count in (counted if units is None else units).items()
        },
        sums={
            metric: {Group(variant, epoch): each for variant, each in told.items()}
            for metric, told in sums.items()
        },
        caps=caps or {},
        **more,
    )


def signups(control: tuple[int, int], *others: tuple[int, int]) -> Aggregates:
    """Count units and sign-ups of control, bold, calm and so on."""
    names = ("control", "bold", "calm", "loud")
    told = {
        name: conversions(*each)
        for name, each in zip(names, (control, *others), strict=False)
    }
    return found({"signup": told})


def look(
    iteration: Iteration,
    aggregates: Aggregates,
    *,
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    kept: Kept | None = None,
    errors: Sequence[CheckId] = (),
    final: Aggregates | None = None,
    now: datetime = NOW,
    late: Sequence[str] = (),
    with_chances: bool = False,
) -> Judged:
    """Judge an experiment by one look."""
    declared = {key: Metric(**told) for key, told in (metrics or {}).items()}
    return judge(
        iteration,
        measures(iteration.experiment, declared, {}, late=late),
        aggregates,
        now=now,
        kept=Kept() if kept is None else kept,
        errors=errors,
        final=final,
        with_chances=with_chances,
    )


def row(judged: Judged, metric: str = "signup", variant: str = "bold") -> Comparison:
    """Give one comparison with the control."""
    told = next(
        each
        for each in judged.metrics
        if each.metric == metric and each.dimension is None
    )
    return next(
        each
        for each in told.comparisons
        if each.variant == variant and each.baseline == "control"
    )
