"""How many units an experiment needs, and what it can find with those it gets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flask_abx.errors import UsageError
from flask_abx.results.figures.inputs import (
    Side,
    at_least,
    finite,
    fraction,
    level_of_side,
    positive,
)
from flask_abx.results.figures.normal import below, beyond

# What looking at any time costs, in units, at a power of 0.8: simulated on the sequence
# of `sequential.anytime_multiplier` with 20 looks (power .72 at 1.5 times the units of
# a fixed test, .86 at twice), and on .01 of it with a final look at .04 (power .77).
ANY_TIME_INFLATION = 1.8
HYBRID_INFLATION = 1.07


@dataclass(frozen=True, slots=True)
class Design:
    """How an experiment is going to be judged.

    Attributes:
        alpha: Error probability, of the whole family of comparisons.
        power: Probability of finding the effect; above alpha.
        share: Share of the treatment among the units of both variants.
        side: "two", or "greater" or "less" for a test of one side at alpha.
        family: Comparisons among which alpha is divided (Bonferroni).
        correlation: Between the metric and its covariate, for CUPED; 0 for none.
        inflation: Units as a multiple of those of a fixed test, such as
            `ANY_TIME_INFLATION`.

    Raises:
        UsageError: If a figure lies outside its range.
    """

    alpha: float = 0.05
    power: float = 0.8
    share: float = 0.5
    side: Side = "two"
    family: int = 1
    correlation: float = 0.0
    inflation: float = 1.0

    def __post_init__(self) -> None:
        level_of_side("alpha", self.alpha, self.side)
        fraction("share", self.share)
        at_least(1, "family", self.family)
        positive("inflation", self.inflation)
        if not -1 < self.correlation < 1:
            raise UsageError(
                f"correlation is {self.correlation!r}, must lie between -1 and 1."
            )
        if fraction("power", self.power) <= self.alpha:
            raise UsageError(
                f"power is {self.power!r}, must be above alpha, {self.alpha!r}."
            )

    @property
    def threshold(self) -> float:
        """Standard errors beyond which an effect counts as found."""
        return beyond(self.alpha / self.family / (2 if self.side == "two" else 1))

    @property
    def reserve(self) -> float:
        """Standard errors beyond the threshold at which the effect has to lie."""
        return -beyond(self.power)

    @property
    def cost(self) -> float:
        """Units needed for each that a fixed test without covariate needs."""
        return self.inflation * (1 - self.correlation) * (1 + self.correlation)

    def spread(self, control: float, treatment: float) -> float:
        """Give the standard error of an effect, times the root of all units.

        Args:
            control: Variance of one unit of the control.
            treatment: Variance of one unit of the treatment.
        """
        return math.sqrt(control / (1 - self.share) + treatment / self.share)


DEFAULT = Design()


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Units that an experiment needs.

    Attributes:
        control: In the control, not rounded.
        treatment: In the treatment, not rounded.
    """

    control: float
    treatment: float

    @property
    def units(self) -> int:
        """Units of both variants, each rounded up."""
        return math.ceil(self.control) + math.ceil(self.treatment)


def sample_size(
    effect: float,
    *,
    sd: float | None = None,
    rate: float | None = None,
    null_rate: float | None = None,
    design: Design = DEFAULT,
) -> SampleSize:
    """Tell how many units find an effect.

    Source: Chow, Shao, Wang 2008, Sample size calculations in clinical research, 3.2
    for means; Fleiss, Levin, Paik 2003, Statistical methods for rates and proportions,
    equation 4.14, for rates. CUPED: Deng, Xu, Kohavi, Walker 2013.

    Args:
        effect: Treatment less control, in the metric's measure; not 0.
        sd: Standard deviation of one unit, for means and ratios.
        rate: The control's rate, for conversions; give one of `sd` and `rate`.
        null_rate: With `rate`, that of both variants if there were no effect. None
            takes the mean of both; some calculators take the control's.
        design: How the experiment is going to be judged.

    Raises:
        UsageError: If the effect is 0 or takes the rate out of 0 to 1, or a figure
            lies outside its range.
    """
    null, actual = _spreads(effect, sd, rate, null_rate, design)
    reach = max(design.threshold * null + design.reserve * actual, 0.0)
    return _shared(reach / abs(effect), design)


def power(
    effect: float,
    units: float,
    *,
    sd: float | None = None,
    rate: float | None = None,
    null_rate: float | None = None,
    design: Design = DEFAULT,
) -> float:
    """Tell how probable it is that an effect is found, in its own direction.

    Source: as for `sample_size`, of which it is the inverse.

    Args:
        effect: Treatment less control, in the metric's measure; not 0.
        units: Units of both variants together.
        sd: Standard deviation of one unit, for means and ratios.
        rate: The control's rate, for conversions; give one of `sd` and `rate`.
        null_rate: With `rate`, that of both variants if there were no effect.
        design: How it is going to be judged; its own `power` is not used.

    Raises:
        UsageError: As for `sample_size`.
    """
    null, actual = _spreads(effect, sd, rate, null_rate, design)
    root = math.sqrt(positive("units", units) / design.cost)
    return below((abs(effect) * root - design.threshold * null) / actual)


