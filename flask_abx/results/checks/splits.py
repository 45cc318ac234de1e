"""Are the units split as the weights say, and did each meet one variant only?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flask_abx.results.checks.checkup import fine, skipped, told_limit, told_p
from flask_abx.results.inference import srm_chi2
from flask_abx.results.sequential import KAPPAS, srm_log_bayes_factor, srm_sequential
from flask_abx.results.shapes import CheckId, HealthCheck, Level
from flask_abx.results.telling.wording import count, percent, things

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.results.checks.checkup import Checkup
    from flask_abx.results.scanning.sums import Exposed, Group

SRM_ALARM = 0.01
#: Units of the others from which on a variant should have some, too.
LEAST_OTHERS = 100
#: Units that it should have by then; with so many, none is no chance.
LEAST_EXPECTED = 10
MIXED = 0.005
#: The same where weights are so uneven that mixed units lean to one side.
MIXED_UNEVEN = 0.001
UNEVEN = 1.5
MIXED_BEYOND = 0.1
LINKED = 0.3

#: The counts of the variants that were open in one epoch, beside their weights.
Stratum = tuple[dict[str, int], dict[str, float]]


def srm(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether every variant has the share of units that its weight gives it."""
    if not checkup.units:
        yield skipped(CheckId.SRM, checkup.nobody)
        return
    strata = _strata(checkup, checkup.aggregates.exposed)
    if not strata:
        yield skipped(CheckId.SRM, "Only one variant was ever open.")
        return
    counts, expected = _together(strata)
    p = split_p(strata)
    chi2 = srm_chi2([*counts.values()], [*expected.values()]).p_value
    # The chi-square test is what others print; looked at daily it would cry wolf.
    numbers = f"({told_p(p)}, alarm below {SRM_ALARM:g}; chi-square {told_p(chi2)})"
    if p >= SRM_ALARM:
        sentence = f"Every variant has the share it was given {numbers}."
        yield fine(CheckId.SRM, sentence, p, SRM_ALARM)
        return
    variant, sentence = _shortest(checkup, counts, expected)
    yield HealthCheck(
        CheckId.SRM,
        Level.ERROR,
        p,
        SRM_ALARM,
        f"{sentence} {numbers}.",
        f"Find what loses or repeats {things(checkup.unit)} before their exposure is "
        "stored, such as a redirect, a crash, a cached page or a filter of bots; then "
        f"begin anew: flask abx restart {checkup.key}",
        variant=variant,
    )


