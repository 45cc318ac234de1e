"""Spark adds up what the database adds up, of twenty thousand units."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.errors import SetupError, UsageError
from flask_abx.experiments.definition import parse
from flask_abx.results.aggregate import aggregate
from flask_abx.results.engines.spark import translated
from flask_abx.results.looks.iteration import Iteration
from flask_abx.results.metrics import measures
from flask_abx.results.warehouse import opened
from flask_abx.stores.database import reading
from tests.benchmarks.crowd import fill
from tests.benchmarks.looks import DEFINITIONS, KEY
from tests.databases import fresh_database
from tests.results.agreement import differences, different_days
from tests.results.warehoused import exported
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.schema import Tables

NOW = 1_900_022_400_000
UNITS, EVENTS = 20_000, 60_000


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """Start Spark on this machine, where there is a Java for it."""
    if shutil.which("java") is None:
        pytest.skip("There is no java, so nothing is tried on Spark.")
    sql = pytest.importorskip("pyspark.sql", reason="There is no pyspark.")
    builder = sql.SparkSession.builder.master("local[2]")
    for name, value in (("ui.enabled", "false"), ("sql.shuffle.partitions", "4")):
        builder = builder.config(f"spark.{name}", value)
    found = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    yield found
    found.stop()


def added_up(connection: Connection, tables: Tables) -> Aggregates:
    document = parse(DEFINITIONS)
    run = Iteration(document.experiments[KEY], 1)
    asked = measures(run.experiment, document.metrics, {})
    by = run.experiment.dimensions
    return aggregate(connection, tables, run, asked, as_of=NOW, dimensions=by)


# What Spark says of other libraries, and its sockets, are its own business.
@pytest.mark.filterwarnings("ignore:PySpark does not yet:FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sums_are_the_same(
    session: Any,  # noqa: ANN401 - a session of Spark
    tmp_path: Path,
) -> None:
    with fresh_database("sqlite", tmp_path) as url:
        fill("sqlite", url, UNITS, EVENTS, NOW)
        with database_at(url, is_empty=True) as database:
            folder = exported(database, tmp_path / "out")
            with reading(database.own) as connection:
                expected = added_up(connection, database.tables)
    with opened(folder, spark=session) as told:
        found = added_up(*told)
    assert sum(each.units for each in found.exposed.values()) == UNITS
    assert [*differences(found.sums, expected.sums)] == []
    assert [*different_days(found.series, expected.series)] == []
    by = (each.sums_by["country"] for each in (found, expected))
    assert [*differences(*by)] == []
    assert found.caps == expected.caps
    assert session.catalog.listTables() == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_json_stays_as_it_was_written(
    session: Any,  # noqa: ANN401 - a session of Spark
) -> None:
    text = '{"a":1.0,"b":"x: 1, 2","c":1e+16,"d":null,"e":"1"}'
    for key, token in (("a", "1.0"), ("b", '"x: 1, 2"'), ("c", "1e+16"), ("e", '"1"')):
        told = translated("SELECT json_extract(?, ?)", [text, f"/{key}"])
        assert session.sql(told).collect()[0][0] == token


def test_parameters_become_part_of_the_statement() -> None:
    statement = "SELECT '?', ? FROM t WHERE a = ? AND b < ?"
    told = translated(statement, ["it's \\ odd", 3, 0.1])
    assert told == (
        r"SELECT '?', 'it\'s \\ odd' FROM t WHERE a = 3 AND b < 1.00000000000000006e-01"
    )


def test_fields_of_json_are_found_by_their_names() -> None:
    told = translated("SELECT json_extract(text, ?) FROM t", ["/a.b~1c~0"])
    assert told.count("'$[\"a.b/c~\"]'") == 1


def test_without_sqlglot_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with (
        pytest.raises(SetupError, match=r"pip install flask-abx\[warehouse\]"),
        opened(tmp_path, spark=object()),
    ):
        pass


def test_spark_reads_folders_alone() -> None:
    with (
        pytest.raises(UsageError, match="Spark reads a folder"),
        opened(object(), spark=object()),  # type: ignore[arg-type] # that is the point
    ):
        pass
