"""How an experiment is judged: its tests, their shares of alpha, its planned sample."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from flask_abx.experiments.metric import SHOWN, AnalysisTest, Direction
from flask_abx.results.figures.normal import below, beyond
from flask_abx.results.inference import Estimate, Moments, merge
from flask_abx.results.power import HYBRID_INFLATION, Design, sample_size
from flask_abx.results.sequential import anytime_multiplier, anytime_p
from flask_abx.results.shapes import Basis, Method, SamplePlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.results.inference import Side
    from flask_abx.results.judgement.sampling import Pool
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.looks.kept import Kept
    from flask_abx.results.metrics import Measure

DAY = 86_400_000
#: Where an any-time test is tuned without a plan, in units of both variants.
UNPLANNED = 10_000
#: No plan is worked out to more units than that; the effect is then next to nothing.
MOST_UNITS = 10**12
#: The part of alpha that the any-time test has beside a final look.
ANY_TIME_PART = 5
#: Changes with what the same sums lead to.
VERSION = 1
_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A test with its share of alpha.

    Attributes:
        basis: Which test.
        alpha: Its share.
        whole: Of what it is a share; p-values are scaled up to it.
    """

    basis: Basis
    alpha: float
    whole: float

    def p_value(
        self, estimate: Estimate, n_star: int, null: float = 0.0, side: Side = "two"
    ) -> float:
        """Test an estimate; the answer may exceed 1, as it is scaled."""
        if self.basis is Basis.ANY_TIME:
            p = anytime_p(estimate, n_star, self.alpha, null=null, side=side)
        else:
            t = estimate.statistic(null)
            if side == "two":
                p = math.erfc(abs(t) / math.sqrt(2))
            else:
                p = below(-t if side == "greater" else t)
        return p * (self.whole / self.alpha)

    def multiplier(
        self, n: float, n_star: int, family: float, side: Side = "two"
    ) -> float:
        """Give the standard errors on each side for one comparison of a family."""
        alpha = self.alpha / family
        if self.basis is Basis.ANY_TIME:
            return anytime_multiplier(n, n_star, alpha, self.alpha, side)
        return beyond(alpha / 2 if side == "two" else alpha)


def method_of(iteration: Iteration, family: int, revision: str) -> Method:
    """Choose the tests: any-time, with a final look where that was planned in time."""
    analysis = iteration.experiment.analysis
    alpha = analysis.alpha
    any_time = alpha
    test = AnalysisTest.ANY_TIME
    if analysis.test is AnalysisTest.FIXED:
        test, any_time = AnalysisTest.FIXED, 0.0
    elif analysis.test is not AnalysisTest.ANY_TIME and is_planned(iteration):
        test, any_time = AnalysisTest.HYBRID, alpha / ANY_TIME_PART
    return Method(
        test=test.value,
        alpha=alpha,
        alpha_any_time=any_time,
        alpha_final=alpha - any_time,
        family=family,
        min_days=analysis.min_days,
        time_zone=analysis.time_zone,
        revision=revision,
    )


def is_planned(iteration: Iteration) -> bool:
    """Tell whether a plan was made before anyone was exposed."""
    return iteration.plan is not None and iteration.is_plan_valid


def live_test(iteration: Iteration, method: Method) -> Yardstick | None:
    """Give the test that each look makes; None where all wait for the plan."""
    if method.test != AnalysisTest.FIXED:
        return Yardstick(Basis.ANY_TIME, method.alpha_any_time, method.alpha)
    if is_planned(iteration):
        return None
    return Yardstick(Basis.FIXED, method.alpha, method.alpha)


def final_test(iteration: Iteration, method: Method) -> Yardstick | None:
    """Give the test of the one look that was planned; None where none was."""
    if not is_planned(iteration) or method.test == AnalysisTest.ANY_TIME:
        return None
    is_fixed = method.test == AnalysisTest.FIXED
    basis = Basis.FIXED if is_fixed else Basis.FINAL
    return Yardstick(basis, method.alpha_final, method.alpha)


def planned_units(iteration: Iteration, kept: Kept) -> int | None:
    """Give the planned units of all variants; None where none are known."""
    if iteration.plan is None:
        return None
    return iteration.plan.units or kept.plan_units


def weights_of(iteration: Iteration, one: str, other: str) -> Mapping[str, float]:
    """Give the weights of the first epoch in which two variants were both open."""
    for epoch in iteration.epochs:
        if epoch.weights.get(one, 0) > 0 and epoch.weights.get(other, 0) > 0:
            return epoch.weights
    return {each.key: each.weight for each in iteration.experiment.variants}


def n_star_of(iteration: Iteration, kept: Kept, one: str, other: str) -> int:
    """Give the units of two variants at which their interval is to be narrowest."""
    units = planned_units(iteration, kept) if is_planned(iteration) else None
    weights = weights_of(iteration, one, other)
    whole = sum(weights.values())
    pair = weights.get(one, 0) + weights.get(other, 0)
    if units is None or not whole or not pair:
        return UNPLANNED
    return max(2, round(units * pair / whole))


