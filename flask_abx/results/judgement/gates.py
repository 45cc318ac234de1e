"""What a comparison waits for: units, events, and sums that behave like sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flask_abx.results.inference import CubeSums, RatioCubeSums, linearised, skewness
from flask_abx.results.judgement.sampling import (
    NOTHING,
    by_variant,
    quotient,
    shared_epochs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates, Sums

LEAST_UNITS = 100
LEAST_EVENTS = 25
MOST_SKEWNESS = 0.3


class Wait(NamedTuple):
    """What a comparison waits for.

    Attributes:
        reason: A word: `units`, `rate` or `skew`.
        factor: How many times the units of now that is likely to take; None where no
            number of units is.
    """

    reason: str
    factor: float | None


def gate(measure: Measure, baseline: Sums, treatment: Sums) -> Wait | None:
    """Tell what two variants wait for; None where they may be judged.

    Counts of events are expected ones, from both variants together, so that a variant
    that has none at all does not wait for them.
    """
    smaller = min(baseline.n, treatment.n)
    if smaller < LEAST_UNITS:
        return Wait("units", LEAST_UNITS / smaller if smaller else None)
    n = baseline.n + treatment.n
    nonzero = baseline.nonzero + treatment.nonzero
    rarer = min(nonzero, n - nonzero) if measure.is_indicator else nonzero
    expected = rarer / n * smaller
    if expected < LEAST_EVENTS:
        return Wait("rate", LEAST_EVENTS / expected if expected > 0 else None)
    if not measure.is_indicator:
        lean = skew(measure, baseline, treatment)
        # The skewness of a sum falls with the root of its units.
        if lean > MOST_SKEWNESS:
            return Wait("skew", (lean / MOST_SKEWNESS) ** 2)
    return None


def skew(measure: Measure, baseline: Sums, treatment: Sums) -> float:
    """Tell how skewed the difference of two variants is.

    Raises:
        UsageError: If the sums are those of no values.
        ZeroDivisionError: If a ratio has nothing to divide by.
    """
    if measure.lower is None:
        return skewness(_cubes(baseline), _cubes(treatment))
    if baseline.shift_y or baseline.shift_d:
        value, middle = quotient(baseline, treatment)
        return skewness(*(_line(each, value, middle) for each in (baseline, treatment)))
    return skewness(*linearised(_ratio_cubes(baseline), _ratio_cubes(treatment)))


def skews(
    iteration: Iteration, measures: Sequence[Measure], aggregates: Aggregates
) -> dict[tuple[str, str], float]:
    """List the comparisons that wait for less skewed sums, by metric and variant."""
    found: dict[tuple[str, str], float] = {}
    for measure in measures:
        groups = aggregates.sums.get(measure.key, {})
        for variant in iteration.treatments if groups else ():
            epochs = shared_epochs(iteration, iteration.control, variant)
            sums = by_variant(groups, epochs)
            pair = (
                sums.get(iteration.control, NOTHING),
                sums.get(variant, NOTHING),
            )
            try:
                wait = gate(measure, *pair)
                if wait is not None and wait.reason == "skew":
                    found[measure.key, variant] = skew(measure, *pair)
            except (ValueError, ArithmeticError):
                continue
    return found


def _cubes(sums: Sums) -> CubeSums:
    return CubeSums(sums.n, sums.y, sums.yy, sums.yyy)


def _ratio_cubes(sums: Sums) -> RatioCubeSums:
    return RatioCubeSums(
        n=sums.n,
        y=sums.y,
        d=sums.d,
        yy=sums.yy,
        yd=sums.yd,
        dd=sums.dd,
        yyy=sums.yyy,
        yyd=sums.yyd,
        ydd=sums.ydd,
        ddd=sums.ddd,
    )


def _line(sums: Sums, r: float, middle: float) -> CubeSums:
    """Sum the linearised values of a variant that was shifted, which moves them all."""
    squares = sums.yy - 2 * r * sums.yd + r * r * sums.dd
    cubes = sums.yyy - 3 * r * sums.yyd + 3 * r * r * sums.ydd - r**3 * sums.ddd
    return CubeSums(
        n=sums.n,
        y=(sums.y - r * sums.d) / middle,
        yy=squares / middle**2,
        yyy=cubes / middle**3,
    )
