"""How fast the drain stores records, beside a bare `executemany` of their rows."""

from __future__ import annotations

import json
import os
import time
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, or_
from sqlalchemy.dialects import postgresql, sqlite

from flask_abx.events.porter import CHUNK, SQLITE_CHUNK
from flask_abx.events.records import digest_of, fresh_id, stamp
from flask_abx.events.spool.frames import Line
from flask_abx.events.sql.rows import Exposed, Happened, json_text, read
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import moment_of
from flask_abx.stores.database import writing
from flask_abx.stores.life import Life
from tests.benchmarks.exporting import START, _fill
from tests.benchmarks.report import BenchmarkError, Row
from tests.databases import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask import Flask
    from sqlalchemy import Connection, Engine, Table

    from flask_abx.runtime.state import State

PROPERTIES: dict[str, object] = {"tea": "sencha", "items": 3}
#: Records that one turn stores, and how many turns there are.
RECORDS, TURNS = 4_000, 5
VISITORS = 50_000
ADD_EXPOSURES = (
    "INSERT INTO abx_exposures SELECT experiment, iteration + {times}, unit, variant, "
    "epoch, reason, first_at, mixed, merged_into, visitor, dimensions, slot, version, "
    "stored_at FROM abx_exposures WHERE iteration = 1"
)


def draining(app: Flask, kind: str, url: str, stored: int) -> Iterator[Row]:
    """Measure the drain and a bare `executemany` of equal rows, turn by turn."""
    fill(kind, url, stored)
    delivery, database = state_of(app).delivery, state_of(app).database
    assert delivery is not None
    assert database is not None
    life = Life(database)
    try:
        for what, make in (("events", event), ("exposures", exposure)):
            yield _drained(app, life, f"{what} on {kind}", make, stored)
    finally:
        life.engine.dispose()


def fill(kind: str, url: str, stored: int) -> None:
    if kind == "sqlite":
        run(url, "PRAGMA journal_mode=WAL")
    _fill(kind, url, 0, stored)
    run(url, *(ADD_EXPOSURES.format(times=times) for times in range(1, 10)), "ANALYZE")


def _drained(
    app: Flask,
    life: Life,
    what: str,
    make: Callable[[int], dict[str, Any]],
    stored: int,
) -> Row:
    state, numbers = state_of(app), count(stored * 2)
    assert state.delivery is not None
    porter = state.delivery.porter
    chunk = SQLITE_CHUNK if porter.is_sqlite(life) else CHUNK
    ours: list[float] = []
    bare: list[float] = []
    for turn in range(2 * TURNS + 2):
        records = [make(next(numbers)) for _ in range(RECORDS)]
        if turn % 2:
            seconds = _insert(state, life.engine, records, chunk)
        else:
            texts = [json.dumps(each) for each in records]
            lines = [Line(text.encode(), text) for text in texts]
            start = time.perf_counter()
            for begin in range(0, RECORDS, chunk):
                if porter.store(lines[begin : begin + chunk], life):
                    raise BenchmarkError("The drain refused a record.")
            seconds = time.perf_counter() - start
        # The first turn of each prepares statements.
        if turn > 1:
            (bare if turn % 2 else ours).append(RECORDS / seconds)
    ratio = median(one / other for one, other in zip(ours, bare, strict=True))
    rates = f"{median(ours):,.0f}/s, {median(bare):,.0f}/s"
    note = f"{rates}, {chunk} a transaction, load {load()}"
    return Row(f"drain / executemany, {what}", ratio, bar=0.6, at_least=True, note=note)


def _insert(
    state: State, engine: Engine, records: Sequence[dict[str, Any]], chunk: int
) -> float:
    """Insert the rows of records, which are made before, and give the seconds."""
    assert state.database is not None
    tables = state.database.tables
    told = [read(each) for each in records]
    batches = [told[begin : begin + chunk] for begin in range(0, len(told), chunk)]
    work = []
    for batch in batches:
        happened = [each for each in batch if isinstance(each, Happened)]
        exposed = [each for each in batch if isinstance(each, Exposed)]
        rows = (
            (tables.events, [_event_row(each) for each in happened]),
            (tables.event_units, [_unit_row(each) for each in happened]),
            (tables.exposures, [_exposure_row(each) for each in exposed]),
        )
        work.append([(table, part) for table, part in rows if part])
    start = time.perf_counter()
    for parts in work:
        with writing(engine) as connection:
            for table, part in parts:
                _execute_many(connection, table, part, tables.exposures)
    return time.perf_counter() - start


def _execute_many(
    connection: Connection, table: Table, rows: list[dict[str, Any]], exposures: Table
) -> None:
    is_server = connection.dialect.name == "postgresql"
    make: Any = postgresql.insert if is_server else sqlite.insert
    statement, key = make(table), list(table.primary_key)
    if table is exposures:
        new, old = statement.excluded, table.c
        is_earlier = new.first_at < old.first_at
        is_mixed = or_(new.mixed == 1, new.variant != old.variant)
        changes = {
            "epoch": case((is_earlier, new.epoch), else_=old.epoch),
            "first_at": case((is_earlier, new.first_at), else_=old.first_at),
            "mixed": case((is_mixed, 1), else_=old.mixed),
        }
        statement = statement.on_conflict_do_update(index_elements=key, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    connection.execute(statement, rows)


def _event_row(each: Happened) -> dict[str, Any]:
    units = json_text(each.units, "units")
    return {**each._asdict(), "units": units, "stored_at": START}


def _unit_row(each: Happened) -> dict[str, Any]:
    ((kind, who),) = each.units.items()
    told = {"unit": f"{kind}:{who}", "name": each.name, "at": each.at}
    return {**told, "event_id": each.id, "value": each.value}


def _exposure_row(each: Exposed) -> dict[str, Any]:
    told = each._asdict()
    units, at = told.pop("units"), told.pop("at")
    visitor = units.get("visitor")
    row = {**told, "first_at": at, "visitor": visitor, "stored_at": START}
    return {**row, "epoch": 1, "mixed": 0}


def event(number: int) -> dict[str, Any]:
    moment = moment_of(START + number)
    return {
        "type": "event",
        "id": fresh_id(moment),
        "at": stamp(moment),
        "name": "purchase",
        "value": 49.0,
        "variants": {"headline": "bold"},
        "units": {"visitor": f"{number % VISITORS:032x}"},
        "properties": PROPERTIES,
        "version": "c123456789abc",
    }


def exposure(number: int) -> dict[str, Any]:
    who = f"{number:032x}"
    return {
        "type": "exposure",
        "id": digest_of("exposure", "headline", "1", "visitor", who),
        "at": stamp(moment_of(START + number)),
        "experiment": "headline",
        "iteration": 1,
        "variant": "bold",
        "reason": "allocated",
        "unit_type": "visitor",
        "unit": who,
        "units": {"visitor": who},
        "dimensions": {},
        "version": "c123456789abc",
    }


def load() -> str:
    """Tell how busy the machine is."""
    return ", ".join(f"{each:.1f}" for each in os.getloadavg())
