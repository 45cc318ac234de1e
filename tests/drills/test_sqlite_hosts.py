"""Applications on SQLite that begin transactions themselves, beside our writer."""

from __future__ import annotations

import json
import os
import time
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from flask_abx.runtime.state import state_of
from tests.databases import engine_of, fresh_database, run
from tests.drills.booth import HEADLINE, make_app
from tests.drills.buyers import visit_all
from tests.drills.kept import wait_until_drained
from tests.drills.market import SOLD, opened
from tests.drills.notes import noting, outcome
from tests.drills.servers import serving
from tests.drills.shop import CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from flask_abx import ABX

pytestmark = pytest.mark.drill

TARGET = "tests.drills.test_sqlite_hosts:create_app()"
#: How a host begins, and whether it has a savepoint in each transaction.
HOSTS = {"begins deferred": False, "savepoint recipe": True}
#: How long the host thinks between what it reads and what it writes, in seconds.
THOUGHT = 0.004
OPTIONS = ("--worker-class=gthread", "--threads=4", "--keep-alive=5")
LOAD, PAUSE = 7.0, 0.06
#: How long the last records may take, in seconds.
SOON = 6.0


def create_app() -> Flask:
    """Make a booth that begins by itself, as SQLAlchemy's own documentation shows."""
    config = json.loads(os.environ[CONFIG])
    app = make_app(config)
    db, lock = app.extensions["sqlalchemy"], Lock()
    abx: ABX = app.jinja_env.globals["abx"]  # type: ignore[assignment]
    with app.app_context():
        host = db.engine

    @event.listens_for(host, "connect")
    def connect(connection: Any, record: object) -> None:  # noqa: ANN401 - of the driver
        del record
        connection.isolation_level = None

    @event.listens_for(host, "begin")
    def begin(connection: Any) -> None:  # noqa: ANN401 - of SQLAlchemy
        connection.exec_driver_sql("BEGIN")

    def insert(number: int) -> None:
        time.sleep(THOUGHT)
        query = text("INSERT INTO orders (number) VALUES (:number)")
        db.session.execute(query, {"number": number})

    @app.get("/order/<int:number>")
    def order(number: int) -> dict[str, object]:
        # Only we could be in its way: two orders at once would be in each other's.
        with lock:
            count = db.session.scalar(text("SELECT COUNT(*) FROM orders"))
            if config["HAS_SAVEPOINT"]:
                with db.session.begin_nested():
                    insert(number)
            else:
                insert(number)
            abx.track(SOLD, 1, id=number)
            db.session.commit()
        return {"count": count}

    if config.get("IS_RUDE"):
        delivery = state_of(app).delivery
        assert delivery is not None
        delivery.flights.are_counted = False
    return app


@pytest.mark.parametrize("host", HOSTS)
def test_our_writer_is_in_nobodys_way(host: str, tmp_path: Path) -> None:
    with fresh_database("sqlite", tmp_path) as url:
        run(url, "PRAGMA journal_mode=WAL")
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "INSTANCE": str(tmp_path / "instance"),
            "HAS_SAVEPOINT": HOSTS[host],
        }
        with (
            opened(tmp_path, config, HEADLINE),
            serving(tmp_path, config, *OPTIONS, workers=1, target=TARGET) as server,
        ):
            visit_all(server.port, server.workers, 10)
            with noting(server.port, ["/order/{}"] * 4 + ["/show/{}"], PAUSE) as notes:
                time.sleep(LOAD)
            took = wait_until_drained(tmp_path)
            said = server.said()
        found = outcome(url, notes)
        with engine_of(url) as engine, engine.connect() as connection:
            orders = connection.scalar(text("SELECT COUNT(*) FROM orders"))
    bought = [each for each in notes.taken if each.path.startswith("/order")]
    print(
        f"\nSQLite, {host}: {orders:,} orders of {len(bought):,} in 4 threads, the "
        f"slowest took {notes.slowest * 1000:.0f} ms; {found}, the last is stored "
        f"{took:.1f} s after the load"
    )
    assert "database is locked" not in said, said
    assert {each.status for each in notes.taken} == {200}
    assert orders == len(bought)
    assert (found.lost, found.strange) == (0, 0)
    assert took < SOON
