"""Effects, their intervals and tests, from sufficient statistics.

Tests use the normal distribution: under 100 units in a variant they are not meant to
be read. Nothing here may be looked at again and again, see `sequential` for what may.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.results.figures.inputs import (
    Side,
    at_least,
    expected_shares,
    finite,
    level_of_side,
    positive,
)
from flask_abx.results.figures.moments import (
    Adjustment,
    CupedSums,
    Moments,
    RatioSums,
    adjustment,
    cuped,
    merge,
    moments,
    ratio,
)
from flask_abx.results.figures.multiplicity import benjamini_hochberg, bonferroni, holm
from flask_abx.results.figures.normal import below, beyond, density
from flask_abx.results.figures.skewness import (
    CubeSums,
    RatioCubeSums,
    linearised,
    skewness,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Adjustment",
    "ChiSquare",
    "CubeSums",
    "CupedSums",
    "Estimate",
    "FixedTest",
    "Interval",
    "Moments",
    "RatioCubeSums",
    "RatioSums",
    "Side",
    "adjustment",
    "around",
    "benjamini_hochberg",
    "bonferroni",
    "chance_to_beat",
    "contrast",
    "cuped",
    "difference",
    "expected_loss",
    "fieller",
    "fixed_test",
    "holm",
    "linearised",
    "merge",
    "moments",
    "ratio",
    "skewness",
    "srm_chi2",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """The values that a test does not exclude.

    Attributes:
        low: The lower end; None where it is open.
        high: The upper end; None where it is open.
        level: How often such an interval holds the truth, such as 0.95.
    """

    low: float | None
    high: float | None
    level: float

    def excludes(self, value: float = 0.0) -> bool:
        """Tell whether a value lies outside; the ends themselves lie inside."""
        return (self.low is not None and value < self.low) or (
            self.high is not None and value > self.high
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect and how exactly it is known.

    Attributes:
        effect: Treatment less control, in the metric's measure.
        se: Its standard error, in the same measure; 0 where nothing varies.
        n: Units of both variants, or the information that stands for them.

    Raises:
        UsageError: If a number is not finite, se below 0, or n not above 0.
    """

    effect: float
    se: float
    n: float

    def __post_init__(self) -> None:
        finite("The effect", self.effect)
        at_least(0, "se", self.se)
        positive("n", self.n)

    def statistic(self, null: float = 0.0) -> float:
        """Tell how many standard errors the effect is away from a value.

        Where nothing varies, that is infinitely many, or none.
        """
        gap = self.effect - finite("null", null)
        if self.se == 0:
            return math.copysign(math.inf, gap) if gap else 0.0
        return gap / self.se


