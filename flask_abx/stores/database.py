"""The host's database, on connections of our own."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError

from flask_abx.errors import ChangeRefused, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.sql.elements import TextClause

    from flask_abx.schema import Tables

#: How long one of our statements waits for a lock, in seconds.
LOCK_TIMEOUT = 5
_WRITES = "abx_writes"

#: The clock of the database, in milliseconds since 1970.
_CLOCKS: dict[str, TextClause] = {
    "postgresql": text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"),
    # Local time would tell one hour of the year twice.
    "mysql": text(
        "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000"
    ),
    "sqlite": text(
        "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
    ),
}
_CLOCKS["mariadb"] = _CLOCKS["mysql"]

_LOCKING: dict[str, tuple[str, ...]] = {
    "postgresql": (f"SET lock_timeout = '{LOCK_TIMEOUT}s'",),
    "mysql": (
        f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT}",
        # A table that somebody alters is waited for with another patience.
        f"SET SESSION lock_wait_timeout = {LOCK_TIMEOUT}",
    ),
    "sqlite": (f"PRAGMA busy_timeout = {LOCK_TIMEOUT * 1000}",),
}
_LOCKING["mariadb"] = _LOCKING["mysql"]


#: What the background thread sets besides: should its line die in a transaction, the
#: server ends that, or whoever takes over would wait for its locks.
_WATCHED: dict[str, tuple[str, ...]] = {
    "postgresql": ("SET idle_in_transaction_session_timeout = '10s'",),
    "mysql": (
        # To MySQL, which has no such time, the second half is a comment.
        "SET lock_wait_timeout = 5 /*M!100300 , idle_transaction_timeout = 10 */",
    ),
}
_WATCHED["mariadb"] = _WATCHED["mysql"]


class Database:
    """Where the tables are, and how connections to them are made.

    The engine and the pool of the host are copied, never used and never changed. Only
    SQLite in memory has no second door: there its one connection is shared.

    Args:
        tables: The tables.
        host: Gives the engine of the host, whose context the caller need not enter.
    """

    def __init__(self, tables: Tables, host: Callable[[], Engine]) -> None:
        self.tables = tables
        self._find_host = host
        self._found: Engine | None = None
        self._is_in_memory: bool | None = None
        self._engines: dict[int, Engine] = {}

    @property
    def host(self) -> Engine:
        """The engine of the host.

        Raises:
            SetupError: If the host's database is not set up.
        """
        if self._found is None:
            try:
                self._found = self._find_host()
            except SetupError:
                raise
            except RuntimeError as error:
                raise SetupError(
                    f"The database cannot be used: {error} Call `db.init_app(app)`."
                ) from error
        return self._found

    @property
    def is_in_memory(self) -> bool:
        """True for SQLite without a file; False also where it cannot be told yet."""
        if self._is_in_memory is None:
            try:
                self._is_in_memory = is_in_memory(self.host)
            except SetupError:
                return False
        return self._is_in_memory

    @property
    def own(self) -> Engine:
        """The engine of this process for commands and changes."""
        _check_idle(self.host)
        pid = os.getpid()
        engine = self._engines.get(pid)
        if engine is None:
            # A parent's stays too: to forget its connections would be to close them.
            engine = self._engines.setdefault(pid, self.engine())
        return engine

    def engine(self, *, is_watched: bool = False) -> Engine:
        """Make an engine of our own, for one thread of one process.

        Args:
            is_watched: True to have the server end a transaction that stands still.

        Raises:
            SetupError: If the host's database is not set up, or of a strange kind.
        """
        host = self.host
        dialect = host.dialect.name
        if dialect not in _CLOCKS:
            raise SetupError(
                f"The database is {dialect!r}, must be SQLite, PostgreSQL, MariaDB or "
                "MySQL: name a bind of such a kind with ABX(bind_key=...)."
            )
        if is_in_memory(host):
            return host
        own = create_engine(
            host.url,
            pool=host.pool.recreate(),
            hide_parameters=host.hide_parameters,
        )
        options = dict(host.get_execution_options())
        if dialect == "sqlite":
            event.listen(own, "begin", _begin)
        else:
            options["isolation_level"] = "READ COMMITTED"
        statements = _LOCKING[dialect]
        if is_watched:
            statements += _WATCHED.get(dialect, ())
        event.listen(own, "connect", _on_connect(statements, dialect))
        return own.execution_options(**options)

    @contextmanager
    def explained(self, engine: Engine) -> Iterator[None]:
        """Tell a failure that missing tables cause by the command that makes them.

        Raises:
            SetupError: If the tables are not there.
        """
        try:
            yield
        except DBAPIError as error:
            missing = self.missing_table(engine)
            if missing is None:
                raise
            raise missing from error

    def missing_table(self, engine: Engine) -> SetupError | None:
        """Explain a failure by tables that are not there yet; None if they are."""
        state = self.tables.state
        try:
            there = inspect(engine).has_table(state.name, schema=state.schema)
        except DBAPIError:
            return None
        return None if there else SetupError(no_tables(state.name))


def no_tables(name: str) -> str:
    """Say that the tables are missing, and which command makes them."""
    return (
        f"There is no table {name!r} in the database: run `flask db migrate` and "
        "`flask db upgrade`, or `flask abx db create` without Flask-Migrate."
    )


def is_in_memory(engine: Engine) -> bool:
    """Tell whether it is SQLite without a file, which lives in one connection."""
    if engine.dialect.name != "sqlite":
        return False
    name = engine.url.database or ""
    return not name or ":memory:" in name or engine.url.query.get("mode") == "memory"


def is_idle(engine: Engine) -> bool:
    """Tell whether the one connection of SQLite in memory is in no transaction.

    It is not checked out for that: its return would undo what the application did.
    """
    record = getattr(engine.pool, "connection", None)
    driver = getattr(record, "dbapi_connection", None)
    return not getattr(driver, "in_transaction", False)


def _check_idle(engine: Engine) -> None:
    """Refuse to end a transaction of the application, whose connection it is.

    Raises:
        ChangeRefused: If it is in one.
    """
    if is_in_memory(engine) and not is_idle(engine):
        raise ChangeRefused(
            "The application is in a transaction on the one connection of SQLite in "
            "memory: commit it or roll it back first."
        )


def cut(connection: object) -> None:
    """Cut the line of a driver's connection, on which another thread waits for ever."""
    # Each driver has its socket elsewhere, and SQLite has none.
    with suppress(Exception):
        line = getattr(connection, "_sock", None)
        if line is not None:
            line.shutdown(SHUT_RDWR)
            return
        descriptor = os.dup(connection.fileno())  # type: ignore[attr-defined]
        with socket(fileno=descriptor) as double:
            double.shutdown(SHUT_RDWR)


