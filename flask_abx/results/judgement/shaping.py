"""One metric as results tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.results.shapes import MetricResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.metrics import Measure
    from flask_abx.results.shapes import Comparison, Sample


def metric_result(
    measure: Measure,
    cap: float | None,
    reduction: float | None,
    samples: Sequence[Sample],
    comparisons: Sequence[Comparison],
    *,
    dimension: str | None = None,
    value: str | None = None,
) -> MetricResult:
    """Put a metric together.

    Args:
        measure: The metric in its role.
        cap: Where its values are cut, if anywhere.
        reduction: The share of the variance that its covariate saved, if any.
        samples: What each variant has.
        comparisons: How they compare.
        dimension: By what it is broken down; None where it is not.
        value: What the units have in that dimension.
    """
    metric = measure.metric
    window = measure.window
    return MetricResult(
        metric=measure.key,
        name=measure.name,
        role=measure.role,
        kind=metric.kind,
        direction=metric.direction,
        format=measure.format.value,
        currency=metric.currency,
        decimals=metric.decimals,
        window=None if window is None else window // 1000,
        delay=measure.delay // 1000,
        margin=measure.margin,
        margin_abs=measure.margin_abs,
        cap=cap,
        variance_reduction=reduction,
        exploratory=measure.exploratory or dimension is not None,
        dimension=dimension,
        dimension_value=value,
        samples=tuple(samples),
        comparisons=tuple(comparisons),
    )