@dataclass(frozen=True, slots=True)
class FixedTest:
    """A test on one occasion that was fixed in advance.

    Attributes:
        statistic: Standard errors between effect and null; infinite where se is 0.
        p_value: Probability of an effect this far out if the null were true.
        interval: The nulls that would not be rejected.
    """

    statistic: float
    p_value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A chi-square test.

    Attributes:
        statistic: Squared deviations over expected counts.
        df: Degrees of freedom; 0 where there is nothing to compare.
        p_value: Probability of a statistic this large if the weights were kept to.
    """

    statistic: float
    df: int
    p_value: float


def difference(control: Moments, treatment: Moments) -> Estimate:
    """Estimate how much more a unit of the treatment yields than one of the control.

    Source: Welch 1938, The significance of the difference between two means when the
    population variances are unequal (the standard error; the tests here use z, not t).
    """
    return contrast(control, treatment, 1.0)


def contrast(control: Moments, treatment: Moments, factor: float) -> Estimate:
    """Estimate the treatment's mean less a multiple of the control's.

    With factor 1 - M, it is above zero exactly when the treatment keeps more than that
    share of the control; so a relative margin M is tested without a ratio.

    Source: Fieller 1954, Some problems in interval estimation; as a margin, Hauschke,
    Kieser, Diletti, Burke 1999, Sample size determination for proving equivalence.

    Raises:
        UsageError: If the factor is not finite.
    """
    effect, se = _gap(control, treatment, finite("factor", factor))
    return Estimate(effect, se, control.n + treatment.n)


def around(
    estimate: Estimate, multiplier: float, *, level: float, side: Side = "two"
) -> Interval:
    """Draw the interval of so many standard errors around an estimate.

    Args:
        estimate: Its middle.
        multiplier: Standard errors on each side, at least 0.
        level: The level that the multiplier belongs to.
        side: "greater" is open above and "less" open below.

    Raises:
        UsageError: If the multiplier is negative or not finite.
    """
    reach = at_least(0, "multiplier", multiplier) * estimate.se
    low, high = estimate.effect - reach, estimate.effect + reach
    return _sided(low, high, level, side)


def fieller(
    control: Moments,
    treatment: Moments,
    multiplier: float,
    *,
    level: float | None = None,
    side: Side = "two",
) -> Interval | None:
    """Draw the interval of the relative effect, (treatment - control) / abs(control).

    It leaves zero exactly when the effect is more than `multiplier` standard errors
    away from zero, so that the relative and the absolute effect never disagree. With
    the multiplier of an any-time test it holds at any time.

    Source: Fieller 1954, Some problems in interval estimation.

    Args:
        control: Moments of the baseline, which may be negative.
        treatment: Moments of the treatment.
        multiplier: Standard errors on each side, at least 0.
        level: The level that the multiplier belongs to; None takes that which it has
            in a fixed test.
        side: "greater" is open above and "less" open below.

    Returns:
        The interval as fractions; None where it is not finite, as the control's mean
        is not more than `multiplier` of its standard errors away from zero.

    Raises:
        UsageError: If the multiplier is negative or not finite.
    """
    k = at_least(0, "multiplier", multiplier)
    found = _relative_ends(control, treatment, k)
    if found is None:
        return None
    if level is None:
        level = below(k) if side != "two" else math.erf(k / math.sqrt(2))
    return _sided(*found, level, side)


def fixed_test(
    estimate: Estimate, alpha: float, null: float = 0.0, side: Side = "two"
) -> FixedTest:
    """Test an estimate once, on an occasion that was fixed before it began.

    The p-value is below alpha exactly when the interval excludes the null.

    Source: Wald 1943, Tests of statistical hypotheses concerning several parameters.

    Args:
        estimate: The estimate. Where its se is 0, p is 1 at the null and 0 elsewhere.
        alpha: Error probability; below 0.5 where the test has one side.
        null: The effect to test against.
        side: "two"; "greater" looks for an effect above the null, "less" for one below.

    Raises:
        UsageError: If alpha, null or side is none of that.
    """
    level_of_side("alpha", alpha, side)
    t = estimate.statistic(null)
    if side == "two":
        p_value = math.erfc(abs(t) / math.sqrt(2))
        reach = beyond(alpha / 2)
    else:
        p_value = below(-t if side == "greater" else t)
        reach = beyond(alpha)
    return FixedTest(t, p_value, around(estimate, reach, level=1 - alpha, side=side))


def srm_chi2(counts: Sequence[int], weights: Sequence[float]) -> ChiSquare:
    """Test once whether units were split as the weights say.

    Variants of weight 0 are left out. With fewer than two others, or without any
    units, there is nothing to compare and p is 1.

    Source: Pearson 1900, On the criterion that a given system of deviations from the
    probable can be supposed to have arisen from random sampling.

    Args:
        counts: Units of each variant.
        weights: Their weights, relative to each other.

    Raises:
        UsageError: If counts and weights do not match, one is negative or no number,
            or all weights are zero.
    """
    kept, shares = expected_shares(counts, weights)
    total = math.fsum(kept)
    df = len(kept) - 1
    if df == 0 or total == 0:
        return ChiSquare(0.0, df, 1.0)
    statistic = math.fsum(
        (count - total * share) * ((count - total * share) / (total * share))
        for count, share in zip(kept, shares, strict=True)
    )
    return ChiSquare(statistic, df, _chi2_beyond(statistic, df))


def chance_to_beat(estimate: Estimate) -> float:
    """Give the posterior probability that the effect is above zero, on a flat prior.

    It is not safe against looking early: negate the effect where lower is better.

    Source: Gelman et al. 2013, Bayesian data analysis, section 2.5 (normal mean).
    """
    return below(estimate.statistic())


def expected_loss(estimate: Estimate, *, is_shipped: bool = True) -> float:
    """Give what the wrong choice is expected to cost, on a flat prior.

    It is not safe against looking early: negate the effect where lower is better.

    Source: Stucchio 2015, Bayesian A/B testing at VWO; the normal loss of Raiffa,
    Schlaifer 1961, Applied statistical decision theory.

    Args:
        estimate: The estimate.
        is_shipped: Whether the treatment is shipped, or the control kept.

    Returns:
        The loss in the metric's measure, at least 0.
    """
    effect = estimate.effect if is_shipped else -estimate.effect
    if estimate.se == 0:
        return max(-effect, 0.0)
    t = effect / estimate.se
    return max(estimate.se * density(t) - effect * below(-t), 0.0)


def _gap(control: Moments, treatment: Moments, factor: float) -> tuple[float, float]:
    """Take a multiple of the control's mean off the treatment's; with the error."""
    # hypot neither overflows nor underflows on the way.
    se = math.hypot(
        math.sqrt(treatment.variance) / math.sqrt(treatment.n),
        factor * math.sqrt(control.variance) / math.sqrt(control.n),
    )
    return treatment.mean - factor * control.mean, se


def _relative_ends(
    control: Moments, treatment: Moments, k: float
) -> tuple[float, float] | None:
    """Solve for the relative effects that lie k standard errors away, or for none."""
    base = abs(control.mean)
    error = k * math.sqrt(control.variance / control.n)
    if not error < base:
        return None
    gap, se = _gap(control, treatment, 1.0)
    finite("The effect", gap)
    # In parts of the baseline, x is the relative effect at an end of the interval:
    # a x^2 - 2 b x + c = 0, where c is above zero exactly when zero is left out.
    own = (error / base) * (error / base)
    other = (k / base) * math.sqrt(treatment.variance / treatment.n)
    effect, reach = abs(gap), k * se
    a = 1 - own
    b = gap / base + math.copysign(own, control.mean)
    c = ((effect - reach) / base) * ((effect + reach) / base)
    root = math.hypot(other * math.sqrt(a), (error / base) * (treatment.mean / base))
    far = b + math.copysign(root, b)
    if a == 0:
        return None
    low, high = sorted((far / a, c / far if far else 0.0))
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _sided(low: float, high: float, level: float, side: Side) -> Interval:
    """Open the end of an interval that a test of one side says nothing about."""
    return Interval(
        None if side == "less" else low, None if side == "greater" else high, level
    )


def _chi2_beyond(statistic: float, df: int) -> float:
    """Give the probability that a chi-square variable exceeds a value.

    Source: Abramowitz, Stegun 1964, 26.4.4 and 26.4.5.
    """
    half = statistic / 2
    if half == 0:
        return 1.0
    first = df % 2 / 2
    terms = [
        math.exp(power * math.log(half) - half - math.lgamma(power + 1))
        for power in (first + step for step in range(df // 2))
    ]
    start = math.erfc(math.sqrt(half)) if first else 0.0
    return min(1.0, start + math.fsum(terms))
