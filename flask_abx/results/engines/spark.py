"""The tables of an export, read by Spark: statements are translated by SQLGlot."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from flask_abx.errors import SetupError, UsageError
from flask_abx.events.export.datasets import EPOCHS, EVENT_UNITS, Kind
from flask_abx.results.engines.exported import COLUMNS, NO_FILES, exports
from flask_abx.results.engines.foreign import connected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from flask_abx.events.export.datasets import Dataset

_MAKES = re.compile(r"CREATE TEMPORARY TABLE (\w+) AS\s", re.ASCII)
_DROPS = re.compile(r"DROP TABLE IF EXISTS temp\.(\w+)", re.ASCII)
#: Spark would spell numbers anew, so they are shown to it as texts. No text that is
#: read has an escaped quote: outside of strings, those that follow are even in number.
_NUMBER = r"(^|[:,\[])(\s*)(-?[0-9][0-9.eE+-]*)(?=\s*([,}\]]|$))"
_HIDE = (_NUMBER + r'(?=([^"]*"[^"]*")*[^"]*$)', '$1$2"\x7fn$3"')
_SHOW = ('^"\x7fn(.*)"$', "$1")
#: Spark reads JSON as it is written from this version on.
_LEAST = 4


@contextmanager
def spark_connected(
    session: Any,  # noqa: ANN401 - a session of Spark
    folder: Path,
    prefix: str,
) -> Iterator[tuple[Connection, list[str]]]:
    """Connect to an export as if it were DuckDB, and let Spark do the work.

    The names of the tables that there are come with the connection.

    Args:
        session: The session, whose temporary views are made and dropped.
        folder: The export.
        prefix: What the names of the tables begin with.

    Raises:
        SetupError: If SQLGlot is not installed, or this Spark is too old.
        UsageError: If the folder holds no such export.
    """
    check_installed()
    if int(session.version.partition(".")[0]) < _LEAST:
        raise SetupError(f"This is Spark {session.version!r}, must be 4.0 or later.")
    from pyspark.errors import PySparkException

    driver: Any = SimpleNamespace(Error=PySparkException, paramstyle="qmark")
    spark = _Spark(session)
    try:
        spark.read_folder(folder, prefix)
        with connected("duckdb", driver, spark.ask) as connection:
            yield connection, [*spark.made]
    finally:
        spark.clear()


def check_installed() -> None:
    """Look whether statements can be translated.

    Raises:
        SetupError: If they cannot.
    """
    try:
        import sqlglot  # noqa: F401
    except ImportError as error:
        raise SetupError(
            "SQLGlot is not installed: run `pip install flask-abx[warehouse]`."
        ) from error


class _Spark:
    """Runs statements of DuckDB in a session of Spark."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - a session of Spark
        self._session = session
        self.made: dict[str, Any] = {}

    def ask(
        self, statement: str, parameters: Sequence[Any]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a statement; temporary tables are views whose rows are kept."""
        if dropped := _DROPS.fullmatch(statement):
            self._drop(dropped[1])
            return [], []
        made = _MAKES.match(statement)
        query = statement[made.end() :] if made else statement
        frame = self._session.sql(translated(query, parameters))
        if made is None:
            return frame.columns, [tuple(row) for row in frame.collect()]
        from pyspark.sql.functions import monotonically_increasing_id

        # DuckDB numbers the rows of a table by itself.
        numbered = frame.withColumn("rowid", monotonically_increasing_id())
        self._keep(made[1], numbered.cache())
        return [], []

    def read_folder(self, folder: Path, prefix: str) -> None:
        """Make views of the files of an export.

        Raises:
            UsageError: If it holds none, or several exports beside each other.
        """
        if exports(folder) > 1:
            raise UsageError(
                f"{str(folder)!r} holds several exports, whose rows would count twice: "
                "export the whole without --since."
            )
        for dataset in COLUMNS:
            place = folder / dataset.name
            if any(place.rglob("*.parquet")):
                self._read(dataset, place, prefix)
            elif dataset is not EPOCHS:
                raise UsageError(NO_FILES.format(str(folder), dataset.name))

    def _read(self, dataset: Dataset, place: Path, prefix: str) -> None:
        frame = self._session.read.parquet(str(place))
        told = [
            f"unix_millis(`{each.name}`) AS `{each.name}`"
            if each.kind is Kind.TIME
            else f"`{each.name}`"
            for each in dataset.columns
        ]
        name = f"{prefix}{dataset.name}"
        rows = f"{name}_as_exported"
        self._keep(rows, frame.selectExpr(*told))
        query = f"SELECT {COLUMNS[dataset]} FROM {rows}"  # noqa: S608 - of our own words
        frame = self._session.sql(translated(query))
        self._keep(name, frame.cache() if dataset in _ASKED_OFTEN else frame)

    def clear(self) -> None:
        """Drop every view that was made."""
        for name in [*self.made]:
            self._drop(name)

    def _keep(self, name: str, frame: Any) -> None:  # noqa: ANN401 - of Spark
        frame.createOrReplaceTempView(name)
        self.made[name] = frame

    def _drop(self, name: str) -> None:
        frame = self.made.pop(name, None)
        if frame is not None:
            self._session.catalog.dropTempView(name)
            frame.unpersist()


_ASKED_OFTEN = (EVENT_UNITS,)


def translated(statement: str, parameters: Sequence[Any] = ()) -> str:
    """Write a statement of DuckDB as Spark has it, its parameters among it."""
    import sqlglot
    from sqlglot import TokenType, exp

    parts, start = [], 0
    values = iter(parameters)
    for token in sqlglot.tokenize(statement, read="duckdb"):
        if token.token_type is TokenType.PLACEHOLDER:
            parts += [statement[start : token.start], _literal(next(values))]
            start = token.end + 1
    whole = "".join([*parts, statement[start:]])

    def call(name: str, *told: Any) -> exp.Anonymous:
        quoted = (exp.Literal.string(e) if isinstance(e, str) else e for e in told)
        return exp.Anonymous(this=name, expressions=[*quoted])

    def fit(node: Any) -> Any:  # noqa: ANN401 - a part of a statement
        if not isinstance(node, exp.JSONExtract):
            return node
        path = node.expression
        key = path.this if isinstance(path, exp.Literal) else ""
        read = call("PARSE_JSON", call("REGEXP_REPLACE", node.this, *_HIDE))
        found = call("TO_JSON", call("VARIANT_GET", read, _path(key)))
        return call("REGEXP_REPLACE", found, *_SHOW)

    tree = sqlglot.parse_one(whole, read="duckdb")
    return str(tree.transform(fit).sql("spark"))


def _path(pointer: str) -> str:
    """Write the pointer to a field of a JSON object as Spark has it."""
    if not pointer:
        return "$"
    key = pointer[1:].replace("~1", "/").replace("~0", "~")
    return f"$[{json.dumps(key, ensure_ascii=False)}]"


def _literal(value: Any) -> str:  # noqa: ANN401 - of whatever type
    match value:
        case None:
            return "NULL"
        case float():
            # With an exponent it is a double, and never a decimal.
            return f"{value:.17e}"
        case int():
            return str(value)
        case _:
            return "'" + str(value).replace("'", "''") + "'"
