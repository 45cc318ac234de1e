"""The command that stores what gone processes have left."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.events.spool.spool import Spool
from flask_abx.events.tally import Tally
from flask_abx.runtime.state import state_of
from tests.cli.people import event
from tests.cli.stored import data_of, stored_app
from tests.databases import ENGINES, fresh_database
from tests.databases import run as execute
from tests.events.sql.people import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

DRAIN = ("events", "drain")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with served_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as app:
        yield app


@contextmanager
def served_app(url: str, folder: Path, **config: object) -> Iterator[Flask]:
    """Make an application as it is served: its records wait in its own folder."""
    config = {"TESTING": False, "ABX_SINKS": ["sql"], **config}
    with stored_app(url, folder / "instance", **config) as app:
        yield app


def another(app: Flask) -> Spool:
    """Give the spool of another process of the same application."""
    delivery = state_of(app).delivery
    assert delivery is not None
    folder = delivery.spool.state.folder
    return Spool(lambda: folder, 2**30, Tally(), app.logger)


def leave(app: Flask, *names: str) -> int:
    """Leave a file whose owner is gone; gives its size."""
    spool = another(app)
    before = spool.state.bytes
    spool.append([json.dumps(event(name, user="anna")) for name in names])
    size = spool.state.bytes - before
    spool.close()
    return size


def names(app: Flask) -> list[Any]:
    """Name the events that are stored."""
    database = state_of(app).database
    assert database is not None
    rows = Rows(database)
    return sorted(row["name"] for row in rows.all(rows.tables.events))


@contextmanager
def stopped(app: Flask, is_done: Callable[[], object]) -> Iterator[None]:
    """Tell this process to stop, once it watches and something is done."""

    def stop() -> None:
        until = monotonic() + 20
        while monotonic() < until:
            if another(app).has_drainer() and is_done():
                break
            sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    # Whatever comes too early or too late must not end the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    thread = Thread(target=stop, daemon=True)
    thread.start()
    try:
        yield
        thread.join(30)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("kind", ENGINES)
def test_what_gone_processes_left_is_stored(
    kind: str, tmp_path: Path, run: Run
) -> None:
    with fresh_database(kind, tmp_path) as url, served_app(url, tmp_path) as app:
        size = leave(app, "one", "two") + leave(app, "three")
        assert data_of(run(app, *DRAIN)) == {"files": 2, "bytes": size}
        assert names(app) == ["one", "three", "two"]


def test_a_second_time_there_is_nothing_to_store(app: Flask, run: Run) -> None:
    leave(app, "one")
    run(app, *DRAIN)
    assert data_of(run(app, *DRAIN)) == {"files": 0, "bytes": 0}


def test_what_was_stored_is_told_in_words(app: Flask, run: Run) -> None:
    size = leave(app, "one")
    result = run(app, *DRAIN, "--format", "table")
    assert result.stdout == f"1 file with {size} bytes is stored.\n"


def test_that_there_was_nothing_is_told_in_words(app: Flask, run: Run) -> None:
    result = run(app, *DRAIN, "--format", "table")
    assert result.stdout == (
        "There is nothing to drain: no process that is gone has left anything.\n"
    )


def test_what_a_living_process_has_is_left_to_it(app: Flask, run: Run) -> None:
    spool = another(app)
    spool.append([json.dumps(event("one", user="anna"))])
    try:
        assert data_of(run(app, *DRAIN))["files"] == 0
    finally:
        spool.close()


def test_without_its_tables_everything_stays(app: Flask, run: Run) -> None:
    size = leave(app, "one")
    database = state_of(app).database
    assert database is not None
    execute(str(database.own.url), f"DROP TABLE {database.tables.events.name}")
    assert run(app, *DRAIN).exit_code == 1
    assert another(app).state.bytes == size


def test_while_it_watches_workers_are_told(app: Flask, run: Run) -> None:
    seen: list[bool] = []

    def look() -> bool:
        seen.append(another(app).has_drainer())
        return seen[-1]

    with stopped(app, look):
        result = run(app, *DRAIN, "--watch")
    assert (result.exit_code, seen[-1:]) == (0, [True])
    assert not another(app).has_drainer()


def test_while_it_watches_it_stores_what_comes(app: Flask, run: Run) -> None:
    leave(app, "one")
    left = [False]

    def leave_more() -> bool:
        if names(app) == ["one"] and not left[0]:
            left[0] = bool(leave(app, "two"))
        return names(app) == ["one", "two"]

    with stopped(app, leave_more):
        result = run(app, *DRAIN, "--watch")
    assert data_of(result)["files"] == 2
    assert names(app) == ["one", "two"]


def test_of_two_that_watch_the_second_is_refused(app: Flask, run: Run) -> None:
    with another(app).watch():
        result = run(app, *DRAIN, "--watch")
    assert result.exit_code == 1
    assert "Another process holds" in result.stderr


def test_it_leaves_the_signals_as_they_were(app: Flask, run: Run) -> None:
    seen: list[object] = []
    with stopped(app, lambda: True):
        before = signal.getsignal(signal.SIGTERM)
        run(app, *DRAIN, "--watch")
        seen.append(signal.getsignal(signal.SIGTERM))
    assert seen == [before]


def test_where_no_records_go_to_the_database_that_is_told(
    tmp_path: Path, run: Run
) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with served_app(url, tmp_path, ABX_SINKS=["memory"]) as app:
        result = run(app, *DRAIN)
    assert result.exit_code == 1
    assert 'leave "sql" in ABX_SINKS' in result.stderr


def test_without_a_database_it_is_told(make_app: MakeApp, run: Run) -> None:
    result = run(make_app(), *DRAIN)
    assert result.exit_code == 1
    assert "has no database for experiments" in result.stderr
