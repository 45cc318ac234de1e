"""Records that are stored, and what an export makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask_abx.events.export.folder import Folder
from flask_abx.events.export.text import JsonLinesWriter
from flask_abx.events.records import digest_of
from flask_abx.events.sql.exporting import Wanted, export
from flask_abx.events.sql.storing import store
from flask_abx.stores.database import writing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flask_abx.events.export.datasets import Dataset, Writer
    from flask_abx.events.sql.exporting import Done
    from flask_abx.stores.database import Database

ANNAS, BENS = "a" * 32, "b" * 32
DAY, NEXT_DAY = "2030-01-07T09:00:00.000Z", "2030-01-08T09:00:00.000Z"


def exposure(
    unit: str = ANNAS, kind: str = "visitor", **fields: object
) -> dict[str, Any]:
    """Give an exposure as the log has it."""
    experiment = str(fields.get("experiment", "headline"))
    return {
        "type": "exposure",
        "id": digest_of("exposure", experiment, "1", kind, unit),
        "at": DAY,
        "experiment": experiment,
        "iteration": 1,
        "variant": "bold",
        "reason": "allocated",
        "unit_type": kind,
        "unit": unit,
        "units": {kind: unit},
        "dimensions": {"country": "DE"},
        "version": "c0",
        **fields,
    }


def event(name: str = "order", **fields: object) -> dict[str, Any]:
    """Give an event as the log has it."""
    return {
        "type": "event",
        "id": digest_of("event", name, str(fields.get("units"))),
        "at": DAY,
        "name": name,
        "value": 49.9,
        "variants": {"headline": "bold"},
        "units": {"visitor": ANNAS},
        "properties": {"tea": "sencha"},
        "version": "c0",
        **fields,
    }


def keep(
    database: Database, *records: Mapping[str, Any], stored_at: int | None = None
) -> None:
    """Store records, at a moment of one's own."""
    tables = database.tables
    with writing(database.own) as connection:
        store(connection, tables, records, lambda key: ("user", "visitor"))
        for table in (tables.events, tables.exposures):
            if stored_at is not None:
                connection.execute(table.update().values(stored_at=stored_at))


def exported(
    database: Database, path: Path, wanted: Wanted | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Export as JSON lines, and read what was written."""
    export_into(database, path, wanted)
    return {
        file.stem: [json.loads(line) for line in file.read_text().splitlines()]
        for file in path.glob("*.jsonl")
    }


def export_into(database: Database, path: Path, wanted: Wanted | None = None) -> Done:
    with Folder(path, {}, adds=False).opened() as folder:

        def write(dataset: Dataset, now: int) -> Writer:
            del now
            return JsonLinesWriter(folder.create(f"{dataset.name}.jsonl"), dataset)

        return export(database, wanted or Wanted(), folder, write)
