"""One treatment against a baseline on one metric: what the units say, and how sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.results.figures.normal import beyond
from flask_abx.results.inference import (
    Estimate,
    Interval,
    around,
    contrast,
    difference,
    fieller,
)
from flask_abx.results.judgement.gates import Wait, gate
from flask_abx.results.judgement.sampling import NOTHING
from flask_abx.results.looks.kept import Row
from flask_abx.results.shapes import Reading
from flask_abx.results.telling.wording import change

if TYPE_CHECKING:
    from flask_abx.results.inference import Moments
    from flask_abx.results.judgement.planning import Yardstick
    from flask_abx.results.judgement.sampling import Pool
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Sums

# Units go on adding to a metric without a window; so many days of it are one look's.
SETTLED_DAYS = 28
# Nobody waits for more than so many times the units of now.
MOST_MORE = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the units of two variants say on one metric, before it is judged.

    Attributes:
        spot: The name of the metric in its role.
        control: The moments of the baseline; None where there are none.
        treatment: Those of the treatment.
        estimate: The effect; its `n` is the information of an any-time test.
        units: Judged units of both variants.
        n_star: Where the any-time test is tuned.
        wait: What it waits for; None where it may be judged.
        fault: Why it cannot be computed; empty where it can.
        remark: What else a reader of the row should know.
    """

    measure: Measure
    spot: str
    variant: str
    baseline: str
    control: Moments | None
    treatment: Moments | None
    estimate: Estimate | None
    units: int
    n_star: int
    wait: Wait | None
    fault: str = ""
    remark: str = ""

    @classmethod
    def failed(
        cls, measure: Measure, variant: str, baseline: str, n_star: int, fault: str
    ) -> Evidence:
        """Tell of figures that could not be computed."""
        return cls(
            measure=measure,
            spot=spot(measure),
            variant=variant,
            baseline=baseline,
            control=None,
            treatment=None,
            estimate=None,
            units=0,
            n_star=n_star,
            wait=None,
            fault=fault,
        )


def spot(measure: Measure) -> str:
    """Name a metric in its role."""
    return f"{measure.role}/{measure.key}"


def weigh(
    measure: Measure, pool: Pool, baseline: str, variant: str, n_star: int
) -> Evidence:
    """Compare two variants on one metric; nothing that is found there raises."""
    pair = pool.sums.get(baseline, NOTHING), pool.sums.get(variant, NOTHING)
    control, treatment = pool.adjusted.get(baseline), pool.adjusted.get(variant)
    estimate, wait = None, None
    fault = ""
    try:
        if control is not None and treatment is not None:
            estimate = _estimate(measure, control, treatment, *pair)
        wait = gate(measure, *pair)
        if wait is None:
            fault = _fault(pool, baseline, variant, estimate)
    except (ValueError, ArithmeticError) as error:
        fault = _fault(pool, baseline, variant, None) or f"{error}"
    return Evidence(
        measure=measure,
        spot=spot(measure),
        variant=variant,
        baseline=baseline,
        control=control,
        treatment=treatment,
        estimate=estimate,
        units=pair[0].n + pair[1].n,
        n_star=n_star,
        wait=wait,
        fault=fault,
        remark=_remark(measure, *pair),
    )


def _estimate(
    measure: Measure,
    control: Moments,
    treatment: Moments,
    baseline: Sums,
    other: Sums,
) -> Estimate:
    found = difference(control, treatment)
    if measure.window is not None:
        return found
    n = baseline.n + other.n
    days = (baseline.days + other.days) / n
    if days <= SETTLED_DAYS:
        return found
    return Estimate(found.effect, found.se, n * days / SETTLED_DAYS)


def _fault(pool: Pool, baseline: str, variant: str, estimate: Estimate | None) -> str:
    for each in (baseline, variant):
        if each in pool.faults:
            return pool.faults[each]
    if estimate is None:
        return "There are no figures to compare."
    if estimate.se == 0:
        return "Every unit has the same value, so that nothing can be told from chance."
    return ""


def _remark(measure: Measure, baseline: Sums, treatment: Sums) -> str:
    """Tell the effect without a cap, where one has cut any unit."""
    cut = baseline.capped + treatment.capped
    if not cut:
        return ""
    means = []
    for each in (baseline, treatment):
        lower = each.n if measure.lower is None else each.raw_d
        if not lower:
            return ""
        means.append(each.raw / lower)
    effect = means[1] - means[0]
    relative = f", {change(effect / abs(means[0]))}" if means[0] else ""
    units = "1 unit is" if cut == 1 else f"{cut:,} units are"
    return f"{units} capped; without the cap the effect is {effect:+.4g}{relative}"


