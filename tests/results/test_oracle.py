"""The statement agrees with a row by row count, on rows that are awkward on purpose."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.results.aggregate import aggregate
from flask_abx.results.scanning.sums import Aggregates, Cap, Exposed, Group, Sums
from flask_abx.stores.database import reading
from tests.databases import ENGINES, fresh_database
from tests.results.agreement import differences, different_days, moments
from tests.results.hostile import (
    Asked,
    load,
    load_into,
    rows_in,
    rows_of,
    run_of,
    runs,
    write,
)
from tests.results.hostile_log import Log
from tests.results.hostile_metrics import BEGIN, DAY, HOUR
from tests.results.oracle import oracle
from tests.results.warehoused import WAREHOUSES, exported, warehouse
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from flask_abx.schema import Tables
    from flask_abx.stores.database import Database

AT = BEGIN + DAY
GROUP = Group("control", 1)
BODY: dict[str, Any] = {"key": "headline", "variants": ["control", "bold"]}
RUNS = tuple(runs())
#: What an event is told as: how long after the exposure, and its value.
Happened = tuple[int, float | None]


def count(
    happened: Sequence[Sequence[Happened]],
    *,
    days: float = 5,
    asked: Mapping[str, Any] | None = None,
    **metric: Any,
) -> Aggregates:
    """Ask one metric of units that were all exposed at `AT`."""
    exposures: list[dict[str, Any]] = []
    event_units: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for number, each in enumerate(happened):
        unit = f"visitor:{number}"
        row = {"experiment": "headline", "iteration": 1, "unit": unit, "epoch": 1}
        row |= {"variant": "control", "first_at": AT, "stored_at": AT, "mixed": 0}
        exposures.append({**row, "merged_into": None, "dimensions": "{}"})
        for offset, value in each:
            id_ = str(len(events))
            events.append({"id": id_, "properties": "{}"})
            told = {"unit": unit, "name": "buy", "at": AT + offset, "value": value}
            event_units.append({**told, "event_id": id_})
    body = {**BODY, "metrics": "buy", **(asked or {})}
    run = run_of(body, 1, {"buy": metric})
    as_of = AT + round(days * DAY)
    return oracle(
        exposures, event_units, events, run.iteration, run.measures, as_of=as_of
    )


def sums(happened: Sequence[Sequence[Happened]], **asked: Any) -> Sums:
    return count(happened, **asked).sums["buy"][GROUP]


@pytest.mark.parametrize(
    ("offset", "metric", "is_counted"),
    [
        (-2_001, {}, False),
        (-2_000, {}, True),
        (5 * DAY - 1, {}, True),
        (5 * DAY, {}, False),
        (DAY - 1, {"window": "1d"}, True),
        (DAY, {"window": "1d"}, False),
        (HOUR - 1, {"delay": "1h"}, False),
        (HOUR, {"delay": "1h"}, True),
        (DAY + HOUR - 1, {"delay": "1h", "window": "1d"}, True),
        (DAY + HOUR, {"delay": "1h", "window": "1d"}, False),
    ],
)
def test_a_window_has_its_bounds_to_the_millisecond(
    offset: int, metric: dict[str, Any], *, is_counted: bool
) -> None:
    assert sums([[(offset, None)]], **metric).y == int(is_counted)


@pytest.mark.parametrize(
    ("offset", "is_counted"),
    [(-DAY - 1, False), (-DAY, True), (-2_001, True), (-2_000, False)],
)
def test_what_was_before_ends_where_the_metric_begins(
    offset: int, *, is_counted: bool
) -> None:
    found = sums([[(offset, 3.0)]], kind="sum", covariate="1d")
    assert (found.x, found.history) == (3 * is_counted, int(is_counted))


@pytest.mark.parametrize(("days", "n"), [(2, 1), (2 - 1 / DAY, 0)])
def test_a_unit_is_judged_once_its_window_has_closed(days: float, n: int) -> None:
    found = sums([[(0, None)]], days=days, delay="1d", window="1d")
    assert (found.n, found.immature) == (n, 1 - n)


def test_a_value_that_is_none_adds_nothing_and_is_not_bad() -> None:
    rows: list[list[Happened]] = [[(0, None), (1, 2.5), (2, -1.0)]]
    assert sums(rows, kind="count").y == 3
    assert sums(rows, kind="count").bad == 0
    assert (sums(rows, kind="sum").y, sums(rows, kind="sum").bad) == (1.5, 0)
    mean = sums(rows, kind="mean")
    assert (mean.y, mean.d, mean.yd, mean.bad) == (1.5, 2, 3, 0)


def test_a_value_that_is_infinite_is_left_out_and_told() -> None:
    found = sums([[(0, math.inf), (1, math.nan), (2, 4.0)]], kind="sum")
    assert (found.y, found.bad) == (4, 2)


def test_bounds_of_values_count_themselves() -> None:
    rows: list[list[Happened]] = [[(0, 1.75), (1, 2.0), (2, 3.0), (3, 3.25), (4, None)]]
    assert sums(rows, kind="count", min_value=2, max_value=3).y == 2


def test_a_cap_is_a_rank_over_all_units() -> None:
    # Of 40 units the 39th in order has 39, and one is above it.
    rows = [[(0, float(1 + number))] for number in range(40)]
    found = count(rows, kind="sum", cap=0.975)
    assert found.caps == {"buy": Cap(39.0)}
    told = found.sums["buy"][GROUP]
    assert (told.capped, told.raw - told.y, told.highest) == (1, 1, 40)


@pytest.mark.parametrize(
    "rows",
    [
        [*([[(0, 5.0)]] * 4), *([[]] * 96)],
        [*([[(0, 5.0)]] * 2), *([[(0, 1.0)]] * 20), *([[]] * 18)],
    ],
    ids=["zero", "too_many"],
)
def test_a_cap_is_skipped(rows: list[list[Happened]]) -> None:
    found = count(rows, kind="sum", cap=0.95)
    assert found.caps["buy"].value is None
    assert found.caps["buy"].reason
    assert found.sums["buy"][GROUP].capped == 0


def test_a_day_adds_what_changed_under_the_cap() -> None:
    rows = [[(0, 2.0), (DAY, 5.0), (2 * DAY, -1.0)], *[[(0, 6.0)]] * 19]
    found = count(rows, kind="sum", cap=0.9).series["buy"]
    days = sorted(found)
    # The cap is 6: from 2 to 6, and a refund of 1 leaves 6.
    assert [(found[day].n, found[day].y, found[day].yy) for day in days] == [
        (20, 2 + 19 * 6, 4 + 19 * 36),
        (0, 4, 32),
        (0, 0, 0),
    ]


def test_a_unit_with_a_window_comes_in_whole_when_it_closes() -> None:
    found = count([[(0, 2.0), (DAY, 5.0)]], kind="sum", window="2d").series["buy"]
    assert [(day.day.isoformat(), told.yy) for day, told in found.items()] == [
        ("2025-03-27", 49)
    ]


def test_days_are_those_of_the_time_zone() -> None:
    zone = {"analysis": {"time_zone": "America/New_York"}}
    found = count([[]], asked=zone)
    assert [day.day.isoformat() for day in found.days] == ["2025-03-24"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the awkward records, once for all engines."""
    return write(tmp_path_factory.mktemp("hostile") / "hostile.jsonl")


