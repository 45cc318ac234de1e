"""Parquet as DuckDB reads it, in a memory that days do not fill."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import duckdb
import pytest

from flask_abx.errors import SetupError
from flask_abx.events.export import parquet
from flask_abx.events.export.datasets import EPOCHS, EVENT_UNITS, EVENTS
from flask_abx.events.export.parquet import ParquetWriter, check_installed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask_abx.events.export.datasets import Dataset, Row

DAY = 86_400_000


def event(at: int) -> Row:
    return ("event", f"e{at}", at, "order", 1.5, "{}", '{"user": "7"}', "{}", "c0")


def creator(folder: Path) -> Callable[[str], BinaryIO]:
    def create(name: str) -> BinaryIO:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")

    return create


def written(folder: Path, *rows: Row, dataset: Dataset = EVENTS) -> list[Path]:
    writer = ParquetWriter(creator(folder), dataset, "run", "2030-01-07")
    for row in rows:
        writer.write([row])
    writer.close()
    return sorted(folder.rglob("*.parquet"))


def asked(folder: Path, query: str, name: str = "events") -> list[tuple[Any, ...]]:
    source = f"read_parquet('{folder}/{name}/**/*.parquet', hive_partitioning=true)"
    with duckdb.connect() as connection:
        return connection.sql(query.format(source)).fetchall()


def test_rows_are_parted_by_day(tmp_path: Path) -> None:
    found = written(tmp_path, event(0), event(DAY), event(DAY - 1))
    assert [path.parent.name for path in found] == ["day=1970-01-01", "day=1970-01-02"]
    assert asked(
        tmp_path, "SELECT day::text, count(*) FROM {} GROUP BY 1 ORDER BY 1"
    ) == [
        ("1970-01-01", 2),
        ("1970-01-02", 1),
    ]


def test_columns_have_the_types_that_others_expect(tmp_path: Path) -> None:
    written(tmp_path, event(1234))
    query = """SELECT typeof("at"), typeof(value), units->>'user' FROM {}"""
    rows = asked(tmp_path, query)
    assert rows == [("TIMESTAMP WITH TIME ZONE", "DOUBLE", "7")]
    told = asked(tmp_path, 'SELECT epoch_ms("at") FROM {}')
    assert told == [(1234,)]


def test_nothing_is_null(tmp_path: Path) -> None:
    written(tmp_path, (*event(0)[:4], None, *event(0)[5:]))
    assert asked(tmp_path, "SELECT value IS NULL FROM {}") == [(True,)]


def test_what_has_no_day_is_not_parted(tmp_path: Path) -> None:
    (path,) = written(tmp_path, ("headline", 1, 1, "{}", 0), dataset=EPOCHS)
    assert path.parent == tmp_path / "epochs"


@pytest.mark.parametrize("dataset", [EVENT_UNITS, EPOCHS], ids=lambda each: each.name)
def test_without_rows_there_are_columns(dataset: Dataset, tmp_path: Path) -> None:
    written(tmp_path, dataset=dataset)
    assert asked(tmp_path, "SELECT * FROM {}", dataset.name) == []


def test_few_rows_and_few_files_are_held_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP", 10)
    monkeypatch.setattr(parquet, "HELD", 20)
    writer = ParquetWriter(creator(tmp_path), EVENTS, "run", None)
    for number in range(1_000):
        writer.write([event(number % 50 * DAY + number)])
        assert writer._held <= 20
        assert len(writer._parts) <= parquet.OPEN
    writer.close()
    assert asked(tmp_path, "SELECT count(DISTINCT id) FROM {}") == [(1_000,)]


def test_the_extra_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SetupError, match=r'pip install "flask-abx\[parquet\]"'):
        check_installed()
