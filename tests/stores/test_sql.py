"""Definitions from the database: what is served while nothing, or the old, is known."""

from __future__ import annotations

from threading import Event, current_thread
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event, select

from flask_abx import ABX
from flask_abx.experiments.lifecycle import Action
from flask_abx.runtime.state import state_of
from flask_abx.stores import serving
from flask_abx.stores.database import reading, writing
from flask_abx.stores.polling import Poll
from flask_abx.stores.reading import read_mark
from flask_abx.stores.sql import STALE_AFTER, SqlStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from werkzeug.test import TestResponse

    from flask_abx.stores.background import Background
    from flask_abx.stores.database import Database
    from flask_abx.stores.editor import Editor

HEADLINE: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
IN_MEMORY = "sqlite://"
#: Nothing waits so long where all is well.
PATIENCE = 10.0


class House:
    """An application with its database, whose thread asks when a test says so."""

    def __init__(self, folder: Path, url: str = "", **config: object) -> None:
        self.db = SQLAlchemy()
        self.abx = ABX(db=self.db)
        self.app = Flask(__name__, instance_path=str(folder))
        self.app.config.update(
            SECRET_KEY="secret",
            ABX_SINKS=["memory"],
            ABX_REFRESH_SECONDS=60.0,
            ABX_RULESET_CACHE=False,
            SQLALCHEMY_DATABASE_URI=url or f"sqlite:///{folder / 'app.db'}",
        )
        self.app.config.update(config)
        self.db.init_app(self.app)
        self.abx.init_app(self.app)

        @self.app.get("/")
        def index() -> dict[str, str]:
            reason = self.abx.assignment("headline").reason
            return {"variant": self.abx.variant("headline", "none"), "reason": reason}

    def make_tables(self) -> House:
        with self.app.app_context():
            self.db.create_all()
        return self

    def define(self) -> House:
        """Have one running experiment."""
        self.editor.apply({"experiments": {"headline": HEADLINE}})
        return self

    def visit(self) -> TestResponse:
        return self.app.test_client().get("/")

    @property
    def served(self) -> tuple[str, str]:
        """What a new visitor is told: the variant and the reason."""
        told = self.visit().get_json()
        return told["variant"], told["reason"]

    @property
    def store(self) -> SqlStore:
        store = state_of(self.app).store
        assert isinstance(store, SqlStore)
        return store

    @property
    def editor(self) -> Editor:
        editor = state_of(self.app).editor
        assert editor is not None
        return editor

    @property
    def database(self) -> Database:
        database = state_of(self.app).database
        assert database is not None
        return database

    @property
    def background(self) -> Background:
        background = state_of(self.app).storage.background
        assert background is not None
        return background

    @property
    def recorded(self) -> int:
        return len(state_of(self.app).recorder.sinks[0].records)  # type: ignore[attr-defined]

    def break_body(self, body: str) -> None:
        """Change the row of the experiment by hand, and publish that."""
        tables = self.database.tables
        with writing(self.database.own) as connection:
            connection.execute(tables.definitions.update().values(body=body))
            version = tables.state.c.version + 1
            connection.execute(tables.state.update().values(version=version))

    def go_back_to(self, version: int) -> None:
        """Put back what the database held then, as the restoring of a backup does."""
        tables, own = self.database.tables, self.database.own
        with writing(own) as connection:
            body = connection.execute(
                select(tables.changes.c.body).where(tables.changes.c.version == version)
            ).scalar_one()
            later = tables.changes.c.version > version
            connection.execute(tables.changes.delete().where(later))
            connection.execute(
                tables.definitions.update().values(body=body, version=version)
            )
            connection.execute(tables.state.update().values(version=version))

    def close(self) -> None:
        self.background.stop()
        self.database.own.dispose()
        self.database.host.dispose()


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses = []

    def make(**options: Any) -> House:
        houses.append(House(tmp_path, **options))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_tables_the_default_is_served(
    make_house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    house = make_house()
    assert house.served == ("none", "not_ready")
    assert house.store.standing == "EMPTY"
    assert "flask abx db create" in caplog.messages[0]
    assert len(caplog.messages) == 2


def test_while_nothing_is_known_nobody_is_recorded_or_given_a_cookie(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    response = house.visit()
    assert "Set-Cookie" not in response.headers
    assert house.recorded == 0


def test_an_answer_that_is_late_is_not_waited_for(
    make_house: Callable[..., House],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = Event()
    monkeypatch.setattr(Poll, "run", lambda poll, life: release.wait(PATIENCE))
    house = make_house(ABX_FIRST_WAIT=0.02).make_tables()
    assert [house.served for _ in range(3)] == [("none", "not_ready")] * 3
    release.set()
    said = "has not answered within 0.02 s (ABX_FIRST_WAIT): defaults are served"
    assert [said in line for line in caplog.messages] == [True, False]


def test_the_first_request_waits_for_the_first_answer(
    make_house: Callable[..., House],
) -> None:
    house = make_house().make_tables().define()
    variant, reason = house.served
    assert variant in {"control", "bold"}
    assert reason == "allocated"
    assert house.store.standing == "READY"


def test_an_empty_database_is_ready(make_house: Callable[..., House]) -> None:
    house = make_house().make_tables()
    assert house.served == ("none", "unknown")
    assert house.store.standing == "READY"


def test_it_is_stale_after_three_intervals(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house().make_tables().define()
    before = house.served
    clock = Clock()
    monkeypatch.setattr(serving, "monotonic", clock)
    house.store.serving.confirmed_at = clock.now
    clock.now += 60.0 * STALE_AFTER
    assert house.store.standing == "READY"
    clock.now += 1
    assert house.store.standing == "STALE"
    assert house.served[1] == before[1]


def test_a_published_change_is_taken_with_the_next_round(
    make_house: Callable[..., House],
) -> None:
    house = make_house().make_tables().define()
    assert house.served[1] == "allocated"
    house.editor.move("headline", Action.PAUSE)
    assert house.background.settle(PATIENCE)
    assert house.served == ("control", "paused")


@pytest.mark.parametrize(
    "body",
    ["{", "[1]", '{"key":"headline","variants":["a"]}', '{"key":"other"}', "[" * 9999],
    ids=["torn", "no object", "one variant", "another key", "nested"],
)
def test_a_bad_row_keeps_the_old_definitions(
    make_house: Callable[..., House], caplog: pytest.LogCaptureFixture, body: str
) -> None:
    house = make_house().make_tables().define()
    house.visit()
    before = house.store.ruleset()
    house.break_body(body)
    for _ in range(3):
        assert house.background.settle(PATIENCE)
    assert house.store.ruleset() is before
    assert ["Version 2 of the definitions" in line for line in caplog.messages] == [
        True
    ]
    assert "experiments.headline" in caplog.messages[0]


def test_a_bad_row_is_no_confirmation(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house().make_tables().define()
    house.visit()
    confirmed = house.store.serving.confirmed_at
    house.break_body("{")
    assert house.background.settle(PATIENCE)
    assert house.store.serving.confirmed_at == confirmed


def test_a_restored_database_that_reaches_the_same_version_is_taken(
    make_house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    house = make_house().make_tables().define()
    house.editor.move("headline", Action.PAUSE)
    assert house.served == ("control", "paused")
    house.go_back_to(1)
    assert house.background.settle(PATIENCE)
    assert house.served == ("control", "paused")
    house.editor.move("headline", Action.CLOSE)
    assert house.background.settle(PATIENCE)
    assert house.served == ("control", "closed")
    assert ["restored from a backup" in line for line in caplog.messages] == [True]


def asked(engine: Engine) -> list[str]:
    """Collect the names of the threads that ask a database."""
    found: list[str] = []

    def note(*arguments: object) -> None:
        del arguments
        found.append(current_thread().name)

    event.listen(engine, "before_cursor_execute", note)
    return found


def test_a_request_never_asks_the_database(make_house: Callable[..., House]) -> None:
    house = make_house().make_tables().define()
    house.visit()
    threads = asked(house.database.own) + asked(house.database.host)
    for _ in range(20):
        house.visit()
    assert threads == []


def test_in_memory_the_request_asks_in_its_own_thread(
    make_house: Callable[..., House],
) -> None:
    house = make_house(url=IN_MEMORY).make_tables().define()
    house.store.serving.served = None
    house.background.wake()
    threads = asked(house.database.host)
    assert house.served[1] == "allocated"
    house.background.wake()
    assert set(threads) == {current_thread().name}
    assert house.background.life is None


def test_in_memory_nothing_asks_while_the_application_is_in_a_transaction(
    make_house: Callable[..., House],
) -> None:
    house = make_house(url=IN_MEMORY, ABX_REFRESH_SECONDS=0.1).make_tables().define()
    state = house.database.tables.state
    with house.app.app_context():
        house.db.session.execute(state.update().values(pepper="theirs"))
        threads = asked(house.database.host)
        house.background.wake()
        house.visit()
        assert threads == []
        house.db.session.rollback()
        house.background.wake()
    assert threads != []


def test_in_memory_a_change_of_the_application_is_neither_stored_nor_lost(
    make_house: Callable[..., House],
) -> None:
    house = make_house(url=IN_MEMORY).make_tables().define()
    state = house.database.tables.state
    with house.app.app_context():
        house.db.session.execute(state.update().values(version=99))
        house.background.wake()
        house.visit()
        house.db.session.commit()
    with reading(house.database.host) as connection:
        assert read_mark(connection, house.database.tables).version == 99


def test_the_copy_is_renewed_when_a_waiting_change_takes_effect_at_last(
    make_house: Callable[..., House],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    house = make_house(ABX_RULESET_CACHE=str(tmp_path / "cache")).make_tables()
    house.editor.apply({"experiments": {"headline": HEADLINE, "button": HEADLINE}})
    house.visit()
    (change,) = house.editor.edit("headline", {"name": "Renamed"})
    house.editor.move("button", Action.PAUSE)
    assert house.background.settle(PATIENCE)
    at = house.store.serving.offset.here(round(change.effective_at.timestamp() * 1000))
    # The clocks may be measured more exactly meanwhile.
    monkeypatch.setattr(serving, "monotonic", lambda: at + 1)
    assert house.background.settle(PATIENCE)
    (path,) = (tmp_path / "cache").iterdir()
    assert "Renamed" in path.read_text()