class Loaded:
    """A database that has loaded the file, and what was found in it."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database = database
        self.asked = load_into(database, path)
        self.rows = rows_of(database)
        self._found: dict[str, Aggregates] = {}
        self._told: dict[str, Aggregates] = {}

    def expected(self, run: str) -> Aggregates:
        if run not in self._told:
            self._told[run] = told(self.rows, self.asked[run])
        return self._told[run]

    def found(self, run: str) -> Aggregates:
        if run not in self._found:
            self._found[run] = self.ask(self.asked[run])
        return self._found[run]

    def ask(self, asked: Asked) -> Aggregates:
        return ask(self.database, asked)


class Warehoused(Loaded):
    """A database whose export DuckDB has read, and what was found there."""

    def __init__(
        self, database: Database, path: Path, stack: ExitStack, kind: str
    ) -> None:
        super().__init__(database, path)
        folder = exported(database, path.parent / kind)
        self.connection, self.tables = stack.enter_context(warehouse(kind, folder))
        self.rows = rows_in(self.connection, self.tables)

    def ask(self, asked: Asked) -> Aggregates:
        return ask_there(self.connection, self.tables, asked)


def told(rows: Sequence[Iterable[Mapping[str, Any]]], asked: Asked) -> Aggregates:
    exposures, event_units, events = rows
    return oracle(
        exposures,
        event_units,
        events,
        asked.iteration,
        asked.measures,
        as_of=asked.as_of,
        dimensions=asked.dimensions,
    )


def ask(database: Database, asked: Asked) -> Aggregates:
    with reading(database.own) as connection:
        return ask_there(connection, database.tables, asked)


def ask_there(connection: Connection, tables: Tables, asked: Asked) -> Aggregates:
    return aggregate(
        connection,
        tables,
        asked.iteration,
        asked.measures,
        as_of=asked.as_of,
        dimensions=asked.dimensions,
    )


@pytest.fixture(scope="module")
def plain(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """Load the file into SQLite, whose rows the oracle reads."""
    folder = tmp_path_factory.mktemp("plain")
    with fresh_database("sqlite", folder) as url, database_at(url) as database:
        yield Loaded(database, log)


@pytest.fixture(scope="module", params=[*ENGINES, *WAREHOUSES])
def loaded(
    request: pytest.FixtureRequest,
    log: Path,
    plain: Loaded,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Loaded]:
    """Load the file into each kind of database by itself."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield plain
            return
        folder = tmp_path_factory.mktemp(request.param)
        is_exported = request.param in WAREHOUSES
        kind = "sqlite" if is_exported else request.param
        url = stack.enter_context(fresh_database(kind, folder))
        database = stack.enter_context(database_at(url))
        if is_exported:
            yield Warehoused(database, log, stack, request.param)
        else:
            yield Loaded(database, log)


