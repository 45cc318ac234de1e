"""Moving records into the tables: what is refused, disturbed, late or left behind."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from flask_abx.events import draining, porter
from flask_abx.events.draining import Adoption, Drain
from flask_abx.events.flights import Flights
from flask_abx.events.porter import Disturbed, Porter
from flask_abx.events.records import Event
from flask_abx.events.spool.letters import DeadLetters
from flask_abx.events.spool.spool import Spool
from flask_abx.events.sql.erasures import digest_of
from flask_abx.events.sql.storing import store, store_event
from flask_abx.events.tally import Tally
from flask_abx.stores.database import writing
from flask_abx.stores.life import Life
from flask_abx.stores.reading import begin_lineage
from tests.databases import ENGINES, fresh_database
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.stores.database import Database

LOGGER = logging.getLogger("tests.draining")


def told(name: str, number: int = 0, **units: str) -> str:
    """Write an event as the spool holds it."""
    return Event(
        id=f"{number:032x}",
        at=datetime.now(UTC),
        units=units or {"user": "7"},
        version="c0",
        name=name,
        value=1,
        properties={},
        variants={},
    ).to_json()


@dataclass(eq=False)
class House:
    """A database, a spool, and what moves records from one to the other."""

    database: Database
    folder: Path
    flights: Flights = field(default_factory=Flights)
    tally: Tally = field(default_factory=Tally)
    forgotten: list[str] = field(default_factory=list)
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.life = Life(self.database)
        self.letters = DeadLetters(self.folder)
        self.spool = self.new_spool()
        self.porter = Porter(
            self.database,
            lambda experiment: (),
            self.flights,
            lambda: self.letters,
            self.forgotten.append,
            self.tally,
            LOGGER,
        )
        self.drain = Drain(self.spool, self.porter, lambda: self.is_ready)
        self.adoption = Adoption(self.spool, self.porter, lambda: self.is_ready)

    def new_spool(self) -> Spool:
        """Give what another process of the same application would have."""
        return Spool(lambda: self.folder, 2**30, self.tally, LOGGER)

    def leave(self, *texts: str) -> None:
        """Have a process record something, and end."""
        spool = self.new_spool()
        for each in texts:
            spool.append([each])
        spool.close()

    def store(self) -> None:
        """Have the drain run now."""
        self.drain.hurry()
        self.drain.run(self.life)

    def adopt(self) -> None:
        """Have all that others left stored."""
        while self.adoption.rest == 0:
            self.adoption.run(self.life)

    def names(self) -> list[str]:
        """Read what is stored."""
        table = self.database.tables.events
        with self.life.engine.connect() as connection:
            return list(connection.scalars(select(table.c.name).order_by(table.c.id)))

    def refuse(self, name: str) -> None:
        """Have the database itself refuse events of a name from now on."""
        table = self.database.tables.events.name
        dialect = self.life.engine.dialect.name
        body = {
            "sqlite": "BEGIN SELECT RAISE(ABORT, 'poison'); END",
            "postgresql": "EXECUTE FUNCTION abx_refuse()",
            "mysql": "IF NEW.name = '{}' THEN SIGNAL SQLSTATE '45000' "
            "SET MESSAGE_TEXT = 'poison'; END IF",
        }[dialect].format(name)
        when = "" if dialect == "mysql" else f"WHEN (NEW.name = '{name}') "
        with writing(self.life.engine) as connection:
            if dialect == "postgresql":
                connection.execute(
                    text(
                        "CREATE FUNCTION abx_refuse() RETURNS trigger LANGUAGE plpgsql "
                        "AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$"
                    )
                )
            connection.execute(
                text(
                    f"CREATE TRIGGER abx_t BEFORE INSERT ON {table} FOR EACH ROW "
                    f"{when}{body}"
                )
            )


@pytest.fixture(params=ENGINES)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with _house(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Iterator[House]:
    with _house("sqlite", tmp_path) as made:
        yield made


class _house:  # noqa: N801 - read as a function
    def __init__(self, kind: str, folder: Path) -> None:
        self._kind, self._folder = kind, folder

    def __enter__(self) -> House:
        self._fresh = fresh_database(self._kind, self._folder)
        self._place = database_at(self._fresh.__enter__())
        self._made = House(self._place.__enter__(), self._folder / "spool")
        return self._made

    def __exit__(self, *error: Any) -> None:
        self._made.spool.close()
        self._made.life.close()
        self._place.__exit__(None, None, None)
        self._fresh.__exit__(None, None, None)


def test_what_was_recorded_is_stored_and_the_file_goes(house: House) -> None:
    house.spool.append([told("a", 1), told("b", 2)])
    house.store()
    assert house.names() == ["a", "b"]
    assert house.spool.is_empty


def test_what_a_dead_process_left_is_stored(house: House) -> None:
    house.leave(*(told(f"e{number:03}", number) for number in range(7)))
    house.adopt()
    assert house.names() == [f"e{number:03}" for number in range(7)]
    assert list(house.folder.glob("*.spool")) == []


def test_a_poison_record_alone_becomes_a_dead_letter(house: House) -> None:
    house.refuse("poison")
    batch = [told("poison" if n == 6 else "fine", n) for n in range(20)]
    house.spool.append(batch)
    house.store()
    assert house.names() == ["fine"] * 19
    (letter,) = house.letters.read()
    assert letter.record is not None
    assert letter.record["name"] == "poison"
    assert house.tally.counts["record_refused"] == 1


def test_a_damaged_line_becomes_a_dead_letter(local: House) -> None:
    local.leave(told("fine", 1))
    (path,) = local.folder.glob("*.spool")
    path.write_bytes(path.read_bytes() + b"0badc0de 3 {}\n")
    local.adopt()
    assert local.names() == ["fine"]
    (letter,) = local.letters.read()
    assert letter.raw == "0badc0de 3 {}"


def test_without_tables_everything_stays_in_the_file(local: House) -> None:
    table = local.database.tables.events.name
    with writing(local.life.engine) as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO away"))
    local.spool.append([told("a", 1)])
    with pytest.raises(Exception, match="no such table"):
        local.store()
    assert list(local.letters.read()) == []
    with writing(local.life.engine) as connection:
        connection.execute(text(f"ALTER TABLE away RENAME TO {table}"))
    local.store()
    assert local.names() == ["a"]


def test_nothing_is_stored_before_the_definitions_are_known(local: House) -> None:
    local.is_ready = False
    local.spool.append([told("a", 1)])
    local.leave(told("b", 2))
    local.store()
    local.adoption.run(local.life)
    assert local.names() == []


def test_sqlite_is_not_written_to_while_a_request_is_under_way(local: House) -> None:
    request = object()
    local.flights.begin(request)
    local.spool.append([told("a", 1)])
    local.store()
    assert local.names() == []
    local.flights.end(request)
    local.store()
    assert local.names() == ["a"]


def test_after_five_seconds_it_is_written_all_the_same(
    local: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.flights.begin(object())
    local.spool.append([told("a", 1)])
    local.store()
    before = monotonic()
    for module in (draining, porter):
        monkeypatch.setattr(module, "monotonic", lambda: before + 6)
    local.store()
    assert local.names() == ["a"]


@pytest.mark.parametrize("chunk", [1, 2], ids=["the first", "the second"])
def test_a_request_that_begins_meanwhile_undoes_the_write(
    chunk: int, local: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = 0

    def begin_and_store(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as store
        nonlocal stored
        stored += 1
        if stored == chunk:
            local.flights.begin(local)
        return store(*arguments, **more)

    monkeypatch.setattr(porter, "SQLITE_CHUNK", 1)
    monkeypatch.setattr(porter, "store", begin_and_store)
    local.spool.append([told("a", 1), told("b", 2), told("c", 3)])
    haul = local.spool.take()
    assert haul is not None
    with pytest.raises(Disturbed):
        local.porter.carry(haul, local.life)
    assert len(local.names()) == chunk - 1
    local.flights.end(local)
    local.store()
    assert local.names() == ["a", "b", "c"]


def test_other_databases_count_no_requests(house: House) -> None:
    house.spool.append([told("a", 1)])
    house.store()
    is_sqlite = house.life.engine.dialect.name == "sqlite"
    assert house.flights.are_counted is is_sqlite


def test_a_thread_that_was_replaced_stores_nothing(local: House) -> None:
    local.spool.append([told("a", 1)])
    haul = local.spool.take()
    assert haul is not None
    local.life.is_over = True
    with pytest.raises(Disturbed):
        local.porter.carry(haul, local.life)
    local.life.is_over = False
    assert local.names() == []


def test_another_thread_takes_up_a_file_in_the_middle(
    local: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "ADOPTED_CHUNK", 2)
    local.leave(*(told(f"e{number}", number) for number in range(5)))
    local.adoption.run(local.life)
    assert len(local.names()) == 2
    first, local.life = local.life, Life(local.database)
    local.adopt()
    assert local.names() == [f"e{number}" for number in range(5)]
    first.close()


def test_with_a_drainer_the_records_are_left_to_it(local: House) -> None:
    local.spool.append([told("a", 1)])
    drainer = local.new_spool()
    with drainer.watch():
        local.drain.run(local.life)
        local.adopt()
        assert local.names() == []
        haul = drainer.adopt()
        assert haul is not None
        local.porter.carry(haul, local.life)
    assert local.names() == ["a"]
    assert local.spool.settled == local.spool.appended
    drainer.close()


def test_what_a_login_changes_is_forgotten_once(local: House) -> None:
    for number in range(3):
        local.spool.append([told("a", number, visitor="f" * 32, user="7")])
        local.store()
    assert local.forgotten == ["user:7"]


def test_a_child_drains_nothing_of_its_parent(local: House) -> None:
    local.spool.append([told("a", 1)])
    child = os.fork()
    if child == 0:
        is_none = local.spool.is_empty and local.spool.take() is None
        os._exit(0 if is_none else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    local.store()
    assert local.names() == ["a"]


def test_a_child_leaves_the_file_to_its_parent_that_is_at_it(
    local: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "ADOPTED_CHUNK", 2)
    local.leave(*(told(f"e{number}", number) for number in range(5)))
    local.adoption.run(local.life)
    child = os.fork()
    if child == 0:
        local.adoption.run(local.life)
        os._exit(0 if local.adoption._haul is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    local.adopt()
    assert local.names() == [f"e{number}" for number in range(5)]


def test_a_letter_that_cannot_be_written_keeps_nobody_waiting(local: House) -> None:
    local.refuse("poison")
    local.folder.mkdir()
    (local.folder / "dead-letters.jsonl").mkdir()
    local.spool.append([told("poison", 1)])
    local.store()
    local.spool.append([told("fine", 2)])
    local.store()
    assert local.names() == ["fine"]
    assert local.tally.counts["record_dropped:refused"] == 1


def test_what_is_nested_without_end_keeps_nobody_waiting(local: House) -> None:
    local.leave("[" * 100_000 + "]" * 100_000, told("fine", 1))
    local.adopt()
    assert local.names() == ["fine"]
    assert len(local.letters.read()) == 1


def test_an_atomic_row_of_a_unit_that_was_erased_meanwhile_goes(house: House) -> None:
    record = json.loads(told("paid", 1, user="7", tenant="acme"))
    tables, engine = house.database.tables, house.life.engine
    begin_lineage(engine, tables)
    with writing(engine) as connection:
        store_event(connection, tables, record)
    erase_digest(house, "user:7")
    house.spool.append([json.dumps(record)])
    house.store()
    assert house.names() == []
    with engine.connect() as connection:
        assert connection.execute(select(tables.event_units)).all() == []


def erase_digest(house: House, unit: str) -> None:
    """Note an erasure that has not seen the rows of an open transaction."""
    tables = house.database.tables
    with writing(house.life.engine) as connection:
        pepper = connection.execute(select(tables.state.c.pepper)).scalar_one()
        row = {"digest": digest_of(pepper, unit), "erased_at": 2**42}
        connection.execute(tables.erasures.insert().values(row))


def test_an_atomic_row_that_was_hidden_long_arrives_when_it_is_seen(
    house: House,
) -> None:
    record = json.loads(told("paid", 1))
    table, engine = house.database.tables.events, house.life.engine
    with writing(engine) as connection:
        store_event(connection, house.database.tables, record)
        connection.execute(table.update().values(stored_at=table.c.stored_at - 90_000))
        before = connection.execute(select(table.c.stored_at)).scalar_one()
    house.spool.append([json.dumps(record)])
    house.store()
    with engine.connect() as connection:
        after = connection.execute(select(table.c.stored_at)).scalar_one()
    assert after - before >= 90_000
