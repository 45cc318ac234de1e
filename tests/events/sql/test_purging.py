"""Old records go a few at a time; what results need stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.events.sql import purging
from flask_abx.events.sql.purging import Old, find_old, purge_events, purge_exposures
from tests.events.sql.people import ANNAS, NOON, Rows

if TYPE_CHECKING:
    import pytest


def purged(rows: Rows) -> list[int]:
    return list(purge_events(rows.database.own, rows.tables, NOON))


def purged_exposures(rows: Rows, key: str = "headline") -> list[int]:
    return list(purge_exposures(rows.database.own, rows.tables, NOON, key))


def found(rows: Rows, *archived: str) -> Old:
    return find_old(rows.database.own, rows.tables, NOON, archived)


def test_older_events_go_with_what_they_belong_to(rows: Rows) -> None:
    rows.event("1", {"user": "anna", "visitor": ANNAS}, at=NOON - 1)
    assert purged(rows) == [1]
    assert rows.counts() == (0, 0, 0, 0)


def test_an_event_of_that_very_moment_stays(rows: Rows) -> None:
    rows.event("1", {"user": "anna"}, at=NOON)
    assert purged(rows) == []
    assert rows.counts() == (0, 1, 1, 0)


def test_events_go_chunk_by_chunk(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "CHUNK", 3)
    rows.events([f"old {n}" for n in range(7)], {"user": "anna"}, at=NOON - 1)
    rows.events([f"new {n}" for n in range(7)], {"user": "anna"})
    assert purged(rows) == [3, 3, 1]
    assert rows.counts() == (0, 7, 7, 0)


def test_more_than_one_statement_can_name_is_one_chunk(rows: Rows) -> None:
    rows.events([f"old {n}" for n in range(1_100)], {"user": "anna"}, at=NOON - 1)
    assert purged(rows) == [1_100]
    assert rows.counts() == (0, 0, 0, 0)


def test_the_exposures_of_one_experiment_go(rows: Rows) -> None:
    rows.exposure("user:anna", at=NOON - 1)
    rows.exposure("user:ben")
    rows.exposure("user:anna", experiment="prices", at=NOON - 1)
    assert purged_exposures(rows) == [1]
    assert rows.units(rows.tables.exposures) == ["user:ben", "user:anna"]


def test_exposures_go_chunk_by_chunk(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "CHUNK", 2)
    for number in range(5):
        rows.exposure(f"user:{number}", at=NOON - 1)
    assert purged_exposures(rows) == [2, 2, 1]


def test_what_would_go_is_counted_and_the_rest_is_named(rows: Rows) -> None:
    rows.event("1", {"user": "anna"}, at=NOON - 1)
    rows.exposure("user:anna", at=NOON - 1)
    rows.exposure("user:ben", at=NOON - 1)
    rows.exposure("user:anna", experiment="prices", at=NOON - 1)
    rows.exposure("user:anna", experiment="young")
    assert found(rows, "headline", "young") == Old(1, {"headline": 2}, ("prices",))


def test_where_nothing_is_nothing_is_found(rows: Rows) -> None:
    assert found(rows, "headline") == Old(0, {}, ())
