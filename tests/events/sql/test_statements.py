"""Inserting rows: what is told is what is stored, on every kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import BigInteger, Column, Double, MetaData, String, Table, Text, select

from flask_abx.events.sql.statements import insert
from tests.databases import ENGINES, database_url, engine_of, fresh_prefix
from tests.events.sql.ground import COUNTING

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

COLUMNS = ("note", "id", "number", "value")
ROWS = [
    (r'{"a":"\u0000\ud800","b":"\\"}', "a", 2**63 - 1, 0.1 + 0.2),
    ('\'; "quoted" \\ {1,2} %s %(id)s :id ? NULL', "b", -(2**63), 5e-324),
    ("\x01\t\n\r ü 茶 \U0001f375", "c", 0, 1.7976931348623157e308),
    ("", "d", 1, None),
]


def some_table() -> Table:
    return Table(
        f"{fresh_prefix()}rows",
        MetaData(),
        Column("id", String(20), primary_key=True),
        Column("number", BigInteger),
        Column("value", Double),
        Column("note", Text),
    )


def test_rows_are_stored_as_they_are(kind: str, tmp_path: Path) -> None:
    table = some_table()
    with engine_of(database_url(kind, tmp_path)) as engine:
        table.create(engine)
        try:
            assert stored(engine, table) == ROWS
        finally:
            table.drop(engine)


def stored(engine: Engine, table: Table) -> list[tuple[object, ...]]:
    """Insert the rows, and read them back."""
    with engine.begin() as connection:
        insert(connection, table, COLUMNS, ROWS)
        query = select(*(table.c[name] for name in COLUMNS)).order_by(table.c.id)
        return [tuple(row) for row in connection.execute(query)]


def test_a_row_that_was_known_is_told(kind: str, tmp_path: Path) -> None:
    table = some_table()
    with engine_of(database_url(kind, tmp_path)) as engine:
        table.create(engine)
        try:
            with engine.begin() as connection:
                are_new = insert(connection, table, COLUMNS, ROWS[:2])
                assert are_new is (kind in COUNTING)
                assert not insert(connection, table, COLUMNS, ROWS[1:])
        finally:
            table.drop(engine)


@pytest.fixture(params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
