from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from flask_abx.cli.events import purging
from tests.cli.people import database_of
from tests.cli.stored import CREATE, data_of, stored_app
from tests.databases import ENGINES, fresh_database
from tests.events.sql.people import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run

LONG_AGO = 1_000_000_000_000
PURGE = ("events", "purge", "--before")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with stored_app(url, tmp_path) as app:
        yield app


def old_rows(app: Flask) -> Rows:
    """Write two old events and two old exposures, and one event of today."""
    rows = Rows(database_of(app))
    rows.events(["1", "2"], {"user": "anna"}, at=LONG_AGO)
    rows.event("3", {"user": "anna"})
    rows.exposure("user:anna", at=LONG_AGO)
    rows.exposure("user:anna", experiment="gone", at=LONG_AGO)
    return rows


def archive(app: Flask, run: Run) -> None:
    """Have one experiment archived."""
    for command in (CREATE, ("archive", "headline")):
        assert run(app, *command).exit_code == 0


@pytest.mark.parametrize("kind", ENGINES)
def test_old_events_go_and_younger_ones_stay(
    tmp_path: Path, run: Run, kind: str
) -> None:
    with fresh_database(kind, tmp_path) as url, stored_app(url, tmp_path) as app:
        rows = old_rows(app)
        data = data_of(run(app, *PURGE, "2005-01-01", "--yes"))
        assert (data["events"], data["exposures"]) == (2, {})
        assert rows.counts() == (2, 1, 1, 0)


def test_the_exposures_of_archived_experiments_go(app: Flask, run: Run) -> None:
    archive(app, run)
    rows = old_rows(app)
    data = data_of(run(app, *PURGE, "2005-01-01", "--yes"))
    assert (data["exposures"], data["kept"]) == ({"headline": 1}, ["gone"])
    assert rows.counts() == (1, 1, 1, 0)


def test_what_stays_is_told(app: Flask, run: Run) -> None:
    old_rows(app)
    result = run(app, *PURGE, "2005-01-01", "--yes")
    assert "Older exposures of gone, headline stay: only those of archived " in (
        result.stderr
    )


def test_a_dry_run_removes_nothing_and_asks_nobody(app: Flask, run: Run) -> None:
    rows = old_rows(app)
    result = run(app, *PURGE, "2005-01-01", "--dry-run", "--format", "table")
    assert result.stdout == (
        "Would remove 2 events, from before 2005-01-01T00:00:00.000Z; nothing is "
        "written.\n"
    )
    assert rows.counts() == (2, 3, 3, 0)


def test_it_says_what_it_has_removed(app: Flask, run: Run) -> None:
    old_rows(app)
    result = run(app, *PURGE, "2005-01-01", "--yes", "--format", "table")
    assert result.stdout == (
        "Removed 2 events, from before 2005-01-01T00:00:00.000Z.\n"
    )


def test_nothing_to_remove_is_no_failure(app: Flask, run: Run) -> None:
    result = run(app, *PURGE, "400d", "--format", "table")
    assert result.exit_code == 0
    assert result.stdout.startswith("There is nothing from before ")


def test_nobody_to_ask_is_refused(app: Flask, run: Run) -> None:
    rows = old_rows(app)
    result = run(app, *PURGE, "2005-01-01")
    assert (result.exit_code, rows.counts()) == (2, (2, 3, 3, 0))
    assert "say --yes" in result.stderr


def test_a_no_removes_nothing(
    app: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = old_rows(app)
    asked: list[str] = []

    def refuse(question: str, *, yes: bool) -> None:
        asked.append(f"{question} {yes}")
        raise click.Abort

    monkeypatch.setattr(purging, "confirm", refuse)
    assert run(app, *PURGE, "2005-01-01").exit_code == 1
    assert asked == ["Remove 2 events, for good? False"]
    assert rows.counts() == (2, 3, 3, 0)


@pytest.mark.parametrize(
    ("moment", "removed"),
    [
        pytest.param("2001-09-09T01:46:40.001Z", 2, id="a-time"),
        pytest.param("2001-09-09T01:46:40Z", 0, id="that-very-time"),
        pytest.param("2001-09-09T03:46:41+02:00", 2, id="an-offset"),
        pytest.param("2001-09-09", 0, id="a-date-is-its-first-moment"),
        pytest.param("2001-09-10", 2, id="the-next-date"),
        pytest.param("400d", 2, id="days"),
        pytest.param("24h", 2, id="hours"),
    ],
)
def test_a_moment_is_told_in_many_ways(
    app: Flask, run: Run, moment: str, removed: int
) -> None:
    old_rows(app)
    assert data_of(run(app, *PURGE, moment, "--yes"))["events"] == removed


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("2999-01-01", id="future"),
        pytest.param("yesterday", id="word"),
        pytest.param("999999d", id="before-time-began"),
        pytest.param("-1d", id="negative"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_moment_of_the_past_is_refused(
    app: Flask, run: Run, moment: str
) -> None:
    rows = old_rows(app)
    result = run(app, *PURGE, moment, "--yes")
    assert (result.exit_code, rows.counts()) == (2, (2, 3, 3, 0))
