"""A look at the export of a large experiment, in a process of its own."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flask_abx.experiments.definition import parse
from flask_abx.results.warehouse import results_from
from tests.benchmarks.looks import DEFINITIONS, KEY, peak
from tests.results.warehoused import exported
from tests.stores.places import database_at

if TYPE_CHECKING:
    from flask_abx.results.shapes import Results


def export_to(url: str, folder: Path) -> Path:
    """Export a database that was filled, and give the folder."""
    with database_at(url, is_empty=True) as database:
        return exported(database, folder)


def look_as_told() -> None:
    """Look once at the folder that is named, and print what `looks` prints."""
    (folder,) = sys.argv[1:]
    start = time.perf_counter()
    found = results_from(Path(folder), parse(DEFINITIONS), KEY)
    seconds = time.perf_counter() - start
    told = {"seconds": seconds, "peak": peak(), **_figures(found)}
    print(json.dumps(told))


def _figures(found: Results) -> dict[str, object]:
    totals = {
        f"{metric.metric} {sample.variant}": [
            sample.units,
            sample.total,
            sample.denominator,
        ]
        for metric in found.metrics
        if metric.dimension is None
        for sample in metric.samples
    }
    return {
        "totals": totals,
        "days": len(found.series),
        "checks": len(found.health),
        "verdict": found.verdict.code,
    }
