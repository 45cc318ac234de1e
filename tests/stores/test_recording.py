"""What the configuration defines has a history in the database."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select

from flask_abx import ABX, ChangeRefused, SetupError
from flask_abx.experiments.definition import parse
from flask_abx.runtime.state import state_of
from flask_abx.stores.database import Database, reading
from flask_abx.stores.history import read_changes
from flask_abx.stores.life import Life
from flask_abx.stores.reading import Mark, begin_lineage, read_mark
from flask_abx.stores.recording import Recording
from flask_abx.stores.writing import Publisher
from tests.databases import ENGINES, fresh_database
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from flask_abx.experiments.model import Document
    from flask_abx.schema import Tables
    from flask_abx.stores.change import Change

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
BOTH = {"experiments": {"headline": TWO, "prices": {**TWO, "status": "draft"}}}

RECORD = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_abx import ABX

db, app = SQLAlchemy(), Flask("shop")
app.config.update(SECRET_KEY="secret", ABX_SINKS=["memory"])
app.config["SQLALCHEMY_DATABASE_URI"] = sys.argv[1]
app.config["ABX_EXPERIMENTS"] = {"headline": {"variants": ["control", "bold"]}}
db.init_app(app)
abx = ABX(app, db=db)
print("ready", flush=True)
sys.stdin.readline()
assert app.extensions["abx"].storage.background.settle(20)
"""


class FakeStore:
    """Holds the document that a test gives it."""

    def __init__(self, document: Document) -> None:
        self.held = document

    def document(self) -> Document:
        return self.held