def two_sided(
    evidence: Evidence,
    test: Yardstick,
    family: float,
    p_value: float,
    p_adjusted: float,
) -> Row:
    """Draw the interval that leaves zero exactly when the comparison is decided.

    Args:
        evidence: The two variants.
        test: The test that is drawn.
        family: By how much alpha is divided.
        p_value: Of this test, scaled up to the whole of alpha.
        p_adjusted: The same for its family.
    """
    estimate, control, treatment = parts(evidence)
    is_decided = p_adjusted < test.whole
    k = test.multiplier(estimate.n, evidence.n_star, family)
    level = 1 - test.alpha / family
    effect = estimate.effect
    absolute = around(estimate, k, level=level)
    relative = fieller(control, treatment, k, level=level)
    above = Reading.BETTER if effect > 0 else Reading.WORSE
    return Row(
        effect=effect,
        se=estimate.se,
        n=evidence.units,
        effect_interval=_agreed(absolute, effect, is_decided=is_decided),
        relative_effect=None if relative is None else relative_effect(evidence),
        relative_interval=None
        if relative is None
        else _agreed(relative, effect, is_decided=is_decided),
        p_value=min(1.0, p_value),
        p_adjusted=min(1.0, p_adjusted),
        reading=above if is_decided else Reading.UNCLEAR,
    )


def untested(evidence: Evidence) -> Row:
    """Tell what waits for more units, or cannot be computed."""
    wait = evidence.wait
    return Row(
        effect=None if evidence.estimate is None else evidence.estimate.effect,
        se=None if evidence.estimate is None else evidence.estimate.se,
        n=evidence.units,
        effect_interval=None,
        relative_effect=relative_effect(evidence),
        relative_interval=None,
        p_value=None,
        p_adjusted=None,
        reading=Reading.FAILED if evidence.fault else Reading.TOO_EARLY,
        reason=evidence.fault or ("" if wait is None else wait.reason),
    )


def parts(evidence: Evidence) -> tuple[Estimate, Moments, Moments]:
    """Give the figures of a comparison that may be judged."""
    estimate, control = evidence.estimate, evidence.control
    treatment = evidence.treatment
    if estimate is None or control is None or treatment is None:
        raise AssertionError(f"{evidence.variant!r} was to be weighed first.")
    return estimate, control, treatment


def is_judged(evidence: Evidence) -> bool:
    """Tell whether a comparison has passed its gate."""
    return evidence.wait is None and not evidence.fault


def relative_effect(evidence: Evidence) -> float | None:
    """Give the effect as a fraction of the baseline; None on a baseline of zero."""
    if evidence.estimate is None or evidence.control is None:
        return None
    base = abs(evidence.control.mean)
    found = evidence.estimate.effect / base if base else math.inf
    return found if math.isfinite(found) else None


def margin_estimate(evidence: Evidence, factor: float) -> Estimate:
    """Estimate the treatment less a multiple of the baseline."""
    estimate, control, treatment = parts(evidence)
    found = contrast(control, treatment, factor)
    return Estimate(found.effect, found.se, estimate.n)


def fixed_interval(evidence: Evidence, alpha: float) -> Interval | None:
    """Draw what a single look would say; it decides nothing."""
    if not is_judged(evidence):
        return None
    _, control, treatment = parts(evidence)
    try:
        return fieller(control, treatment, beyond(alpha / 2), level=1 - alpha)
    except (ValueError, ArithmeticError):
        return None


def units_needed(
    evidence: Evidence, test: Yardstick | None, family: float, exposed: int
) -> int | None:
    """Tell how many more units of all variants are likely to decide.

    For a comparison that waits they are those that end its waiting; else those after
    which the effect found so far would leave its interval, if it stayed as it is.

    Args:
        evidence: The two variants.
        test: The test that each look makes.
        family: By how much alpha is divided.
        exposed: The units of all variants so far.
    """
    if evidence.wait is not None:
        return _more(evidence.wait.factor, exposed)
    if test is None or evidence.fault:
        return None
    estimate = parts(evidence)[0]
    t = abs(estimate.statistic())
    if not t:
        return None
    factor = 1.0
    for _ in range(2):
        # The multiplier hardly changes with the units, so this settles at once.
        try:
            k = test.multiplier(estimate.n * factor, evidence.n_star, family)
        except (ValueError, ArithmeticError):
            return None
        if k * k > MOST_MORE * t * t:
            return None
        factor = (k / t) ** 2
    return _more(factor, exposed)


def _more(factor: float | None, exposed: int) -> int | None:
    if factor is None or not factor <= MOST_MORE:
        return None
    return max(1, math.ceil((factor - 1) * exposed))


def _agreed(drawn: Interval, effect: float, *, is_decided: bool) -> Interval:
    """Keep rounding from letting an interval and its test disagree."""
    if drawn.excludes() == is_decided:
        return drawn
    near = math.nextafter(0, effect) if is_decided else 0.0
    if effect > 0:
        return Interval(near, drawn.high, drawn.level)
    return Interval(drawn.low, near, drawn.level)
