"""How many units each variant has, and how many its weights lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.results.shapes import VariantCount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.scanning.sums import Exposed, Group


def variant_counts(
    iteration: Iteration, exposed: Mapping[Group, Exposed]
) -> tuple[VariantCount, ...]:
    """Count the exposed units of every variant, in the order of definition."""
    units: dict[str, int] = {}
    mixed: dict[str, int] = {}
    for group, found in exposed.items():
        units[group.variant] = units.get(group.variant, 0) + found.units
        mixed[group.variant] = mixed.get(group.variant, 0) + found.mixed
    total = sum(units.values())
    expected = expected_shares(iteration, exposed)
    return tuple(
        VariantCount(
            variant=each.key,
            name=each.name or each.key,
            is_control=each.key == iteration.control,
            is_open=not each.closed,
            units=units.get(each.key, 0),
            share=units.get(each.key, 0) / total if total else 0.0,
            expected_share=expected.get(each.key, 0.0),
            mixed=mixed.get(each.key, 0),
        )
        for each in iteration.experiment.variants
    )


def expected_shares(
    iteration: Iteration, exposed: Mapping[Group, Exposed]
) -> dict[str, float]:
    """Give the share of each variant that the weights of the epochs lead to.

    Each epoch counts as much as it has units; before the first one, and where no epoch
    is known, the weights of the definition do.
    """
    by_epoch: dict[int, int] = {}
    for group, found in exposed.items():
        by_epoch[group.epoch] = by_epoch.get(group.epoch, 0) + found.units
    weights = {epoch.number: epoch.weights for epoch in iteration.epochs}
    defined = {
        each.key: 0.0 if each.closed else each.weight
        for each in iteration.experiment.variants
    }
    total = sum(by_epoch.values())
    if not total:
        last = iteration.epochs[-1].number if iteration.epochs else 0
        by_epoch, total = {last: 1}, 1
    shares: dict[str, float] = {}
    for number, units in by_epoch.items():
        told = weights.get(number, defined)
        whole = sum(told.values())
        for variant, weight in told.items() if whole else ():
            share = units / total * (weight / whole)
            shares[variant] = shares.get(variant, 0.0) + share
    return shares
