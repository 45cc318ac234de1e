"""Whole experiments in tables: rows, statement, verdict and stored looks together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flask_abx.results import Reading, VerdictCode
from flask_abx.results.refresh import Metrics, refresh
from tests.results.past import BEGIN, DAY, Past, sqlite_past

if TYPE_CHECKING:
    from pathlib import Path

    from flask_abx.results import Results

pytestmark = pytest.mark.simulation

#: The rate of the control, and of a treatment that was planned for.
RATE, BETTER = 0.30, 0.39
#: Units that find that difference in four of five runs, and how they come.
PLANNED, LOOKS = 960, 6
TWO: dict[str, Any] = {
    "variants": ["control", "bold"],
    "metrics": "signup",
    "plan": {"units": PLANNED},
}
_DECIDED = {Reading.BETTER, Reading.WORSE}


def look(past: Past) -> Results:
    """Look at the experiment."""
    database, document = past.database, past.document
    metrics = Metrics(document.metrics)
    return refresh(database.own, database.tables, document, metrics, "headline")


def was_decided(folder: Path, seed: int, rate: float) -> bool:
    """Run an experiment on growing data, and tell whether any look was decided."""
    chance = np.random.default_rng(seed)
    with sqlite_past(folder) as past:
        past.change(BEGIN, TWO)
        for day in range(LOOKS + 1):
            at = BEGIN + (day + 1) * DAY
            split = int(chance.binomial(PLANNED // LOOKS, 0.5))
            counts = {"control": split, "bold": PLANNED // LOOKS - split}
            units = past.expose(counts, at)
            rates = np.where(np.arange(len(units)) < split, RATE, rate)
            signed = chance.random(len(units)) < rates
            who = [unit for unit, has in zip(units, signed, strict=True) if has]
            # When the last of the day comes: a planned look hears of nothing later.
            past.happen(who, "signup", at + 1_000 * (len(units) - 1))
            told = look(past)
            if told.metrics[0].comparisons[0].reading in _DECIDED:
                return True
    return False


@pytest.mark.parametrize("part", range(4))
def test_without_a_difference_few_runs_find_one(tmp_path: Path, part: int) -> None:
    runs = range(50 * part, 50 * (part + 1))
    found = sum(was_decided(_folder(tmp_path, run), run, RATE) for run in runs)
    # 0.05, and three standard errors.
    assert found <= 7


def test_what_was_planned_for_is_found(tmp_path: Path) -> None:
    runs = range(1_000, 1_050)
    found = sum(was_decided(_folder(tmp_path, run), run, BETTER) for run in runs)
    assert found >= 32


def test_a_split_that_breaks_is_found_before_any_winner(tmp_path: Path) -> None:
    with sqlite_past(tmp_path) as past:
        past.change(BEGIN, TWO)
        past.happen(past.expose({"control": 500, "bold": 300}, BEGIN), "signup", BEGIN)
        assert look(past).verdict.code is VerdictCode.UNTRUSTED


def _folder(above: Path, run: int) -> Path:
    folder = above / str(run)
    folder.mkdir()
    return folder