def plan_units_of(
    iteration: Iteration, measure: Measure, pool: Pool, method: Method
) -> int | None:
    """Work out how many units find the planned effect; None where that is too early.

    From the mean and the variance of all variants together, so that nothing is learned
    of the effect.

    Args:
        iteration: Whose plan names an effect.
        measure: The first primary metric.
        pool: What all variants have of it.
        method: How it is going to be judged.
    """
    plan = iteration.plan
    if plan is None or plan.mde is None or not pool.plain:
        return None
    try:
        whole = reduce(merge, pool.plain.values())
        effect = _effect(measure, whole, plan.mde)
        needed = [*_needed(iteration, measure, pool, method, whole, effect)]
    except (ValueError, ArithmeticError):
        return None
    units = max(needed, default=math.inf)
    return None if units > MOST_UNITS else max(2, math.ceil(units))


def _needed(
    iteration: Iteration,
    measure: Measure,
    pool: Pool,
    method: Method,
    whole: Moments,
    effect: float,
) -> Iterator[float]:
    """Give the units of all variants that each treatment takes."""
    # Most plans name no effect, and a verdict needs nothing of this.
    from flask_abx.results.judgement.gates import gate
    from flask_abx.results.judgement.sampling import NOTHING

    control = iteration.control
    closed = {each.key for each in iteration.experiment.variants if each.closed}
    power = None if iteration.plan is None else iteration.plan.power
    for variant in iteration.treatments:
        weights = weights_of(iteration, control, variant)
        if not (weights.get(control, 0) > 0 and weights.get(variant, 0) > 0):
            continue
        pair = (pool.sums.get(each, NOTHING) for each in (control, variant))
        if gate(measure, *pair) is not None:
            if variant not in closed:
                yield math.inf
            continue
        design = _design(weights, (control, variant), power, method)
        found = _size(measure, whole, effect, design)
        share = (weights[control] + weights[variant]) / sum(weights.values())
        yield found / share


def _design(
    weights: Mapping[str, float],
    pair: tuple[str, str],
    power: float | None,
    method: Method,
) -> Design:
    control, treatment = (weights[each] for each in pair)
    is_hybrid = method.test == AnalysisTest.HYBRID
    return Design(
        alpha=method.alpha,
        power=power or _POWER,
        share=treatment / (control + treatment),
        family=max(method.family, 1),
        inflation=HYBRID_INFLATION if is_hybrid else 1.0,
    )


def _effect(measure: Measure, whole: Moments, mde: float) -> float:
    sign = -1 if measure.metric.direction is Direction.LOWER else 1
    return sign * mde * abs(whole.mean)


def _size(measure: Measure, whole: Moments, effect: float, design: Design) -> int:
    """Give the units of both variants that find an effect."""
    if measure.is_indicator and 0 < whole.mean + effect < 1:
        return sample_size(effect, rate=whole.mean, design=design).units
    return sample_size(effect, sd=math.sqrt(whole.variance), design=design).units


def sample_plan(
    iteration: Iteration, kept: Kept, units: int, now: datetime
) -> SamplePlan | None:
    """Tell how far the planned sample has come.

    Args:
        iteration: Whose plan it is.
        kept: What earlier looks worked out.
        units: Exposed so far, of all variants.
        now: The time of this look.
    """
    plan = iteration.plan
    if plan is None:
        return None
    planned = planned_units(iteration, kept)
    met_at = None if kept.final is None else kept.final.met_at
    progress = 0.0
    if plan.days is not None and iteration.started_at is not None:
        end = iteration.end(milliseconds_of(now))
        progress = (end - iteration.started_at) / (plan.days * DAY)
        if progress >= 1:
            met_at = moment_of(iteration.started_at + plan.days * DAY)
    elif planned is not None:
        progress = units / planned
    # A history that does not tell leaves the first moment that is known of the run.
    known = iteration.plan_saved_at, iteration.first_exposed_at, iteration.started_at
    saved_at = next((each for each in known if each is not None), None)
    return SamplePlan(
        units=planned,
        days=plan.days,
        mde=plan.mde,
        power=plan.power or (_POWER if plan.mde is not None else None),
        saved_at=now if saved_at is None else moment_of(saved_at),
        is_valid=iteration.is_plan_valid,
        progress=1.0 if kept.final is not None else max(0.0, min(1.0, progress)),
        met_at=met_at,
    )


def milliseconds_of(moment: datetime) -> int:
    """Give a moment in milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def moment_of(milliseconds: int) -> datetime:
    """Give the moment of so many milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def revision_of(iteration: Iteration, measures: Sequence[Measure]) -> str:
    """Name definitions, plan and method by their content."""
    experiment, plan = iteration.experiment, iteration.plan
    told = {
        "version": VERSION,
        "iteration": iteration.number,
        "control": iteration.control,
        "treatments": iteration.treatments,
        "analysis": experiment.analysis.model_dump(mode="json"),
        "plan": None if plan is None else plan.model_dump(mode="json"),
        "measures": [[*_told(each)] for each in measures],
    }
    text = json.dumps(told, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=6).hexdigest()


def _told(measure: Measure) -> Iterator[Any]:
    yield measure.key
    yield measure.role
    yield measure.margin
    yield measure.margin_abs
    yield measure.metric.model_dump(mode="json", exclude=set(SHOWN))
    yield None if measure.select is None else str(measure.select)
