"""An application that keeps its tables with Flask-Migrate."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

import flask_migrate
from click.testing import CliRunner
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from flask_abx.stores.inspection import differences, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from flask_abx.stores.database import Database

STRONG = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@dataclass
class Host:
    """What its source code and its folder hold; each command is a process of its own.

    Attributes:
        url: The address of the database that our tables belong to.
        metadata: Arguments of the metadata of the host.
        bind: The bind of our tables, or None.
        other: The address of the default database, where there is a bind.
        options: Arguments of `Migrate`.
    """

    folder: Path
    url: str
    prefix: str = "abx_"
    metadata: dict[str, Any] = field(default_factory=dict)
    bind: str | None = None
    other: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def app(self) -> Iterator[Flask]:
        """Import the application as a new process does."""
        db = SQLAlchemy(metadata=MetaData(**self.metadata))

        class Order(db.Model):  # type: ignore[name-defined,misc]
            id = db.Column(db.Integer, primary_key=True)
            number = db.Column(db.String(10), unique=True)

        app = Flask("shop")
        app.config["SECRET_KEY"] = STRONG
        app.config["SQLALCHEMY_DATABASE_URI"] = self.other or self.url
        app.config["SQLALCHEMY_BINDS"] = {self.bind: self.url} if self.bind else {}
        db.init_app(app)
        ABX(app, db=db, table_prefix=self.prefix, bind_key=self.bind)
        directory = str(self.folder / "migrations")
        flask_migrate.Migrate(app, db, directory=directory, **self.options)
        with app.app_context():
            try:
                yield app
            finally:
                for engine in (database(app).own, *db.engines.values()):
                    engine.dispose()

    def run(self, command: Callable[..., None], **options: object) -> None:
        """Run a command of Flask-Migrate."""
        with self.app():
            command(**options)

    def abx(self, *arguments: str) -> Result:
        """Run `flask abx ...` with stdout and stderr apart."""
        options: dict[str, Any] = {}
        if "mix_stderr" in signature(CliRunner).parameters:
            options["mix_stderr"] = False
        with self.app() as app:
            return app.test_cli_runner(**options).invoke(args=["abx", *arguments])

    def migrate_from_empty(self, *, multidb: bool = False) -> None:
        """Make the folder and a migration, and carry it out."""
        self.run(flask_migrate.init, multidb=multidb)
        self.run(flask_migrate.migrate)
        self.run(flask_migrate.upgrade)

    def migrations(self) -> list[str]:
        """Give the source of every migration."""
        paths = (self.folder / "migrations" / "versions").glob("*.py")
        return [path.read_text("utf-8") for path in paths]

    def differences(self) -> tuple[str, ...]:
        """Tell how the database differs from our tables."""
        with self.app() as app:
            return differences(database(app).own, database(app).tables)

    def missing(self) -> int:
        """Count our tables that are not there."""
        with self.app() as app:
            return len(missing(database(app).own, database(app).tables))


def database(app: Flask) -> Database:
    """Give the database of an application that has one."""
    found = state_of(app).database
    assert found is not None
    return found
