"""Guardrails: whether a metric that must not get worse has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flask_abx.experiments.metric import Direction
from flask_abx.results.inference import Interval, fieller
from flask_abx.results.judgement.comparing import (
    margin_estimate,
    parts,
    relative_effect,
)
from flask_abx.results.looks.kept import Row
from flask_abx.results.shapes import Reading

if TYPE_CHECKING:
    from flask_abx.results.inference import Estimate, Side
    from flask_abx.results.judgement.comparing import Evidence
    from flask_abx.results.judgement.planning import Yardstick


def guarded(evidence: Evidence, test: Yardstick, guards: int) -> Row:
    """Judge a guardrail by one test, on both sides of its margin.

    Each end of the interval is the bound of a test of one side: the end on the bad side
    is that of `within_margin`, at the whole share of alpha; the other that of
    `over_margin` and `worse`, divided among the guardrails. So the reading and the
    interval always agree. Its level is what both ends hold together.

    A margin is tested by the treatment less its share of the baseline, so that a
    baseline near zero, which has no relative interval, is judged all the same.

    Args:
        evidence: The two variants, on a metric with a direction.
        test: The test.
        guards: How many guardrail comparisons there are.
    """
    measure = evidence.measure
    is_higher = measure.metric.direction is not Direction.LOWER
    good, bad = _SIDES if is_higher else _SIDES[::-1]
    has_margin = measure.margin is not None or measure.margin_abs is not None
    estimate, null = _claim(evidence, is_higher=is_higher)
    n_star = evidence.n_star
    p_over = test.p_value(estimate, n_star, null, bad)
    over = p_over, guards * p_over
    p_within = test.p_value(estimate, n_star, null, good) if has_margin else 1.0
    if over[1] < test.whole:
        reading = Reading.OVER_MARGIN if has_margin else Reading.WORSE
        p_value, p_adjusted = over
    elif has_margin:
        is_within = p_within < test.whole
        reading = Reading.WITHIN_MARGIN if is_within else Reading.UNCLEAR
        p_value = p_adjusted = p_within
    else:
        reading, (p_value, p_adjusted) = Reading.UNCLEAR, over
    absolute, relative = _drawn(
        evidence, test, 1 if has_margin else guards, guards, reading
    )
    return Row(
        effect=parts(evidence)[0].effect,
        se=parts(evidence)[0].se,
        n=evidence.units,
        effect_interval=absolute,
        relative_effect=None if relative is None else relative_effect(evidence),
        relative_interval=relative,
        p_value=min(1.0, p_value),
        p_adjusted=min(1.0, p_adjusted),
        reading=reading,
    )


_SIDES: tuple[Side, Side] = ("greater", "less")


def _claim(evidence: Evidence, *, is_higher: bool) -> tuple[Estimate, float]:
    """Give the estimate whose sign, against a null, says whether a margin holds."""
    measure = evidence.measure
    estimate, control, _ = parts(evidence)
    worse = -1 if is_higher else 1
    if measure.margin is None:
        return estimate, worse * (measure.margin_abs or 0.0)
    # The margin is a part of the baseline's size, whatever its sign.
    share = worse * math.copysign(measure.margin, control.mean)
    return margin_estimate(evidence, 1 + share), 0.0


def _drawn(
    evidence: Evidence, test: Yardstick, family: int, guards: int, reading: Reading
) -> tuple[Interval, Interval | None]:
    """Draw the interval of the effect and that of the relative one."""
    estimate, control, treatment = parts(evidence)
    measure = evidence.measure
    is_higher = measure.metric.direction is not Direction.LOWER
    facing, away = (
        test.multiplier(estimate.n, evidence.n_star, each, "greater")
        for each in (family, guards)
    )
    below, above = (facing, away) if is_higher else (away, facing)
    level = 1 - (test.alpha / family + test.alpha / guards)
    absolute = Interval(
        estimate.effect - below * estimate.se,
        estimate.effect + above * estimate.se,
        level,
    )
    lower = fieller(control, treatment, below, level=level, side="greater")
    upper = fieller(control, treatment, above, level=level, side="less")
    relative = None
    if lower is not None and upper is not None:
        relative = Interval(lower.low, upper.high, level)
    worse = -1 if is_higher else 1
    if measure.margin is not None:
        if relative is not None:
            limit = worse * measure.margin
            relative = _agreed(relative, limit, reading, is_higher=is_higher)
    else:
        limit = worse * (measure.margin_abs or 0.0)
        absolute = _agreed(absolute, limit, reading, is_higher=is_higher)
        if relative is not None and measure.margin_abs is None:
            relative = _agreed(relative, 0.0, reading, is_higher=is_higher)
    return absolute, relative


def _agreed(
    drawn: Interval, limit: float, reading: Reading, *, is_higher: bool
) -> Interval:
    """Keep rounding from letting an interval and its reading disagree."""
    low, high = drawn.low, drawn.high
    if low is None or high is None:
        return drawn
    is_over = reading in {Reading.OVER_MARGIN, Reading.WORSE}
    is_within = reading is Reading.WITHIN_MARGIN
    if limit == 0 and not is_over:
        # Without a margin it may lie wholly on the good side, which decides nothing.
        ends = (low, max(high, 0.0)) if is_higher else (min(low, 0.0), high)
        return Interval(*ends, drawn.level)
    if is_higher:
        low = _moved(low, limit, is_above=is_within)
        high = _moved(high, limit, is_above=not is_over)
    else:
        low = _moved(low, limit, is_above=is_over)
        high = _moved(high, limit, is_above=not is_within)
    return Interval(low, high, drawn.level)


def _moved(end: float, limit: float, *, is_above: bool) -> float:
    """Put an end on the side of a limit where the test has it."""
    if is_above:
        return end if end > limit else math.nextafter(limit, math.inf)
    return end if end < limit else math.nextafter(limit, -math.inf)
