"""Applications that keep their experiments in a database, for commands to change."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from flask_abx.stores.history import read_changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from flask_abx.stores.change import Change

CREATE = (
    *("create", "headline", "--variant", "control", "--variant", "bold"),
    *("--metric", "signup", "--traffic", "0.5"),
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@contextmanager
def stored_app(url: str, folder: Path, **config: object) -> Iterator[Flask]:
    """Make an application on a database, with its tables and nothing in them."""
    db, app = SQLAlchemy(), Flask(__name__, instance_path=str(folder))
    app.config.update(
        SECRET_KEY="secret",
        TESTING=True,
        ABX_SINKS=["memory"],
        SQLALCHEMY_DATABASE_URI=url,
    )
    app.config.update(config)
    db.init_app(app)
    ABX(app, db=db)
    with app.app_context():
        db.create_all()
        db.engine.dispose()
    storage = state_of(app).storage
    try:
        yield app
    finally:
        assert storage.database is not None
        storage.database.own.dispose()
        assert storage.background is not None
        storage.background.stop()


def recorded_changes(app: Flask) -> tuple[Change, ...]:
    """Read every change, the latest first."""
    database = state_of(app).database
    assert database is not None
    return read_changes(database.own, database.tables)


def stored_body(app: Flask, key: str = "headline") -> Any:  # noqa: ANN401 - JSON
    """Read what is stored of an experiment."""
    return next(each.after for each in recorded_changes(app) if each.key == key)


def masked(text: str) -> str:
    """Write TIME where a moment stands."""
    return _MOMENT.sub("TIME", text)


def data_of(result: Result) -> Any:  # noqa: ANN401 - JSON
    """Read what a command wrote into a pipe."""
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)
