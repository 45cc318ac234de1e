"""What an experiment costs: the units and days that find an effect of a given size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flask_abx.errors import UsageError
from flask_abx.experiments.metric import AnalysisTest
from flask_abx.experiments.weights import open_weights
from flask_abx.results.figures.inputs import finite, positive
from flask_abx.results.power import (
    ANY_TIME_INFLATION,
    HYBRID_INFLATION,
    Design,
    sample_size,
)
from flask_abx.results.shapes import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flask_abx.experiments.model import Experiment

#: Decimals that an effect of a table keeps.
PLACES = 10
#: The effects of a table, as multiples of the one that is asked for.
STEPS = (0.4, 0.6, 1.0, 1.5, 2.0)
_LEAST_EFFECT, _MOST_EFFECT = 1e-7, 1e3
_HALVINGS = 80
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a metric is while nothing is changed.

    Attributes:
        mean: Per unit; not 0.
        sd: Standard deviation of one unit; None for a share, whose mean tells it.
        saved: The share of the variance that a covariate takes away.

    Raises:
        UsageError: If a figure lies outside its range.
    """

    mean: float
    sd: float | None = None
    saved: float = 0.0

    def __post_init__(self) -> None:
        if finite("The baseline", self.mean) == 0:
            raise UsageError(
                f"The baseline is {self.mean!r}, of which no share is an effect."
            )
        if self.sd is not None:
            positive("The standard deviation", self.sd)
        elif not 0 < self.mean < 1:
            raise UsageError(
                f"The baseline is {self.mean!r}, a share must lie between 0 and 1."
            )
        if not 0 <= self.saved < 1:
            raise UsageError(f"saved is {self.saved!r}, must be from 0 to below 1.")


@dataclass(frozen=True, slots=True)
class Pair:
    """A treatment with its control.

    Attributes:
        share: Of the treatment among the units of both.
        part: Of both among all units.
    """

    share: float
    part: float


