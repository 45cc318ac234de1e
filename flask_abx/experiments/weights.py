"""The shares of the open variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
