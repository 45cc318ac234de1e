"""The same results from DuckDB: from an export, or from tables that were made of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    MetaData,
    Table,
    cast,
    func,
    literal_column,
    null,
    select,
    text,
)

from flask_abx.errors import SetupError, UnknownExperiment, UsageError
from flask_abx.experiments.faults import suggestion
from flask_abx.results.engines.exported import read_folder
from flask_abx.results.engines.foreign import connected
from flask_abx.results.engines.spark import spark_connected
from flask_abx.results.logs import without_selects
from flask_abx.results.refresh import Metrics, look
from flask_abx.schema import Tables, make_tables
from flask_abx.stores.change import milliseconds_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection
    from sqlalchemy import Connection

    from flask_abx.experiments.model import Document
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.shapes import Results

#: Without these there is nothing to add up.
_NEEDED = ("exposures", "event_units", "events")
#: What is said of tables that came without the changes of the definitions.
_UNTOLD = (
    "An export does not tell what was changed when: no plan counts, pauses and changes "
    "in mid-run are not seen, and neither are clocks that disagree."
)


def results_from(
    source: str | Path | DuckDBPyConnection,
    document: Document,
    key: str,
    *,
    metrics: Metrics | None = None,
    iteration: int | None = None,
    as_of: datetime | None = None,
    run: Iteration | None = None,
    prefix: str = "abx_",
    spark: Any = None,  # noqa: ANN401 - a session of Spark
) -> Results:
    """Compute the results of an experiment in DuckDB or Spark, and store nothing.

    Args:
        source: The folder of a Parquet export, or a DuckDB with the tables.
        document: The definitions.
        key: The experiment, which is among them.
        metrics: What is measured; None for what the definitions declare.
        iteration: Which of its runs; None is the current one.
        as_of: The moment up to which is counted, which the data must cover; None for
            that of the latest row.
        run: What is known of the run, as `results.looks.history.read_iteration`
            reads it from the database of the application; None for what the tables
            tell. An export has no history of changes, so a plan counts only with it.
        prefix: What the names of the tables begin with.
        spark: A session of Spark that reads the folder instead of DuckDB.

    Raises:
        SetupError: If DuckDB, or SQLGlot for Spark, is not installed.
        UnknownExperiment: If the definitions have no such experiment.
        UsageError: If tables are missing, or the end of a run that is over is unknown.
    """
    _check_known(document, key)
    asked = Metrics(document.metrics) if metrics is None else metrics
    if spark is not None:
        # The tables of the application are not there.
        document = without_selects(document, key, asked)
    with opened(source, prefix, spark) as (connection, tables):
        now = _latest(connection, tables) if as_of is None else milliseconds_of(as_of)
        number = iteration or document.experiments[key].iteration
        is_known = run is not None or _has_history(connection, tables, key, number)
        if not is_known and as_of is None:
            _check_open(document, key, number)
        found = look(
            connection, tables, document, asked, key, now=now, number=number, run=run
        )
    return found if is_known else replace(found, notes=(*found.notes, _UNTOLD))


def _check_open(document: Document, key: str, number: int) -> None:
    if _is_over(document, key, number):
        raise UsageError(
            f"Experiment {key!r} is over, and nothing here tells since when: name the "
            "moment with as_of=..., or give the run=... of its database."
        )


def _check_known(document: Document, key: str) -> None:
    if key not in document.experiments:
        raise UnknownExperiment(
            f"Experiment {key!r} is not defined{suggestion(key, document.experiments)}"
        )


def load(
    folder: str | Path, connection: DuckDBPyConnection, *, prefix: str = "abx_"
) -> None:
    """Copy an export into tables of DuckDB, in place of those that it has.

    Args:
        folder: What ``flask abx events export --format parquet -o`` was given.
        connection: Where the tables are made.
        prefix: What their names begin with.

    Raises:
        UsageError: If the folder holds no such export.
    """
    _named(prefix)
    read_folder(connection, Path(folder), prefix, is_copied=True)


@contextmanager
def opened(
    source: str | Path | DuckDBPyConnection,
    prefix: str = "abx_",
    spark: Any = None,  # noqa: ANN401 - a session of Spark
) -> Iterator[tuple[Connection, Tables]]:
    """Connect to an export or to a DuckDB, as if it were the database.

    Args:
        source: The folder of a Parquet export, or a DuckDB with the tables.
        prefix: What the names of the tables begin with.
        spark: A session of Spark that reads the folder instead of DuckDB.

    Raises:
        SetupError: If DuckDB, or SQLGlot for Spark, is not installed.
        UsageError: If tables are missing.
    """
    tables = _named(prefix)
    if spark is not None:
        if not isinstance(source, str | Path):
            raise UsageError(f"Spark reads a folder, not {source!r}: name an export.")
        with spark_connected(spark, Path(source), prefix) as (connection, there):
            _complete(connection, tables, there)
            yield connection, tables
        return
    duckdb = _duckdb()
    folder = Path(source) if isinstance(source, str | Path) else None
    # What is made for the time of the look is seen by nobody else.
    own = duckdb.connect() if isinstance(source, str | Path) else source.cursor()
    try:
        if folder is not None:
            # It would go to the standard output.
            own.execute("SET enable_progress_bar = false")
            read_folder(own, folder, prefix, is_copied=False)

        def ask(
            statement: str, parameters: Sequence[Any]
        ) -> tuple[list[str], list[tuple[Any, ...]]]:
            own.execute(statement, [*parameters])
            return [each[0] for each in own.description or ()], own.fetchall()

        with connected("duckdb", duckdb, ask) as connection:
            query = "SELECT table_name FROM information_schema.tables"
            _complete(connection, tables, {*connection.scalars(text(query))})
            yield connection, tables
    finally:
        own.close()


def _duckdb() -> Any:  # noqa: ANN401 - a module
    try:
        import duckdb
    except ImportError as error:
        raise SetupError(
            "DuckDB is not installed: run `pip install flask-abx[warehouse]`."
        ) from error
    return duckdb


def _named(prefix: str) -> Tables:
    metadata = MetaData()

    def make(name: str, /, *items: Any, **options: Any) -> Table:
        return Table(name, metadata, *items, **options)

    return make_tables(make, prefix)


def _complete(connection: Connection, tables: Tables, there: Collection[str]) -> None:
    """Stand in for tables that an export has not, by such without rows.

    Raises:
        UsageError: If one is missing that nothing can stand in for.
    """
    for table in tables.all:
        if table.name in there:
            continue
        if table.info["abx"] in _NEEDED:
            raise UsageError(
                f"This DuckDB has no table {table.name!r}: make it of an export with "
                "`flask_abx.results.warehouse.load(folder, connection)`."
            )
        columns = (cast(null(), each.type).label(each.name) for each in table.c)
        query = select(*columns).where(literal_column("1 = 0"))
        rows = query.compile(dialect=connection.dialect)
        made = f"CREATE TEMPORARY TABLE {table.name} AS {rows}"
        connection.exec_driver_sql(made)


def _latest(connection: Connection, tables: Tables) -> int:
    """Find the moment of the latest row: up to there at least all is known."""
    columns = (tables.exposures.c.first_at, tables.event_units.c.at)
    found = (connection.execute(select(func.max(each))).scalar() for each in columns)
    return max((int(each) + 1 for each in found if each is not None), default=0)


def _has_history(connection: Connection, tables: Tables, key: str, number: int) -> bool:
    changes = tables.changes.c
    query = select(changes.key).where(changes.key == key, changes.iteration == number)
    return connection.execute(query.limit(1)).first() is not None


def _is_over(document: Document, key: str, number: int) -> bool:
    experiment = document.experiments[key]
    return experiment.status.is_over or number != experiment.iteration
