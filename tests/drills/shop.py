"""The application under drill: `/` reads one experiment, `/ten` reads ten.

Each page also says which version it saw, how sure the process is of it, and how many
records the process has delivered.
"""

from __future__ import annotations

import gc
import json
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.runtime.frame import ENVIRON_KEY
from flask_abx.runtime.state import State, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Where a served application finds its configuration, as JSON.
CONFIG = "ABX_DRILL_CONFIG"
TEN = tuple(f"e{number}" for number in range(10))
#: How long `/ten` sleeps between its fifth and its sixth experiment, in seconds.
PAUSE = 0.02


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
        config: Its configuration; ``INSTANCE`` is its instance folder. Where it names
            no database the shop has none, and defines its experiments itself.
    """
    app = Flask(__name__, instance_path=config["INSTANCE"])
    recorded: Counter[str] = Counter()
    sinks = ["log", lambda batch: recorded.update(each.type for each in batch)]
    app.config.update(SECRET_KEY="drill", ABX_SINKS=sinks)
    app.config.update(config)
    has_database = "SQLALCHEMY_DATABASE_URI" in app.config
    abx = ABX(app, db=SQLAlchemy(app) if has_database else None)
    app.wsgi_app = _Timing(app.wsgi_app)  # type: ignore[method-assign]

    def told() -> dict[str, object]:
        state = state_of(app)
        return {
            "version": request.environ[ENVIRON_KEY].ruleset.version,
            "standing": str(getattr(state.store, "standing", "")),
            "recorded": recorded.total(),
        }

    @app.get("/")
    def index() -> dict[str, object]:
        found = {"headline": abx.variant("headline", "unknown")}
        return {**told(), "variants": found}

    @app.get("/ten")
    def ten() -> dict[str, object]:
        found = {key: abx.variant(key, "unknown") for key in TEN[:5]}
        sleep(PAUSE)
        found |= {key: abx.variant(key, "unknown") for key in TEN[5:]}
        return {**told(), "variants": found}

    @app.get("/standing")
    def standing() -> dict[str, object]:
        background = state_of(app).storage.background
        life = None if background is None else background.life
        return {**told(), "rounds": 0 if life is None else life.rounds}

    return app


@contextmanager
def joined(folder: Path, config: Mapping[str, Any]) -> Iterator[State]:
    """Join the database of a served shop: make its tables, and let it be changed.

    Args:
        folder: The instance folder.
        config: The configuration with which the shop is served.
    """
    app = make_app({"INSTANCE": str(folder), **config})
    db = app.extensions["sqlalchemy"]
    state = state_of(app)
    database = state.database
    assert database is not None
    try:
        with app.app_context():
            db.create_all()
        yield state
    finally:
        database.own.dispose()
        database.host.dispose()


def tell_times(app: Flask) -> None:
    """Have each response say which process served it, when, and how long it took."""
    app.wsgi_app = _Timing(app.wsgi_app)  # type: ignore[method-assign]


class _Timing:
    """Tells in headers which process served a request, when, and how long it took."""

    def __init__(self, inner: WSGIApplication) -> None:
        self._inner = inner

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        held: list[Any] = []

        def hold(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:  # noqa: ANN401 - WSGI
            held[:] = status, headers, *more

        starved, began = _starved(), monotonic()
        # The records are handed over before the call returns: that counts too.
        body = self._inner(environ, hold)
        took = monotonic() - began
        told = {
            "X-Pid": os.getpid(),
            "X-Began": began,
            "X-Took": took,
            "X-Starved": _starved() - starved,
        }
        status, headers, *more = held
        pairs = [(name, str(value)) for name, value in told.items()]
        start_response(status, [*headers, *pairs], *more)
        return body


def _starved() -> float:
    """Give how long this thread was ready to run and got no CPU, in seconds."""
    try:
        text = Path("/proc/thread-self/schedstat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(text.split()[1]) / 1e9
