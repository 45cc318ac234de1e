"""The SQL tables, as Core tables on the host's metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.elements import conv

from flask_abx.errors import SetupError

if TYPE_CHECKING:
    from sqlalchemy.schema import SchemaItem
    from sqlalchemy.types import TypeEngine

#: What the tables look like; told in `state`, so that a later release can tell.
SCHEMA_VERSION = 1

_KEY = 64
_KIND = 16
_NAME = 100
_ID = 32
_VERSION = 20
#: A type of at most 40 characters, a colon and an id of at most 320.
_UNIT = 361
_OWNER = "abx"
#: The longest name has 42 characters more, and PostgreSQL cuts off what is beyond 63.
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,19}")

_OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_bin"),
    )
}


class MakeTable(Protocol):
    """Makes a table on some metadata, as `flask_sqlalchemy.SQLAlchemy.Table` does."""

    def __call__(self, name: str, /, *items: SchemaItem, **options: Any) -> Table:
        """Make the table."""
        ...


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one database."""

    state: Table
    definitions: Table
    changes: Table
    epochs: Table
    looks: Table
    exposures: Table
    events: Table
    event_units: Table
    links: Table
    erasures: Table

    @property
    def all(self) -> tuple[Table, ...]:
        """Every table, in the order in which they are told."""
        return tuple(getattr(self, each.name) for each in fields(self))


def make_tables(make: MakeTable, prefix: str) -> Tables:
    """Make every table.

    Args:
        make: Makes one on the metadata of the host.
        prefix: What every name begins with.

    Raises:
        SetupError: If the host has a table of such a name, or the prefix is none.
    """
    _check_prefix(prefix)
    maker = _Maker(make, prefix)
    table, clustered = maker.table, maker.clustered
    return Tables(
        state=table("state", "id", _state()),
        definitions=table("definitions", "kind key", _definitions()),
        changes=table("changes", "version kind key", _changes(), "kind key version"),
        epochs=table("epochs", "experiment iteration epoch", _epochs()),
        looks=table("looks", "experiment iteration computed_at", _looks()),
        exposures=clustered(
            "exposures",
            "experiment iteration unit",
            _exposures(),
            "unit",
            "visitor",
            "experiment iteration first_at",
            "stored_at",
        ),
        events=clustered("events", "id", _events(), "stored_at"),
        event_units=clustered(
            "event_units", "unit name at event_id", _event_units(), "event_id"
        ),
        links=clustered("links", "visitor unit", _links(), "unit"),
        erasures=clustered("erasures", "digest", _erasures()),
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    """Gives names that are final: a naming convention of the host leaves them alone."""

    make: MakeTable
    prefix: str

    def table(
        self,
        name: str,
        key: str,
        columns: tuple[Column[Any], ...],
        *indexes: str,
        **options: Any,
    ) -> Table:
        named = f"{self.prefix}{name}"
        items: list[SchemaItem] = [
            *columns,
            PrimaryKeyConstraint(*key.split(), name=conv(f"pk_{named}")),
            *(
                Index(conv(f"ix_{named}_{each.replace(' ', '_')}"), *each.split())
                for each in indexes
            ),
        ]
        try:
            made = self.make(named, *items, info={_OWNER: name}, **_OPTIONS, **options)
        except SQLAlchemyError as error:
            raise SetupError(_taken(named)) from error
        if made.info.get(_OWNER) != name:
            raise SetupError(_taken(named))
        return made

    def clustered(
        self, name: str, key: str, columns: tuple[Column[Any], ...], *indexes: str
    ) -> Table:
        # Rows that are found by their key alone need no second tree on SQLite.
        return self.table(name, key, columns, *indexes, sqlite_with_rowid=False)


def fit_dialect(tables: Tables, dialect: str) -> None:
    """Add what one kind of database alone profits from.

    Args:
        tables: The tables.
        dialect: Its name, such as ``postgresql``.
    """
    table = tables.event_units
    name = conv(f"ix_{table.name}_value")
    # Elsewhere the rows lie in the order of the key, and a value is at hand.
    if dialect == "postgresql" and name not in {each.name for each in table.indexes}:
        columns = (table.c.unit, table.c.name, table.c.at)
        added = Index(name, *columns, postgresql_include=["value"])
        # Another application may keep the same tables in another kind of database.
        added.ddl_if(dialect="postgresql")


def _check_prefix(prefix: object) -> None:
    if not isinstance(prefix, str) or _PREFIX.fullmatch(prefix) is None:
        raise SetupError(
            f"ABX got table_prefix={prefix!r}, must be at most 20 letters, digits and "
            'underscores and begin with no digit: write ABX(table_prefix="abx_").'
        )


def _taken(name: str) -> str:
    return (
        f"The application has a table {name!r} of its own: choose other names for ours "
        "with ABX(table_prefix=...)."
    )


def _text(name: str, length: int, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(length), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, autoincrement=False)


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False, autoincrement=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, autoincrement=False)


