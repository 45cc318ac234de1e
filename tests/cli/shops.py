"""Applications with a database, and what is in it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from flask_abx.stores.database import reading
from flask_abx.stores.inspection import missing
from flask_abx.stores.reading import read_mark
from tests.cli.setups import STRONG
from tests.databases import fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.stores.database import Database
    from flask_abx.stores.reading import Mark


class MakeShop(Protocol):
    """Makes an application on a database of its own, or on ``memory``."""

    def __call__(
        self,
        kind: str = "sqlite",
        *,
        bind: str | None = None,
        schema: str | None = None,
        **config: object,
    ) -> Flask: ...


@contextmanager
def shops(folder: Path) -> Iterator[MakeShop]:
    """Make applications, and close their connections at the end."""
    with ExitStack() as stack:

        def make(
            kind: str = "sqlite",
            *,
            bind: str | None = None,
            schema: str | None = None,
            **config: object,
        ) -> Flask:
            url = "sqlite://"
            if kind != "memory":
                url = stack.enter_context(fresh_database(kind, folder))
            app = Flask("shop", instance_path=str(folder / "instance"))
            app.config["SECRET_KEY"] = STRONG
            app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://" if bind else url
            app.config["SQLALCHEMY_BINDS"] = {bind: url} if bind else {}
            app.config.update(config)
            db = SQLAlchemy(app, metadata=MetaData(schema=schema))
            ABX(app, db=db, bind_key=bind)
            stack.callback(_close, app, db)
            return app

        yield make


def _close(app: Flask, db: SQLAlchemy) -> None:
    database_of(app).own.dispose()
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


def database_of(app: Flask) -> Database:
    database = state_of(app).database
    assert database is not None
    return database


def url_of(app: Flask) -> str:
    return database_of(app).own.url.render_as_string(hide_password=False)


def mark_of(app: Flask) -> Mark:
    database = database_of(app)
    with reading(database.own) as connection:
        return read_mark(connection, database.tables)


def absent(app: Flask) -> int:
    """Count the tables that are not there."""
    database = database_of(app)
    return len(missing(database.own, database.tables))
