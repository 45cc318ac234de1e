"""An application whose experiments somebody has looked at."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX, Actor
from flask_abx.results import VerdictCode
from flask_abx.results.looks.kept import Kept
from flask_abx.results.looks.stored import Look, store_look
from flask_abx.runtime.state import state_of
from flask_abx.stores.database import writing
from tests.results.shown import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.results import Results

TWO = {"variants": ["control", "bold"], "metrics": ["signup"]}


@contextmanager
def looked_app(
    folder: Path, *, actor: Actor | None = None, has_access: bool = True
) -> Iterator[Flask]:
    """Make an application with a winner, an experiment never looked at, and a gate.

    Args:
        folder: Where its database is.
        actor: Whom the gate finds; None keeps everybody out.
        has_access: False to register no gate.
    """
    db, app = SQLAlchemy(), Flask(__name__, instance_path=str(folder))
    app.config.update(
        SECRET_KEY="secret",
        TESTING=True,
        ABX_SINKS=["memory"],
        ABX_EXPERIMENTS={"headline": TWO, "prices": TWO},
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'app.db'}",
    )
    db.init_app(app)
    abx = ABX(app, db=db)
    if has_access:
        abx.access(lambda: actor)
    with app.app_context():
        db.create_all()
    database = state_of(app).database
    assert database is not None
    with writing(database.own) as connection:
        store_look(connection, database.tables, Look(winner(), Kept()))
    try:
        yield app
    finally:
        background = state_of(app).storage.background
        assert background is not None
        background.stop()
        database.own.dispose()
        with app.app_context():
            db.engine.dispose()


def winner() -> Results:
    """Give the results of an experiment that has a winner."""
    return replace(SHOWN[VerdictCode.WINNER](), experiment="headline")