def test_every_engine_stores_the_same_rows(loaded: Loaded, plain: Loaded) -> None:
    # An export tells the visitor of an exposure elsewhere, and nobody asks for it.
    untold = {"stored_at", *(["visitor"] if isinstance(loaded, Warehoused) else [])}

    def seen(rows: Iterable[dict[str, Any]]) -> list[str]:
        told = (row | dict.fromkeys(untold & {*row}) for row in rows)
        return sorted(map(json.dumps, told))

    assert list(map(seen, loaded.rows)) == list(map(seen, plain.rows))


@pytest.mark.parametrize("run", RUNS)
def test_nothing_fails(loaded: Loaded, run: str) -> None:
    found, asked = loaded.found(run), loaded.asked[run]
    assert not found.failed
    assert found.end == asked.iteration.end(asked.as_of)
    assert {*found.sums} == {each.key for each in asked.measures}


@pytest.mark.parametrize("run", RUNS)
def test_the_exposed_units_are_the_same(
    loaded: Loaded, plain: Loaded, run: str
) -> None:
    found, expected = loaded.found(run), plain.expected(run)
    # An export does not tell when rows came.
    untold = {"ahead": 0} if isinstance(loaded, Warehoused) else {}
    assert counted(found.exposed) == counted(expected.exposed, **untold)
    assert found.days == expected.days
    for dimension, groups in expected.exposed_by.items():
        assert counted(found.exposed_by[dimension]) == counted(groups, **untold)


def counted(groups: Mapping[Group, Exposed], **told: int) -> dict[Group, Exposed]:
    return {
        group: replace(each, **told) for group, each in groups.items() if each.units
    }


@pytest.mark.parametrize("run", RUNS)
def test_caps_are_the_same(loaded: Loaded, plain: Loaded, run: str) -> None:
    def seen(caps: Mapping[str, Cap]) -> dict[str, Any]:
        return {key: (c.value, c.lower, bool(c.reason)) for key, c in caps.items()}

    assert seen(loaded.found(run).caps) == seen(plain.expected(run).caps)


@pytest.mark.parametrize("run", RUNS)
def test_sums_are_the_same(loaded: Loaded, plain: Loaded, run: str) -> None:
    found, expected = loaded.found(run).sums, plain.expected(run).sums
    assert [*differences(found, expected)] == []


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("dimension", ["country", "tier"])
def test_sums_by_a_dimension_are_the_same(
    loaded: Loaded, plain: Loaded, run: str, dimension: str
) -> None:
    found = loaded.found(run).sums_by[dimension]
    assert [*differences(found, plain.expected(run).sums_by[dimension])] == []


@pytest.mark.parametrize("run", RUNS)
def test_the_days_add_the_same(loaded: Loaded, plain: Loaded, run: str) -> None:
    found, expected = loaded.found(run).series, plain.expected(run).series
    assert [*different_days(found, expected)] == []


def test_values_far_from_zero_are_shifted_alike_in_each_group(loaded: Loaded) -> None:
    for key in ("weight", "weight_day", "mean_weight", "weight_a_visit"):
        groups = loaded.found("overlap").sums[key]
        assert len({(each.shift_y, each.shift_x) for each in groups.values()}) == 1
        for group, each in groups.items():
            spread = moments(each)
            assert each.yy / each.n <= 1e4 * spread["yy"][0], f"{key}, {group}"
            assert each.xx / each.n <= 1e4 * spread["xx"][0], f"{key}, {group}"


@pytest.mark.parametrize("kind", ENGINES)
def test_texts_that_a_database_cannot_hold_break_nothing(
    kind: str, tmp_path: Path
) -> None:
    log = Log()
    texts = ("\0", "a\0b", "\ud800", "\udc00x", "top", "\\u0000", "top\0")
    for number, text in enumerate(texts):
        units = {"visitor": f"v{number}"}
        log.expose(units, AT, "control", dimensions={"country": text})
        log.happen(units, "click", AT, place=text)
        odd: dict[str, Any] = {f"other {text}": text}
        log.happen(units, "click", AT, place="top", **odd)
    metrics = {"click": {"kind": "count", "where": {"place": "top"}}}
    asked = run_of({**BODY, "metrics": "click"}, 1, metrics)
    with fresh_database(kind, tmp_path) as url, database_at(url) as database:
        load(database, log.write(tmp_path / "texts.jsonl"))
        found = ask(database, Asked(asked.iteration, asked.measures, ()))
    assert not found.failed
    # The JSON functions of SQLite read a text up to its NUL.
    cut = int(kind == "sqlite")
    total = sum(each.y for each in found.sums["click"].values())
    assert total == len(texts) + 1 + cut


def test_an_iteration_without_units_has_no_sums() -> None:
    asked = runs()["first"]
    found = oracle([], [], [], asked.iteration, asked.measures, as_of=BEGIN)
    assert not found.exposed
    assert all(not groups for groups in found.sums.values())
