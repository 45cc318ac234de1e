"""The application whose records a drill counts: `/sell` sells what it is told.

Each sale has a number, by which its records are found again.
"""

from __future__ import annotations

import gc
import json
import os
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.pool import NullPool

from flask_abx import ABX
from flask_abx.events.sinks.buffered import Buffered
from flask_abx.runtime.state import state_of
from flask_abx.stores import life
from tests.drills.shop import CONFIG, tell_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from flask_abx.events.records import Record
    from flask_abx.runtime.state import State

TARGET = "tests.drills.market:create_app()"
#: The event of a sale.
SOLD = "sold"
#: Where a sink without a file puts its records.
BUFFERED = "buffered"
#: How long a service far away takes for a batch, in seconds.
FAR = 0.1
#: The names of what is counted where a record is lost.
LOSSES = ("record_dropped", "record_failed", "spool_refused", "sink_failed")


def create_app() -> Flask:
    """Make the application that the environment describes; what gunicorn calls."""
    app = make_app(json.loads(os.environ[CONFIG]))
    # A collection that goes through every module takes longer than any wait of ours.
    gc.collect()
    gc.freeze()
    return app


def make_app(config: Mapping[str, Any]) -> Flask:
    """Make the application.

    Args:
        config: Its configuration; ``INSTANCE`` is its instance folder, ``STUCK`` says
            after how many seconds the background thread is taken for stuck, and with
            ``BUFFERED`` the records wait in memory.
    """
    app = Flask(__name__, instance_path=config["INSTANCE"])
    app.config.update(SECRET_KEY="drill", ABX_SINKS=["sql"])
    app.config.update(config)
    if config.get("BUFFERED"):
        app.config["ABX_SINKS"] = [Buffered(_Far(config["SQLALCHEMY_DATABASE_URI"]))]
    life.STUCK = config.get("STUCK", life.STUCK)
    db = SQLAlchemy(app)
    abx = ABX(app, db=db)
    app.wsgi_app = _Telling(app.wsgi_app, state_of(app))  # type: ignore[method-assign]
    tell_times(app)

    class Order(db.Model):  # type: ignore[name-defined, misc]
        __tablename__ = "orders"
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)

    @abx.unit_loader
    def who() -> str | None:
        return request.args.get("user")

    @app.get("/sell")
    def sell() -> dict[str, object]:
        number, kind = int(request.args["number"]), request.args["kind"]
        shown = abx.variant("headline", "unknown")
        if kind == "atomic":
            # Who asks again may have been answered by a process that died.
            if db.session.get(Order, number) is None:
                db.session.add(Order(number=number))
                abx.track(SOLD, 1, id=number, durability="atomic")
                db.session.commit()
        elif kind != "exposure":
            abx.track(SOLD, 1, id=number, durability=kind)  # type: ignore[arg-type]
        told = abx.payload("headline")
        return {"variant": shown, "units": told["units"], "version": told["version"]}

    @app.get("/plain")
    def plain() -> dict[str, object]:
        return {}

    return app


class _Far:
    """A sink that is as slow as a service far away."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=NullPool)

    def write(self, batch: Sequence[Record]) -> None:
        sleep(FAR)
        insert = text(f"INSERT INTO {BUFFERED} (id) VALUES (:id)")  # noqa: S608 - a constant
        rows = [{"id": record.id} for record in batch]
        with self._engine.begin() as connection:
            connection.execute(insert, rows)


class _Telling:
    """Tells in a header whether a record was lost while a request was served."""

    def __init__(self, inner: WSGIApplication, state: State) -> None:
        self._inner = inner
        self._state = state

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        told: list[tuple[str, str]] = []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:  # noqa: ANN401 - WSGI
            nonlocal told
            told = headers
            return start_response(status, headers, *more)

        before = self._lost()
        body = self._inner(environ, start)
        # Who measures the time has not sent the headers yet.
        told.append(("X-Lost", str(self._lost() - before)))
        return body

    def _lost(self) -> int:
        counts = dict(self._state.tally.counts)
        return sum(each for name, each in counts.items() if name.startswith(LOSSES))


@contextmanager
def opened(
    folder: Path, config: Mapping[str, Any], headline: Mapping[str, Any]
) -> Iterator[State]:
    """Make the tables of a market, and start its one experiment.

    Args:
        folder: The instance folder.
        config: The configuration with which the market is served.
        headline: The experiment.
    """
    app = make_app({"INSTANCE": str(folder), **config})
    state = state_of(app)
    database, editor = state.database, state.editor
    assert database is not None
    assert editor is not None
    try:
        with app.app_context():
            app.extensions["sqlalchemy"].create_all()
        editor.apply({"experiments": {"headline": headline}})
        yield state
    finally:
        database.own.dispose()
        database.host.dispose()
