"""The rows of a database as its Parquet export has them, and DuckDB reading that."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from flask_abx.events.export.datasets import day_text
from flask_abx.events.export.folder import Folder
from flask_abx.events.export.parquet import ParquetWriter
from flask_abx.events.sql.exporting import Wanted, export, run_name
from flask_abx.results.warehouse import load, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from flask_abx.events.export.datasets import Dataset, Writer
    from flask_abx.schema import Tables
    from flask_abx.stores.database import Database

#: The ways in which DuckDB has the rows.
WAREHOUSES = ("duckdb", "parquet")


def exported(database: Database, path: Path, *, since: int | None = None) -> Path:
    """Export a database as the command does."""
    folder = Folder(path, {"format": "parquet"}, adds=since is not None)

    def write(dataset: Dataset, now: int) -> Writer:
        empty_day = None if folder.holds(dataset.name) else day_text(now)
        return ParquetWriter(folder.create, dataset, run_name(now), empty_day)

    with folder.opened():
        export(database, Wanted(since=since), folder, write)
    return path


@contextmanager
def warehouse(kind: str, folder: Path) -> Iterator[tuple[Connection, Tables]]:
    """Open an export in one of the ways."""
    if kind == "parquet":
        with opened(folder) as told:
            yield told
        return
    with duckdb.connect() as own:
        load(folder, own)
        with opened(own) as told:
            yield told
