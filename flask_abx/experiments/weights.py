"""The shares of the open variants, and when they begin a new epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments.lifecycle import Status

if TYPE_CHECKING:
    from flask_abx.experiments.model import Experiment


def open_weights(experiment: Experiment) -> dict[str, float]:
    """Give the share of each variant that new units may get, closed ones left out."""
    # Plain additions in order: from Python 3.12 on `sum` rounds in another way.
    total = 0.0
    for variant in experiment.variants:
        total += variant.weight
    return {
        variant.key: variant.weight / total
        for variant in experiment.variants
        if variant.weight > 0 and not variant.closed
    }


def opens_epoch(before: Experiment | None, after: Experiment) -> bool:
    """Tell whether a change begins a stretch of other open variants or weights.

    An iteration that comes alive begins its first one. Traffic, audience and pauses
    begin none.
    """
    if not after.status.is_live:
        return False
    if before is None or before.status is Status.DRAFT:
        return True
    if before.iteration != after.iteration:
        return True
    return open_weights(before) != open_weights(after)
