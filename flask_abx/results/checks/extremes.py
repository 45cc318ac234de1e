"""Can the values of the metrics be added up, and do a few of them decide?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.results.checks.checkup import (
    NOTHING_MEASURED,
    fine,
    skipped,
    told_limit,
    told_p,
)
from flask_abx.results.inference import difference, fixed_test, moments
from flask_abx.results.judgement.gates import LEAST_EVENTS, MOST_SKEWNESS
from flask_abx.results.judgement.sampling import NOTHING, by_variant, shared_epochs
from flask_abx.results.shapes import CheckId, HealthCheck, Level
from flask_abx.results.telling.wording import count, percent, plural, things

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.results.checks.checkup import Checkup
    from flask_abx.results.inference import Moments
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Sums

PRE_PERIOD_ALARM = 0.001
OUTLIER = 0.05


def bad_values(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether values had to be left out."""
    if not checkup.measures:
        yield skipped(CheckId.BAD_VALUES, NOTHING_MEASURED)
        return
    found = {
        each.key: sum(
            sums.bad for sums in checkup.aggregates.sums.get(each.key, {}).values()
        )
        for each in checkup.measures
    }
    for key, bad in found.items():
        if bad:
            yield HealthCheck(
                CheckId.BAD_VALUES,
                Level.WARN,
                bad,
                0,
                f"{plural(bad, 'row')} of {key} "
                f"{'was' if bad == 1 else 'were'} left out, as the value is no finite "
                "number.",
                f"Make the select of {key} give numbers only, such as by a cast or a "
                "condition; until then these rows count as if they were not there.",
                metric=key,
            )
    if not any(found.values()):
        yield fine(CheckId.BAD_VALUES, "0 values had to be left out.", 0, 0)


def pre_period(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether the variants were alike before the first exposure.

    A fixed test of the covariate's mean per unit, at 0.001 over the number of tests.
    """
    measured = [each for each in checkup.measures if each.covariate is not None]
    if not measured:
        yield skipped(CheckId.PRE_PERIOD, "No metric has a covariate.")
        return
    tests = {
        (measure.key, variant): p
        for measure in measured
        for variant in checkup.iteration.treatments
        if (p := _before(checkup, measure, variant)) is not None
    }
    if not tests:
        yield skipped(CheckId.PRE_PERIOD, "Nobody has a history before the exposure.")
        return
    limit = PRE_PERIOD_ALARM / len(tests)
    for (metric, variant), p in tests.items():
        if p < limit:
            yield HealthCheck(
                CheckId.PRE_PERIOD,
                Level.WARN,
                p,
                limit,
                f"{variant} differed from {checkup.iteration.control} on {metric} "
                f"before anyone was exposed ({told_p(p)}, alarm below {limit:.2g}).",
                "The assignment may depend on what people did: look for a salt shared "
                "with an earlier experiment, then begin anew: flask abx restart "
                f"{checkup.key}",
                metric=metric,
                variant=variant,
            )
    lowest = min(tests.values())
    if lowest >= limit:
        sentence = (
            f"The variants were alike before the first exposure (lowest "
            f"{told_p(lowest)}, alarm below {limit:.2g})."
        )
        yield fine(CheckId.PRE_PERIOD, sentence, lowest, limit)


def _before(checkup: Checkup, measure: Measure, variant: str) -> float | None:
    control = checkup.iteration.control
    groups = checkup.aggregates.sums.get(measure.key, {})
    sums = by_variant(groups, shared_epochs(checkup.iteration, control, variant))
    pair = sums.get(control, NOTHING), sums.get(variant, NOTHING)
    if not all(each.n >= 2 for each in pair) or not any(each.history for each in pair):
        return None
    try:
        estimate = difference(*(_covariate(each) for each in pair))
        return fixed_test(estimate, PRE_PERIOD_ALARM).p_value
    except (ValueError, ArithmeticError):
        return None


def _covariate(sums: Sums) -> Moments:
    return moments(sums.n, sums.x, sums.xx, shift=sums.shift_x)


def outlier(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether one unit makes a large part of what its variant has."""
    shares = {
        (measure.key, variant): share
        for measure in checkup.measures
        if not measure.is_indicator
        for variant, sums in by_variant(
            checkup.aggregates.sums.get(measure.key, {})
        ).items()
        if (share := _largest(checkup, measure, sums)) is not None
    }
    if not shares:
        reason = f"No sum has the {LEAST_EVENTS} {things(checkup.unit)} that it takes."
        if all(each.is_indicator for each in checkup.measures):
            reason = "No metric adds up values."
        yield skipped(CheckId.OUTLIER, reason)
        return
    for (metric, variant), share in shares.items():
        if share > OUTLIER:
            yield HealthCheck(
                CheckId.OUTLIER,
                Level.WARN,
                share,
                OUTLIER,
                f"One {checkup.unit} makes {percent(share)} of {metric} in {variant} "
                f"(warning above {told_limit(OUTLIER)}).",
                "Look who that is, such as a reseller or a test account. To cut such "
                f"values in the next iteration, write cap = 0.999 under "
                f"[metrics.{metric}].",
                metric=metric,
                variant=variant,
            )
    most = max(shares.values())
    if most <= OUTLIER:
        sentence = (
            f"No {checkup.unit} makes more than {percent(most)} of a sum (warning "
            f"above {told_limit(OUTLIER)})."
        )
        yield fine(CheckId.OUTLIER, sentence, most, OUTLIER)


def _largest(checkup: Checkup, measure: Measure, sums: Sums) -> float | None:
    """Give the share of the largest unit, as far as the cap leaves it."""
    # Of a handful of units each one is a large part.
    if sums.nonzero < LEAST_EVENTS:
        return None
    cap = checkup.aggregates.caps.get(measure.key)
    if cap is None or cap.value is None:
        total, highest = sums.raw, sums.highest
    else:
        total = sums.y + sums.n * sums.shift_y
        highest = min(sums.highest, cap.value)
    return max(highest, 0.0) / total if total > 0 else None


def skew(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask which comparisons wait until sums of skewed values behave like sums."""
    if all(each.is_indicator for each in checkup.measures):
        yield skipped(CheckId.SKEW, "No metric adds up values.")
        return
    for (metric, variant), lean in checkup.skews.items():
        yield HealthCheck(
            CheckId.SKEW,
            Level.WARN,
            lean,
            MOST_SKEWNESS,
            f"{metric} of {variant} is not read yet: its skewness is {lean:.3g} (read "
            f"up to {MOST_SKEWNESS:g}), as a few large values weigh too much.",
            # The skewness of a sum falls with the root of its units.
            f"Wait for about {max((lean / MOST_SKEWNESS) ** 2, 1.1):.1f} times the "
            f"{things(checkup.unit)}, give the variants equal weights in the next "
            f"iteration, or write cap = 0.999 under [metrics.{metric}] there.",
            metric=metric,
            variant=variant,
        )
    if not checkup.skews:
        sentence = (
            f"{count(0)} comparisons wait for their skewness to fall to "
            f"{MOST_SKEWNESS:g}."
        )
        yield fine(CheckId.SKEW, sentence, 0, MOST_SKEWNESS)
