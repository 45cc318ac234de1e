"""A look from the tables to what is stored, and what later looks keep of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from flask_abx.results import Basis, Level, Reading, Results, VerdictCode
from flask_abx.results.looks.stored import all_looks, latest_look
from flask_abx.results.refresh import Metrics, refresh
from flask_abx.stores.database import reading
from tests.databases import ENGINES, fresh_database
from tests.results.past import BEGIN, DAY, HOUR, Past, past_at, sqlite_past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.results.looks.kept import Kept

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
#: Of so many in each variant, so many sign up.
UNITS, CONTROL, BOLD = 400, 40, 90


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    """Make a past in which nothing has happened."""
    with sqlite_past(tmp_path) as past:
        yield past


def run(past: Past, bold: int = BOLD, **body: Any) -> list[str]:
    """Have an experiment run for a while, so that bold is better."""
    past.change(BEGIN, {**TWO, **body})
    units = past.expose({"control": UNITS, "bold": UNITS}, BEGIN + HOUR)
    signed = [*units[:CONTROL], *units[UNITS : UNITS + bold]]
    # Before the last of them came: a planned look hears of nothing later.
    past.happen(signed, "signup", BEGIN + HOUR + 799_000)
    return units


def look(past: Past) -> Results:
    """Look at the experiment."""
    database = past.database
    metrics = Metrics(past.document.metrics)
    return refresh(database.own, database.tables, past.document, metrics, "headline")


def kept_of(past: Past) -> Kept:
    """Read what the last look handed on."""
    database = past.database
    with reading(database.own) as connection:
        found = latest_look(connection, database.tables, "headline")
    assert found is not None
    return found.kept


@pytest.mark.parametrize("kind", ENGINES)
def test_a_look_is_stored_as_it_was_told(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url, past_at(url) as past:
        run(past)
        told = look(past)
        database = past.database
        with reading(database.own) as connection:
            stored = latest_look(connection, database.tables, "headline")
    assert stored is not None
    assert stored.results == told
    assert [each.units for each in told.variants] == [UNITS, UNITS]
    [metric] = told.metrics
    assert [each.total for each in metric.samples] == [CONTROL, BOLD]
    assert metric.comparisons[0].reading is Reading.BETTER


def test_each_look_is_kept(past: Past) -> None:
    run(past)
    told = [look(past) for _ in range(3)]
    database = past.database
    with reading(database.own) as connection:
        stored = all_looks(connection, database.tables, "headline")
    assert [each.looks for each in stored] == [1, 2, 3]
    assert stored == tuple(told)


def test_the_final_look_is_made_once(past: Past) -> None:
    # So few more that only a single look may call them better.
    units = run(past, bold=62, plan={"units": 2 * UNITS})
    first = look(past).metrics[0].comparisons[0]
    past.happen(units[CONTROL : CONTROL + 5], "signup", BEGIN + 2 * DAY)
    past.expose({"control": 50}, BEGIN + 3 * DAY)
    later = {look(past).metrics[0].comparisons[0] for _ in range(50)}
    assert first.basis is Basis.FINAL
    assert later == {first}


def test_a_final_look_outlives_what_comes_later(past: Past) -> None:
    units = run(past, bold=62, plan={"units": 2 * UNITS})
    look(past)
    first = kept_of(past).final
    past.happen(units[CONTROL:UNITS], "signup", BEGIN + 2 * DAY)
    past.change(BEGIN + 3 * DAY, {**TWO, "plan": {"units": 5}, "metrics": "other"})
    look(past)
    assert first is not None
    assert kept_of(past).final == first


def test_a_plan_that_came_late_makes_no_final_look(past: Past) -> None:
    run(past)
    past.change(BEGIN + 2 * DAY, {**TWO, "plan": {"units": 100}})
    told = look(past)
    assert told.plan is not None
    assert not told.plan.is_valid
    assert told.metrics[0].comparisons[0].basis is Basis.ANY_TIME


def test_a_broken_split_is_not_read(past: Past) -> None:
    past.change(BEGIN, TWO)
    units = past.expose({"control": 700, "bold": 400}, BEGIN + HOUR)
    past.happen(units[900:], "signup", BEGIN + DAY)
    told = look(past)
    assert told.verdict.code is VerdictCode.UNTRUSTED
    assert told.metrics[0].comparisons[0].reading is Reading.WITHHELD
    assert [each.id.value for each in told.health if each.level is Level.ERROR] == [
        "srm"
    ]


def test_the_same_figures_come_after_the_end(past: Past) -> None:
    units = run(past)
    past.change(BEGIN + 9 * DAY, {**TWO, "status": "concluded", "winner": "bold"})
    first = look(past)
    past.happen(units[:UNITS], "signup", BEGIN + 10 * DAY)
    past.expose({"control": 9}, BEGIN + 10 * DAY)
    again = look(past)
    assert again.metrics == first.metrics
    assert again.variants == first.variants


def test_an_experiment_without_metrics_reports_what_it_saw(past: Past) -> None:
    past.change(BEGIN, {"variants": ["control", "bold"]})
    units = past.expose({"control": UNITS, "bold": UNITS}, BEGIN + HOUR)
    past.happen(units[:10], "signup", BEGIN + DAY)
    told = look(past)
    assert told.verdict.code is VerdictCode.NO_PRIMARY
    assert [(each.metric, each.exploratory) for each in told.metrics] == [
        ("signup", True)
    ]


def test_nothing_is_stored_where_a_look_fails(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(past)
    look(past)

    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("flask_abx.results.refresh.judge", fail)
    with pytest.raises(ZeroDivisionError):
        look(past)
    table = past.database.tables.looks
    with reading(past.database.own) as connection:
        assert len(connection.execute(select(table.c.computed_at)).all()) == 1


def test_without_exposures_there_is_no_data(past: Past) -> None:
    past.change(BEGIN, TWO)
    assert look(past).verdict.code is VerdictCode.NO_DATA
