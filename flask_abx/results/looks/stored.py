"""Stored looks: what each refresh found, and what must survive until the next."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from flask_abx.results.looks.kept import Kept
from flask_abx.results.shapes import Results
from flask_abx.stores.change import milliseconds_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flask_abx.schema import Tables


@dataclass(frozen=True, slots=True)
class Look:
    """One stored look.

    Attributes:
        results: What it found.
        kept: What is handed on to the next.
    """

    results: Results
    kept: Kept


def latest_look(
    connection: Connection, tables: Tables, key: str, iteration: int | None = None
) -> Look | None:
    """Read the last look at an experiment.

    Args:
        connection: Where to read.
        tables: The tables.
        key: The experiment.
        iteration: Which of its runs; None is the last one that was looked at.
    """
    table = tables.looks
    query = (
        select(table.c.body)
        .where(table.c.experiment == key)
        .order_by(table.c.iteration.desc(), table.c.computed_at.desc())
        .limit(1)
    )
    if iteration is not None:
        query = query.where(table.c.iteration == iteration)
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else _read(body)


def all_looks(connection: Connection, tables: Tables, key: str) -> tuple[Results, ...]:
    """Read every look at an experiment, the first one first."""
    table = tables.looks
    query = (
        select(table.c.body)
        .where(table.c.experiment == key)
        .order_by(table.c.iteration, table.c.computed_at)
    )
    return tuple(_read(body).results for body in connection.execute(query).scalars())


def count_looks(
    connection: Connection, tables: Tables, key: str, iteration: int
) -> int:
    """Count the looks at one run of an experiment."""
    table = tables.looks
    query = select(func.count()).where(
        table.c.experiment == key, table.c.iteration == iteration
    )
    return int(connection.execute(query).scalar_one())


def store_look(connection: Connection, tables: Tables, look: Look) -> None:
    """Store a look; it stays as it is."""
    results = look.results
    table, at = tables.looks, milliseconds_of(results.computed_at)
    last = connection.execute(
        select(func.max(table.c.computed_at)).where(
            table.c.experiment == results.experiment,
            table.c.iteration == results.iteration,
        )
    ).scalar_one()
    if last is not None:
        # Two looks within a millisecond, or a clock that was set back.
        at = max(at, last + 1)
    body: dict[str, Any] = {
        "results": results.to_dict(),
        "kept": look.kept.to_dict(),
    }
    connection.execute(
        table.insert().values(
            experiment=results.experiment,
            iteration=results.iteration,
            computed_at=at,
            revision=results.method.revision,
            verdict=results.verdict.code.value,
            body=json.dumps(body, separators=(",", ":"), allow_nan=False),
        )
    )


def _read(body: str) -> Look:
    told = json.loads(body)
    return Look(Results.from_dict(told["results"]), Kept.from_dict(told["kept"]))
