"""From sums to moments: what each variant has of one metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.results.inference import (
    CupedSums,
    Moments,
    RatioSums,
    adjustment,
    moments,
    ratio,
)
from flask_abx.results.scanning.sums import Sums, added
from flask_abx.results.shapes import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Group

# Below these a covariate is more trouble than it saves.
LEAST_HISTORY = 0.05
LEAST_SAVED = 0.01

NOTHING = Sums()


@dataclass(frozen=True, slots=True)
class Pool:
    """The judged units of each variant on one metric, in some epochs.

    Attributes:
        sums: Of every variant that has any.
        plain: Their moments as they are.
        adjusted: The same, less what the covariate explains where there is one.
        faults: Why a variant has no moments, though it has units.
        variance_reduction: The share that the covariate saved; None where it was not
            used.
        remark: Why it was not used, though it was asked for; empty otherwise.
    """

    sums: Mapping[str, Sums]
    plain: Mapping[str, Moments]
    adjusted: Mapping[str, Moments]
    faults: Mapping[str, str]
    variance_reduction: float | None = None
    remark: str = ""


def pooled(
    measure: Measure,
    groups: Mapping[Group, Sums],
    epochs: frozenset[int] | None = None,
) -> Pool:
    """Add up the groups of each variant, and work out their moments.

    Args:
        measure: The metric.
        groups: What was summed.
        epochs: Only units first exposed in these; None takes all.
    """
    sums = by_variant(groups, epochs)
    plain: dict[str, Moments] = {}
    faults: dict[str, str] = {}
    for variant, each in sums.items():
        if each.n < 2:
            continue
        try:
            plain[variant] = moments_of(measure, each)
        except (ValueError, ArithmeticError) as error:
            faults[variant] = _fault(measure, variant, each, error)
    if measure.covariate is None:
        return Pool(sums, plain, plain, faults)
    adjusted, saved, remark = _adjusted(measure, sums, plain)
    return Pool(sums, plain, adjusted, faults, saved, remark)


def by_variant(
    groups: Mapping[Group, Sums], epochs: frozenset[int] | None = None
) -> dict[str, Sums]:
    """Add up the groups of each variant."""
    parts: dict[str, list[Sums]] = {}
    for group, sums in groups.items():
        if epochs is None or group.epoch in epochs:
            parts.setdefault(group.variant, []).append(sums)
    return {
        variant: each[0] if len(each) == 1 else added(each)
        for variant, each in parts.items()
    }


def shared_epochs(iteration: Iteration, one: str, other: str) -> frozenset[int] | None:
    """Give the epochs in which two variants were both open; None where all are."""
    common = iteration.common_epochs(one, other)
    return None if len(common) == len(iteration.epochs) else common


class Pools:
    """The pools of one scan, each worked out once."""

    def __init__(
        self,
        iteration: Iteration,
        sums: Mapping[str, Mapping[Group, Sums]],
    ) -> None:
        self._iteration = iteration
        self._sums = sums
        self._found: dict[tuple[str, frozenset[int] | None], Pool] = {}

    def whole(self, measure: Measure) -> Pool:
        """Give all units of every variant."""
        return self._of(measure, None)

    def shared(self, measure: Measure, one: str, other: str) -> Pool:
        """Give the units first exposed while two variants were both open."""
        return self._of(measure, shared_epochs(self._iteration, one, other))

    def _of(self, measure: Measure, epochs: frozenset[int] | None) -> Pool:
        key = measure.key, epochs
        if key not in self._found:
            groups = self._sums.get(measure.key, {})
            self._found[key] = pooled(measure, groups, epochs)
        return self._found[key]


def moments_of(measure: Measure, sums: Sums) -> Moments:
    """Work out mean and variance of one variant, without any adjustment.

    Raises:
        UsageError: If the sums are those of no values.
    """
    if measure.lower is None:
        return moments(sums.n, sums.y, sums.yy, shift=sums.shift_y)
    if not (sums.shift_y or sums.shift_d):
        return ratio(sums.n, sums.y, sums.d, sums.yy, sums.dd, sums.yd)
    # A shift moves no deviation, so the linearised units may be summed shifted.
    value, middle = quotient(sums)
    line = moments(
        sums.n,
        sums.y - value * sums.d,
        max(sums.yy - 2 * value * sums.yd + value * value * sums.dd, 0.0),
    )
    return Moments(sums.n, value, line.variance / (middle * middle))


def quotient(*parts: Sums) -> tuple[float, float]:
    """Give the ratio of groups of units together, and its denominator's mean.

    Raises:
        ZeroDivisionError: If there is nothing to divide by.
    """
    n = sum(each.n for each in parts)
    upper = sum(each.y + each.n * each.shift_y for each in parts)
    lower = sum(each.d + each.n * each.shift_d for each in parts)
    return upper / lower, lower / n


def samples_of(measure: Measure, pool: Pool, variants: Sequence[str]) -> list[Sample]:
    """Tell what each variant has, as it is."""
    return [
        sample_of(measure, variant, pool.sums.get(variant, NOTHING), pool.plain)
        for variant in variants
    ]


def sample_of(
    measure: Measure, variant: str, sums: Sums, plain: Mapping[str, Moments]
) -> Sample:
    """Tell what one variant has, as it is."""
    found = plain.get(variant)
    total = sums.y + sums.n * sums.shift_y
    below = sums.d + sums.n * sums.shift_d
    if found is not None:
        value: float | None = found.mean
    elif measure.lower is not None:
        value = total / below if below else None
    else:
        value = total / sums.n if sums.n else None
    return Sample(
        variant=variant,
        units=sums.n,
        immature=sums.immature,
        total=_finite(total) or 0.0,
        denominator=None if measure.lower is None else _finite(below),
        value=_finite(value),
        sd=None if found is None else math.sqrt(found.variance),
        capped=sums.capped,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _fault(measure: Measure, variant: str, sums: Sums, error: Exception) -> str:
    """Say why a variant has no moments."""
    if measure.lower is not None and not sums.d + sums.n * sums.shift_d:
        return f"{variant} has nothing to divide by, its denominator adds up to 0."
    return f"The sums of {variant} cannot be used: {error}"


def _adjusted(
    measure: Measure, sums: Mapping[str, Sums], plain: Mapping[str, Moments]
) -> tuple[Mapping[str, Moments], float | None, str]:
    """Take off what the time before the first exposure explains, if that is enough."""
    variants = [*plain]
    units = sum(sums[variant].n for variant in variants)
    history = sum(sums[variant].history for variant in variants)
    if history < LEAST_HISTORY * units or not units:
        share = history / units if units else 0.0
        return plain, None, f"only {share:.1%} of the units have a history"
    if measure.lower is not None and _is_shifted(sums.values()):
        return plain, None, "its values are too large for their spread"
    try:
        found = adjustment(_covaried(measure, [sums[each] for each in variants]))
    except (ValueError, ArithmeticError):
        return plain, None, "what units did before cannot be compared"
    saved = found.variance_reduction
    if saved < LEAST_SAVED:
        return plain, None, f"it would save {max(saved, 0.0):.1%} of the variance"
    made = {
        variant: Moments(each.n, each.mean + sums[variant].shift_y, each.variance)
        for variant, each in zip(variants, found.variants, strict=True)
    }
    return made, saved, ""


def _is_shifted(sums: Iterable[Sums]) -> bool:
    return any(
        each.shift_y or each.shift_d or each.shift_x or each.shift_w for each in sums
    )


def _covaried(
    measure: Measure, sums: Sequence[Sums]
) -> list[CupedSums] | list[RatioSums]:
    if measure.lower is None:
        return [CupedSums(s.n, s.y, s.yy, s.x, s.xx, s.yx) for s in sums]
    return [
        RatioSums(
            n=s.n,
            y=s.y,
            d=s.d,
            x=s.x,
            e=s.w,
            yy=s.yy,
            yd=s.yd,
            yx=s.yx,
            ye=s.yw,
            dd=s.dd,
            dx=s.dx,
            de=s.dw,
            xx=s.xx,
            xe=s.xw,
            ee=s.ww,
        )
        for s in sums
    ]
