"""Checks of the database: its tables, its definitions, its clock."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from time import time
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from flask_abx.cli.database import migration_advice
from flask_abx.cli.doctor.finding import Finding, Level
from flask_abx.cli.output import reason
from flask_abx.errors import DefinitionError, SetupError
from flask_abx.stores.compiling import Compiler
from flask_abx.stores.database import clock, is_in_memory, reading
from flask_abx.stores.inspection import differences, journal_mode
from flask_abx.stores.reading import BLANK
from flask_abx.stores.serving import Standing, Stretch
from flask_abx.stores.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from flask_abx.cli.doctor.finding import Case
    from flask_abx.stores.database import Database
    from flask_abx.stores.reading import Mark

#: How long the database has to answer at first, in seconds.
PATIENCE = 5.0
#: How far its clock may be from the one here, in seconds.
MOST_APART = 2.0
_CREATE = "flask abx db create"
_CHECK = "flask abx db check"
_MIGRATE = "flask db migrate && flask db upgrade"


def check_database(case: Case) -> Iterator[Finding]:
    """Look whether the database answers and holds what is needed, if there is one."""
    database = case.state.database
    if database is None:
        return
    try:
        found = _compared(database)
    except SetupError as error:
        yield Finding("tables", Level.FAIL, str(error), "db.init_app(app)")
        return
    except (DBAPIError, TimeoutError) as error:
        message = (
            f"The database does not answer ({reason(error)}): see that it runs, and "
            "that its URL in the configuration is right."
        )
        yield Finding("tables", Level.FAIL, message, _CHECK)
        yield from _without_answer(case)
        return
    yield from _tables(case, database, found)
    yield from _definitions(case, database)
    yield from _journal(database.own)
    yield from _transactions(database)
    yield from _clock(database.own)


def _compared(database: Database) -> tuple[str, ...]:
    """Compare the tables, and give up on a server that hangs.

    Raises:
        TimeoutError: If it does not answer in time.
    """
    engine, tables = database.own, database.tables
    if engine.dialect.name == "sqlite":
        return differences(engine, tables)
    answers: list[tuple[str, ...] | Exception] = []

    def ask() -> None:
        try:
            answers.append(differences(engine, tables))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            answers.append(error)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not answers:
        raise TimeoutError(f"nothing came within {PATIENCE:g} s")
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return answer


def _tables(
    case: Case, database: Database, found: tuple[str, ...]
) -> Iterator[Finding]:
    advice = migration_advice(case.app, database)
    for message, paste in advice:
        level = Level.FAIL if found else Level.WARN
        yield Finding("migrations", level, message, paste)
    if not found:
        count = len(database.tables.all)
        message = f"All {count} tables are there, each as it is needed."
        yield Finding("tables", Level.OK, message)
    create = "db.create_all()" if database.is_in_memory else _CREATE
    migrates = "migrate" in case.app.extensions and not advice
    for message in found:
        by_hand = create if message.startswith("There is no table") else _CHECK
        paste = _MIGRATE if migrates else by_hand
        yield Finding("tables", Level.FAIL, message, paste)


def _definitions(case: Case, database: Database) -> Iterator[Finding]:
    store = case.state.store
    if not isinstance(store, SqlStore):
        return
    try:
        store.load()
    except DefinitionError as error:
        faults = " ".join(map(str, error.faults))
        message = f"The definitions are refused, what was in force stays so: {faults}"
        yield Finding("standing", Level.FAIL, message, _repair(database))
        _stand_in(case, store)
        return
    except (SetupError, DBAPIError):
        yield from _without_answer(case)
        return
    mark, copied = store.serving.mark, store.copied()
    if copied is None or copied.mark.lineage != mark.lineage:
        newest = mark.version
    else:
        newest = copied.mark.version
    if newest > mark.version:
        message = (
            f"The database is at version {mark.version}, but version {newest} was "
            "published: it was restored from a backup. Processes keep what they have "
            "until you accept what it holds."
        )
        yield Finding("standing", Level.FAIL, message, "flask abx db accept")
        return
    message = f"{Standing.READY}: version {mark.version} is the latest."
    yield Finding("standing", Level.OK, message)


def _without_answer(case: Case) -> Iterator[Finding]:
    """Tell what a process serves that starts now and gets no definitions."""
    store = case.state.store
    if not isinstance(store, SqlStore):
        return
    mark = _stand_in(case, store)
    if mark == BLANK:
        message = (
            f"{Standing.EMPTY}: a process that starts now serves every default, "
            "records nothing and sets no cookie."
        )
        yield Finding("standing", Level.FAIL, message, _CHECK)
        return
    message = (
        f"{Standing.STALE}: a process that starts now serves version {mark.version} "
        "from the copy on disk."
    )
    yield Finding("standing", Level.WARN, message, _CHECK)


def _stand_in(case: Case, store: SqlStore) -> Mark:
    """Have the other checks look at the copy on disk, or at nothing."""
    compiler = Compiler(case.state.hooks.segments, lambda: None)
    copied, mark = store.copied(), BLANK
    compiled = compiler.compile({}, "0")
    if copied is not None:
        with suppress(DefinitionError):
            compiled = compiler.compile(copied.bodies, str(copied.mark.version))
            mark = copied.mark
    # Otherwise they would start the thread, which asks the database once more.
    if store.serving.served is None:
        store.serving.adopt(mark, (Stretch(0, mark.version, compiled),))
    return mark


def _repair(database: Database) -> str:
    """Write the command that puts back a row which was changed by hand."""
    rows, changes = database.tables.definitions, database.tables.changes
    is_last = (
        (changes.c.kind == rows.c.kind)
        & (changes.c.key == rows.c.key)
        & (changes.c.version == rows.c.version)
    )
    edited = select(rows.c.key, rows.c.version).where(
        select(changes.c.version).where(is_last, changes.c.body != rows.c.body).exists()
    )
    with reading(database.own) as connection:
        row = connection.execute(edited).first()
    if row is None:
        return "pip install --upgrade flask-abx"
    return f"flask abx rollback {row.version} {row.key}"


def _journal(engine: Engine) -> Iterator[Finding]:
    mode = journal_mode(engine)
    if mode == "wal":
        message = "SQLite writes ahead (WAL)."
        yield Finding("journal", Level.OK, message)
    elif mode is not None:
        message = (
            f"The journal of the SQLite file is {mode!r}, so that readers and the "
            "writer wait for each other; this turns WAL on."
        )
        yield Finding("journal", Level.WARN, message, _CREATE)


def _transactions(database: Database) -> Iterator[Finding]:
    """Look whether the application itself begins transactions on SQLite to read."""
    host = database.host
    on_bind = database.tables.state.metadata.info.get("bind_key") is not None
    if host.dialect.name != "sqlite" or is_in_memory(host) or on_bind:
        return
    statements: list[str] = []
    with host.connect() as connection:
        driver = connection.connection.dbapi_connection
        if driver is None or not hasattr(driver, "set_trace_callback"):
            return
        driver.set_trace_callback(statements.append)
        connection.exec_driver_sql("SELECT 1")
        driver.set_trace_callback(None)
        begins = bool(driver.in_transaction)
        connection.rollback()
    if begins and not any("IMMEDIATE" in each.upper() for each in statements):
        message = (
            "The application begins transactions on SQLite that read first, and those "
            "cannot write once another process did: begin them with IMMEDIATE, or put "
            "our tables on a bind with ABX(bind_key=...)."
        )
        paste = 'connection.exec_driver_sql("BEGIN IMMEDIATE")'
        yield Finding("transactions", Level.WARN, message, paste)


def _clock(engine: Engine) -> Iterator[Finding]:
    if engine.dialect.name == "sqlite":
        return
    with reading(engine) as connection:
        asked = time()
        there = clock(connection) / 1000
        apart = there - (asked + time()) / 2
    if abs(apart) <= MOST_APART:
        message = "The clocks here and in the database agree."
        yield Finding("clock", Level.OK, message)
        return
    message = (
        f"The clock of the database is {abs(apart):.1f} s "
        f"{'ahead of' if apart > 0 else 'behind'} the one here."
    )
    yield Finding("clock", Level.WARN, message, "timedatectl set-ntp true")
