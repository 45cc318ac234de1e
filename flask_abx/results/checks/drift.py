"""Was the experiment, its plan or a metric changed after the first exposure?"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

from flask_abx.results.checks.checkup import (
    NOTHING_MEASURED,
    fine,
    length_of,
    skipped,
    told_limit,
)
from flask_abx.results.judgement.planning import DAY
from flask_abx.results.shapes import CheckId, HealthCheck, Level
from flask_abx.results.telling.wording import percent, plural, things

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flask_abx.experiments.metric import Plan
    from flask_abx.results.checks.checkup import Checkup
    from flask_abx.results.looks.iteration import Epoch

# Shares are stored as they were divided, so the same ones are alike to the last bits.
_ROUNDING = 1e-9
_UNTOUCHED = "Nobody has been exposed yet, so everything may still be changed."


def changed_midrun(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether weights, salt or unit changed within the run."""
    run = checkup.iteration
    if run.first_exposed_at is None:
        yield skipped(CheckId.CHANGED_MIDRUN, _UNTOUCHED)
        return
    moved = _moved(checkup)
    names = [*run.changed_midrun]
    if moved and "weights" not in names:
        names.append("weights")
    number = len(names)
    if not number:
        sentence = "Weights, salt and unit are as at the start: 0 of 3 were changed."
        yield fine(CheckId.CHANGED_MIDRUN, sentence, 0, 0)
        return
    detail = ""
    if moved:
        variant, before, after = moved
        detail = f" {variant} went from {percent(before)} to {percent(after)}."
    yield HealthCheck(
        CheckId.CHANGED_MIDRUN,
        Level.ERROR,
        number,
        0,
        f"{number} of 3 things that place {things(checkup.unit)} changed after the "
        f"first exposure: {_listed(names)}.{detail}",
        "Early and late units are not alike, so the variants cannot be compared: "
        f"begin anew with flask abx restart {checkup.key}",
    )


def _moved(checkup: Checkup) -> tuple[str, float, float] | None:
    """Find a variant that was open in two epochs with another weight in each.

    A weight is a share of all variants, open or not, so that closing moves none.
    """
    first = checkup.iteration.first_exposed_at or 0
    epochs = [
        each
        for each in checkup.iteration.epochs
        if each.ended is None or each.ended > first
    ]
    variants = [each.key for each in checkup.iteration.experiment.variants]
    for one, other in combinations(epochs, 2):
        for variant in variants:
            if variant not in one.weights or variant not in other.weights:
                continue
            before, after = one.weights[variant], other.weights[variant]
            if not math.isclose(before, after, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
                return variant, _share(one, variant), _share(other, variant)
    return None


def _share(epoch: Epoch, variant: str) -> float:
    return epoch.weights[variant] / max(1.0, math.fsum(epoch.weights.values()))


def plan_changed(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether the plan is the one that was made before the first exposure."""
    run = checkup.iteration
    if run.plan is None:
        yield skipped(CheckId.PLAN_CHANGED, "The experiment has no plan.")
        return
    if run.first_exposed_at is None:
        yield skipped(CheckId.PLAN_CHANGED, _UNTOUCHED)
        return
    value, planned = _plan(checkup, run.plan)
    if not run.is_plan_valid:
        saved_at = run.plan_saved_at
        late = 0 if saved_at is None else max(saved_at - run.first_exposed_at, 0)
        yield HealthCheck(
            CheckId.PLAN_CHANGED,
            Level.WARN,
            late / DAY,
            0,
            f"The plan of {planned} was made {length_of(late)} after the first "
            "exposure, so it does not count.",
            "Go on without a final look, or begin anew with the plan in place: "
            f"flask abx restart {checkup.key}",
        )
        return
    if run.is_plan_changed:
        now, later = _plan(checkup, run.experiment.plan)
        yield HealthCheck(
            CheckId.PLAN_CHANGED,
            Level.WARN,
            now,
            value,
            f"The plan was {planned} before the first exposure and is {later} now; "
            "the first one counts.",
            f"Set it back, or begin anew with the new plan: flask abx restart "
            f"{checkup.key}",
        )
        return
    sentence = f"The plan of {planned} was made before the first exposure."
    yield fine(CheckId.PLAN_CHANGED, sentence, value, value)


def _plan(checkup: Checkup, plan: Plan | None) -> tuple[float, str]:
    if plan is None:
        return 0, f"taken away (0 {things(checkup.unit)})"
    if plan.units is not None:
        return plan.units, checkup.people(plan.units)
    if plan.days is not None:
        return plan.days, plural(plan.days, "day")
    effect = plan.mde or 0.0
    power = "" if plan.power is None else f" with power {told_limit(plan.power)}"
    return effect, f"an effect of {told_limit(effect)}{power}"


def metric_changed(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether the definition of a metric was changed after the first exposure."""
    yield _touched(
        checkup,
        CheckId.METRIC_CHANGED,
        checkup.iteration.changed_metrics,
        "changed after the first exposure",
        "Whoever changed it may have seen the numbers: set it back, or begin anew with "
        f"flask abx restart {checkup.key}",
    )


def metric_deleted(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether a metric that is used was taken away."""
    names = sorted(checkup.iteration.deleted_metrics)
    line = f"[metrics.{names[0]}]" if names else ""
    yield _touched(
        checkup,
        CheckId.METRIC_DELETED,
        names,
        "taken away though the experiment names it, and now read as a conversion on "
        "the event of the same name",
        f"Declare it again with {line}, or take the name out of the experiment.",
    )


def _touched(
    checkup: Checkup,
    check: CheckId,
    names: Collection[str],
    what: str,
    way_out: str,
) -> HealthCheck:
    whole = len(checkup.iteration.experiment.metrics.names)
    if not whole:
        return skipped(check, "The experiment names no metric.")
    number = len(names)
    if not number:
        word = "changed" if check is CheckId.METRIC_CHANGED else "taken away"
        sentence = f"0 metrics of {whole} were {word}."
        return fine(check, sentence, 0, 0)
    verb = "was" if number == 1 else "were"
    return HealthCheck(
        check,
        Level.WARN,
        number,
        0,
        f"{plural(number, 'metric')} of {whole} {verb} {what}: "
        f"{_listed(sorted(names))}.",
        way_out,
        metric=next(iter(names)) if number == 1 else None,
    )


def metric_unit(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether a metric speaks of other units than the experiment does."""
    units = checkup.iteration.experiment.unit
    if not checkup.measures:
        yield skipped(CheckId.METRIC_UNIT, NOTHING_MEASURED)
        return
    others = [
        each
        for each in checkup.measures
        if each.metric.unit is not None and each.metric.unit not in units
    ]
    for each in others:
        yield HealthCheck(
            CheckId.METRIC_UNIT,
            Level.WARN,
            len(others),
            0,
            f"{each.key} is told by {each.metric.unit}, the experiment assigns by "
            f"{' or '.join(units)}: "
            f"{plural(len(others), 'metric')} of {len(checkup.measures)} cannot be "
            "joined.",
            f'Give the metric rows by {units[0]} and write unit = "{units[0]}", or '
            f"assign by {each.metric.unit} in the next iteration.",
            metric=each.key,
        )
    if not others:
        sentence = (
            f"All {plural(len(checkup.measures), 'metric')} are told by "
            f"{' or '.join(units)}, as the experiment assigns."
        )
        if len(checkup.measures) == 1:
            sentence = f"The 1 metric is told by {' or '.join(units)}."
        yield fine(CheckId.METRIC_UNIT, sentence, 0, 0)


def _listed(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
