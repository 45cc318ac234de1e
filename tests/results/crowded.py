"""Applications whose experiments are met by simulated people."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flask_abx.results.simulation.scenario import Scenario, Simulation
from flask_abx.results.simulation.simulating import simulate
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import Author
from flask_abx.stores.database import reading
from tests.cli.stored import stored_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flask import Flask
    from sqlalchemy import Row

    from flask_abx.results.simulation.scenario import Simulated
    from flask_abx.stores.database import Database

#: A Monday at noon, long before whatever is defined here.
NOW = datetime(2024, 1, 15, 12, tzinfo=UTC)
HEADLINE = {"headline": {"variants": ["control", "bold"], "metrics": "signup"}}


@contextmanager
def crowded_app(
    folder: Path,
    experiments: dict[str, Any] = HEADLINE,
    url: str | None = None,
    **sections: object,
) -> Iterator[Flask]:
    """Make an application with experiments that run."""
    place = url or f"sqlite:///{folder / 'app.db'}"
    with stored_app(place, folder) as app, app.app_context():
        define(app, {"experiments": experiments, **sections})
        yield app


def define(app: Flask, definitions: dict[str, Any]) -> None:
    """Define experiments and what they need."""
    state = state_of(app)
    assert state.editor is not None
    state.editor.apply(definitions, Author("Ann", "python", ""))
    state.store.load()


def database_of(app: Flask) -> Database:
    """Give the database of an application."""
    database = state_of(app).database
    assert database is not None
    return database


def crowd(
    app: Flask,
    *scenarios: Scenario,
    tell: Callable[[int, int], None] = lambda done, total: None,
    **options: Any,
) -> Simulated:
    """Simulate two weeks up to now, of a few people unless told."""
    state, database = state_of(app), database_of(app)
    told = scenarios or (Scenario("headline"),)
    chosen: dict[str, Any] = {"scenarios": told, "now": NOW, "units": 400, **options}
    return simulate(
        database.own,
        database.tables,
        state.store.ruleset(),
        state.store.document(),
        Simulation(**chosen),
        tell,
    )


def rows(app: Flask, name: str, order: str | None = None) -> Sequence[Row[Any]]:
    """Read a whole table, in the order of its key."""
    database = database_of(app)
    table = getattr(database.tables, name)
    columns = [table.c[order]] if order else list(table.primary_key)
    with reading(database.own) as connection:
        return connection.execute(select(table).order_by(*columns)).all()


def shares(app: Flask, event: str) -> dict[str, float]:
    """Give the share of exposed units of each variant that have an event."""
    done = {row.unit for row in rows(app, "event_units") if row.name == event}
    units: dict[str, list[bool]] = {}
    for row in rows(app, "exposures"):
        if row.merged_into is None:
            units.setdefault(row.variant, []).append(row.unit in done)
    return {variant: sum(had) / len(had) for variant, had in units.items()}
