"""Engines that SQLAlchemy has no dialect for: they are given its statements as text."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import make_url
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.compiler import RESERVED_WORDS, IdentifierPreparer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from sqlalchemy import Connection


class Ask(Protocol):
    """Runs a statement."""

    def __call__(
        self, statement: str, parameters: Sequence[Any], /
    ) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Give the names of the columns, and all rows."""
        ...


@contextmanager
def connected(name: str, driver: ModuleType, ask: Ask) -> Iterator[Connection]:
    """Connect to an engine.

    Each statement is by itself: nothing is rolled back, and nothing waits for the end.

    Args:
        name: What its dialect is called.
        driver: The module that has its errors.
        ask: Runs a statement there.
    """
    dialect = _Dialect(dbapi=driver)
    dialect.name = name
    pool = StaticPool(lambda: _Connection(ask), dialect=dialect)  # type: ignore[arg-type] # it has what is used
    engine = Engine(pool, dialect, make_url(f"{name}://"))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


class _Preparer(IdentifierPreparer):
    """Puts words of the language in quotes, where columns are called so."""

    reserved_words = RESERVED_WORDS | {"at", "pivot", "qualify", "show", "summarize"}


class _Dialect(DefaultDialect):
    """Plain SQL, with a question mark for each parameter."""

    preparer = _Preparer
    default_paramstyle = "qmark"
    supports_statement_cache = True


class _Connection:
    """A connection as SQLAlchemy expects it."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def cursor(self) -> _Cursor:
        """Open a cursor."""
        return _Cursor(self._ask)

    def commit(self) -> None:
        """Do nothing, as each statement is by itself."""

    rollback = close = commit


class _Cursor:
    """Rows of one statement: there are few of them, and all are at hand."""

    rowcount = -1
    lastrowid = None

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._rows: Iterator[Sequence[Any]] = iter(())
        self.description: list[tuple[Any, ...]] | None = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement."""
        names, rows = self._ask(statement, parameters)
        self._rows = iter(rows)
        self.description = [(name, *[None] * 6) for name in names] or None

    def fetchone(self) -> Sequence[Any] | None:
        """Give the next row; None after the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[Sequence[Any]]:
        """Give all rows that are left."""
        return [*self._rows]

    def close(self) -> None:
        """Let go of the rows."""
        self._rows = iter(())
