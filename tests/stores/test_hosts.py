"""Hosts with habits of their own, which must not keep the store from working."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event, text

from flask_abx import ABX, ChangeRefused
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADLINE = {"variants": ["control", "bold"], "metrics": ["signup"]}
PATIENCE = 10.0


def host(url: str, folder: Path) -> tuple[Flask, SQLAlchemy]:
    """Make an application with its tables, and one experiment that runs."""
    db, app = SQLAlchemy(), Flask("host", instance_path=str(folder))
    app.config.update(SECRET_KEY="secret", SQLALCHEMY_DATABASE_URI=url)
    app.config["ABX_SINKS"] = ["memory"]
    db.init_app(app)
    abx = ABX(app, db=db)
    app.add_url_rule("/", "index", lambda: abx.variant("headline", "default"))
    with app.app_context():
        db.create_all()
        db.engine.dispose() if url != "sqlite://" else None
    return app, db


def publish(app: Flask) -> None:
    editor = state_of(app).editor
    assert editor is not None
    editor.apply({"experiments": {"headline": HEADLINE}})


def close(app: Flask) -> None:
    storage = state_of(app).storage
    assert storage.database is not None
    assert storage.background is not None
    storage.background.stop()
    storage.database.own.dispose()


@pytest.fixture
def begins_by_itself() -> Iterator[None]:
    """Take the recipe that makes every SQLite engine begin its transactions."""

    def on_connect(connection: Any, record: object) -> None:  # noqa: ANN401
        del record
        connection.isolation_level = None

    def on_begin(connection: Any) -> None:  # noqa: ANN401
        connection.exec_driver_sql("BEGIN")

    event.listen(Engine, "connect", on_connect)
    event.listen(Engine, "begin", on_begin)
    yield
    event.remove(Engine, "connect", on_connect)
    event.remove(Engine, "begin", on_begin)


@pytest.mark.usefixtures("begins_by_itself")
def test_a_host_may_begin_the_transactions_of_all_engines(tmp_path: Path) -> None:
    app, _ = host(f"sqlite:///{tmp_path / 'app.db'}", tmp_path)
    publish(app)
    assert app.test_client().get("/").text in {"control", "bold"}
    close(app)


def test_a_teardown_that_raises_does_not_keep_the_thread_from_starting(
    tmp_path: Path,
) -> None:
    app, _ = host(f"sqlite:///{tmp_path / 'app.db'}", tmp_path)

    @app.before_request
    def connect() -> None:
        g.connection = "open"

    @app.teardown_appcontext
    def disconnect(error: BaseException | None) -> None:
        assert g.connection == "open"

    publish(app)
    assert app.test_client().get("/").text in {"control", "bold"}
    close(app)


def test_an_application_that_nobody_holds_takes_its_thread_along(
    tmp_path: Path,
) -> None:
    app, db = host(f"sqlite:///{tmp_path / 'app.db'}", tmp_path)
    app.test_client().get("/")
    storage, seen = state_of(app).storage, weakref.ref(app)
    assert storage.background is not None
    assert storage.background.settle(PATIENCE)
    life = storage.background.life
    assert life is not None
    thread = life.thread
    assert thread is not None
    del app, db, storage
    gc.collect()
    thread.join(PATIENCE)
    assert (seen(), thread.is_alive()) == (None, False)


def test_in_memory_the_transaction_of_the_application_is_left_alone(
    tmp_path: Path,
) -> None:
    app, db = host("sqlite://", tmp_path)
    publish(app)
    with app.app_context():
        db.session.execute(text("CREATE TABLE note (body TEXT)"))
        db.session.commit()
        db.session.execute(text("INSERT INTO note VALUES ('kept')"))
        with pytest.raises(ChangeRefused, match="commit it or roll it back"):
            state_of(app).store.load()
        with pytest.raises(ChangeRefused, match="commit it or roll it back"):
            publish(app)
        db.session.commit()
        assert db.session.execute(text("SELECT body FROM note")).scalars().all() == [
            "kept"
        ]
        db.session.remove()
        db.engine.dispose()
