"""An experiment of many units, inserted by the database itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, text

from flask_abx.schema import fit_dialect, make_tables
from tests.databases import engine_of, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.schema import SchemaItem

    from flask_abx.schema import Tables

DAY = 86_400_000
#: Units come for two weeks, and their events until ten days later.
DAYS = 14
AGO = 25
#: A prime: each number below it has one id, and the ids are in no order.
PRIME = 1_099_511_627_791
NUMBERS = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT {low} UNION ALL SELECT n + 1 FROM s "
    "WHERE n + 1 < {high}) SELECT n FROM s) AS s",
    "postgresql": "(SELECT generate_series({low}::bigint, {high} - 1) AS n) AS s",
    "mariadb": "(SELECT CAST(seq AS SIGNED) AS n FROM seq_{low}_to_{last}) AS s",
}
HEX = {
    "sqlite": "printf('%032x', {value})",
    "postgresql": "lpad(to_hex({value}), 32, '0')",
    "mariadb": "lower(lpad(hex({value}), 32, '0'))",
}
EXPOSURES = """
INSERT INTO abx_exposures (experiment, iteration, unit, variant, epoch, reason,
    first_at, mixed, merged_into, visitor, dimensions, slot, version, stored_at)
SELECT 'headline', 1, {unit}, CASE n % 3 WHEN 0 THEN 'control' WHEN 1 THEN 'bold'
    ELSE 'calm' END, 1, 'allocated', {first_at}, 0, NULL, {visitor},
    CASE n % 5 WHEN 0 THEN '{{"country": "DE", "device": "phone"}}'
    WHEN 1 THEN '{{"country": "FR", "device": "phone"}}'
    WHEN 2 THEN '{{"country": "GB", "device": "desktop"}}'
    WHEN 3 THEN '{{"country": "IT", "device": "phone"}}'
    ELSE '{{"country": "US", "device": "desktop"}}' END,
    n % 200, '12', {first_at} + 500
FROM {units} ORDER BY 3
"""
#: One in twelve signs up; the others buy, click, and come back.
EVENTS = """
SELECT {event} AS id, CASE WHEN b % 12 < 1 THEN 'signup' WHEN b % 12 < 4 THEN 'purchase'
    WHEN b % 12 < 8 THEN 'click' ELSE 'session' END AS name,
    {first_at} + CASE WHEN c % 5 < 3 THEN c % (10 * {day})
    ELSE -3000 - c % (14 * {day}) END AS at,
    CASE WHEN b % 12 < 1 OR b % 12 >= 4 THEN NULL
    ELSE (c % 5000 + 100) / 100e0 + CASE WHEN a % 100 = 0 THEN c % 900 ELSE 0 END
    END AS value, {visitor} AS visitor, {unit} AS unit,
    CASE c % 2 WHEN 0 THEN '{{"tea": "sencha", "page": 3}}'
    ELSE '{{"tea": "mate", "page": 7}}' END AS properties
FROM (SELECT number, a % {count} AS n, a, b, {third} AS c
    FROM (SELECT number, a, {second} AS b
        FROM (SELECT n AS number, {first} AS a FROM {events}) AS x) AS y) AS z
"""
INTO_EVENTS = """
INSERT INTO abx_events
    (id, name, at, stored_at, value, units, properties, variants, version)
SELECT id, name, at, at + 500, value, {told}, properties, '{{}}', '12'
FROM ({rows}) AS happened ORDER BY id
"""
INTO_UNITS = """
INSERT INTO abx_event_units (unit, name, at, event_id, value)
SELECT unit, name, at, id, value FROM ({rows}) AS happened ORDER BY 1, 2, 3, 4
"""


def fill(kind: str, url: str, units: int, events: int, now: int) -> None:
    """Make the tables, and fill them as the application would have.

    Args:
        kind: Of database.
        url: Its address.
        units: How many are exposed.
        events: How many of theirs are stored, some of before the exposure.
        now: In milliseconds since 1970.
    """
    metadata = MetaData()

    def make(name: str, /, *items: SchemaItem, **options: Any) -> Table:
        return Table(name, metadata, *items, **options)

    tables = make_tables(make, "abx_")
    with engine_of(url) as engine:
        fit_dialect(tables, engine.dialect.name)
        metadata.create_all(engine)
        with engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            _fill(alone, tables, [*_statements(kind, units, events, now)], kind)
    named = "abx_exposures, abx_events, abx_event_units"
    ends = {"mariadb": f"ANALYZE TABLE {named}", "postgresql": "VACUUM ANALYZE"}
    run(url, ends.get(kind, "PRAGMA wal_checkpoint(TRUNCATE)"))


def _fill(
    connection: Connection, tables: Tables, statements: list[str], kind: str
) -> None:
    """Insert into tables without indexes, which are quicker to make at the end."""
    if kind == "sqlite":
        for pragma in (
            "journal_mode = WAL",
            "synchronous = OFF",
            "cache_size = -200000",
        ):
            connection.execute(text(f"PRAGMA {pragma}"))
    indexes = [
        each
        for table in (tables.exposures, tables.events, tables.event_units)
        for each in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    for index in indexes:
        index.drop(connection, checkfirst=True)
    for statement in statements:
        # A colon would be the beginning of a parameter.
        connection.execute(text(statement.replace(":", r"\:")))
    for index in indexes:
        index.create(connection)


def _statements(kind: str, units: int, events: int, now: int) -> Iterator[str]:
    def joined(*texts: str) -> str:
        return f"concat({', '.join(texts)})" if kind != "sqlite" else " || ".join(texts)

    def numbers(high: int) -> str:
        return NUMBERS[kind].format(low=0, high=high, last=high - 1)

    def number(name: str, factor: int) -> str:
        return HEX[kind].format(value=f"({name} * {factor}) % {PRIME}")

    visitor, event = number("n", 2_862_933), number("number", 3_202_034)
    parts: dict[str, Any] = {
        "unit": joined("'visitor:'", visitor),
        "visitor": visitor,
        "event": event,
        "first_at": f"({now - AGO * DAY} + {_mixed('n', 77)} % {DAYS * DAY})",
        "units": numbers(units),
        "events": numbers(events),
        "count": units,
        "day": DAY,
        "first": _mixed("n", 12_345),
        "second": _mixed("a", 991),
        "third": _mixed("b", 5),
        "told": joined("""'{"visitor": "'""", "visitor", """'"}'"""),
    }
    yield EXPOSURES.format(**parts)
    rows = EVENTS.format(**parts)
    for insert in (INTO_EVENTS, INTO_UNITS):
        yield insert.format(rows=rows, **parts)


def _mixed(name: str, salt: int) -> str:
    """Make of each number one that looks like chance, in whole numbers of 64 bits."""
    first = f"(({name} * 1103515245 + {salt}) % 2147483647)"
    return f"(({first} * ({first} % 46337 + 12345)) % 2147483647)"
