"""Loading a log: every record once, and one bad record alone is left out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from flask_abx.errors import SetupError
from flask_abx.events.lines import Line
from flask_abx.events.sql import loading
from flask_abx.events.sql.erasures import digest_of
from flask_abx.events.sql.loading import CHUNK, Loaded, Loader, Refusal
from flask_abx.events.sql.storing import store
from flask_abx.stores.database import reading, writing
from tests.databases import ENGINES, fresh_database
from tests.events.sql.exports import ANNAS, event, exported, exposure
from tests.stores.places import database_at, empty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from flask_abx.events.sql.storing import Stored
    from flask_abx.schema import Tables
    from flask_abx.stores.database import Database

Records = Sequence[Mapping[str, Any]]
KindsOf = Callable[[str], tuple[str, ...]]


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


def load(
    database: Database, *records: Mapping[str, Any] | None
) -> tuple[Loaded, list[Refusal]]:
    told: list[Refusal] = []
    loader = Loader(database, lambda key: ("user", "visitor"), told.append)
    for number, record in enumerate(records, 1):
        loader.add(Line("log", number, record))
    loader.flush()
    return loader.loaded, told


def events(count: int) -> list[dict[str, Any]]:
    return [event(f"e{number}") for number in range(count)]


def stored_events(database: Database) -> int:
    with reading(database.own) as connection:
        query = select(func.count()).select_from(database.tables.events)
        return connection.execute(query).scalar_one()


def test_records_are_stored_and_counted(database: Database) -> None:
    loaded, told = load(database, exposure(), event(), None)
    assert loaded == Loaded(exposures=1, events=1, skipped=1)
    assert told == []
    assert stored_events(database) == 1


def test_loading_twice_changes_nothing(database: Database, tmp_path: Path) -> None:
    login = {"visitor": ANNAS, "user": "7"}
    records = [exposure(), event(), event("login", units=login)]
    load(database, *records)
    before = exported(database, tmp_path)
    assert load(database, *records)[0] == Loaded(exposures=1, events=2)
    assert exported(database, tmp_path) == before


def test_more_than_a_chunk_is_stored(database: Database) -> None:
    load(database, *events(CHUNK + 1))
    assert stored_events(database) == CHUNK + 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x" * 101},
        {"units": {}},
        {"at": "yesterday"},
        {"value": "49.9"},
        {"id": None},
        {"properties": []},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_record_with_a_fault_is_told(
    fields: dict[str, Any], database: Database
) -> None:
    bad = {**event("bad"), **fields}
    loaded, told = load(database, event(), bad, event("third"))
    assert (loaded.events, loaded.refused) == (2, 1)
    assert (told[0].file, told[0].line) == ("log", 2)
    assert next(iter(fields)) in told[0].reason


def test_a_record_that_was_cut_off_is_told(database: Database) -> None:
    told: list[Refusal] = []
    loader = Loader(database, lambda key: (), told.append)
    loader.add(Line("log", 3, is_broken=True))
    assert str(told[0]) == "log, line 3: The record is cut off, or no JSON."


def test_what_the_database_refuses_stands_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(
        connection: Connection, tables: Tables, records: Records, kinds_of: KindsOf
    ) -> Stored:
        if any(record["name"] == "e7" for record in records):
            raise ValueError("Not this one.")
        return store(connection, tables, records, kinds_of)

    monkeypatch.setattr(loading, "store", refusing)
    loaded, told = load(database, *events(20))
    assert (loaded.events, loaded.refused, stored_events(database)) == (19, 1, 19)
    assert [each.line for each in told] == [8]


def test_a_lost_race_is_run_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    lost: list[Exception] = [OperationalError("INSERT", {}, locked)]

    def losing(
        connection: Connection, tables: Tables, records: Records, kinds_of: KindsOf
    ) -> Stored:
        if lost:
            raise lost.pop()
        return store(connection, tables, records, kinds_of)

    monkeypatch.setattr(loading, "store", losing)
    assert load(database, event())[0] == Loaded(events=1)
    assert lost == []


def test_any_other_trouble_ends_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(connection: Connection, *others: object) -> None:
        del others
        connection.execute(text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr(loading, "store", failing)
    with pytest.raises(DBAPIError):
        load(database, event())


def test_erased_people_do_not_come_back(database: Database) -> None:
    load(database, event())
    tables = database.tables
    with writing(database.own) as connection:
        connection.execute(
            tables.state.insert().values(
                id=1, lineage="l", version=0, schema_version=1, pepper="p"
            )
        )
        row = {"digest": digest_of("p", f"visitor:{ANNAS}"), "erased_at": 2**42}
        connection.execute(tables.erasures.insert().values(row))
    assert load(database, event("late"))[0] == Loaded(erased=1)


def test_missing_tables_are_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    with (
        database_at(url, is_empty=True) as database,
        pytest.raises(SetupError, match="flask abx db create"),
    ):
        load(database, event())
