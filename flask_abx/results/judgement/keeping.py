"""What a look adds to what is kept: families, the plan in units, the final look."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flask_abx.results.judgement.comparing import Evidence, is_judged, spot, weigh
from flask_abx.results.judgement.families import rows_of
from flask_abx.results.judgement.planning import (
    final_test,
    method_of,
    moment_of,
    n_star_of,
    plan_units_of,
)
from flask_abx.results.judgement.sampling import Pools, samples_of
from flask_abx.results.looks.kept import FinalLook
from flask_abx.results.shapes import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.looks.kept import Kept, Row
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.results.shapes import Method


def resumed(
    kept: Kept,
    iteration: Iteration,
    measures: Sequence[Measure],
    pools: Pools,
    final: Aggregates | None,
    now: datetime,
) -> tuple[Method, Kept]:
    """Choose the method, and make what is made only once."""
    kept = grown(kept, iteration, measures)
    method = method_of(iteration, kept.family, kept.revision)
    kept = resolved(kept, iteration, measures, pools, method)
    return method, looked(kept, iteration, measures, final, method, now)


def grown(kept: Kept, iteration: Iteration, measures: Sequence[Measure]) -> Kept:
    """Let the families grow, and never fall."""
    roles = [each.role for each in measures]
    treatments = len(iteration.treatments)
    family = max(kept.family, treatments * roles.count(Role.PRIMARY))
    guards = max(kept.guards, treatments * roles.count(Role.GUARDRAIL))
    if (family, guards) == (kept.family, kept.guards):
        return kept
    return replace(kept, family=family, guards=guards)


def resolved(
    kept: Kept,
    iteration: Iteration,
    measures: Sequence[Measure],
    pools: Pools,
    method: Method,
) -> Kept:
    """Work out what the planned effect takes in units, once."""
    if kept.plan_units is not None or iteration.plan is None:
        return kept
    first = next((each for each in measures if each.role is Role.PRIMARY), None)
    if iteration.plan.mde is None or first is None:
        return kept
    units = plan_units_of(iteration, first, pools.whole(first), method)
    return replace(kept, plan_units=units)


def looked(
    kept: Kept,
    iteration: Iteration,
    measures: Sequence[Measure],
    final: Aggregates | None,
    method: Method,
    now: datetime,
) -> Kept:
    """Make the final look, once."""
    test = final_test(iteration, method)
    if final is None or kept.final is not None or test is None:
        return kept
    pools = Pools(iteration, final.sums)
    evidences = [*weighed(iteration, measures, final, pools, kept)]
    rows = rows_of(evidences, test, family=max(kept.family, 1), guards=kept.guards)
    variants = [each.key for each in iteration.experiment.variants]
    last_at = max((each.last_at for each in final.exposed.values()), default=0)
    said = {(each.spot, each.variant): each.remark for each in evidences}
    by_spot: dict[str, dict[str, Row]] = {}
    for place, row in rows.items():
        is_tested = row.p_adjusted is not None
        told = replace(row, reason=said[place]) if is_tested else row
        by_spot.setdefault(place[0], {})[place[1]] = told
    made = FinalLook(
        at=now,
        met_at=moment_of(last_at) if last_at else None,
        alpha=method.alpha,
        rows=by_spot,
        samples={
            spot(each): tuple(samples_of(each, pools.whole(each), variants))
            for each in measures
        },
        caps={spot(each): final.cap_of(each.key) for each in measures},
        reductions={
            spot(each): pools.whole(each).variance_reduction for each in measures
        },
    )
    return replace(kept, final=made)


def weighed(
    iteration: Iteration,
    measures: Sequence[Measure],
    aggregates: Aggregates,
    pools: Pools,
    kept: Kept,
) -> Iterator[Evidence]:
    """Compare every treatment with the control on every metric."""
    control, treatments = iteration.control, iteration.treatments
    for measure in measures:
        fault = aggregates.failed.get(measure.key, "")
        tuned = kept.n_star.get(spot(measure), {})
        for variant in treatments:
            n_star = tuned.get(variant) or n_star_of(iteration, kept, control, variant)
            if fault:
                yield Evidence.failed(measure, variant, control, n_star, fault)
                continue
            pool = pools.shared(measure, control, variant)
            yield weigh(measure, pool, control, variant, n_star)


def tuned(kept: Kept, evidences: Sequence[Evidence]) -> Kept:
    """Fix where each any-time test is tuned, from the first time it is made."""
    new = [
        each
        for each in evidences
        if is_judged(each) and each.variant not in kept.n_star.get(each.spot, {})
    ]
    if not new:
        return kept
    tuned = {name: {**each} for name, each in kept.n_star.items()}
    for each in new:
        tuned.setdefault(each.spot, {})[each.variant] = each.n_star
    return replace(kept, n_star=tuned)
