"""Judging an experiment: from sums to readings, and to what is handed on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flask_abx.results.judgement.best import best_of, pairs_of
from flask_abx.results.judgement.breakdown import broken_down
from flask_abx.results.judgement.comparing import Evidence, spot
from flask_abx.results.judgement.counting import variant_counts
from flask_abx.results.judgement.families import Rows, rows_of, secondary_family
from flask_abx.results.judgement.keeping import resumed, tuned, weighed
from flask_abx.results.judgement.planning import (
    final_test,
    live_test,
    planned_units,
    revision_of,
    sample_plan,
)
from flask_abx.results.judgement.readings import DECIDED, Bench, read, rescaled
from flask_abx.results.judgement.remarks import remarks
from flask_abx.results.judgement.sampling import Pools, samples_of
from flask_abx.results.judgement.series import series_of
from flask_abx.results.judgement.shaping import metric_result
from flask_abx.results.shapes import Role, VerdictCode
from flask_abx.results.verdict import Case, code_of, is_final_code, verdict_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.looks.kept import Kept, Row
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.results.shapes import (
        CheckId,
        Comparison,
        Method,
        MetricResult,
        Sample,
        SamplePlan,
        SeriesPoint,
        VariantCount,
        Verdict,
    )
    from flask_abx.results.verdict import Ruling


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that one look says.

    Attributes:
        kept: What is handed on to the next look.
        notes: Sentences on how to read it.
    """

    method: Method
    plan: SamplePlan | None
    variants: tuple[VariantCount, ...]
    metrics: tuple[MetricResult, ...]
    verdict: Verdict
    series: tuple[SeriesPoint, ...]
    kept: Kept
    notes: tuple[str, ...]


def judge(
    iteration: Iteration,
    measures: Sequence[Measure],
    aggregates: Aggregates,
    *,
    now: datetime,
    kept: Kept,
    errors: Sequence[CheckId] = (),
    final: Aggregates | None = None,
    revision: str | None = None,
    with_chances: bool = False,
) -> Judged:
    """Judge one look; nothing that the sums hold raises.

    Args:
        iteration: The run, with what was planned.
        measures: What it measures.
        aggregates: What the tables hold.
        now: The time of this look.
        kept: What the last look handed on.
        errors: The health checks at level error; with any, nothing is read.
        final: What the tables hold of the planned sample, once it is complete; used
            only where no final look was made.
        revision: The name of definitions, plan and method; None works it out.
        with_chances: Whether to tell chances that are not safe against peeking.
    """
    pools = Pools(iteration, aggregates.sums)
    variants = variant_counts(iteration, aggregates.exposed)
    kept = kept.for_revision(revision or revision_of(iteration, measures))
    method, kept = resumed(kept, iteration, measures, pools, final, now)
    evidences = [*weighed(iteration, measures, aggregates, pools, kept)]
    kept = tuned(kept, evidences)
    bench = _bench(iteration, method, kept, variants, errors, with_chances=with_chances)
    told, kept = _read(bench, evidences, kept, now)
    metrics = _metrics(iteration, measures, aggregates, pools, bench, kept, told)
    case = _case(iteration, metrics, method, bench, kept, errors, now)
    case, verdict, kept = _ruled(case, measures, pools, bench)
    by = broken_down(iteration, measures, aggregates, bench, kept)
    series = series_of(iteration, measures, aggregates, method, kept.n_star)
    notes = remarks(iteration, measures, aggregates, pools, method, kept, bench)
    return Judged(
        method,
        case.plan,
        variants,
        (*case.metrics, *by),
        verdict,
        tuple(series),
        kept,
        tuple(notes),
    )


def _metrics(
    iteration: Iteration,
    measures: Sequence[Measure],
    aggregates: Aggregates,
    pools: Pools,
    bench: Bench,
    kept: Kept,
    told: Mapping[str, Sequence[Comparison]],
) -> tuple[MetricResult, ...]:
    return tuple(
        metric_result(
            each,
            *_found(iteration, each, aggregates, pools, bench, kept, told[spot(each)]),
            told[spot(each)],
        )
        for each in measures
    )


def _case(
    iteration: Iteration,
    metrics: tuple[MetricResult, ...],
    method: Method,
    bench: Bench,
    kept: Kept,
    errors: Sequence[CheckId],
    now: datetime,
) -> Case:
    plan = sample_plan(iteration, kept, bench.exposed, now)
    is_met = plan is not None and plan.progress >= 1
    return Case(
        iteration=iteration,
        metrics=metrics,
        exposed=bench.exposed,
        errors=tuple(errors),
        now=now,
        kept=kept,
        min_days=method.min_days,
        plan=plan,
        is_over=is_met if bench.last is None else kept.final is not None,
    )


