"""The tables of an application, read by DuckDB from the Parquet files of an export."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask_abx.errors import UsageError
from flask_abx.events.export.datasets import (
    EPOCHS,
    EVENT_UNITS,
    EVENTS,
    EXPOSURES,
    Kind,
)
from flask_abx.events.export.folder import CONTENTS

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from flask_abx.events.export.datasets import Dataset

#: What the columns of a table are made of, where an export calls them otherwise.
_UNIT = "unit_type || ':' || unit AS unit"
COLUMNS = {
    EXPOSURES: (
        f"experiment, iteration, {_UNIT}, variant, epoch, reason, first_at, "
        "mixed::SMALLINT AS mixed, merged_into, NULL::VARCHAR AS visitor, dimensions, "
        "slot, version, first_at AS stored_at"
    ),
    EVENTS: (
        'id, name, "at", "at" AS stored_at, value, units, properties, variants, version'
    ),
    EVENT_UNITS: f'{_UNIT}, name, "at", event_id, value',
    EPOCHS: "experiment, iteration, epoch, weights, started_at",
}
NO_FILES = (
    "{!r} has no Parquet files of {!r}: write them with "
    "`flask abx events export --format parquet -o DIR`."
)
#: By what a row is told from the next, where it may have been exported twice.
_KEYS = {
    EXPOSURES: "id",
    EVENTS: "id",
    EVENT_UNITS: "unit_type, unit, event_id",
    EPOCHS: "experiment, iteration, epoch",
}
#: The moment of an export is part of the names of its files.
_MOMENT = r"regexp_extract(filename, 'part-([^-/]+)-[0-9]+\.parquet$', 1)"


def read_folder(
    connection: DuckDBPyConnection, folder: Path, prefix: str, *, is_copied: bool
) -> None:
    """Make the tables of an export, or views of its files.

    Args:
        connection: Where they are made.
        folder: What ``flask abx events export --format parquet -o`` was given.
        prefix: What the names begin with.
        is_copied: True to make tables, which need the files no more.

    Raises:
        UsageError: If it holds no such export.
    """
    is_repeated = exports(folder) != 1
    made = "TABLE" if is_copied or is_repeated else "VIEW"
    for dataset in COLUMNS:
        files = f"{folder}/{dataset.name}/**/*.parquet"
        if not any((folder / dataset.name).rglob("*.parquet")):
            if dataset is EPOCHS:
                # Where none began, a later export leaves no file of them.
                continue
            raise UsageError(NO_FILES.format(str(folder), dataset.name))
        query = _query(dataset, files, is_repeated=is_repeated)
        name = f"{prefix}{dataset.name}"
        connection.execute(f"CREATE OR REPLACE {made} {name} AS {query}")


def exports(folder: Path) -> int:
    """Count the exports in a folder; 0 where nothing tells."""
    try:
        told = json.loads((folder / CONTENTS).read_text("utf-8"))
        return sum(bool(each["files"]) for each in told["exports"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def _query(dataset: Dataset, files: str, *, is_repeated: bool) -> str:
    times = [f'"{each.name}"' for each in dataset.columns if each.kind is Kind.TIME]
    read = ", ".join(f"epoch_ms({each}) AS {each}" for each in times)
    quoted = files.replace("'", "''")
    rows = f"read_parquet('{quoted}', hive_partitioning = false, filename = true)"
    rows = f"(SELECT * REPLACE ({read}) FROM {rows})"  # noqa: S608 - of our own words
    query = f"SELECT {COLUMNS[dataset]} FROM {rows}"  # noqa: S608 - the same
    if not is_repeated:
        return query
    # Whoever is told twice is as they were told last.
    last = f"PARTITION BY {_KEYS[dataset]} ORDER BY {_MOMENT} DESC"
    rows = f"(SELECT * FROM {rows} QUALIFY row_number() OVER ({last}) = 1)"  # noqa: S608 - the same
    return f"SELECT {COLUMNS[dataset]} FROM {rows}"  # noqa: S608 - the same
