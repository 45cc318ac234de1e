"""DuckDB gives the results that the database gives, and says what it has not."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from sqlalchemy import column, table

from flask_abx.errors import SetupError, UnknownExperiment, UsageError
from flask_abx.experiments.definition import parse
from flask_abx.experiments.metric import Metric
from flask_abx.results.refresh import Metrics, look
from flask_abx.results.shapes import Reading, Results
from flask_abx.results.warehouse import load, opened, results_from
from flask_abx.stores.database import reading
from tests.databases import fresh_database
from tests.results.tilled import DAY, HOUR, SECOND, START, Field
from tests.results.warehoused import exported
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.experiments.model import Document

AS_OF = START + 20 * DAY
NOW = datetime.fromtimestamp(AS_OF / 1000, UTC)
METRICS: dict[str, dict[str, Any]] = {
    "signup": {},
    "revenue": {"kind": "sum", "event": "order", "cap": 0.99, "window": "2d"},
    "green": {"kind": "count", "event": "order", "where": {"tea": "green"}},
}


def definitions(**told: Any) -> Document:
    tea = {"variants": ["control", "bold"], "metrics": [*METRICS], **told}
    return parse({"metrics": METRICS, "experiments": {"tea": tea}})


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Store what three hundred units did."""
    folder = tmp_path_factory.mktemp("field")
    with fresh_database("sqlite", folder) as url, database_at(url) as database:
        made = Field(database, "sqlite")
        for number in range(300):
            unit, variant = f"u{number}", ("control", "bold")[number % 2]
            told = f'{{"country":"{("DE", "FR")[number % 3 % 2]}"}}'
            made.exposed(unit, variant, number * SECOND, dimensions=told)
            if number % 5 == 0:
                made.did(unit, "signup", HOUR + number)
            if number % 4 == 0:
                tea = ("green", "black")[number % 8 // 4]
                made.did(unit, "order", DAY, 1.5 * number, tea=tea)
        yield made


@pytest.fixture(scope="module")
def folder(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export it."""
    return exported(field.database, tmp_path_factory.mktemp("parquet") / "out")


def plain(field: Field, document: Document) -> Results:
    with reading(field.database.own) as connection:
        tables, told = field.database.tables, Metrics(document.metrics)
        return look(connection, tables, document, told, "tea", now=AS_OF)


def bare(results: Results) -> Results:
    return replace(results, seconds=0, notes=())


def test_an_export_gives_what_the_database_gives(field: Field, folder: Path) -> None:
    document = definitions(dimensions=["country"])
    found = results_from(folder, document, "tea", as_of=NOW)
    assert bare(found) == bare(plain(field, document))
    assert "An export does not tell what was changed when" in found.notes[-1]


def test_tables_give_what_the_export_gives(folder: Path) -> None:
    with duckdb.connect() as own:
        load(folder, own)
        found = results_from(own, definitions(), "tea", as_of=NOW)
        # Nothing of the look is left.
        assert len(own.execute("SHOW ALL TABLES").fetchall()) == 4
    assert bare(found) == bare(results_from(folder, definitions(), "tea", as_of=NOW))


def test_tables_that_may_not_be_written_will_do(folder: Path, tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "shop.duckdb") as own:
        load(folder, own, prefix="shop_")
    with duckdb.connect(tmp_path / "shop.duckdb", read_only=True) as own:
        found = results_from(own, definitions(), "tea", prefix="shop_")
    assert sum(each.units for each in found.variants) == 300


def test_a_row_that_was_exported_twice_counts_as_it_was_told_last(
    tmp_path: Path,
) -> None:
    with fresh_database("sqlite", tmp_path) as url, database_at(url) as database:
        field = Field(database, "sqlite")
        for unit in ("a", "b"):
            field.exposed(unit)
            field.did(unit, "order", HOUR, 2)
        folder = exported(database, tmp_path / "out")
        with database.own.begin() as connection:
            connection.execute(database.tables.exposures.update().values(mixed=1))
        exported(database, folder, since=START)
    with opened(folder) as (connection, tables):
        rows = connection.execute(tables.exposures.select()).all()
        events = connection.execute(tables.event_units.select()).all()
    assert [row.mixed for row in rows] == [1, 1]
    assert len(events) == 2


def test_without_a_moment_it_is_that_of_the_latest_row(folder: Path) -> None:
    found = results_from(folder, definitions(), "tea")
    assert found.as_of == datetime.fromtimestamp((START + DAY + 1) / 1000, UTC)


def test_the_end_of_what_is_over_has_to_be_told(folder: Path) -> None:
    over = definitions(status="archived")
    with pytest.raises(UsageError, match="is over, and nothing here tells since when"):
        results_from(folder, over, "tea")
    assert results_from(folder, over, "tea", as_of=NOW).as_of == NOW


def test_what_is_known_of_the_run_can_be_given(field: Field, folder: Path) -> None:
    run = replace(field.iteration(), experiment=definitions().experiments["tea"])
    known = replace(run, started_at=START - DAY, concluded_at=START + HOUR)
    found = results_from(folder, definitions(), "tea", as_of=NOW, run=known)
    assert found.ended_at == datetime.fromtimestamp((START + HOUR) / 1000, UTC)
    assert not any("An export does not tell" in each for each in found.notes)


def sold(folder: Path, *, has_table: bool) -> Results:
    orders = table("orders", *map(column, ("unit", "time", "value")))
    told = Metrics({"sold": Metric(kind="sum")}, {"sold": orders.select()})  # type: ignore[arg-type] # read as text
    document = definitions(metrics=["sold"])
    with duckdb.connect() as own:
        load(folder, own)
        if has_table:
            own.execute("CREATE TABLE orders (unit TEXT, time TIMESTAMP, value INT)")
            row = ("u0", datetime.fromtimestamp(START // 1000 + 60, UTC), 7)
            own.execute("SET TimeZone = 'UTC'")
            own.execute("INSERT INTO orders VALUES (?, ?, ?)", row)
        return results_from(own, document, "tea", metrics=told, as_of=NOW)


def test_a_statement_reads_a_table_that_is_there(folder: Path) -> None:
    (metric,) = sold(folder, has_table=True).metrics
    assert [each.total for each in metric.samples] == [7, 0]


def test_a_statement_whose_table_is_missing_says_so(folder: Path) -> None:
    (metric,) = sold(folder, has_table=False).metrics
    (comparison,) = metric.comparisons
    assert comparison.reading is Reading.FAILED
    assert "The statement of metric 'sold' failed" in comparison.reason
    assert "orders" in comparison.reason


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no Parquet files of 'exposures'"):
        results_from(tmp_path, definitions(), "tea")


def test_a_duckdb_without_the_tables_is_refused() -> None:
    with duckdb.connect() as own, pytest.raises(UsageError, match="has no table 'abx_"):
        results_from(own, definitions(), "tea")


def test_an_experiment_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UnknownExperiment, match="'te'"):
        results_from(folder, definitions(), "te")


def test_without_duckdb_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SetupError, match=r"pip install flask-abx\[warehouse\]"):
        results_from(folder, definitions(), "tea")
