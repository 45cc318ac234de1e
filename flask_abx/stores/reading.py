"""Reading what the database holds: all of one version, never half of two."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.exc import IntegrityError

from flask_abx.schema import SCHEMA_VERSION
from flask_abx.stores.database import clock, reading, writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine, Row

    from flask_abx.schema import Tables


class Name(NamedTuple):
    """What a definition is found by."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a database has come.

    Attributes:
        lineage: The random name of this database, made with its tables.
        version: The last version that was published.
    """

    lineage: str
    version: int


#: Where nothing was ever published.
BLANK = Mark("", 0)


@dataclass(frozen=True, slots=True)
class Stored:
    """A definition as it lies in the database.

    Attributes:
        version: The version that changed it last.
        body: Its canonical JSON.
    """

    version: int
    body: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that is published and not yet in force.

    Attributes:
        body: The new canonical JSON, or None where it is taken away.
        previous: The version that changed it before, or None where none did.
        before: The canonical JSON of that version, or None where there was none.
        effective_at: From when on it counts, in milliseconds of the database's clock.
    """

    name: Name
    version: int
    body: str | None
    previous: int | None
    before: str | None
    effective_at: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All definitions of one version.

    Attributes:
        now: What the clock of the database showed, in milliseconds.
        definitions: The latest definitions, in force or not.
        pending: The changes that are not in force yet, by version.
    """

    mark: Mark
    now: int
    definitions: Mapping[Name, Stored]
    pending: tuple[Pending, ...]

    @property
    def bodies(self) -> dict[Name, str]:
        """The canonical JSON of the latest definitions."""
        return {name: stored.body for name, stored in self.definitions.items()}


def read_mark(connection: Connection, tables: Tables) -> Mark:
    """Read how far the database has come."""
    state = tables.state.c
    row = connection.execute(
        select(state.lineage, state.version).where(state.id == 1)
    ).one_or_none()
    return BLANK if row is None else Mark(row.lineage, row.version)


def begin_lineage(engine: Engine, tables: Tables, lineage: str | None = None) -> Mark:
    """Give new tables their random name, unless another process just did."""
    with suppress(IntegrityError), writing(engine) as connection:
        if read_mark(connection, tables) == BLANK:
            connection.execute(
                tables.state.insert().values(
                    id=1,
                    lineage=lineage or new_lineage(),
                    version=0,
                    schema_version=SCHEMA_VERSION,
                    pepper=secrets.token_hex(32),
                )
            )
    with reading(engine) as connection:
        return read_mark(connection, tables)


def new_lineage() -> str:
    """Make the random name of a database."""
    return secrets.token_hex(16)


def read_snapshot(engine: Engine, tables: Tables) -> Snapshot:
    """Read everything of one version."""
    with reading(engine, is_steady=True) as connection:
        mark = read_mark(connection, tables)
        now = clock(connection)
        definitions = _definitions(connection, tables)
        pending = _pending(connection, tables, now)
    return Snapshot(mark, now, definitions, pending)


def _definitions(connection: Connection, tables: Tables) -> dict[Name, Stored]:
    each = tables.definitions.c
    rows = connection.execute(
        select(each.kind, each.key, each.version, each.body).order_by(
            each.kind, each.key
        )
    )
    return {Name(row.kind, row.key): Stored(row.version, row.body) for row in rows}


def _pending(connection: Connection, tables: Tables, now: int) -> tuple[Pending, ...]:
    new, old = tables.changes, tables.changes.alias("earlier")
    join = and_(
        old.c.kind == new.c.kind,
        old.c.key == new.c.key,
        old.c.version == new.c.previous,
    )
    rows = connection.execute(
        select(
            new.c.kind,
            new.c.key,
            new.c.version,
            new.c.body,
            new.c.previous,
            old.c.body.label("before"),
            new.c.effective_at,
        )
        .select_from(new.outerjoin(old, join))
        .where(new.c.effective_at > now)
        .order_by(new.c.version)
    )
    return tuple(_as_pending(row) for row in rows)


def _as_pending(row: Row[*tuple[Any, ...]]) -> Pending:
    name = Name(row.kind, row.key)
    return Pending(
        name, row.version, row.body, row.previous, row.before, row.effective_at
    )
