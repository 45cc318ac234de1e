"""Metrics that are statements over the tables of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Double,
    Float,
    Integer,
    Numeric,
    String,
    Text,
    Uuid,
    and_,
    case,
    cast,
    extract,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.mysql import CHAR
from sqlalchemy.types import TIMESTAMP, NullType

from flask_abx.errors import ABXError
from flask_abx.experiments.metric import Kind
from flask_abx.results.scanning.crowd import LARGEST, Source, is_value_asked

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause, Select

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.crowd import Crowd
    from flask_abx.results.scanning.dialects import Words
    from flask_abx.results.scanning.temporary import Scratch

#: Stands for what is no number: beyond all that are taken for one.
_NO_NUMBER = 1e99
#: The longest id of a unit.
_ID = 320


class MetricFailed(ABXError, ValueError):  # noqa: N818 - named after what happened
    """A metric cannot be computed; the message is told beside it."""


def kept_rows(room: Scratch, crowd: Crowd, measure: Measure) -> Source:
    """Keep the rows of a statement as those of events are: unit, moment and value.

    Rows without a unit are nobody's, and are left out. Those without a moment are kept:
    they count for nothing, but are counted.

    Raises:
        MetricFailed: If the statement cannot be used.
    """
    rows = _rows(measure)
    kind = measure.metric.unit or crowd.iteration.experiment.unit[0]
    words = crowd.words
    unit = _unit(words, kind, rows.c.unit).label("unit")
    at = _milliseconds(words, rows.c.time).label("at")
    value = _value(words, rows, measure).label("value")
    inner = select(unit, at, value).subquery("told").c
    query: Select[Any] = select(inner.unit, inner.at, inner.value).where(
        inner.unit.is_not(None), or_(inner.at.is_(None), inner.at < crowd.end)
    )
    return Source(room.keep(query, "unit", "at"), is_select=True)


def _rows(measure: Measure) -> FromClause:
    """Take the statement, if it can be one.

    Raises:
        MetricFailed: If it cannot.
    """
    key, metric = measure.key, measure.metric
    if metric.kind is Kind.RATIO:
        raise MetricFailed(
            f"Metric {key!r} is a ratio of events, which a statement has none of: make "
            "it a mean, or give it no statement."
        )
    if metric.where:
        raise MetricFailed(
            f"Metric {key!r} has a statement, whose rows have no properties: move "
            "`where` into the statement."
        )
    columns = getattr(measure.select, "selected_columns", None)
    there = [] if columns is None else [*columns.keys()]
    wanted = ["unit", "time"]
    if any(is_value_asked(measure, part) for part in measure.parts):
        wanted.append("value")
    for name in wanted:
        if name not in there:
            raise MetricFailed(
                f"The statement of metric {key!r} has no column {name!r}: name one so "
                f'with `.label("{name}")`.'
            )
    rows: FromClause = measure.select.subquery("statement")
    return rows


def _unit(words: Words, kind: str, column: ColumnElement[Any]) -> ColumnElement[str]:
    """Write a unit as the tables do; NULL where there is none."""
    if words.is_mysql:
        told: ColumnElement[str] = cast(column, CHAR(_ID, charset="utf8mb4"))
    else:
        told = cast(type_coerce(column, Text) if words.is_sqlite else column, Text)
    if isinstance(column.type, Uuid) and not words.is_postgresql:
        told = _dashed(told)
    text = literal(f"{kind}:", Text) + told
    return text.collate("utf8mb4_bin") if words.is_mysql else text


def _dashed(text: ColumnElement[str]) -> ColumnElement[str]:
    """Write a UUID as Python does, where the database keeps its digits alone."""
    places = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    first, *others = (func.substr(func.lower(text), *place) for place in places)
    told: Any = first
    for each in others:
        told = told + literal("-", Text) + each
    return case((func.length(text) == 32, told), else_=text)


def _milliseconds(words: Words, column: ColumnElement[Any]) -> ColumnElement[int]:
    """Read a moment; one without a time zone is in UTC.

    Raises:
        MetricFailed: If the column is of another type.
    """
    if not isinstance(column.type, DateTime | Date | String | NullType):
        raise MetricFailed(
            f"The column 'time' of a statement is of the type {column.type!r}, must be "
            "a date with a time."
        )
    if words.is_postgresql:
        moment = cast(func.floor(extract("epoch", column) * 1000), BigInteger)
        return case((func.isfinite(column), moment))
    if words.is_mysql:
        if isinstance(column.type, TIMESTAMP):
            return cast(func.floor(func.unix_timestamp(column) * 1000), BigInteger)
        since = func.timestampdiff(
            literal_column("MICROSECOND"), "1970-01-01", column, type_=BigInteger
        )
        return since.op("DIV", return_type=BigInteger())(literal_column("1000"))
    if words.is_duckdb:
        is_day = isinstance(column.type, Date)
        return func.epoch_ms(cast(column, DateTime) if is_day else column)
    return _sqlite_milliseconds(type_coerce(column, Text))


def _sqlite_milliseconds(text: ColumnElement[str]) -> ColumnElement[int]:
    seconds = cast(func.strftime("%s", func.substr(text, 1, 19)), BigInteger)
    parts = func.substr(func.substr(text, 21, 3).op("||")("000"), 1, 3)
    plain = seconds * 1000 + cast(parts, BigInteger)
    # With a time zone at its end; days are as exact as a millisecond.
    days = func.julianday(text) - literal_column("2440587.5")
    zoned = cast(func.round(days * literal_column("86400000.0")), BigInteger)
    is_plain = and_(func.length(text) <= 26, func.substr(text, 20, 1).in_(["", "."]))
    read = case((is_plain, plain), else_=zoned)
    return case((func.typeof(text) == "text", read))


def _value(words: Words, rows: FromClause, measure: Measure) -> ColumnElement[float]:
    """Read a value; what is no number becomes one that is never counted.

    Raises:
        MetricFailed: If the column cannot hold numbers.
    """
    if not any(is_value_asked(measure, part) for part in measure.parts):
        return words.number(1)
    column = rows.c["value"]
    kinds: tuple[Any, ...] = (Numeric, Float, Integer, Boolean, NullType)
    if words.is_sqlite:
        kinds += (String,)
    if not isinstance(column.type, kinds):
        raise MetricFailed(
            f"The column 'value' of the statement of metric {measure.key!r} is of the "
            f"type {column.type!r}, must be a number: cast it."
        )
    wrong = words.number(_NO_NUMBER)
    if words.is_sqlite:
        told = type_coerce(column, Double)
        is_number = func.typeof(told).in_(["integer", "real"])
        return case((is_number, told * words.number(1)), else_=wrong)
    if words.is_mysql:
        return func.coalesce(type_coerce(column, Double) + words.number(0), wrong)
    is_truth = isinstance(column.type, Boolean)
    return func.coalesce(
        cast(cast(column, Integer) if is_truth else column, Double), wrong
    )


assert _NO_NUMBER > LARGEST  # noqa: S101 - or it would be counted
