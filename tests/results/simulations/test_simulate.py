"""What `simulate` was told to do is what the results find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_abx.results.simulation.scenario import Scenario
from flask_abx.runtime.results import refreshed
from flask_abx.runtime.state import state_of
from tests.results.crowded import crowd, crowded_app

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

pytestmark = pytest.mark.simulation

EFFECT = 0.05
SEEDS = 100


def is_covered(app: Flask, seed: int) -> bool:
    """Simulate anew, and tell whether the interval of one look holds the effect."""
    scenario = Scenario("headline", effect=EFFECT)
    crowd(app, scenario, seed=seed, units=3_000, base_rates={"signup": 0.3})
    told = refreshed(state_of(app), "headline")
    interval = told.metrics[0].comparisons[0].fixed_interval
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= EFFECT <= interval.high


def test_the_interval_covers_the_effect_that_was_given(tmp_path: Path) -> None:
    with crowded_app(tmp_path) as app:
        covered = sum(is_covered(app, seed) for seed in range(SEEDS))
    assert 90 <= covered <= 99
