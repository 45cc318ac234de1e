"""A past that was made up: changes, exposures and events at chosen moments."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask_abx.events.sql.rows import slot_of
from flask_abx.experiments.definition import canonical_json, parse, parse_entry
from flask_abx.experiments.model import plain
from flask_abx.experiments.weights import open_weights
from flask_abx.stores.database import writing
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.experiments.model import Document, Experiment
    from flask_abx.stores.database import Database

#: A Monday at midnight, in milliseconds since 1970.
BEGIN = 1_767_571_200_000
HOUR, DAY = 3_600_000, 86_400_000


@dataclass(slots=True)
class Past:
    """Writes rows as the background thread would have, at the moments it is told."""

    database: Database
    version: int = 0
    epoch: int = 0
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    count: int = 0

    @property
    def document(self) -> Document:
        """The definitions of now."""
        return parse(
            {
                "experiments": self.latest.get("experiment", {}),
                "metrics": self.latest.get("metric", {}),
            }
        )

    def change(self, at: int, body: dict[str, Any], key: str = "headline") -> None:
        """Publish an experiment, which takes effect at once."""
        experiment: Experiment = parse_entry("experiments", key, body)
        self._tell(at, "experiment", key, plain(experiment), experiment.iteration)
        if not experiment.status.is_live:
            return
        weights = canonical_json(open_weights(experiment))
        table = self.database.tables.epochs
        with writing(self.database.own) as connection:
            rows = connection.execute(
                table.select().where(
                    table.c.experiment == key,
                    table.c.iteration == experiment.iteration,
                )
            ).all()
            if rows and rows[-1].weights == weights:
                return
            connection.execute(
                table.insert().values(
                    experiment=key,
                    iteration=experiment.iteration,
                    epoch=len(rows) + 1,
                    weights=weights,
                    started_at=at,
                )
            )

    def metric(self, at: int, key: str, body: dict[str, Any] | None) -> None:
        """Publish a metric, or take it away."""
        self._tell(at, "metric", key, body, 0)

    def _tell(
        self, at: int, kind: str, key: str, body: dict[str, Any] | None, iteration: int
    ) -> None:
        self.version += 1
        told = self.latest.setdefault(kind, {})
        if body is None:
            told.pop(key, None)
        else:
            told[key] = body
        with writing(self.database.own) as connection:
            connection.execute(
                self.database.tables.changes.insert().values(
                    version=self.version,
                    kind=kind,
                    key=key,
                    action="edit",
                    iteration=iteration,
                    body=None if body is None else canonical_json(body),
                    actor="",
                    channel="python",
                    note="",
                    at=at,
                    effective_at=at,
                )
            )

    def expose(
        self,
        variants: dict[str, int],
        at: int,
        *,
        key: str = "headline",
        iteration: int = 1,
        epoch: int = 1,
        **more: Any,
    ) -> list[str]:
        """Expose units, a number for each variant; each a second after the last.

        Returns:
            The units, with their type.
        """
        rows: list[dict[str, Any]] = []
        for variant, number in variants.items():
            for _ in range(number):
                self.count += 1
                unit = f"visitor:{self.count:032x}"
                row = {
                    "experiment": key,
                    "iteration": iteration,
                    "unit": unit,
                    "variant": variant,
                    "epoch": epoch,
                    "reason": "allocated",
                    "first_at": at + 1_000 * len(rows),
                    "mixed": 0,
                    "merged_into": None,
                    "visitor": unit.partition(":")[2],
                    "dimensions": "{}",
                    "slot": slot_of(key, iteration, unit.partition(":")[2]),
                    "version": "1",
                    "stored_at": at,
                }
                rows.append({**row, **more})
        with writing(self.database.own) as connection:
            connection.execute(self.database.tables.exposures.insert(), rows)
        return [str(row["unit"]) for row in rows]

    def happen(
        self,
        units: list[str],
        name: str,
        at: int,
        value: float | None = None,
        **properties: Any,
    ) -> None:
        """Have an event happen to each unit."""
        tables = self.database.tables
        events: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for unit in units:
            self.count += 1
            id_ = f"{self.count:032x}"
            kind, _, unit_id = unit.partition(":")
            told = {"name": name, "at": at, "value": value}
            events.append(
                {
                    **told,
                    "id": id_,
                    "stored_at": at,
                    "units": canonical_json({kind: unit_id}),
                    "properties": json.dumps(properties, separators=(",", ":")),
                    "variants": "{}",
                    "version": "1",
                }
            )
            rows.append({**told, "event_id": id_, "unit": unit})
        with writing(self.database.own) as connection:
            connection.execute(tables.events.insert(), events)
            connection.execute(tables.event_units.insert(), rows)


@contextmanager
def past_at(url: str) -> Iterator[Past]:
    """Make an empty past in a database."""
    with database_at(url) as database:
        yield Past(database)


def sqlite_past(folder: Path) -> Any:  # noqa: ANN401 - a context manager
    """Make an empty past in a file of SQLite."""
    return past_at(f"sqlite:///{folder / 'past.db'}")