class Place:
    """A database, and what was recorded there."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.engine: Engine = database.own

    def recording(self, document: Document | None = None) -> Recording:
        store: Any = FakeStore(document or parse({}))
        return Recording(self.database, store)

    def record(self, *sources: dict[str, Any]) -> None:
        """Record documents one after the other, each in a process of its own."""
        for source in sources:
            assert self.recording().record(self.engine, parse(source))

    @property
    def changes(self) -> list[Change]:
        return [*reversed(read_changes(self.engine, self.database.tables))]

    @property
    def actions(self) -> list[str]:
        return [f"{each.version} {each.key} {each.action}" for each in self.changes]

    @property
    def version(self) -> int:
        with reading(self.engine) as connection:
            return read_mark(connection, self.database.tables).version

    @property
    def epochs(self) -> list[tuple[Any, ...]]:
        each = self.database.tables.epochs.c
        found = select(each.experiment, each.iteration, each.epoch, each.weights)
        with reading(self.engine) as connection:
            rows = connection.execute(found.order_by(*found.selected_columns))
            return [tuple(row) for row in rows]


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def place(url: str) -> Iterator[Place]:
    with database_at(url) as database:
        yield Place(database)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Place]:
    with database_at(f"sqlite:///{tmp_path / 'lite.db'}") as database:
        yield Place(database)


def headline(**fields: Any) -> dict[str, Any]:
    return {"experiments": {"headline": {**TWO, **fields}}}


def test_the_first_document_is_one_version(place: Place) -> None:
    place.record({**BOTH, "segments": {"staff": ["1"]}})
    assert sorted(place.actions) == [
        "1 headline start",
        "1 prices create",
        "1 staff create",
    ]
    assert {each.channel for each in place.changes} == {"config"}
    assert all(each.effective_at == each.at for each in place.changes)
    assert place.epochs == [("headline", 1, 1, '{"bold":0.5,"control":0.5}')]


def test_the_same_document_is_recorded_once(place: Place) -> None:
    place.record(BOTH, BOTH)
    assert (place.version, len(place.changes)) == (1, 2)


def test_a_brake_and_its_end_are_told_as_such(place: Place) -> None:
    place.record(headline(), headline(status="paused"), headline())
    assert place.actions == [
        "1 headline start",
        "2 headline pause",
        "3 headline resume",
    ]
    assert [each.previous for each in place.changes] == [None, 1, 2]
    assert len(place.epochs) == 1


def test_what_is_not_defined_any_more_is_told_as_deleted(place: Place) -> None:
    place.record(BOTH, headline())
    (*_, last) = place.changes
    assert (last.key, last.action, last.after) == ("prices", "delete", None)
    assert last.before["status"] == "draft"


def test_other_weights_begin_an_epoch(place: Place) -> None:
    place.record(headline(), headline(variants={"control": 1, "bold": 3}))
    assert [row[2:] for row in place.epochs] == [
        (1, '{"bold":0.5,"control":0.5}'),
        (2, '{"bold":0.75,"control":0.25}'),
    ]


def test_two_processes_at_once_record_once(url: str, place: Place) -> None:
    path = json.dumps([part for part in sys.path if part])
    code = f"import sys; sys.path[:0] = {path}\n{RECORD}"
    command, pipe = [sys.executable, "-c", code, url], subprocess.PIPE
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe) as one,  # noqa: S603
        subprocess.Popen(command, stdin=pipe, stdout=pipe) as other,  # noqa: S603
    ):
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.close()
        assert (one.wait(60), other.wait(60)) == (0, 0)
    assert place.actions == ["1 headline start"]


def test_many_at_once_record_once(place: Place) -> None:
    document, together = parse(BOTH), Barrier(6)

    def record(database: Database) -> None:
        engine = database.engine()
        recording = Recording(database, FakeStore(document))  # type: ignore[arg-type]
        together.wait()
        assert recording.record(engine, document)
        engine.dispose()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(record, [place.database] * 6))
    assert (place.version, len(place.changes)) == (1, 2)


ACTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a restart": ({}, {"iteration": 2}, "restart"),
    "a restart two iterations on": ({}, {"iteration": 3, "traffic": 0.1}, "restart"),
    "an end": ({}, {"status": "concluded", "winner": "bold"}, "conclude"),
    "no end any more": ({"status": "concluded"}, {}, "reopen"),
    "a start": ({"status": "draft"}, {}, "start"),
    "no new units": ({}, {"closed": True}, "close"),
    "other words": ({}, {"name": "Headline"}, "edit"),
    "what no command does": ({}, {"status": "draft"}, "edit"),
    "an iteration back": ({"iteration": 2}, {}, "edit"),
}


@pytest.mark.parametrize(("before", "after", "action"), ACTIONS.values(), ids=ACTIONS)
def test_what_was_done_is_named(
    lite: Place, before: dict[str, Any], after: dict[str, Any], action: str
) -> None:
    lite.record(headline(**before), headline(**after))
    assert lite.changes[-1].action == action


def test_every_kind_of_definition_has_its_history(lite: Place) -> None:
    whole = {
        **headline(layer="top"),
        "layers": {"top": {"name": "Top"}},
        "segments": {"staff": ["1"]},
        "metrics": {"signup": {}},
        "flags": {"new_ui": False},
    }
    lite.record(whole, {**whole, "layers": {"top": {"name": "Above"}}}, headline())
    told = [f"{each.version} {each.kind} {each.action}" for each in lite.changes]
    assert sorted(told) == [
        "1 experiment start",
        "1 flag create",
        "1 layer create",
        "1 metric create",
        "1 segment create",
        "2 layer edit",
        "3 experiment edit",
        "3 flag delete",
        "3 layer delete",
        "3 metric delete",
        "3 segment delete",
    ]


def test_what_another_release_wrote_is_no_obstacle(lite: Place) -> None:
    lite.record(BOTH)
    changes = lite.database.tables.changes
    odd = {"body": '{"key":"headline","power":9}'}
    with lite.engine.begin() as connection:
        connection.execute(changes.update().where(changes.c.key == "headline"), odd)
        is_prices = changes.c.key == "prices"
        connection.execute(changes.update().where(is_prices), {"kind": "holdout"})
    lite.record(BOTH)
    told = {f"{each.kind} {each.action}" for each in lite.changes if each.version == 2}
    assert told == {"experiment edit", "experiment create", "holdout delete"}


def test_somebody_who_founds_and_records_meanwhile_is_seen(
    lite: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(engine: Engine, tables: Tables) -> Mark:
        begin_lineage(engine, tables)
        monkeypatch.undo()
        lite.record(BOTH)
        return begin_lineage(engine, tables)

    monkeypatch.setattr("flask_abx.stores.recording.begin_lineage", begin)
    lite.record(BOTH)
    assert (lite.version, len(lite.changes)) == (1, 2)


def test_all_of_a_document_is_recorded_or_nothing(
    lite: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Publisher, "_open_epoch", fail)
    with pytest.raises(RuntimeError):
        lite.record(headline())
    assert (lite.version, lite.changes) == (0, [])


def test_a_thread_that_is_over_writes_nothing(lite: Place) -> None:
    recording = lite.recording(parse(BOTH))
    with closing(Life(lite.database)) as old, closing(Life(lite.database)) as new:
        old.end()
        recording.run(old)
        assert lite.changes == []
        recording.run(new)
    assert len(lite.changes) == 2


def test_what_is_too_long_is_told_once(lite: Place) -> None:
    recording = lite.recording(parse(headline(name="x" * 1_000_001)))
    with closing(Life(lite.database)) as life:
        with pytest.raises(ChangeRefused, match=r"1,000,000"):
            recording.run(life)
        recording.run(life)
    assert lite.changes == []


def test_missing_tables_name_the_command(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    with (
        database_at(url, is_empty=True) as database,
        closing(Life(database)) as life,
        pytest.raises(SetupError, match="flask abx db create"),
    ):
        Place(database).recording(parse(BOTH)).run(life)


class MemoryShop:
    """An application with SQLite in memory and definitions in its configuration."""

    def __init__(self) -> None:
        self.db, self.app = SQLAlchemy(), Flask("shop")
        self.app.config.update(SECRET_KEY="secret", ABX_SINKS=["memory"])
        self.app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        self.app.config["ABX_EXPERIMENTS"] = {"headline": TWO}
        self.db.init_app(self.app)
        abx = ABX(self.app, db=self.db)
        self.app.get("/")(lambda: abx.variant("headline"))
        with self.app.app_context():
            self.db.create_all()

    @property
    def recorded(self) -> int:
        database = state_of(self.app).database
        assert database is not None
        return len(read_changes(database.own, database.tables))


def test_in_memory_a_request_records() -> None:
    shop = MemoryShop()
    assert shop.recorded == 0
    shop.app.test_client().get("/")
    assert shop.recorded == 1


def test_in_memory_a_transaction_of_the_application_is_left_alone() -> None:
    shop = MemoryShop()
    with shop.app.app_context():
        shop.db.session.execute(shop.db.text("CREATE TABLE own (x)"))
        shop.db.session.execute(shop.db.text("INSERT INTO own VALUES (1)"))
        shop.app.test_client().get("/")
        shop.db.session.commit()
        (number,) = shop.db.session.execute(shop.db.text("SELECT x FROM own")).one()
    assert (number, shop.recorded) == (1, 0)
    shop.app.test_client().get("/")
    assert shop.recorded == 1
