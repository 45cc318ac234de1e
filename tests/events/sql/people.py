"""Rows of people in the tables, written without a drain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flask_abx.events.records import digest_of
from flask_abx.stores.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Table

    from flask_abx.stores.database import Database

#: The browsers of two people.
ANNAS, BENS = "a" * 32, "b" * 32
NOON = 1_900_000_000_000


class Rows:
    """Writes rows, and reads them.

    Args:
        database: Where the tables are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tables = database.tables

    def exposure(
        self,
        unit: str,
        *,
        experiment: str = "headline",
        visitor: str | None = None,
        merged_into: str | None = None,
        at: int = NOON,
    ) -> None:
        """Write that a unit met a variant."""
        row = {
            "experiment": experiment,
            "iteration": 1,
            "unit": unit,
            "variant": "bold",
            "epoch": 1,
            "reason": "allocated",
            "first_at": at,
            "mixed": 0,
            "merged_into": merged_into,
            "visitor": visitor,
            "dimensions": "{}",
            "slot": 7,
            "version": "3",
            "stored_at": at,
        }
        self._insert(self.tables.exposures, [row])

    def event(
        self,
        order: str,
        units: Mapping[str, str],
        *others: str,
        at: int = NOON,
        properties: Mapping[str, Any] | None = None,
    ) -> str:
        """Write that something happened, also to others than it names; give its id."""
        return self.events([order], units, *others, at=at, properties=properties)[0]

    def events(
        self,
        orders: Sequence[str],
        units: Mapping[str, str],
        *others: str,
        at: int = NOON,
        properties: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Write several at once."""
        ids = [digest_of("event", "purchase", order) for order in orders]
        row = {
            "name": "purchase",
            "at": at,
            "stored_at": at,
            "value": 9.5,
            "units": json.dumps(units),
            "properties": json.dumps(properties or {}),
            "variants": '{"headline": "bold"}',
            "version": "3",
        }
        self._insert(self.tables.events, [{"id": id_, **row} for id_ in ids])
        belonging = [
            {"unit": unit, "name": "purchase", "at": at, "event_id": id_, "value": 9.5}
            for unit in [*(f"{kind}:{id_}" for kind, id_ in units.items()), *others]
            for id_ in ids
        ]
        self._insert(self.tables.event_units, belonging)
        return ids

    def link(self, visitor: str, user: str, *, first: int = 1) -> None:
        """Write that a browser was used by a user."""
        row = {"visitor": visitor, "unit": f"user:{user}", "first": first, "at": NOON}
        self._insert(self.tables.links, [row])

    def all(self, table: Table) -> list[dict[str, Any]]:
        """Read a table in the order of its key."""
        key = table.primary_key.columns
        with reading(self.database.own) as connection:
            rows = connection.execute(select(table).order_by(*key)).mappings()
            return [dict(row) for row in rows]

    def units(self, table: Table) -> list[str]:
        """Name the units of a table."""
        return [row["unit"] for row in self.all(table)]

    def counts(self) -> tuple[int, ...]:
        """Count exposures, events, event_units and links."""
        four = ("exposures", "events", "event_units", "links")
        return tuple(len(self.all(getattr(self.tables, name))) for name in four)

    def text(self) -> str:
        """Write down every cell of every table."""
        return repr([self.all(table) for table in self.tables.all])

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        with writing(self.database.own) as connection:
            connection.execute(table.insert(), rows)


def two_people(rows: Rows) -> None:
    """Have Anna use two browsers, and Ben one of hers after her, and one of his own."""
    rows.link(ANNAS, "anna")
    rows.link("c" * 32, "anna")
    rows.link(ANNAS, "ben", first=0)
    rows.link(BENS, "ben")
    rows.exposure(f"visitor:{ANNAS}", visitor=ANNAS, merged_into="user:anna")
    rows.exposure("user:anna", visitor=ANNAS)
    rows.exposure("user:ben", visitor=ANNAS)
    rows.exposure("tenant:acme", experiment="prices", visitor=ANNAS)
    rows.event("1", {"visitor": ANNAS}, "user:anna")
    rows.event("2", {"user": "anna"}, f"visitor:{ANNAS}", f"visitor:{'c' * 32}")
    secret = {"note": "for anna"}
    rows.event("3", {"user": "anna", "tenant": "acme"}, properties=secret)
    rows.event("4", {"visitor": ANNAS, "user": "ben"}, properties={"note": "ben"})
    rows.event("5", {"visitor": BENS}, "user:ben")
