"""Tables that live as long as one scan, and are seen by nobody else."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, column, literal_column, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.expression import ClauseElement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, FromClause, Select
    from sqlalchemy.sql.compiler import SQLCompiler

    from flask_abx.results.scanning.dialects import Words

#: No host has tables of such a name, and ours have another prefix.
_PREFIX = "flask_abx_scan_"
#: In kilobytes: what sorting and hashing may take before it goes to the disk.
_WORK_MEMORY = 65_536


class _TableAs(Executable, ClauseElement):
    """Makes a temporary table of what a query finds."""

    inherit_cache = False

    def __init__(self, name: str, query: Select[Any]) -> None:
        self.name = name
        self.query = query


@compiles(_TableAs)
def _compile(element: _TableAs, compiler: SQLCompiler, **kw: Any) -> str:
    ends = " ON COMMIT DROP" if compiler.dialect.name == "postgresql" else ""
    query = compiler.process(element.query, **kw)
    return f"CREATE TEMPORARY TABLE {element.name}{ends} AS {query}"


class Scratch:
    """Where the rows of one scan are kept for its duration.

    Where no temporary table can be made, whatever is kept is a part of each statement
    that reads it: slower, and with the same figures. Such places are a hot standby of
    PostgreSQL, and a steady snapshot of MariaDB or MySQL: these would lock every row
    that is read, and see those of others that are stored in the meantime.

    Args:
        connection: In the transaction of the scan.
        words: Of its kind of database.
    """

    def __init__(self, connection: Connection, words: Words) -> None:
        self.connection = connection
        self.words = words
        self._numbers = count(1)
        self._made: list[str] = []
        self.has_tables = _can_make_tables(connection, words)

    def keep(self, query: Select[Any], *indexed: str) -> FromClause:
        """Keep what a query finds.

        Args:
            query: The query.
            indexed: The columns that rows are found by.
        """
        name = f"{_PREFIX}{next(self._numbers)}"
        if not self.has_tables:
            return query.subquery(name)
        self._made.append(name)
        self.connection.execute(_TableAs(name, query))
        if indexed and not self.words.is_duckdb:
            names = ", ".join(indexed)
            self.connection.execute(text(f"CREATE INDEX {name}_ix ON {name} ({names})"))
        if self.words.is_postgresql:
            self.connection.execute(text(f"ANALYZE {name}"))
        columns = [column(each.name, each.type) for each in query.selected_columns]
        if self.words.is_sqlite or self.words.is_duckdb:
            columns.append(column("rowid", BigInteger()))
        return table(name, *columns)

    def drop(self) -> None:
        """Drop every table that was made."""
        word = "TEMPORARY TABLE" if self.words.is_mysql else "TABLE"
        # SQLite would drop a table of the host that has the name.
        place = "temp." if self.words.is_sqlite or self.words.is_duckdb else ""
        for name in self._made:
            # After a failure PostgreSQL takes no statement, and drops them by itself.
            with suppress(DBAPIError):
                self.connection.execute(text(f"DROP {word} IF EXISTS {place}{name}"))
        self._made.clear()


@contextmanager
def scratch(connection: Connection, words: Words) -> Iterator[Scratch]:
    """Keep rows for the duration of a scan."""
    if words.is_postgresql:
        _tune(connection)
    made = Scratch(connection, words)
    try:
        yield made
    finally:
        made.drop()


def _can_make_tables(connection: Connection, words: Words) -> bool:
    if words.is_sqlite or words.is_duckdb:
        return True
    if words.is_mysql:
        return connection.get_isolation_level() == "READ COMMITTED"
    may = "has_database_privilege(current_database(), 'TEMPORARY')"
    writes = "current_setting('transaction_read_only') = 'off'"
    query = select(literal_column(f"{may} AND {writes}", Boolean))
    return bool(connection.execute(query).scalar_one())


def _tune(connection: Connection) -> None:
    """Have PostgreSQL plan this one transaction for a scan of many units."""
    setting = "SELECT setting::bigint FROM pg_settings WHERE name = 'work_mem'"
    if connection.execute(text(setting)).scalar_one() < _WORK_MEMORY:
        connection.execute(text(f"SET LOCAL work_mem = {_WORK_MEMORY}"))
    # Several workers would sort by units what lies in their order in the indexes.
    connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))
    connection.execute(text("SET LOCAL jit = off"))
