"""Metrics broken down by what was known of the units; it explains and never decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flask_abx.experiments.metric import AnalysisTest
from flask_abx.results.judgement.comparing import (
    is_judged,
    parts,
    two_sided,
    untested,
    weigh,
)
from flask_abx.results.judgement.planning import Yardstick, n_star_of
from flask_abx.results.judgement.readings import read
from flask_abx.results.judgement.sampling import Pools, samples_of
from flask_abx.results.judgement.shaping import metric_result
from flask_abx.results.shapes import Basis, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.results.judgement.readings import Bench
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.looks.kept import Kept
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates, Group, Sums
    from flask_abx.results.shapes import Comparison, MetricResult


def broken_down(
    iteration: Iteration,
    measures: Sequence[Measure],
    aggregates: Aggregates,
    bench: Bench,
    kept: Kept,
) -> Iterator[MetricResult]:
    """Compare within each value of each dimension, the largest first.

    Every interval is drawn at the whole of alpha: among so many, some leave zero by
    chance.
    """
    is_fixed = iteration.experiment.analysis.test is AnalysisTest.FIXED
    basis = Basis.FIXED if is_fixed else Basis.ANY_TIME
    test = Yardstick(basis, bench.alpha, bench.alpha)
    own = replace(bench, live=test, last=None, to_come=None)
    variants = [each.key for each in iteration.experiment.variants]
    for dimension, by_metric in aggregates.sums_by.items():
        for measure in measures:
            for value, groups in _by_value(by_metric.get(measure.key, {})):
                pools = Pools(iteration, {measure.key: groups})
                whole = pools.whole(measure)
                yield metric_result(
                    measure,
                    aggregates.cap_of(measure.key),
                    whole.variance_reduction,
                    samples_of(measure, whole, variants),
                    [
                        _compared(iteration, measure, pools, own, test, kept, each)
                        for each in iteration.treatments
                    ],
                    dimension=dimension,
                    value=value,
                )


def _by_value(
    groups: Mapping[Group, Sums],
) -> list[tuple[str | None, dict[Group, Sums]]]:
    """Sort groups by their value, that of most units first, the unknown last."""
    parts: dict[str | None, dict[Group, Sums]] = {}
    for group, sums in groups.items():
        parts.setdefault(group.value, {})[group] = sums

    def rank(each: tuple[str | None, dict[Group, Sums]]) -> tuple[bool, int, str]:
        units = sum(sums.n + sums.immature for sums in each[1].values())
        return each[0] is None, -units, each[0] or ""

    return sorted(parts.items(), key=rank)


def _compared(
    iteration: Iteration,
    measure: Measure,
    pools: Pools,
    bench: Bench,
    test: Yardstick,
    kept: Kept,
    variant: str,
) -> Comparison:
    control = iteration.control
    n_star = n_star_of(iteration, kept, control, variant)
    pool = pools.shared(measure, control, variant)
    evidence = weigh(measure, pool, control, variant, n_star)
    row = untested(evidence)
    if is_judged(evidence):
        p = test.p_value(parts(evidence)[0], n_star)
        row = two_sided(evidence, test, 1, p, p)
    told = read(bench, evidence, row, None, family=1)
    reading = told.reading if told.reading is Reading.WITHHELD else Reading.NONE
    return replace(told, p_adjusted=None, reading=reading, units_needed=None)
