"""Awkward records in a database, loaded as the command does, and what to ask of them.

with fresh_database(kind, tmp_path) as url, database_at(url) as database:
    asked = load_into(database, write(tmp_path / "hostile.jsonl"))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flask_abx.assignment.decision import Unit
from flask_abx.events.lines import read_lines
from flask_abx.events.sql.erasing import erase
from flask_abx.events.sql.loading import Loader
from flask_abx.experiments.definition import canonical_json
from flask_abx.experiments.metric import Metric
from flask_abx.experiments.model import Experiment
from flask_abx.results.looks.iteration import Epoch, Iteration, Pause
from flask_abx.results.metrics import measures
from flask_abx.stores.database import reading, writing
from tests.results.hostile_log import write
from tests.results.hostile_metrics import (
    AS_OF,
    BEGIN,
    CLOSED,
    CONCLUDED,
    DAY,
    HEAVY,
    HOUR,
    METRICS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sqlalchemy import Connection, Table

    from flask_abx.events.sql.loading import Loaded, Refusal
    from flask_abx.results.metrics import Measure
    from flask_abx.schema import Tables
    from flask_abx.stores.database import Database

__all__ = (
    "Asked",
    "load",
    "load_into",
    "rows_in",
    "rows_of",
    "run_of",
    "runs",
    "write",
)

_PEOPLE = ("visitor", "user")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one run.

    Attributes:
        dimensions: By what it is broken down.
    """

    iteration: Iteration
    measures: tuple[Measure, ...]
    dimensions: tuple[str, ...] = ("country", "tier")
    as_of: int = AS_OF


def load_into(database: Database, path: Path) -> dict[str, Asked]:
    """Load the file as the command does, erase two units, and tell what to ask.

    Args:
        database: Where our tables are, empty.
        path: What `write` gave.

    Returns:
        What to ask of each run, by the name of the run.
    """
    asked = runs()
    _begin(database, (each.iteration for each in asked.values()))
    load(database, path)
    for unit in (Unit("user", "gone"), Unit("visitor", "gone-visitor")):
        erase(database.own, database.tables, unit)
    _disagree(database)
    return asked


def load(database: Database, path: Path) -> Loaded:
    """Load a log, each line of which must be a record that can be stored."""

    def tell(refusal: Refusal) -> None:
        raise AssertionError(str(refusal))

    def kinds_of(key: str) -> tuple[str, ...]:
        return _PEOPLE if key == "headline" else ("visitor",)

    loader = Loader(database, kinds_of, tell)
    with path.open("rb") as file:
        for line in read_lines(file, path.name):
            loader.add(line)
    loader.flush()
    assert not loader.loaded.skipped
    return loader.loaded


def rows_of(database: Database) -> tuple[list[dict[str, Any]], ...]:
    """Read what the oracle takes: exposures, units of events, and events."""
    with reading(database.own) as connection:
        return rows_in(connection, database.tables)


def rows_in(connection: Connection, tables: Tables) -> tuple[list[dict[str, Any]], ...]:
    """Read the same of wherever the tables are."""

    def read(table: Table) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(select(table)).mappings()]

    return tuple(map(read, (tables.exposures, tables.event_units, tables.events)))


def _begin(database: Database, iterations: Iterable[Iteration]) -> None:
    known = {(each.experiment.key, each.number): each.epochs for each in iterations}
    rows = [
        {
            "experiment": key,
            "iteration": number,
            "epoch": epoch.number,
            "weights": canonical_json(dict(epoch.weights)),
            "started_at": epoch.began,
        }
        for (key, number), epochs in known.items()
        for epoch in epochs
    ]
    with writing(database.own) as connection:
        connection.execute(database.tables.epochs.insert(), rows)


def _disagree(database: Database) -> None:
    """Let clocks disagree on some exposures by a minute, and by a little more."""
    table = database.tables.exposures
    with writing(database.own) as connection:
        for unit, ahead in (("edge1", 60_000), ("edge2", 60_001), ("edge3", 90_000)):
            own = table.c.unit == f"visitor:{unit}"
            stored = {"stored_at": table.c.first_at - ahead}
            connection.execute(table.update().where(own).values(stored))


def runs() -> dict[str, Asked]:
    """Give every run that the file knows of, with what to ask."""
    thirds = dict.fromkeys(("control", "bold", "quiet"), 1 / 3)
    halves = dict.fromkeys(("control", "bold"), 1 / 3)
    zone = {"time_zone": "Europe/Berlin"}
    headline = {
        "key": "headline",
        "unit": _PEOPLE,
        "variants": ["control", "bold", {"key": "quiet", "closed": True}],
        "metrics": {"secondary": [*METRICS]},
        "dimensions": ["country", "tier"],
        "analysis": zone,
    }
    epochs = (Epoch(1, thirds, BEGIN, CLOSED), Epoch(2, halves, CLOSED, CONCLUDED))
    first = run_of(
        headline,
        1,
        METRICS,
        epochs=epochs,
        pauses=(Pause(BEGIN + 8 * DAY, BEGIN + 9 * DAY),),
        concluded_at=CONCLUDED,
    )
    second = run_of(headline, 2, METRICS, epochs=(Epoch(1, halves, CONCLUDED),))
    overlap = {
        "key": "overlap",
        "variants": ["control", "loud"],
        "metrics": {"secondary": [*HEAVY]},
        "dimensions": ["country", "tier"],
        "end_at": datetime.fromtimestamp((BEGIN + 13 * DAY) // 1000, UTC),
        "analysis": {"mixed": "exclude", "time_zone": "Pacific/Auckland"},
    }
    halves = dict.fromkeys(("control", "loud"), 0.5)
    strict = run_of(overlap, 1, HEAVY, epochs=(Epoch(1, halves, BEGIN),))
    early = replace(first, as_of=CLOSED + DAY + HOUR)
    return {"first": first, "early": early, "second": second, "overlap": strict}


def run_of(
    body: Mapping[str, Any],
    number: int,
    metrics: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> Asked:
    """Make a run, and ask all of some metrics of it."""
    defined = {key: Metric.model_validate(dict(told)) for key, told in metrics.items()}
    experiment = Experiment.model_validate({**body, "iteration": number})
    iteration = Iteration(experiment, number, started_at=BEGIN, **more)
    return Asked(iteration, measures(experiment, defined, {}))