@contextmanager
def reading(engine: Engine, *, is_steady: bool = False) -> Iterator[Connection]:
    """Open a transaction that only reads, and never leaves anything behind.

    Args:
        engine: Whose connections are used.
        is_steady: True to see, all the while, what was there at the first statement.

    Raises:
        ChangeRefused: If the application is in a transaction on this connection.
    """
    _check_idle(engine)
    with engine.connect() as connection:
        # SQLite does so by itself.
        if is_steady and engine.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        try:
            yield connection
        finally:
            connection.rollback()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that writes: all of it is stored, or nothing.

    Raises:
        ChangeRefused: If the application is in a transaction on this connection.
    """
    _check_idle(engine)
    with (
        engine.connect().execution_options(**{_WRITES: True}) as connection,
        connection.begin(),
    ):
        yield connection


def clock(connection: Connection) -> int:
    """Ask the database what time it is, in milliseconds since 1970."""
    return int(connection.execute(_CLOCKS[connection.dialect.name]).scalar_one())


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later could never wait for its turn.
    writes = connection.get_execution_options().get(_WRITES)
    driver = connection.connection.dbapi_connection
    if getattr(driver, "in_transaction", False):
        # A listener of the host on all engines was here before.
        if not writes:
            return
        connection.exec_driver_sql("ROLLBACK")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _on_connect(
    statements: tuple[str, ...], dialect: str
) -> Callable[[Any, object], None]:
    def on_connect(connection: Any, record: object) -> None:  # noqa: ANN401 - a driver's own
        del record
        if dialect == "sqlite":
            # The driver would begin and commit behind our back.
            connection.isolation_level = None
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        if dialect != "sqlite":
            connection.commit()

    return on_connect
