"""Inserting many rows at once, in the words of each kind of database."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import (
    ARRAY,
    JSON,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import String

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select, Table
    from sqlalchemy.sql.selectable import TableValuedAlias
    from sqlalchemy.types import TypeEngine

    Values: TypeAlias = tuple[Any, ...]
    #: Gives the column of the row that was not inserted.
    New: TypeAlias = Callable[[str], ColumnElement[Any]]
    #: Gives what becomes of the row that was there.
    Changes: TypeAlias = Callable[[New], Mapping[str, ColumnElement[Any]]]

#: How many rows go in one statement, and how many keys one query names.
MOST_ROWS = 5_000
MOST_KEYS = 500
#: Drivers that fold the rows of a statement into one take no parameter after them.
ONE: ColumnElement[int] = literal_column("1")

_COUNTED = {"preserve_rowcount": True}


def is_mysql(connection: Connection) -> bool:
    """Tell whether it is MariaDB or MySQL."""
    return connection.dialect.name in {"mysql", "mariadb"}


def is_postgresql(connection: Connection) -> bool:
    """Tell whether it is PostgreSQL."""
    return connection.dialect.name == "postgresql"


def insert(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Values],
    changes: Changes | None = None,
) -> bool:
    """Insert rows that are sorted by their key; a known one stays, or is changed.

    Returns:
        True where every row is certainly new.
    """
    are_new = True
    for begin in range(0, len(rows), MOST_ROWS):
        part = rows[begin : begin + MOST_ROWS]
        count = _insert(connection, table, columns, part, changes)
        are_new = are_new and count == len(part)
    # MariaDB and MySQL count a row that was known and is left as it was, too.
    return are_new and not is_mysql(connection)


def insert_from(
    connection: Connection,
    table: Table,
    query: Select[Any],
    parameters: Mapping[str, Any],
) -> None:
    """Insert what a query gives in the order of the table's key; known rows stay."""
    columns = [column.name for column in query.selected_columns]
    statement = _with_conflict(connection, table, columns, query, None)
    connection.execute(statement, parameters)


def find(
    connection: Connection,
    query: Select[Any],
    column: ColumnElement[str],
    values: Iterable[str],
) -> Iterator[Row[Any]]:
    """Run a query for the rows in which a column has one of some values."""
    sought = sorted(values)
    # A parameter for each value would take longer to make than the query to run.
    one_of = column.in_(bindparam("value", expanding=True))
    for begin in range(0, len(sought), MOST_KEYS):
        part = sought[begin : begin + MOST_KEYS]
        if is_postgresql(connection):
            # With ANY a plan for whatever values compares each row with every value.
            told = unnested("sought", {"value": Text()})
            found = query.where(column == told.c.value)
            yield from connection.execute(found, {"value": part})
        else:
            yield from connection.execute(query.where(one_of), {"value": part})


def unnested(name: str, columns: Mapping[str, TypeEngine[Any]]) -> TableValuedAlias:
    """Make rows of parameters, each of which holds the values of one column."""
    kinds = {name: ARRAY(_uncut(kind)) for name, kind in columns.items()}
    lists = [cast(bindparam(each, type_=kind), kind) for each, kind in kinds.items()]
    return func.unnest(*lists).table_valued(*columns).render_derived(name=name)


def _recorded(name: str, columns: Mapping[str, TypeEngine[Any]]) -> TableValuedAlias:
    """Make rows of one parameter, the JSON of a list of objects.

    Drivers in Python look at every character of every text of a list, but not of this.
    """
    told = cast(bindparam("rows", type_=Text()), JSON)
    kinds = [sql_column(each, _uncut(kind)) for each, kind in columns.items()]
    rows = func.json_to_recordset(told).table_valued(*kinds)
    return rows.render_derived(name=name, with_types=True)


def _uncut(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    # A cast to VARCHAR(64) would cut silently what is longer.
    return Text() if isinstance(kind, String) else kind


def _insert(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Values],
    changes: Changes | None,
) -> int:
    query = None
    if is_postgresql(connection):
        told = _recorded("told", {name: table.c[name].type for name in columns})
        query = select(*(told.c[name] for name in columns))
    statement = _with_conflict(connection, table, columns, query, changes)
    if connection.dialect.name == "sqlite":
        return _insert_tuples(connection, statement, columns, rows)
    named: Any = [dict(zip(columns, row, strict=True)) for row in rows]
    if query is not None:
        # Not every encoding of a database has what is escaped.
        named = {"rows": json.dumps(named, ensure_ascii=False, allow_nan=False)}
    return connection.execute(statement, named, execution_options=_COUNTED).rowcount


def _insert_tuples(
    connection: Connection,
    statement: Any,  # noqa: ANN401 - the statement of one dialect or another
    columns: Sequence[str],
    rows: Sequence[Values],
) -> int:
    """Give rows to the driver as they are: by name they take as long as the insert."""
    compiled = statement.compile(dialect=connection.dialect, column_keys=columns)
    in_order = itemgetter(*map(columns.index, compiled.positiontup))
    result = connection.exec_driver_sql(
        str(compiled), list(map(in_order, rows)), execution_options=_COUNTED
    )
    return result.rowcount


def _with_conflict(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    query: Select[Any] | None,
    changes: Changes | None,
) -> Any:  # noqa: ANN401 - the statement of one dialect or another
    if is_mysql(connection):
        return _with_duplicates(table, query, columns, changes)
    make: Any = postgresql.insert if is_postgresql(connection) else sqlite.insert
    statement = make(table)
    if query is not None:
        statement = statement.from_select(columns, query)
    key = [column.name for column in table.primary_key]
    if changes is None:
        return statement.on_conflict_do_nothing(index_elements=key)
    set_ = changes(lambda name: statement.excluded[name])
    return statement.on_conflict_do_update(index_elements=key, set_=set_)


def _with_duplicates(
    table: Table,
    query: Select[Any] | None,
    columns: Sequence[str],
    changes: Changes | None,
) -> mysql.Insert:
    statement = mysql.insert(table)
    if query is not None:
        statement = statement.from_select(columns, query)
    if changes is None:
        # IGNORE would store what does not fit, cut to what does.
        first = table.primary_key.columns[0]
        return statement.on_duplicate_key_update({first.name: first})
    # The words of newer releases of MySQL are unknown to MariaDB and to its drivers.
    set_ = changes(lambda name: literal_column(f"VALUES({name})"))
    return statement.on_duplicate_key_update(list(set_.items()))
