"""The tables in the database: db create, db check and db accept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from flask_abx.cli.output import fail, format_option, note, write
from flask_abx.errors import SetupError
from flask_abx.runtime.state import state_of
from flask_abx.stores.database import writing
from flask_abx.stores.inspection import differences, journal_mode, missing
from flask_abx.stores.reading import begin_lineage, new_lineage, read_mark

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import URL, Engine

    from flask_abx.schema import Tables
    from flask_abx.stores.database import Database
    from flask_abx.stores.reading import Mark


class Advice(NamedTuple):
    """What is wrong with the migrations of the host, and the line that mends it."""

    message: str
    paste: str


@click.group("db")
def db_group() -> None:
    """Make and check the tables in the database."""


@db_group.command("create")
@format_option
@with_appcontext
def create_command(form: str) -> None:
    """Make the tables that are missing, for hosts without Flask-Migrate."""
    database = current_database()
    engine, tables = database.own, database.tables
    made = make_missing(engine, tables)
    mark = begin_lineage(engine, tables)
    lines = [_made_text(made, tables)]
    if turn_wal_on(engine):
        lines.append(
            "WAL is turned on in the SQLite file now, so that readers and the writer "
            "do not wait for each other."
        )
    data = {"made": list(made), "journal": journal_mode(engine), **mark_data(mark)}
    write(form, data, lambda: "\n".join(lines))
    if database.is_in_memory:
        note(
            "The database is in memory, so they are gone when this command ends: call "
            "`db.create_all()` in the application."
        )
    elif differences(engine, tables):
        note("They differ from what is needed: run `flask abx db check`.")
    if made and "migrate" in current_app.extensions:
        note(
            "Flask-Migrate is set up here, and finds nothing to do for tables that are "
            "there: to have them in a migration, make that on an empty database."
        )


@db_group.command("check")
@format_option
@with_appcontext
def check_command(form: str) -> None:
    """Compare the database with the tables that are needed."""
    database = current_database()
    found = differences(database.own, database.tables)
    advice = [each.message for each in migration_advice(current_app, database)]
    told = [*advice, *found] if found else []
    data = {"ok": not found, "differences": told}
    count = len(database.tables.all)
    as_needed = f"All {count} tables are there, each as it is needed."
    write(form, data, lambda: "\n".join(told) or as_needed)
    if found:
        fail()
    for message in advice:
        note(message)


@db_group.command("accept")
@format_option
@with_appcontext
def accept_command(form: str) -> None:
    """Take what a database holds that was restored from a backup."""
    database = current_database()
    mark = accept(database)
    interval = state_of(current_app).settings.refresh_seconds
    text = (
        f"Version {mark.version} counts from now on: every process takes it when it "
        f"asks next, which each does every {interval:g} s."
    )
    write(form, mark_data(mark), lambda: text)


def current_database() -> Database:
    """Give the database of the current application.

    Raises:
        SetupError: If it has none.
    """
    database = state_of(current_app).database
    if database is None:
        raise SetupError(
            f"{current_app.name!r} has no database for experiments: write "
            "ABX(app, db=db)."
        )
    return database


def mark_data(mark: Mark) -> dict[str, str | int]:
    """Give a mark as plain values."""
    return {"lineage": mark.lineage, "version": mark.version}


def make_missing(engine: Engine, tables: Tables) -> tuple[str, ...]:
    """Make the tables that are not there, and name them.

    Raises:
        SetupError: If the schema that they belong to is not there.
    """
    schema = tables.state.schema
    if schema is not None and not inspect(engine).has_schema(schema):
        raise SetupError(
            f"There is no schema {schema!r} in the database: run "
            f"`CREATE SCHEMA {schema}` there first."
        )
    made = []
    for table in missing(engine, tables):
        try:
            with writing(engine) as connection:
                table.create(connection)
        except DBAPIError:
            # Another process may have been quicker.
            if table in missing(engine, tables):
                raise
            continue
        made.append(table.name)
    return tuple(made)


def _made_text(made: tuple[str, ...], tables: Tables) -> str:
    count = len(tables.all)
    if not made:
        return f"All {count} tables are there."
    plural = "" if len(made) == 1 else "s"
    others = "" if len(made) == count else f" The other {count - len(made)} are there."
    return f"Made {len(made)} table{plural}: {', '.join(made)}.{others}"


def turn_wal_on(engine: Engine) -> bool:
    """Have SQLite write ahead; True if it did not and does now."""
    if journal_mode(engine) in {None, "wal"}:
        return False
    # The mode cannot be changed in a transaction, and any other way would begin one.
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        (mode,) = cursor.fetchone() or ("unknown",)
        cursor.close()
    except engine.dialect.loaded_dbapi.Error as error:
        mode = str(error)
    finally:
        raw.close()
    if mode != "wal":
        note(f"WAL could not be turned on in the SQLite file, its journal is {mode!r}.")
    return mode == "wal"


def accept(database: Database) -> Mark:
    """Give the database a new lineage, so that every process takes what it holds.

    Raises:
        SetupError: If the tables are not there.
    """
    engine, tables = database.own, database.tables
    state = tables.state
    renamed = state.update().where(state.c.id == 1).values(lineage=new_lineage())
    with database.explained(engine), writing(engine) as connection:
        if connection.execute(renamed).rowcount == 1:
            return read_mark(connection, tables)
    return begin_lineage(engine, tables)


def migration_advice(app: Flask, database: Database) -> tuple[Advice, ...]:
    """Find what keeps Flask-Migrate from the tables; nothing where it is not used."""
    migrate = app.extensions.get("migrate")
    if migrate is None:
        return ()
    table = database.tables.state
    bind = table.metadata.info.get("bind_key")
    try:
        environment = Path(migrate.directory, "env.py").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        environment = None
    if bind is None:
        looks = migrate.configure_args.get("include_schemas")
        is_seen = looks or "include_schemas" in (environment or "")
        return () if table.schema is None or is_seen else (_schema(table.schema),)
    usual = migrate.db.engines.get(None)
    if usual is not None and _place(usual.url) == _place(database.host.url):
        return (_same(bind),)
    words = ("SQLALCHEMY_BINDS", "bind_names", bind)
    if environment is None or any(word in environment for word in words):
        return ()
    return (_single(bind, migrate.directory),)


def _place(url: URL) -> tuple[str, str | None, int | None, str | None]:
    return url.get_backend_name(), url.host, url.port, url.database


def _schema(schema: str) -> Advice:
    line = "Migrate(app, db, include_schemas=True)"
    return Advice(
        f"Flask-Migrate does not look into the schema {schema!r}, so it proposes the "
        f"tables each time anew: write {line}.",
        line,
    )


def _same(bind: str) -> Advice:
    line = "ABX(app, db=db)"
    return Advice(
        f"The bind {bind!r} is the default database, where `flask db migrate` proposes "
        f"to drop the tables of a bind: write {line} without bind_key.",
        line,
    )


def _single(bind: str, directory: str) -> Advice:
    line = "flask db init --multidb"
    return Advice(
        f"Flask-Migrate does not see the tables, as they are on the bind {bind!r} and "
        f"{directory}/env.py is of the template for one database: begin the folder "
        f"anew with `{line}`, or keep to `flask abx db create`.",
        line,
    )