def mde(
    units: float,
    *,
    sd: float | None = None,
    rate: float | None = None,
    null_rate: float | None = None,
    design: Design = DEFAULT,
) -> float | None:
    """Tell the smallest effect, upwards, that so many units find.

    Source: as for `sample_size`, of which it is the inverse.

    Args:
        units: Units of both variants together.
        sd: Standard deviation of one unit, for means and ratios.
        rate: The control's rate, for conversions; give one of `sd` and `rate`.
        null_rate: With `rate`, that of both variants if there were no effect.
        design: How the experiment is going to be judged.

    Returns:
        The effect in the metric's measure, divided by the baseline it is the relative
        one; None where not even a rate of 1 would be found.

    Raises:
        UsageError: As for `sample_size`.
    """
    root = math.sqrt(positive("units", units) / design.cost)
    if rate is None:
        null, actual = _spreads(1.0, sd, rate, null_rate, design)
        return (design.threshold * null + design.reserve * actual) / root
    low, high = 0.0, 1 - fraction("rate", rate)

    def is_found(effect: float) -> bool:
        null, actual = _spreads(effect, sd, rate, null_rate, design)
        return effect * root >= design.threshold * null + design.reserve * actual

    if not is_found(high):
        return None
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high


def noninferiority_size(
    margin: float,
    *,
    effect: float = 0.0,
    sd: float | None = None,
    rate: float | None = None,
    factor: float = 1.0,
    design: Design = DEFAULT,
) -> SampleSize:
    """Tell how many units show that a metric has not become worse by a margin.

    One-sided at the alpha of the design, whatever its side, where higher is better;
    where lower is better, negate the effect.

    Source: Chow, Shao, Wang 2008, 3.2.3 for means, 4.2.3 for rates.

    Args:
        margin: What may be lost, in the metric's measure, above 0.
        effect: The effect that is expected; the margin must be beyond its negative.
        sd: Standard deviation of one unit, for means and ratios.
        rate: The control's rate, for conversions; give one of `sd` and `rate`.
        factor: What the control counts: 1, or 1 - M for a relative margin M, of which
            the margin is M times the control's mean.
        design: How the experiment is going to be judged.

    Raises:
        UsageError: If the expected effect is lost already, or a figure lies outside its
            range.
    """
    room = finite("effect", effect) + positive("margin", margin)
    if room <= 0:
        raise UsageError(
            f"effect is {effect!r}, which with a margin of {margin!r} is lost already, "
            "give a larger margin."
        )
    control, treatment = _variances(effect, sd, rate)
    tail = beyond(design.alpha / design.family)
    actual = design.spread(factor * factor * control, treatment)
    return _shared((tail + design.reserve) * actual / room, design)


def false_positive_risk(success_rate: float, alpha: float, power: float) -> float:
    """Tell how probable it is that a found effect is none.

    Source: Wacholder et al. 2004, Assessing the probability that a positive report is
    false; for experiments Kohavi, Deng, Vermeer 2022, A/B testing intuition busters.

    Args:
        success_rate: Share of experiments in which there is an effect, 0 to 1.
        alpha: Error probability in the direction that counts: 0.025 for a two-sided
            test at 0.05 whose wins alone are shipped.
        power: Probability that an effect is found.

    Raises:
        UsageError: If one is no probability.
    """
    if not 0 <= success_rate <= 1:
        raise UsageError(f"success_rate is {success_rate!r}, must lie from 0 to 1.")
    wrong = fraction("alpha", alpha) * (1 - success_rate)
    right = finite("power", power) * success_rate
    if not 0 < power <= 1:
        raise UsageError(f"power is {power!r}, must be above 0 and at most 1.")
    return wrong / (wrong + right)


def _shared(root: float, design: Design) -> SampleSize:
    """Divide the square of a root of units between the variants."""
    total = root * root * design.cost
    return SampleSize(total * (1 - design.share), total * design.share)


def _spreads(
    effect: float,
    sd: float | None,
    rate: float | None,
    null_rate: float | None,
    design: Design,
) -> tuple[float, float]:
    """Give the spread without an effect, and the one with it."""
    if finite("effect", effect) == 0:
        raise UsageError(f"effect is {effect!r}, no number of units finds none.")
    control, treatment = _variances(effect, sd, rate)
    actual = design.spread(control, treatment)
    if rate is None:
        return actual, actual
    if null_rate is None:
        null_rate = rate + design.share * effect
    null = fraction("null_rate", null_rate) * (1 - null_rate)
    return design.spread(null, null), actual


def _variances(
    effect: float, sd: float | None, rate: float | None
) -> tuple[float, float]:
    """Give the variance of one unit of the control, and of the treatment."""
    if sd is not None and rate is None:
        variance = positive("sd", sd) * sd
        return variance, variance
    if rate is None or sd is not None:
        raise UsageError(f"sd is {sd!r} and rate {rate!r}, give exactly one of them.")
    moved = fraction("rate", rate) + effect
    # A sum that is 1 but for rounding is 1.
    if not -1e-12 <= moved <= 1 + 1e-12:
        raise UsageError(
            f"effect is {effect!r}, which takes a rate of {rate!r} out of 0 to 1."
        )
    return rate * (1 - rate), max(moved * (1 - moved), 0.0)