def _json(name: str, *, nullable: bool = False) -> Column[str]:
    kind: TypeEngine[str] = Text()
    for dialect in ("mysql", "mariadb"):
        kind = kind.with_variant(MEDIUMTEXT(), dialect)
    return Column(name, kind, nullable=nullable)


def _value(name: str) -> Column[float]:
    return Column(name, Double, nullable=True)


def _state() -> tuple[Column[Any], ...]:
    return (
        _small("id"),
        _text("lineage", _ID),
        _number("version"),
        _small("schema_version"),
        _text("pepper", 2 * _ID),
    )


def _definitions() -> tuple[Column[Any], ...]:
    return (
        _text("kind", _KIND),
        _text("key", _NAME),
        _text("status", _KIND),
        _number("iteration"),
        _number("version"),
        _json("body"),
    )


def _changes() -> tuple[Column[Any], ...]:
    return (
        _number("version"),
        _text("kind", _KIND),
        _text("key", _NAME),
        _text("action", _KIND),
        _number("iteration"),
        _json("body", nullable=True),
        _text("sha256", 2 * _ID, nullable=True),
        Column("previous", BigInteger, nullable=True),
        _text("actor", _UNIT),
        _text("channel", _KIND),
        _json("note"),
        _time("at"),
        _time("effective_at"),
    )


def _epochs() -> tuple[Column[Any], ...]:
    return (
        _text("experiment", _KEY),
        _number("iteration"),
        _number("epoch"),
        _json("weights"),
        _time("started_at"),
    )


def _looks() -> tuple[Column[Any], ...]:
    return (
        _text("experiment", _KEY),
        _number("iteration"),
        _time("computed_at"),
        _text("revision", _VERSION),
        _text("verdict", _KIND),
        _json("body"),
    )


def _exposures() -> tuple[Column[Any], ...]:
    return (
        _text("experiment", _KEY),
        _number("iteration"),
        _text("unit", _UNIT),
        _text("variant", _KEY),
        _number("epoch"),
        _text("reason", _KIND),
        _time("first_at"),
        _small("mixed"),
        _text("merged_into", _UNIT, nullable=True),
        _text("visitor", _ID, nullable=True),
        _json("dimensions"),
        _small("slot"),
        _text("version", _VERSION),
        _time("stored_at"),
    )


def _events() -> tuple[Column[Any], ...]:
    return (
        _text("id", _ID),
        _text("name", _NAME),
        _time("at"),
        _time("stored_at"),
        _value("value"),
        _json("units"),
        _json("properties"),
        _json("variants"),
        _text("version", _VERSION),
    )


def _event_units() -> tuple[Column[Any], ...]:
    return (
        _text("unit", _UNIT),
        _text("name", _NAME),
        _time("at"),
        _text("event_id", _ID),
        _value("value"),
    )


def _links() -> tuple[Column[Any], ...]:
    return (
        _text("visitor", _ID),
        _text("unit", _UNIT),
        _small("first"),
        _time("at"),
    )


def _erasures() -> tuple[Column[Any], ...]:
    return (_text("digest", 2 * _ID), _time("erased_at"))