def srm_dimension(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask the same of the units of each value of each dimension."""
    by_value = {
        dimension: _by_value(groups)
        for dimension, groups in checkup.aggregates.exposed_by.items()
    }
    looked_at = sum(map(len, by_value.values()))
    if not looked_at:
        reason = (
            checkup.nobody
            if checkup.iteration.experiment.dimensions
            else "The experiment has no dimensions."
        )
        yield skipped(CheckId.SRM_DIMENSION, reason)
    for dimension, values in by_value.items():
        if values:
            yield _of_dimension(checkup, dimension, values, SRM_ALARM / looked_at)


def _of_dimension(
    checkup: Checkup,
    dimension: str,
    values: Mapping[str | None, Mapping[Group, Exposed]],
    limit: float,
) -> HealthCheck:
    """Tell of the value whose units are split worst."""
    found = {}
    for value, groups in values.items():
        strata = _strata(checkup, groups)
        found[value] = (split_p(strata) if strata else 1.0), strata
    worst = min(found, key=lambda value: found[value][0])
    p, strata = found[worst]
    bad = sum(each < limit for each, _ in found.values())
    if not bad:
        sentence = (
            f"All {len(found)} values of {dimension} have the shares they were given "
            f"(lowest {told_p(p)}, alarm below {limit:.2g})."
        )
        return fine(CheckId.SRM_DIMENSION, sentence, p, limit, dimension=dimension)
    where = f"Without {dimension}" if worst is None else f"With {dimension} = {worst!r}"
    variant, sentence = _shortest(checkup, *_together(strata))
    return HealthCheck(
        CheckId.SRM_DIMENSION,
        Level.WARN,
        p,
        limit,
        f"{where}, {sentence} ({told_p(p)}, alarm below {limit:.2g}); {bad} of "
        f"{len(found)} values are split badly.",
        f"Look at what is special there, such as an app, a browser or a page that only "
        f"these {things(checkup.unit)} meet; do not read {dimension} by value.",
        variant=variant,
        dimension=dimension,
    )


def split_p(strata: Sequence[Stratum]) -> float:
    """Give a p-value for the split of units that holds at any time.

    In each epoch the units are a multinomial of its own weights. For one kappa the
    evidence of the epochs is multiplied: what an epoch adds is, given all before it, at
    most 1 in expectation where the split is right, whenever and why ever the epoch
    began. The mean over the kappas is evidence again, and p is one over it.

    Source: Lindon, Malek 2022, Anytime-valid inference for multinomial count data,
    arXiv:2011.03567; products of sequential evidence: Grünwald, de Heide, Koolen 2024,
    Safe testing, arXiv:1906.07801, section 1; Ville's inequality.
    """
    tables = [
        ([*counts.values()], [weights[each] for each in counts])
        for counts, weights in strata
    ]
    if len(tables) == 1:
        return srm_sequential(*tables[0])
    factors = [
        math.fsum(srm_log_bayes_factor(*each, kappa) for each in tables)
        for kappa in KAPPAS
    ]
    largest = max(factors)
    total = math.fsum(math.exp(factor - largest) for factor in factors)
    return math.exp(min(math.log(len(factors) / total) - largest, 0.0))


def empty_variant(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether an open variant stays empty while the others fill."""
    if not checkup.units:
        yield skipped(CheckId.EMPTY_VARIANT, checkup.nobody)
        return
    strata = _strata(checkup, checkup.aggregates.exposed)
    is_found, fewest = False, math.inf
    for variant in checkup.iteration.experiment.variants:
        if variant.closed or not variant.weight:
            continue
        fits = [each for each in strata if variant.key in each[1]]
        units = sum(counts[variant.key] for counts, _ in fits)
        others = sum(sum(counts.values()) for counts, _ in fits) - units
        expected = math.fsum(
            sum(counts.values())
            * (weights[variant.key] / (sum(weights.values()) - weights[variant.key]))
            for counts, weights in fits
        )
        fewest = min(fewest, units)
        if units or others < LEAST_OTHERS or expected < LEAST_EXPECTED:
            continue
        is_found = True
        yield HealthCheck(
            CheckId.EMPTY_VARIANT,
            Level.ERROR,
            others,
            LEAST_OTHERS,
            f"{variant.key} is open and has not one {checkup.unit}, while the others "
            f"have {count(others)} (alarm from {LEAST_OTHERS} on).",
            f"Look at a page of {variant.key} yourself: it may fail before the "
            "exposure is stored. Then begin anew: flask abx restart "
            f"{checkup.key}",
            variant=variant.key,
        )
    if not is_found:
        yield _none_empty(checkup, fewest)


def _none_empty(checkup: Checkup, fewest: float) -> HealthCheck:
    if math.isinf(fewest):
        return skipped(CheckId.EMPTY_VARIANT, "No variant is open.")
    if not fewest:
        sentence = (
            f"A variant is still empty, but the others have fewer than {LEAST_OTHERS} "
            f"{things(checkup.unit)}, or its share is too small to tell."
        )
    else:
        sentence = f"The smallest open variant has {checkup.people(fewest)}."
    return fine(CheckId.EMPTY_VARIANT, sentence, fewest)


def mixed_units(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask how many units met more than one variant."""
    units, mixed = checkup.units, checkup.total("mixed")
    if not units:
        yield skipped(CheckId.MIXED_UNITS, checkup.nobody)
        return
    share, limit = mixed / units, MIXED_UNEVEN if _is_uneven(checkup) else MIXED
    sentence = (
        f"{count(mixed)} of {checkup.people(units)} ({percent(share)}) met two variants"
    )
    if share <= limit:
        sentence = f"{sentence} (warning above {told_limit(limit)})."
        yield fine(CheckId.MIXED_UNITS, sentence, share, limit)
        return
    is_beyond = share > MIXED_BEYOND
    level, limit = (Level.ERROR, MIXED_BEYOND) if is_beyond else (Level.WARN, limit)
    word = "error" if is_beyond else "warning"
    way_out = (
        "Look for pages that are cached without the variant, for several apps with "
        "other salts or cookie names, and for people on two devices"
    )
    if is_beyond:
        way_out = f"{way_out}; mend it, then begin anew: flask abx restart"
        way_out = f"{way_out} {checkup.key}"
    else:
        way_out = f"{way_out}. They count for the variant they met first."
    yield HealthCheck(
        CheckId.MIXED_UNITS,
        level,
        share,
        limit,
        f"{sentence} ({word} above {told_limit(limit)}).",
        way_out,
    )


def linked_units(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask how many units were joined with another one by a login."""
    units, linked = checkup.units, checkup.total("linked")
    if not units:
        yield skipped(CheckId.LINKED_UNITS, checkup.nobody)
        return
    share = linked / units
    sentence = (
        f"{count(linked)} of {checkup.people(units)} ({percent(share)}) were joined "
        "with another by a login and count once"
    )
    if share <= LINKED:
        yield fine(CheckId.LINKED_UNITS, f"{sentence}.", share, LINKED)
        return
    yield HealthCheck(
        CheckId.LINKED_UNITS,
        Level.WARN,
        share,
        LINKED,
        f"{sentence} (warning above {told_limit(LINKED)}).",
        "So many may have seen another variant before they logged in: in the next "
        'iteration assign people who are logged in only, with unit = "user".',
    )


def _strata(checkup: Checkup, exposed: Mapping[Group, Exposed]) -> list[Stratum]:
    """Part the units by epoch; a variant that was closed in one is left out there."""
    by_epoch: dict[int, dict[str, int]] = {}
    for group, found in exposed.items():
        counts = by_epoch.setdefault(group.epoch, {})
        counts[group.variant] = counts.get(group.variant, 0) + found.units
    strata = []
    for epoch, counts in sorted(by_epoch.items()):
        weights = {
            key: weight for key, weight in checkup.weights(epoch).items() if weight > 0
        }
        kept = {variant: counts.get(variant, 0) for variant in weights}
        if len(weights) > 1 and any(kept.values()):
            strata.append((kept, weights))
    return strata


def _together(strata: Sequence[Stratum]) -> tuple[dict[str, int], dict[str, float]]:
    """Add up the units of the epochs, and how many there should be of each variant."""
    units: dict[str, int] = {}
    expected: dict[str, float] = {}
    for counts, weights in strata:
        total, whole = sum(counts.values()), math.fsum(weights.values())
        for variant, found in counts.items():
            share = weights[variant] / whole
            units[variant] = units.get(variant, 0) + found
            expected[variant] = expected.get(variant, 0.0) + total * share
    return units, expected


def _shortest(
    checkup: Checkup, counts: Mapping[str, int], expected: Mapping[str, float]
) -> tuple[str, str]:
    """Find the variant that lacks most, and say how many units that are."""

    def lack(variant: str) -> float:
        return (expected[variant] - counts[variant]) / math.sqrt(expected[variant])

    variant = max(counts, key=lack)
    total = sum(counts.values())
    share, should = counts[variant] / total, expected[variant] / total
    missing = expected[variant] - counts[variant]
    # Of many units a tiny gap is no chance, and must not read as none.
    gap = 100 * abs(share - should)
    places = next((each for each in range(1, 4) if gap >= 10**-each), 4)
    return variant, (
        f"{checkup.people(missing)} {'is' if round(missing) == 1 else 'are'} missing "
        f"from {variant}: {percent(share, places)} instead of "
        f"{percent(should, places)}"
    )


def _by_value(
    groups: Mapping[Group, Exposed],
) -> dict[str | None, dict[Group, Exposed]]:
    found: dict[str | None, dict[Group, Exposed]] = {}
    for group, exposed in groups.items():
        if exposed.units:
            found.setdefault(group.value, {})[group] = exposed
    return found


def _is_uneven(checkup: Checkup) -> bool:
    """Tell whether some epoch gave one variant far more than another."""
    epochs = {group.epoch for group in checkup.aggregates.exposed}
    told = [
        [weight for weight in checkup.weights(epoch).values() if weight > 0]
        for epoch in epochs
    ]
    return any(each and max(each) > UNEVEN * min(each) for each in told)
