"""Databases with our tables, and nothing of an application round them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, create_engine

from flask_abx.schema import make_tables
from flask_abx.stores.database import Database, writing

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def database_at(
    url: str, *, is_empty: bool = False, **options: Any
) -> Iterator[Database]:
    """Make our tables in a database, and join it as the extension does.

    Args:
        url: An empty database.
        is_empty: True to make no tables.
        options: What the engine of the host is made with.
    """
    metadata = MetaData()

    def make(name: str, /, *items: Any, **more: Any) -> Table:
        return Table(name, metadata, *items, **more)

    tables = make_tables(make, "abx_")
    host = create_engine(url, **options)
    if not is_empty:
        metadata.create_all(host)
    database = Database(tables, lambda: host)
    try:
        yield database
    finally:
        database.own.dispose()
        host.dispose()


def empty(database: Database) -> None:
    """Take every row away, so that the next test finds the tables as they were made."""
    with writing(database.own) as connection:
        for table in database.tables.all:
            connection.execute(table.delete())
