"""Connections of our own: beside the host's, and never in its way."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from flask_abx.errors import SetupError
from flask_abx.stores.database import (
    LOCK_TIMEOUT,
    Database,
    clock,
    cut,
    is_idle,
    is_in_memory,
    reading,
    writing,
)
from tests.databases import ENGINES, database_url, engine_of, fresh_database, run
from tests.stores.places import database_at, empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

STATE = {"id": 1, "lineage": "a", "version": 1, "schema_version": 1, "pepper": "p"}
SERVERS = ENGINES[1:]
LOCKS = {
    "sqlite": ("PRAGMA busy_timeout", LOCK_TIMEOUT * 1000),
    "postgresql": ("SHOW lock_timeout", f"{LOCK_TIMEOUT}s"),
    "mariadb": ("SELECT @@innodb_lock_wait_timeout", LOCK_TIMEOUT),
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with database_at(f"sqlite:///{tmp_path / 'app.db'}") as made:
        yield made


@pytest.fixture(scope="module", params=ENGINES)
def a_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("database")
    with fresh_database(request.param, folder) as url, database_at(url) as made:
        yield made


@pytest.fixture
def any_database(a_database: Database) -> Database:
    empty(a_database)
    return a_database


def insert(connection: Connection, database: Database) -> None:
    connection.execute(database.tables.state.insert().values(STATE))


def count(database: Database) -> int:
    query = select(func.count()).select_from(database.tables.state)
    with reading(database.own) as connection:
        return connection.execute(query).scalar_one()


def listeners(engine: Engine) -> list[int]:
    """Count what listens to an engine and to its pool."""
    groups: tuple[Any, ...] = (engine.dispatch, engine.pool.dispatch)
    names = ("begin", "before_cursor_execute"), ("connect", "checkout", "checkin")
    return [
        len(getattr(group, name))
        for group, each in zip(groups, names, strict=True)
        for name in each
    ]


def test_the_host_gets_no_event_and_no_option(any_database: Database) -> None:
    host = any_database.host
    before = listeners(host), dict(host.get_execution_options()), host.pool
    with writing(any_database.own) as connection:
        insert(connection, any_database)
    assert (listeners(host), dict(host.get_execution_options()), host.pool) == before


def test_the_pool_of_the_host_is_never_used(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise AssertionError("The host's pool is used.")

    monkeypatch.setattr(any_database.host.pool, "connect", refuse)
    with writing(any_database.own) as connection:
        insert(connection, any_database)
    assert count(any_database) == 1


def test_the_options_of_the_host_are_kept(tmp_path: Path) -> None:
    options: Any = {"execution_options": {"schema_translate_map": {None: "main"}}}
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with database_at(url, **options) as database:
        with writing(database.own) as connection:
            insert(connection, database)
        assert "schema_translate_map" in database.own.get_execution_options()


def test_what_the_host_does_to_its_connections_is_done_to_ours(
    database: Database,
) -> None:
    def protect(connection: Any, record: object) -> None:  # noqa: ANN401 - a driver's own
        del record
        connection.execute("PRAGMA foreign_keys = ON")

    event.listen(database.host, "connect", protect)
    with reading(database.own) as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


@pytest.mark.parametrize("pool", [QueuePool, NullPool, StaticPool])
def test_every_kind_of_pool_serves(tmp_path: Path, pool: type) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with database_at(url, poolclass=pool) as database:
        with writing(database.own) as connection:
            insert(connection, database)
        assert count(database) == 1


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT"])
@pytest.mark.parametrize("form", ["argument", "option"])
def test_we_read_what_is_committed_whatever_the_host_says(
    kind: str, level: str, form: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"isolation_level": level}
    if form == "option":
        given = {"execution_options": given}
    with (
        fresh_database(kind, tmp_path) as url,
        database_at(url, **given) as database,
        reading(database.own) as reader,
    ):
        assert reader.get_isolation_level() == "READ COMMITTED"
        reader.execute(database.tables.state.select())
        with writing(database.own) as writer:
            insert(writer, database)
        assert len(reader.execute(database.tables.state.select()).all()) == 1


def test_a_steady_reader_sees_one_moment(any_database: Database) -> None:
    query = select(func.count()).select_from(any_database.tables.state)
    if _kind(any_database) == "sqlite":
        # Without it, who reads keeps who writes from committing.
        run(str(any_database.host.url), "PRAGMA journal_mode=WAL")
    seen = []
    with reading(any_database.own, is_steady=True) as reader:
        seen.append(reader.execute(query).scalar_one())
        with writing(any_database.own) as writer:
            insert(writer, any_database)
        seen.append(reader.execute(query).scalar_one())
    assert (seen, count(any_database)) == ([0, 0], 1)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_connection_is_steady_for_one_reading_only(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url, database_at(url) as database:
        with reading(database.own, is_steady=True) as connection:
            assert connection.get_isolation_level() == "REPEATABLE READ"
        with reading(database.own) as connection:
            assert connection.get_isolation_level() == "READ COMMITTED"


@pytest.mark.parametrize("level", [None, "SERIALIZABLE", "AUTOCOMMIT"])
def test_sqlite_writes_all_or_nothing_whatever_the_host_says(
    level: str | None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {}
    if level is not None:
        options["execution_options"] = {"isolation_level": level}
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with database_at(url, **options) as database:
        _fail_to_write(database)
        assert count(database) == 0


def test_a_write_that_fails_leaves_nothing(any_database: Database) -> None:
    _fail_to_write(any_database)
    assert count(any_database) == 0


def _fail_to_write(database: Database) -> None:
    def write() -> None:
        with writing(database.own) as connection:
            insert(connection, database)
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        write()


def test_a_read_leaves_nothing(any_database: Database) -> None:
    with reading(any_database.own) as connection:
        insert(connection, any_database)
    assert count(any_database) == 0


def test_nothing_waits_long_for_a_lock(any_database: Database) -> None:
    statement, wanted = LOCKS[_kind(any_database)]
    with reading(any_database.own) as connection:
        assert connection.execute(text(statement)).scalar_one() == wanted


def _kind(database: Database) -> str:
    name = database.host.dialect.name
    return "mariadb" if name == "mysql" else name


def test_a_table_that_is_altered_is_not_waited_for_all_day(tmp_path: Path) -> None:
    with (
        fresh_database("mariadb", tmp_path) as url,
        database_at(url) as database,
        reading(database.own) as connection,
    ):
        waits = connection.execute(text("SELECT @@lock_wait_timeout")).scalar_one()
    assert waits == LOCK_TIMEOUT


@pytest.mark.parametrize(("open_it", "may"), [(writing, False), (reading, True)])
def test_sqlite_takes_its_turn_before_it_reads(
    database: Database, open_it: Callable[[Engine], Any], *, may: bool
) -> None:
    other = create_engine(database.host.url, connect_args={"timeout": 0})
    with open_it(database.own) as connection, other.connect() as another:
        connection.execute(database.tables.state.select())
        try:
            another.exec_driver_sql("BEGIN IMMEDIATE")
            is_free = True
        except DBAPIError:
            is_free = False
    other.dispose()
    assert is_free is may


def test_the_clock_is_that_of_the_day(any_database: Database) -> None:
    with reading(any_database.own) as connection:
        assert abs(clock(connection) / 1000 - time.time()) < 60


def test_the_clock_does_not_stand_still_in_a_transaction(
    any_database: Database,
) -> None:
    with reading(any_database.own) as connection:
        first = clock(connection)
        deadline = time.monotonic() + 5
        while clock(connection) <= first:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("zone", ["+05:30", "-08:00"])
def test_the_clock_is_the_same_in_every_time_zone(zone: str, tmp_path: Path) -> None:
    with (
        fresh_database("mariadb", tmp_path) as url,
        database_at(url) as database,
        reading(database.own) as connection,
    ):
        here = clock(connection)
        connection.execute(text(f"SET time_zone = '{zone}'"))
        assert abs(clock(connection) - here) < 60_000


def test_each_process_has_an_engine_of_its_own(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = database.own
    assert database.own is parent
    with monkeypatch.context() as fork:
        fork.setattr(os, "getpid", lambda: -1)
        child = database.own
        child.dispose()
    assert child is not parent
    assert child.pool is not parent.pool
    assert database.own is parent


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file::memory:?cache=shared&uri=true", True),
        ("sqlite:///file:shop?mode=memory&uri=true", True),
        ("sqlite:///memory.db", False),
        ("postgresql+psycopg://localhost/memory", False),
    ],
)
def test_sqlite_in_memory_is_told_by_its_address(url: str, *, is_so: bool) -> None:
    assert is_in_memory(create_engine(url, poolclass=StaticPool)) is is_so


def test_sqlite_in_memory_has_no_second_door() -> None:
    with database_at("sqlite://", poolclass=StaticPool) as database:
        assert database.is_in_memory
        assert database.own is database.host


def test_the_one_connection_is_idle_between_transactions() -> None:
    with (
        database_at("sqlite://", poolclass=StaticPool) as database,
        database.host.connect() as connection,
    ):
        insert(connection, database)
        assert not is_idle(database.host)
        connection.commit()
        assert is_idle(database.host)


def test_another_kind_of_database_is_refused(database: Database) -> None:
    strange: Any = SimpleNamespace(dialect=SimpleNamespace(name="oracle"))
    with pytest.raises(SetupError, match="'oracle', must be SQLite, PostgreSQL"):
        Database(database.tables, lambda: strange).engine()


def test_a_host_that_is_not_set_up_is_told(database: Database) -> None:
    def find() -> Engine:
        raise RuntimeError("The current Flask app is not registered.")

    unknown = Database(database.tables, find)
    assert not unknown.is_in_memory
    with pytest.raises(SetupError, match=r"not registered. Call `db.init_app\(app\)`"):
        unknown.engine()


@pytest.mark.parametrize("kind", ENGINES)
def test_missing_tables_are_told_with_the_command(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url, database_at(url, is_empty=True) as it:
        told = it.missing_table(it.own)
    assert isinstance(told, SetupError)
    assert "`flask abx db create`" in str(told)


def test_tables_that_are_there_are_not_missed(any_database: Database) -> None:
    assert any_database.missing_table(any_database.own) is None


def test_a_database_that_does_not_answer_is_no_missing_table(
    database: Database,
) -> None:
    nowhere = create_engine("postgresql+psycopg://127.0.0.1:1/none", poolclass=NullPool)
    assert database.missing_table(nowhere) is None


SLEEPS = {"postgresql": "SELECT pg_sleep(60)", "mariadb": "SELECT sleep(60)"}


@pytest.mark.parametrize("kind", SLEEPS)
def test_who_waits_on_a_line_that_is_cut_wakes_up(kind: str, tmp_path: Path) -> None:
    with engine_of(database_url(kind, tmp_path)) as engine:
        pooled = engine.raw_connection()
        driver = pooled.driver_connection
        assert driver is not None
        pooled.detach()
        ended: list[Exception] = []

        def wait() -> None:
            try:
                driver.cursor().execute(SLEEPS[kind])
            except Exception as error:  # noqa: BLE001 - each driver has its own
                ended.append(error)

        thread = Thread(target=wait)
        thread.start()
        while thread.is_alive():
            cut(driver)
            thread.join(0.1)
        assert ended
        with suppress(Exception):
            driver.close()


def test_what_has_no_line_is_left_alone() -> None:
    cut(object())
