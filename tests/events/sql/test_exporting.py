"""An export tells what is stored: all of it, of one experiment, or what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_abx.events.sql.exporting import OVERLAP, Wanted
from flask_abx.stores.database import writing
from tests.databases import ENGINES, fresh_database
from tests.events.sql.exports import (
    ANNAS,
    BENS,
    NEXT_DAY,
    event,
    export_into,
    exported,
    exposure,
    keep,
)
from tests.stores.places import database_at, empty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.stores.database import Database

LONG_AGO, SINCE = 1_000, 1_900_000_000_000
LOGIN = {"visitor": ANNAS, "user": "7"}


@pytest.fixture(scope="module", params=ENGINES)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("place")
    with fresh_database(request.param, folder) as url, database_at(url) as database:
        yield database


@pytest.fixture
def database(place: Database) -> Database:
    empty(place)
    return place


def test_events_are_told_as_the_log_tells_them(
    database: Database, tmp_path: Path
) -> None:
    records = [event(), event("visit", value=None, at=NEXT_DAY)]
    keep(database, *records)
    found = exported(database, tmp_path)["events"]
    assert sorted(found, key=lambda each: each["at"]) == records
    assert [*found[0]] == [*records[0]]


def test_an_exposure_is_its_record_and_its_row(
    database: Database, tmp_path: Path
) -> None:
    record = exposure()
    keep(database, record, exposure(variant="control", at=NEXT_DAY))
    (found,) = exported(database, tmp_path)["exposures"]
    assert {name: found.pop(name) for name in record} == record
    slot = found.pop("slot")
    assert 0 <= slot < 200
    assert found == {
        "epoch": 1,
        "first_at": record["at"],
        "mixed": True,
        "merged_into": None,
    }


def test_an_exposure_of_a_user_tells_the_visitor_too(
    database: Database, tmp_path: Path
) -> None:
    keep(database, exposure("7", "user", units=LOGIN))
    (found,) = exported(database, tmp_path)["exposures"]
    assert (found["unit"], found["units"]) == ("7", LOGIN)


def test_units_links_and_epochs_stand_beside_them(
    database: Database, tmp_path: Path
) -> None:
    record = event(units=LOGIN)
    keep(database, record)
    row = {"experiment": "headline", "iteration": 1, "epoch": 1, "started_at": 0}
    with writing(database.own) as connection:
        connection.execute(database.tables.epochs.insert().values(**row, weights="{}"))
    found = exported(database, tmp_path)
    units = {(each["unit_type"], each["unit"]) for each in found["event_units"]}
    assert units == {("visitor", ANNAS), ("user", "7")}
    assert {each["event_id"] for each in found["event_units"]} == {record["id"]}
    (link,) = found["links"]
    assert (link["visitor"], link["unit"], link["first"]) == (ANNAS, "7", True)
    (epoch,) = found["epochs"]
    assert epoch == {**row, "weights": {}, "started_at": "1970-01-01T00:00:00.000Z"}


def test_an_experiment_brings_what_its_units_did(
    database: Database, tmp_path: Path
) -> None:
    others = {"visitor": BENS}
    keep(
        database,
        exposure(),
        exposure(BENS, experiment="prices"),
        event(),
        event(units=others),
    )
    found = exported(database, tmp_path, Wanted("headline"))
    assert [each["unit"] for each in found["exposures"]] == [ANNAS]
    assert [each["units"] for each in found["events"]] == [{"visitor": ANNAS}]
    assert [each["unit"] for each in found["event_units"]] == [ANNAS]


def test_since_goes_by_arrival(database: Database, tmp_path: Path) -> None:
    keep(database, event("old", at=NEXT_DAY), stored_at=LONG_AGO)
    keep(database, event("new"))
    found = exported(database, tmp_path, Wanted(since=1_000_000_000))
    assert [each["name"] for each in found["events"]] == ["new"]
    assert [each["name"] for each in found["event_units"]] == ["new"]


@pytest.mark.parametrize(
    ("late", "count"),
    [pytest.param(0, 1, id="within"), pytest.param(1, 0, id="beyond")],
)
def test_since_looks_back_a_little(
    late: int, count: int, database: Database, tmp_path: Path
) -> None:
    keep(database, event(), stored_at=SINCE - OVERLAP - late)
    found = exported(database, tmp_path, Wanted(since=SINCE))
    assert len(found["events"]) == count


def test_a_new_link_brings_what_now_belongs_to_somebody_else(
    database: Database, tmp_path: Path
) -> None:
    keep(database, exposure(), event("visit"), stored_at=LONG_AGO)
    keep(database, event("login", units=LOGIN, at=NEXT_DAY))
    found = exported(database, tmp_path, Wanted(since=1_000_000_000))
    told = {(each["unit"], each["name"]) for each in found["event_units"]}
    assert told >= {("7", "visit"), ("7", "login"), (ANNAS, "login")}
    merged = {each["unit"]: each["merged_into"] for each in found["exposures"]}
    assert merged == {ANNAS: "user:7", "7": None}


def test_what_became_mixed_is_told_again(database: Database, tmp_path: Path) -> None:
    keep(database, exposure(), exposure(BENS), stored_at=LONG_AGO)
    keep(database, exposure(variant="control"))
    found = exported(database, tmp_path, Wanted(since=1_000_000_000))
    assert [each["unit"] for each in found["exposures"]] == [ANNAS]


def test_the_next_moment_is_that_of_the_database(
    database: Database, tmp_path: Path
) -> None:
    keep(database, event())
    done = export_into(database, tmp_path)
    assert done.next > "2026"
    assert done.rows["events"] == 1


def test_progress_is_told_and_adds_up(database: Database, tmp_path: Path) -> None:
    keep(database, *(event(f"e{number}") for number in range(5)), exposure())
    done = export_into(database, tmp_path, Wanted(is_counted=True))
    assert sum(done.rows.values()) == 11
