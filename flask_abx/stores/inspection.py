"""Comparing what a database holds with the tables that it should hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import inspect
from sqlalchemy.exc import CompileError
from sqlalchemy.schema import CreateIndex

from flask_abx.stores.database import is_in_memory, no_tables, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Dialect, Engine, Inspector, Table
    from sqlalchemy.types import TypeEngine

    from flask_abx.schema import Tables

_BINARY = "utf8mb4_bin"
_ENGINE = "InnoDB"
#: What MariaDB tells of a type beside its name and its length.
_DETAILS = re.compile(r" (CHARACTER SET|COLLATE) \S+|(?<=INT)\(\d+\)")
_LARGER = {"MEDIUMTEXT": "LONGTEXT"}
_MIGRATE = (
    "run `flask db migrate` and `flask db upgrade`, or alter it by hand without "
    "Flask-Migrate"
)


def missing(engine: Engine, tables: Tables) -> tuple[Table, ...]:
    """Find the tables that are not there."""
    with reading(engine) as connection:
        return _missing(inspect(connection), tables)


def differences(engine: Engine, tables: Tables) -> tuple[str, ...]:
    """Tell how a database differs from what is needed, each with the way out."""
    with reading(engine) as connection:
        inspector = inspect(connection)
        lacking = _missing(inspector, tables)
        if lacking == tables.all:
            return (no_tables(tables.state.name),)
        found = [no_tables(table.name) for table in lacking]
        for table in tables.all:
            if table not in lacking:
                found.extend(_of_table(inspector, table))
        return tuple(found)


def journal_mode(engine: Engine) -> str | None:
    """Tell how SQLite keeps its journal; None where it is no SQLite in a file."""
    if engine.dialect.name != "sqlite" or is_in_memory(engine):
        return None
    with reading(engine) as connection:
        mode: str = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    return mode


def _missing(inspector: Inspector, tables: Tables) -> tuple[Table, ...]:
    return tuple(
        table
        for table in tables.all
        if not inspector.has_table(table.name, schema=table.schema)
    )


def _of_table(inspector: Inspector, table: Table) -> Iterator[str]:
    yield from _of_columns(inspector, table)
    yield from _of_key(inspector, table)
    yield from _of_indexes(inspector, table)
    if inspector.dialect.name in {"mysql", "mariadb"}:
        yield from _of_storage(inspector, table)


def _of_columns(inspector: Inspector, table: Table) -> Iterator[str]:
    dialect = inspector.dialect
    there = {
        column["name"]: column
        for column in inspector.get_columns(table.name, schema=table.schema)
    }
    for column in table.columns:
        name = f"{table.name}.{column.name}"
        found = there.pop(column.name, None)
        if found is None:
            yield f"There is no column {name!r}: {_MIGRATE}."
            continue
        wanted, given = _spelt(column.type, dialect), _spelt(found["type"], dialect)
        if given not in {wanted, _LARGER.get(wanted)}:
            yield f"The column {name!r} is {given}, must be {wanted}: {_MIGRATE}."
        if found["nullable"] is not column.nullable:
            yield f"The column {name!r} {_nullability(column)}: {_MIGRATE}."
    for extra in there:
        name = f"{table.name}.{extra}"
        yield f"The column {name!r} is none of ours: {_MIGRATE}."


def _nullability(column: Column[object]) -> str:
    if column.nullable:
        return "is NOT NULL, must take NULL"
    return "takes NULL, must be NOT NULL"


def _spelt(kind: TypeEngine[object], dialect: Dialect) -> str:
    """Spell a type as SQL does, without what only MariaDB tells of it."""
    try:
        return _DETAILS.sub("", kind.compile(dialect=dialect))
    except CompileError:
        return "of an unknown type"


def _of_key(inspector: Inspector, table: Table) -> Iterator[str]:
    key = inspector.get_pk_constraint(table.name, schema=table.schema)
    given, wanted = key["constrained_columns"], list(table.primary_key.columns.keys())
    if given != wanted:
        yield (
            f"The primary key of {table.name!r} is {_listed(given)}, must be "
            f"{_listed(wanted)}: put it right by hand, or drop the table, if "
            "nothing is in it, and run `flask abx db create`."
        )


def _listed(names: list[str]) -> str:
    return f"({', '.join(names)})" if names else "missing"


def _of_indexes(inspector: Inspector, table: Table) -> Iterator[str]:
    dialect = inspector.dialect
    there = {
        tuple(index["column_names"])
        for index in inspector.get_indexes(table.name, schema=table.schema)
    }
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        includes = index.dialect_options["postgresql"]["include"]
        if includes and dialect.name != "postgresql":
            continue
        if tuple(index.columns.keys()) not in there:
            statement = str(CreateIndex(index).compile(dialect=dialect)).strip()
            yield (
                f"There is no index {str(index.name)!r}: run `flask db migrate` and "
                f"`flask db upgrade`, or `{statement}` without Flask-Migrate."
            )


def _of_storage(inspector: Inspector, table: Table) -> Iterator[str]:
    """Tell what MariaDB stores in another way, which Flask-Migrate never sees."""
    options = inspector.get_table_options(table.name, schema=table.schema)
    prefix = inspector.dialect.name
    engine = options.get(f"{prefix}_engine")
    named = inspector.dialect.identifier_preparer.format_table(table)
    if engine != _ENGINE:
        yield (
            f"The engine of {table.name!r} is {engine}, must be {_ENGINE}: run "
            f"`ALTER TABLE {named} ENGINE={_ENGINE}`."
        )
    usual = options.get(f"{prefix}_collate", "the default")
    collations = {
        getattr(column["type"], "collation", None) or usual
        for column in inspector.get_columns(table.name, schema=table.schema)
        if hasattr(column["type"], "collation")
    }
    others = sorted(collations - {_BINARY})
    if others:
        yield (
            f"The texts of {table.name!r} are compared by {', '.join(others)}, must be "
            f"by {_BINARY}: run `ALTER TABLE {named} CONVERT TO CHARACTER SET utf8mb4 "
            f"COLLATE {_BINARY}`."
        )
