"""Looks at a large experiment, each in a process of its own that needs nothing else."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.results.simulation.backdating import backdate
from flask_abx.runtime.results import refreshed, stored
from flask_abx.runtime.state import state_of
from flask_abx.stores.database import writing
from flask_abx.stores.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.runtime.state import State
    from flask_abx.stores.database import Database

KEY = "headline"
DAY = 86_400_000
DEFINITIONS: dict[str, Any] = {
    "metrics": {
        "signup": {},
        "revenue": {
            "kind": "sum",
            "event": "purchase",
            "window": "7d",
            "cap": 0.999,
            "covariate": "14d",
        },
        "sencha": {"kind": "count", "event": "click", "where": {"tea": "sencha"}},
        "clicks": {
            "kind": "ratio",
            "numerator": {"event": "click"},
            "denominator": {"event": "session"},
        },
    },
    "experiments": {
        KEY: {
            "variants": ["control", "bold", "calm"],
            "metrics": {
                "primary": ["signup", "revenue"],
                "secondary": ["sencha", "clicks"],
            },
            "dimensions": ["country"],
        }
    },
}


def begin(url: str, folder: Path, began: int) -> None:
    """Let the experiment have begun before its exposures."""
    with _application(url, folder) as state:
        database = _database(state)
        Recording(database, state.store).record(database.own, state.store.document())
        with writing(database.own) as connection:
            names = [*DEFINITIONS["metrics"]]
            backdate(connection, database.tables, KEY, began, names)


def refresh_as_told() -> None:
    """Look once, and print how long it took; what the process runs."""
    url, folder = sys.argv[1:]
    with _application(url, Path(folder)) as state:
        start = time.perf_counter()
        found = refreshed(state, KEY)
        seconds = time.perf_counter() - start
        spans = []
        for _ in range(5):
            start = time.perf_counter()
            again = stored(state, KEY)
            spans.append(time.perf_counter() - start)
        assert again.verdict == found.verdict
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
    told: dict[str, Any] = {
        "seconds": seconds,
        "peak": peak(),
        "again": sorted(spans)[2] * 1000,
        "totals": totals,
        "days": len(found.series),
        "checks": len(found.health),
        "verdict": found.verdict.code,
    }
    print(json.dumps(told))


def peak() -> float:
    """Tell the most memory that this process used, in megabytes."""
    # What `getrusage` tells may be the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def _database(state: State) -> Database:
    assert state.storage.database is not None
    return state.storage.database


@contextmanager
def _application(url: str, folder: Path) -> Iterator[State]:
    """Make an application that keeps its tables in a database."""
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(SECRET_KEY="benchmarks", SQLALCHEMY_DATABASE_URI=url)
    app.config.update(ABX_SINKS=["memory"], ABX_DEFINITIONS=DEFINITIONS)
    ABX(app, db=SQLAlchemy(app))
    state = state_of(app)
    try:
        with app.app_context():
            yield state
    finally:
        assert state.storage.background is not None
        state.storage.background.stop()
        _database(state).own.dispose()
        _database(state).host.dispose()
