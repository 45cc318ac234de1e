"""What a reader of the results should know beside the checks, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments.metric import AnalysisTest
from flask_abx.results.judgement.planning import is_planned
from flask_abx.results.judgement.sampling import by_variant, shared_epochs
from flask_abx.results.telling.wording import amount, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flask_abx.results.judgement.readings import Bench
    from flask_abx.results.judgement.sampling import Pools
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.looks.kept import Kept
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.results.shapes import Method

#: Told only where values of a dimension are shown.
BREAKDOWN = (
    "Values of a dimension are exploratory: their intervals are not adjusted, and "
    "among many some leave zero by chance."
)


def remarks(
    iteration: Iteration,
    measures: Sequence[Measure],
    aggregates: Aggregates,
    pools: Pools,
    method: Method,
    kept: Kept,
    bench: Bench,
) -> Iterator[str]:
    """Tell what the numbers do not tell of themselves."""
    yield from _on_the_test(iteration, method, kept)
    for measure in measures:
        yield from _on_a_metric(measure, aggregates, pools)
    if measures and _has_partners(iteration):
        yield (
            "Variants were not open all the time: a comparison uses the units first "
            "exposed while both were, the samples show all."
        )
    if aggregates.sums_by:
        yield BREAKDOWN
    if bench.has_chances:
        yield (
            "Chance to beat and expected loss are not safe against peeking: who looks "
            "every day and stops at a good one is often wrong."
        )


def _on_the_test(iteration: Iteration, method: Method, kept: Kept) -> Iterator[str]:
    asked = iteration.experiment.analysis.test
    has_plan = is_planned(iteration)
    if asked is AnalysisTest.FIXED and not has_plan:
        yield (
            "The fixed test has no plan and is read at each look: whoever looks more "
            "than once is wrong more often than alpha says."
        )
    if asked is AnalysisTest.HYBRID and not has_plan:
        yield (
            "A hybrid test needs a plan from before the first exposure; without one "
            "the any-time test has all of alpha."
        )
    if iteration.plan is not None and not has_plan:
        yield "The plan came after the first exposure, and decides nothing."
    if kept.final is not None and method.test != AnalysisTest.ANY_TIME:
        yield (
            "The final look was made once, on the planned sample; rows of that look do "
            "not change any more."
        )


def _on_a_metric(
    measure: Measure, aggregates: Aggregates, pools: Pools
) -> Iterator[str]:
    pool = pools.whole(measure)
    if pool.remark:
        yield f"{measure.key} goes without its covariate: {pool.remark}."
    elif pool.variance_reduction is not None:
        yield (
            f"{measure.key} is compared after taking off what its units did before; "
            "the samples show the values as they are."
        )
    cap = aggregates.caps.get(measure.key)
    if cap is None:
        return
    if cap.value is None and cap.lower is None:
        yield f"{measure.key} is not capped: {cap.reason or 'there is nothing to cut'}."
        return
    cut = sum(
        each.capped
        for each in by_variant(aggregates.sums.get(measure.key, {})).values()
    )
    if cap.value is not None and cut:
        limit = amount(
            cap.value, measure.format, measure.metric.currency, measure.metric.decimals
        )
        yield f"{measure.key} is capped at {limit}, which cuts {count(cut)} units."


def _has_partners(iteration: Iteration) -> bool:
    return any(
        shared_epochs(iteration, iteration.control, each) is not None
        for each in iteration.treatments
    )
