"""Units and events in a database, and what is added up of them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text

from flask_abx.experiments.metric import Metric
from flask_abx.experiments.model import Experiment
from flask_abx.results.aggregate import aggregate, nth_unit
from flask_abx.results.looks.iteration import Iteration
from flask_abx.results.metrics import measures
from flask_abx.results.scanning.sums import Group, Sums
from flask_abx.stores.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Engine

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.stores.database import Database

#: Midnight in UTC.
START = 1_900_022_400_000
SECOND = 1_000
HOUR = 3_600_000
DAY = 86_400_000
#: How a scan is run: the last two make the units anew in each statement, or not.
MODES = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "mariadb": "mariadb",
    "standby": "postgresql",
    "committed": "mariadb",
}


class Field:
    """Stores what units did, and adds it up.

    Args:
        database: Where the tables are.
        mode: One of `MODES`.
    """

    def __init__(self, database: Database, mode: str) -> None:
        self.database = database
        self.mode = mode
        self.experiment: dict[str, Any] = {}
        self.selects: dict[str, Any] = {}
        self._events = 0

    def exposed(
        self, unit_id: str, variant: str = "control", at: int = 0, **told: Any
    ) -> None:
        """Store an exposure, so many milliseconds after the start."""
        row = {
            "experiment": "tea",
            "iteration": 1,
            "unit": f"visitor:{unit_id}",
            "variant": variant,
            "epoch": 1,
            "reason": "allocated",
            "first_at": START + at,
            "mixed": 0,
            "merged_into": None,
            "visitor": unit_id,
            "dimensions": "{}",
            "slot": 0,
            "version": "1",
            "stored_at": START + at,
        }
        with writing(self.database.own) as connection:
            table = self.database.tables.exposures
            connection.execute(table.insert(), [{**row, **told}])

    def did(
        self,
        unit: str,
        name: str,
        at: int = 0,
        value: float | None = None,
        **properties: Any,
    ) -> None:
        """Store an event."""
        self._events += 1
        id_ = f"{self._events:032x}"
        tables = self.database.tables
        told = {
            "id": id_,
            "name": name,
            "at": START + at,
            "stored_at": START + at,
            "value": value,
            "units": json.dumps({"visitor": unit}),
            "properties": json.dumps(properties, sort_keys=True, separators=(",", ":")),
            "variants": "{}",
            "version": "1",
        }
        belongs = {each: told[each] for each in ("name", "at", "value")}
        belongs |= {"unit": f"visitor:{unit}", "event_id": id_}
        with writing(self.database.own) as connection:
            connection.execute(tables.events.insert(), [told])
            connection.execute(tables.event_units.insert(), [belongs])

    def iteration(self, **told: Any) -> Iteration:
        """Give the run."""
        experiment = {"key": "tea", "variants": ["control", "bold"], **self.experiment}
        return Iteration(Experiment.model_validate(experiment), 1, **told)

    def found(
        self,
        metrics: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        after: int = 30 * DAY,
        **told: Any,
    ) -> Aggregates:
        """Add up metrics as of so many milliseconds after the start."""
        run = self.iteration()
        with self.connected() as connection:
            return aggregate(
                connection,
                self.database.tables,
                run,
                self.measures(metrics or {}),
                as_of=START + after,
                **told,
            )

    def measures(self, metrics: Mapping[str, Mapping[str, Any]]) -> tuple[Measure, ...]:
        """Give metrics as the experiment asks for them."""
        self.experiment["metrics"] = list(metrics)
        declared = {key: Metric.model_validate(each) for key, each in metrics.items()}
        run = self.iteration()
        return measures(run.experiment, declared, self.selects)

    def sums(
        self, metric: Mapping[str, Any], variant: str = "control", **told: Any
    ) -> Sums:
        """Add up one metric, and give one variant."""
        found = self.found({"metric": metric}, **told)
        assert found.failed == {}, found.failed
        return found.sums["metric"][Group(variant, 1)]

    def nth(self, count: int) -> tuple[int, str] | None:
        """Find the so-manieth unit."""
        with self.connected() as connection:
            tables = self.database.tables
            return nth_unit(connection, tables, self.iteration(), count)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Open the transaction of a scan."""
        is_steady = self.mode != "committed"
        with reading(self.database.own, is_steady=is_steady) as connection:
            if self.mode == "standby":
                connection.execute(text("SET TRANSACTION READ ONLY"))
            yield connection


@contextmanager
def explained(engine: Engine) -> Iterator[list[str]]:
    """Gather how the database finds the rows of each statement."""
    plans: list[str] = []
    words = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "

    def explain(
        connection: Connection,
        cursor: Any,  # noqa: ANN401 - a driver's own
        statement: str,
        parameters: Any,  # noqa: ANN401 - the same
        *_: object,
    ) -> None:
        query = statement.partition(" AS SELECT ")
        if statement.startswith("CREATE TEMPORARY TABLE"):
            statement = f"SELECT {query[2]}"
        if statement.startswith("SELECT"):
            own = connection.connection.cursor()
            own.execute(words + statement, parameters)
            plans.extend(" ".join(map(str, row)) for row in own.fetchall())
            own.close()

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)