@dataclass(frozen=True, slots=True)
class Terms:
    """How an experiment is going to be judged.

    Attributes:
        alpha: Error probability, of the whole family of comparisons.
        power: Probability of finding the effect.
        family: Comparisons among which alpha is divided.
        pairs: Each treatment with its control; at least one.
        inflation: What looking early costs, as a multiple of units.
        is_lower_better: True where the effect to find is a decrease.
    """

    alpha: float
    power: float
    family: int
    pairs: tuple[Pair, ...]
    inflation: float
    is_lower_better: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast units come, and how long the last one is waited for.

    Attributes:
        daily: Exposed units a day, of all variants; None where that is not known.
        follow: Days for which the last unit is watched.
        least: Days that an experiment runs in any case.
    """

    daily: float | None = None
    follow: float = 0.0
    least: int = 0

    def days(self, units: int) -> int | None:
        """Tell after how many days so many units have come and been watched."""
        if not self.daily:
            return None
        needed = math.ceil(units / self.daily + self.follow - 1e-9)
        return max(needed, self.least, 1)

    def units(self, days: int) -> int:
        """Tell how many units have come, and been watched, after so many days.

        Raises:
            UsageError: If nobody knows how many come, or nobody is watched in time.
        """
        if not self.daily:
            raise UsageError("Nobody knows how many units come a day.")
        found = math.floor(self.daily * (days - self.follow) + 1e-9)
        if found < 1:
            raise UsageError(
                f"days is {days!r}, but each unit is watched for {self.follow:g} days "
                "after it has come: give more."
            )
        return found


@dataclass(frozen=True, slots=True)
class Size:
    """What it takes to find one effect.

    Attributes:
        effect: As a fraction of the baseline, a decrease below 0.
        units: Of all variants; None where the baseline cannot change by so much.
        days: Until they have come; None where that is not known.
        unplanned: The units it takes without a plan; None as for `units`.
    """

    effect: float
    units: int | None
    days: int | None
    unplanned: int | None


def inflation_of(test: AnalysisTest, *, is_planned: bool) -> float:
    """Tell what looking early costs in units, compared with a single look at the end.

    Args:
        test: Which test reads the primary metrics.
        is_planned: Whether the sample is planned before anybody is exposed.
    """
    if test is AnalysisTest.FIXED:
        return 1.0
    if is_planned and test is not AnalysisTest.ANY_TIME:
        return HYBRID_INFLATION
    return ANY_TIME_INFLATION


def pairs_of(experiment: Experiment) -> tuple[Pair, ...]:
    """List the open treatments of an experiment, each with its control.

    Raises:
        UsageError: If no treatment, or not the control, is open.
    """
    weights = open_weights(experiment)
    whole, control = sum(weights.values()), experiment.control.key
    base = weights.get(control, 0.0)
    pairs = tuple(
        Pair(weight / (base + weight), (base + weight) / whole)
        for key, weight in weights.items()
        if key != control and base
    )
    if not pairs:
        raise UsageError(
            f"Experiment {experiment.key!r} has no two open variants to compare: open "
            "the control and a treatment, or give them weights."
        )
    return pairs


def family_of(experiment: Experiment, role: Role) -> int:
    """Count the comparisons among which alpha is divided for a metric of a role."""
    if role is not Role.PRIMARY:
        return 1
    treatments = len(experiment.variants) - 1
    return max(1, treatments * len(experiment.metrics.primary))


def units_for(effect: float, baseline: Baseline, terms: Terms) -> int | None:
    """Tell how many units of all variants find an effect, whichever treatment has it.

    Args:
        effect: As a fraction of the baseline, above 0 in the direction that is good.
        baseline: What is known of the metric.
        terms: How it is going to be judged.

    Returns:
        The units; None where the baseline cannot change by so much.
    """
    positive("effect", effect)
    change = abs(baseline.mean) * effect * (-1 if terms.is_lower_better else 1)
    moved = baseline.mean + change
    if baseline.sd is None and not -_ROUNDING <= moved <= 1 + _ROUNDING:
        return None
    return max(
        math.ceil(_pair_units(change, baseline, terms, pair) / pair.part)
        for pair in terms.pairs
    )


def effect_of(units: int, baseline: Baseline, terms: Terms) -> float | None:
    """Tell the smallest effect that so many units of all variants find.

    Returns:
        It as a fraction of the baseline, above 0; None where they find none at all.
    """
    positive("units", units)

    def is_found(effect: float) -> bool:
        needed = units_for(effect, baseline, terms)
        return needed is not None and needed <= units

    low, high = _LEAST_EFFECT, _highest(baseline, terms)
    if not is_found(high):
        return None
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high


def sizes(
    effects: Iterable[float], baseline: Baseline, terms: Terms, pace: Pace
) -> tuple[Size, ...]:
    """Tell what it takes to find each of some effects.

    Args:
        effects: As fractions of the baseline, above 0.
        baseline: What is known of the metric.
        terms: How it is going to be judged.
        pace: How fast units come.
    """
    without = replace(terms, inflation=max(terms.inflation, ANY_TIME_INFLATION))
    return tuple(
        Size(
            effect=-effect if terms.is_lower_better else effect,
            units=units,
            days=None if units is None else pace.days(units),
            unplanned=units_for(effect, baseline, without),
        )
        for effect in sorted(set(effects))
        for units in (units_for(effect, baseline, terms),)
    )


def around(effect: float, steps: Sequence[float] = STEPS) -> tuple[float, ...]:
    """List an effect with a few that are smaller and larger."""
    return tuple(round(positive("effect", effect) * step, PLACES) for step in steps)


def _pair_units(change: float, baseline: Baseline, terms: Terms, pair: Pair) -> int:
    design = Design(
        alpha=terms.alpha,
        power=terms.power,
        share=pair.share,
        family=terms.family,
        correlation=math.sqrt(baseline.saved),
        inflation=terms.inflation,
    )
    if baseline.sd is None:
        return sample_size(change, rate=baseline.mean, design=design).units
    return sample_size(change, sd=baseline.sd, design=design).units


def _highest(baseline: Baseline, terms: Terms) -> float:
    """Give the largest change that a baseline can make, as a fraction of it."""
    if baseline.sd is not None:
        return _MOST_EFFECT
    if terms.is_lower_better:
        return 1.0
    return (1 - baseline.mean) / baseline.mean
