"""What was published before: the audit, and the content of earlier versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from flask_abx.experiments.lifecycle import Action
from flask_abx.stores.change import CONFIG, Change, moment_of
from flask_abx.stores.database import reading
from flask_abx.stores.reading import Name
from flask_abx.stores.writing import content_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

    from flask_abx.schema import Tables


def read_changes(
    engine: Engine, tables: Tables, *, key: str | None = None, limit: int | None = None
) -> tuple[Change, ...]:
    """Read who changed what, the latest first.

    Args:
        engine: Whose connections are used.
        tables: Where the changes are.
        key: The key of one definition; all where it is None.
        limit: How many at most.
    """
    new, old = tables.changes, tables.changes.alias("earlier")
    is_before = and_(
        old.c.kind == new.c.kind,
        old.c.key == new.c.key,
        old.c.version == new.c.previous,
    )
    query = (
        select(*new.c, old.c.body.label("before"))
        .select_from(new.outerjoin(old, is_before))
        .order_by(new.c.version.desc(), new.c.kind, new.c.key)
        .limit(limit)
    )
    if key is not None:
        query = query.where(new.c.key == key)
    with reading(engine) as connection:
        return tuple(_change(row) for row in connection.execute(query))


def bodies_at(
    connection: Connection, tables: Tables, version: int, *, is_config: bool
) -> dict[Name, tuple[int, str]]:
    """Read the definitions as they were in a version, each with its own version.

    Args:
        connection: Where to read.
        tables: Where the changes are.
        version: The version.
        is_config: True for what the configuration defined, False for what was in the
            table of definitions.
    """
    table = tables.changes
    last = (
        select(table.c.kind, table.c.key, func.max(table.c.version).label("version"))
        .where(table.c.version <= version)
        .group_by(table.c.kind, table.c.key)
    )
    is_told = table.c.channel == CONFIG
    last = last.where(is_told if is_config else ~is_told)
    found = last.subquery()
    is_last = and_(
        table.c.kind == found.c.kind,
        table.c.key == found.c.key,
        table.c.version == found.c.version,
    )
    rows = connection.execute(
        select(table.c.kind, table.c.key, table.c.version, table.c.body).select_from(
            table.join(found, is_last)
        )
    )
    return {
        Name(row.kind, row.key): (row.version, row.body)
        for row in rows
        if row.body is not None
    }


def _change(row: Row[*tuple[Any, ...]]) -> Change:
    return Change(
        version=row.version,
        kind=row.kind,
        key=row.key,
        action=Action(row.action),
        iteration=row.iteration,
        before=content_of(row.before),
        after=content_of(row.body),
        previous=row.previous,
        actor=row.actor,
        channel=row.channel,
        note=row.note,
        at=moment_of(row.at),
        effective_at=moment_of(row.effective_at),
    )
