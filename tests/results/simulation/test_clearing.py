"""Taking away what was simulated: all of it, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, update

from flask_abx.events.sql.storing import store
from flask_abx.results.simulation.clearing import Cleared, clear
from flask_abx.results.simulation.scenario import Scenario
from flask_abx.stores.database import writing
from tests.databases import ENGINES, fresh_database
from tests.events.sql.exports import event, exposure
from tests.results.crowded import (
    HEADLINE,
    crowd,
    crowded_app,
    database_of,
    define,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

RECORDS = ("exposures", "events", "event_units", "links")
TABLES = (*RECORDS, "changes", "epochs", "looks", "definitions", "state")
TWO = {
    key: {"variants": ["control", "bold"], "metrics": "order"} for key in ("one", "two")
}


def contents(app: Flask) -> dict[str, object]:
    return {name: rows(app, name) for name in TABLES}


def clear_all(app: Flask, key: str = "headline") -> Cleared:
    database = database_of(app)
    return clear(database.own, database.tables, key)


def look(app: Flask, at: int) -> None:
    database = database_of(app)
    row = {
        "experiment": "headline",
        "iteration": 1,
        "computed_at": at,
        "revision": "r",
        "verdict": "winner",
        "body": "{}",
    }
    with writing(database.own) as connection:
        connection.execute(insert(database.tables.looks).values(row))


@pytest.mark.parametrize("kind", ENGINES)
def test_everything_is_as_before_and_a_second_time_nothing_is_done(
    kind: str, tmp_path: Path
) -> None:
    both = {"headline": {**HEADLINE["headline"], "unit": ["user", "visitor"]}}
    with (
        fresh_database(kind, tmp_path) as url,
        crowded_app(tmp_path, both, url) as app,
    ):
        before = contents(app)
        done = crowd(app)
        cleared = clear_all(app)
        assert contents(app) == before
        assert cleared.exposures >= done.exposed["headline"]
        assert (cleared.events, cleared.links > 0) == (done.events, True)
        assert clear_all(app) == Cleared()
        assert contents(app) == before


def test_what_really_happened_stays(tmp_path: Path) -> None:
    with crowded_app(tmp_path) as app:
        database = database_of(app)
        told = {"visitor": "a" * 32, "user": "7"}
        records = [exposure(units=told), event(units=told)]
        with writing(database.own) as connection:
            store(connection, database.tables, records, lambda key: ("visitor",))
        before = contents(app)
        crowd(app, force=True)
        clear_all(app)
        assert contents(app) == before


def test_a_restarted_experiment_is_cleared_whole(tmp_path: Path) -> None:
    with crowded_app(tmp_path) as app:
        crowd(app)
        second = {"headline": {**HEADLINE["headline"], "iteration": 2}}
        define(app, {"experiments": second})
        before = rows(app, "epochs")[1]
        crowd(app)
        assert {row.iteration for row in rows(app, "exposures")} == {2}
        clear_all(app)
        assert not any(rows(app, name) for name in RECORDS)
        assert rows(app, "epochs")[1] == before


def test_what_experiments_share_stays_for_the_other(tmp_path: Path) -> None:
    with crowded_app(tmp_path, TWO) as app:
        done = crowd(app, Scenario("one"), Scenario("two"))
        links = rows(app, "links")
        assert clear_all(app, "one").exposures == 400
        assert {row.experiment for row in rows(app, "exposures")} == {"two"}
        assert len(rows(app, "events")) == done.events
        assert rows(app, "links") == links
        clear_all(app, "two")
        assert not any(rows(app, name) for name in RECORDS)


def test_looks_since_then_go_and_earlier_ones_stay(tmp_path: Path) -> None:
    with crowded_app(tmp_path) as app:
        database = database_of(app)
        crowd(app)
        table = database.tables.exposures
        with writing(database.own) as connection:
            connection.execute(update(table).values(stored_at=1_000))
        look(app, 999)
        look(app, 1_000)
        assert clear_all(app).looks == 1
        assert [row.computed_at for row in rows(app, "looks")] == [999]


def test_the_notes_of_changes_are_as_they_were(tmp_path: Path) -> None:
    with crowded_app(tmp_path) as app:
        database = database_of(app)
        table = database.tables.changes
        with writing(database.own) as connection:
            connection.execute(update(table).values(note="Why not?\n[really]"))
        crowd(app)
        (moved,) = rows(app, "changes")
        assert moved.note.startswith("Why not?\n[really]\n[moved by flask abx simulate")
        clear_all(app)
        assert rows(app, "changes")[0].note == "Why not?\n[really]"


def test_what_was_changed_since_stays_where_it_is(tmp_path: Path) -> None:
    with crowded_app(tmp_path) as app:
        (epoch,) = rows(app, "epochs")
        crowd(app)
        weights = {"control": 1, "bold": 3}
        again = {"headline": {"variants": weights, "metrics": "signup", "iteration": 2}}
        define(app, {"experiments": again})
        changed = rows(app, "changes")[1]
        clear_all(app)
        assert rows(app, "epochs")[0] == epoch
        assert rows(app, "changes")[1] == changed
