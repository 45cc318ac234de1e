"""Units that were erased, and what keeps their older records out."""

from __future__ import annotations

import hmac
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from flask_abx.events.sql.statements import find, is_mysql, is_postgresql
from flask_abx.stores.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Engine, Select

    from flask_abx.schema import Tables

#: The digest of nobody: its row is there to be locked.
_SENTINEL = ""


def digest_of(pepper: str, unit: str) -> str:
    """Name a unit so that nobody finds it without the pepper of this database.

    Args:
        pepper: The one in `state`.
        unit: The unit with its type, such as ``user:7``.
    """
    return hmac.digest(
        pepper.encode(), unit.encode("utf-8", "surrogatepass"), "sha256"
    ).hex()


def erased(
    connection: Connection, tables: Tables, units: Collection[str]
) -> dict[str, int]:
    """Tell when which of some units were erased, in milliseconds of the database."""
    erasures, state = tables.erasures.c, tables.state.c
    any_query = select(erasures.digest).where(erasures.digest != _SENTINEL).limit(1)
    if not units or connection.execute(any_query).first() is None:
        return {}
    pepper = connection.execute(
        select(state.pepper).where(state.id == 1)
    ).scalar_one_or_none()
    if pepper is None:
        return {}
    unit_of = {digest_of(pepper, unit): unit for unit in units}
    query = select(erasures.digest, erasures.erased_at)
    rows = find(connection, query, erasures.digest, unit_of)
    return {unit_of[row.digest]: row.erased_at for row in rows}


def lock(connection: Connection, tables: Tables, *, alone: bool = False) -> None:
    """Keep erasures out until the end of the transaction.

    Args:
        connection: In an open transaction, before its first look at the tables.
        tables: The tables.
        alone: True to keep out everybody else who stores records, too.
    """
    if is_postgresql(connection):
        # Who shares the lock of a row again and again would starve who wants it alone.
        name = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(select(getattr(func, name)(_number(tables))))
    elif is_mysql(connection):
        query = _sentinel(tables).with_for_update(read=not alone)
        connection.execute(query).first()


def make_sentinel(engine: Engine, tables: Tables) -> None:
    """Make the row that is locked, where a kind of database needs one."""
    if engine.dialect.name not in {"mysql", "mariadb"}:
        return
    with reading(engine) as connection:
        if connection.execute(_sentinel(tables)).first() is not None:
            return
    row = {"digest": _SENTINEL, "erased_at": 0}
    with suppress(IntegrityError), writing(engine) as connection:
        connection.execute(tables.erasures.insert().values(row))


def _sentinel(tables: Tables) -> Select[tuple[str]]:
    digest = tables.erasures.c.digest
    return select(digest).where(digest == _SENTINEL)


def _number(tables: Tables) -> int:
    name = f"flask_abx:{tables.erasures.fullname}"
    digest = blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
