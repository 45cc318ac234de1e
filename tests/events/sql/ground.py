"""Records that are told, and a database that stores them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import __version__, select

from flask_abx.events.records import digest_of, stamp
from flask_abx.events.sql.erasures import make_sentinel
from flask_abx.events.sql.retrying import retried
from flask_abx.events.sql.storing import store
from flask_abx.stores.change import moment_of
from flask_abx.stores.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Table

    from flask_abx.events.sql.storing import Stored
    from flask_abx.stores.database import Database

    Told = dict[str, Any]

NOON = 1_900_000_000_000
V1, V2 = "1" * 32, "2" * 32
#: Experiments, and the types of unit that they are on.
KINDS = {"both": ("user", "visitor"), "browsers": ("visitor",), "firms": ("tenant",)}

#: Who tells how many rows an insert has added: others read back what is there.
COUNTING = {"sqlite"}
if tuple(map(int, __version__.split(".")[:3])) >= (2, 0, 28):
    COUNTING.add("postgresql")


def moment(seconds: float) -> str:
    """Write a moment some seconds after noon as records do."""
    return stamp(moment_of(NOON) + timedelta(seconds=seconds))


def event(name: str = "order", at: float = 0, **units: str) -> Told:
    """Tell an event; its id is made of everything that is told."""
    return {
        "type": "event",
        "id": digest_of("event", name, str(at), str(sorted(units.items()))),
        "at": moment(at),
        "units": units,
        "version": "3",
        "name": name,
        "value": 49.9,
        "properties": {"tea": "sencha"},
        "variants": {},
    }


def exposure(
    kind: str, *, to: str = "both", variant: str = "bold", at: float = 0, **units: str
) -> Told:
    """Tell an exposure of the unit of a kind."""
    return {
        "type": "exposure",
        "id": digest_of("exposure", to, "1", kind, units[kind]),
        "at": moment(at),
        "units": units,
        "version": "3",
        "experiment": to,
        "iteration": 1,
        "variant": variant,
        "reason": "allocated",
        "unit_type": kind,
        "unit": units[kind],
        "dimensions": {"country": "DE"},
    }


class Ground:
    """Stores records, and reads rows.

    Args:
        database: Where the tables are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tables = database.tables
        self.kinds: Mapping[str, tuple[str, ...]] = KINDS
        make_sentinel(database.own, self.tables)

    def store(self, *records: Told) -> Stored:
        """Store records as one chunk."""
        return retried(partial(self._store, records))

    def _store(self, records: Sequence[Told]) -> Stored:
        with writing(self.database.own) as connection:
            return store(connection, self.tables, records, self._kinds_of)

    def _kinds_of(self, experiment: str) -> tuple[str, ...]:
        return self.kinds.get(experiment, ())

    def add(self, table: Table, *rows: Mapping[str, object]) -> None:
        """Insert rows as they are."""
        with writing(self.database.own) as connection:
            connection.execute(table.insert(), [dict(row) for row in rows])

    def rows(self, table: Table, *, besides: Iterable[str] = ()) -> list[Told]:
        """Read a table in the order of its key, but for some columns."""
        query = select(*(each for each in table.c if each.name not in {*besides}))
        with reading(self.database.own) as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        # Each database sorts letters in an order of its own.
        key = [each.name for each in table.primary_key if each.name not in {*besides}]
        return sorted(rows, key=lambda row: [row[name] for name in key])

    def exposed(self, unit: str, to: str = "both") -> Told:
        """Read the one exposure of a unit."""
        rows = self.rows(self.tables.exposures)
        (row,) = [row for row in rows if (row["unit"], row["experiment"]) == (unit, to)]
        return row

    def belonging(self) -> dict[str, set[str]]:
        """Read to which units each event belongs, by its name."""
        found: dict[str, set[str]] = {}
        for row in self.rows(self.tables.event_units):
            found.setdefault(row["name"], set()).add(row["unit"])
        return found

    def everything(self, *, besides: Iterable[str] = ()) -> list[list[Told]]:
        """Read every table that records are stored in, but for when they arrived."""
        tables = self.tables
        wanted = (tables.exposures, tables.events, tables.event_units, tables.links)
        return [self.rows(table, besides={"stored_at", *besides}) for table in wanted]
