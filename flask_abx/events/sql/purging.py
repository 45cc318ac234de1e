"""Taking old records away, a few at a time, so that no lock is held for long."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from flask_abx.events.sql.retrying import retried
from flask_abx.events.sql.units import in_parts
from flask_abx.stores.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from flask_abx.schema import Tables

#: How many rows one transaction takes away.
CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Old:
    """What is older than a moment.

    Attributes:
        events: How many events.
        exposures: How many exposures of the experiments that may go, by experiment.
        kept: The other experiments that have older exposures.
    """

    events: int
    exposures: dict[str, int]
    kept: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many records are taken away."""
        return self.events + sum(self.exposures.values())


def find_old(
    engine: Engine, tables: Tables, before: int, archived: Collection[str]
) -> Old:
    """Count what a purge takes away, and name what it leaves.

    Args:
        engine: Whose connections are used.
        tables: The tables.
        before: In milliseconds.
        archived: The experiments whose exposures may go.
    """
    event, exposure = tables.events.c, tables.exposures.c
    exposures, kept = {}, []
    with reading(engine) as connection:
        older = select(func.count()).where(event.at < before)
        events = connection.execute(older).scalar_one()
        for key in _experiments(connection, tables):
            where = (exposure.experiment == key, exposure.first_at < before)
            if key in archived:
                counted = connection.execute(select(func.count()).where(*where))
                exposures[key] = counted.scalar_one()
            elif connection.execute(select(exposure.unit).where(*where).limit(1)).all():
                kept.append(key)
    found = {key: count for key, count in exposures.items() if count}
    return Old(events, found, tuple(kept))


def _experiments(connection: Connection, tables: Tables) -> Iterator[str]:
    """Name every experiment that has exposures, each by one step down the key."""
    column = tables.exposures.c.experiment
    first = select(func.min(column))
    key = connection.execute(first).scalar()
    while key is not None:
        yield key
        key = connection.execute(first.where(column > key)).scalar()


def purge_events(engine: Engine, tables: Tables, before: int) -> Iterator[int]:
    """Take away the events before a moment; gives how many went, chunk by chunk."""
    event = tables.events.c
    ids = select(event.id).where(event.at < before).order_by(event.id).limit(CHUNK)
    last = ""
    while True:
        # Nothing is locked while they are searched for.
        with reading(engine) as connection:
            found = connection.execute(ids.where(event.id > last)).scalars().all()
        if not found:
            return
        yield retried(partial(_drop_events, engine, tables, found))
        last = found[-1]


def _drop_events(engine: Engine, tables: Tables, ids: Sequence[str]) -> int:
    events, belonging = tables.events, tables.event_units
    count = 0
    with writing(engine) as connection:
        for part in in_parts(ids):
            connection.execute(belonging.delete().where(belonging.c.event_id.in_(part)))
            gone = connection.execute(events.delete().where(events.c.id.in_(part)))
            count += gone.rowcount
    return count


def purge_exposures(
    engine: Engine, tables: Tables, before: int, experiment: str
) -> Iterator[int]:
    """Take away the exposures of an experiment before a moment, chunk by chunk."""
    each = tables.exposures.c
    keys = (
        select(each.iteration, each.unit)
        .where(each.experiment == experiment, each.first_at < before)
        .order_by(each.iteration, each.unit)
        .limit(CHUNK)
    )
    after: Any = ()
    while True:
        with reading(engine) as connection:
            found = connection.execute(keys.where(*after)).all()
        if not found:
            return
        for iteration in sorted({row.iteration for row in found}):
            units = [row.unit for row in found if row.iteration == iteration]
            drop = partial(_drop_exposures, engine, tables, experiment)
            yield retried(partial(drop, iteration, units))
        iteration, unit = found[-1]
        later = and_(each.iteration == iteration, each.unit > unit)
        after = (or_(each.iteration > iteration, later),)


def _drop_exposures(
    engine: Engine, tables: Tables, experiment: str, iteration: int, units: list[str]
) -> int:
    table = tables.exposures
    each, count = table.c, 0
    with writing(engine) as connection:
        for part in in_parts(units):
            where = (each.experiment == experiment, each.iteration == iteration)
            gone = connection.execute(table.delete().where(*where, each.unit.in_(part)))
            count += gone.rowcount
    return count