def _bench(
    iteration: Iteration,
    method: Method,
    kept: Kept,
    variants: Sequence[VariantCount],
    errors: Sequence[CheckId],
    *,
    with_chances: bool,
) -> Bench:
    exposed = sum(each.units for each in variants)
    last = final_test(iteration, method)
    planned = planned_units(iteration, kept)
    to_come = None if planned is None or last is None else planned - exposed
    return Bench(
        live=live_test(iteration, method),
        last=last,
        alpha=method.alpha,
        exposed=exposed,
        to_come=to_come if to_come and to_come > 0 else None,
        is_withheld=bool(errors),
        has_chances=with_chances,
    )


def _read(
    bench: Bench, evidences: Sequence[Evidence], kept: Kept, now: datetime
) -> tuple[dict[str, list[Comparison]], Kept]:
    """Read every comparison, and note which are decided for the first time."""
    family = max(kept.family, 1)
    rows: Rows = {}
    if bench.live is not None:
        rows = rows_of(evidences, bench.live, family=family, guards=kept.guards)
    bars = secondary_family(rows, bench.alpha)
    families = {Role.PRIMARY: float(family), Role.SECONDARY: bars}
    told: dict[str, list[Comparison]] = {}
    new: list[tuple[str, str]] = []
    for each in evidences:
        known = kept.decided.get(each.spot, {}).get(each.variant)
        found = read(
            bench,
            each,
            rows.get((each.spot, each.variant)),
            _final_row(bench, each, kept),
            family=max(families.get(each.measure.role, 1.0), 1.0),
            decided_at=known,
        )
        if known is None and found.reading in DECIDED:
            new.append((each.spot, each.variant))
            found = replace(found, decided_at=now)
        told.setdefault(each.spot, []).append(found)
    if new:
        decided = {name: {**times} for name, times in kept.decided.items()}
        for name, variant in new:
            decided.setdefault(name, {})[variant] = now
        kept = replace(kept, decided=decided)
    return told, kept


def _final_row(bench: Bench, evidence: Evidence, kept: Kept) -> Row | None:
    """Find what the final look said, on the scale of the alpha of now."""
    if kept.final is None:
        return None
    row = kept.final.rows.get(evidence.spot, {}).get(evidence.variant)
    return None if row is None else rescaled(row, bench.alpha / kept.final.alpha)


def _found(
    iteration: Iteration,
    measure: Measure,
    aggregates: Aggregates,
    pools: Pools,
    bench: Bench,
    kept: Kept,
    comparisons: Sequence[Comparison],
) -> tuple[float | None, float | None, Sequence[Sample]]:
    """Tell cap, saving and samples: then, where every row is of the final look."""
    final, name, pool = kept.final, spot(measure), pools.whole(measure)
    cap, reduction = aggregates.cap_of(measure.key), pool.variance_reduction
    if final is not None and bench.last is not None:
        stored = final.samples.get(name)
        is_old = all(
            each.basis is bench.last.basis and each.p_value is not None
            for each in comparisons
        )
        if stored is not None and comparisons and is_old:
            # What an earlier release stored has no cap and no saving.
            cap = final.caps.get(name, cap)
            return cap, final.reductions.get(name, reduction), stored
    variants = [each.key for each in iteration.experiment.variants]
    return cap, reduction, samples_of(measure, pool, variants)


def _with_best(
    case: Case,
    ruling: Ruling,
    measures: Sequence[Measure],
    pools: Pools,
    bench: Bench,
    kept: Kept,
) -> tuple[Case, str | None]:
    """Compare winners with each other, and tell that beside the metrics."""
    if ruling.code is not VerdictCode.WINNER:
        return case, None
    winners = ruling.variants
    if len(winners) == 1:
        return case, winners[0]
    primaries = [each for each in measures if each.role is Role.PRIMARY]
    pairs = pairs_of(case.iteration, primaries, pools, bench, kept, winners)
    metrics = tuple(
        replace(each, comparisons=(*each.comparisons, *pairs[each.metric]))
        if each.role is Role.PRIMARY
        else each
        for each in case.metrics
    )
    return replace(case, metrics=metrics), best_of(winners, pairs)


def _ruled(
    case: Case, measures: Sequence[Measure], pools: Pools, bench: Bench
) -> tuple[Case, Verdict, Kept]:
    """Give the verdict, and keep the first that decides anything."""
    kept, ruling = case.kept, code_of(case)
    case, best = _with_best(case, ruling, measures, pools, bench, kept)
    verdict = verdict_of(case, ruling, best)
    if kept.first_code is None and is_final_code(verdict.code):
        kept = replace(
            kept,
            first_code=verdict.code,
            first_at=case.now,
            first_variants=verdict.variants,
        )
        verdict = replace(verdict, first_code=verdict.code, first_at=case.now)
    return case, verdict, kept
