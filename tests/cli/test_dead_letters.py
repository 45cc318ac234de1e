from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.assignment.decision import Unit
from flask_abx.cli.events import letters as command
from flask_abx.events.sql.erasing import erase
from tests.cli.people import REFUSED_AT, database_of, event, files_of, shop_with_files
from tests.cli.shops import shops
from tests.cli.stored import data_of
from tests.databases import ENGINES, fresh_database
from tests.events.sql.people import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result
    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

LIST = ("events", "dead-letters", "list")
RETRY = ("events", "dead-letters", "retry")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with shop_with_files(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as app:
        yield app


def names(app: Flask) -> list[Any]:
    """Name the events that are stored."""
    rows = Rows(database_of(app))
    return [row["name"] for row in rows.all(rows.tables.events)]


def outcome(result: Result) -> tuple[int, dict[str, int]]:
    counts = json.loads(result.stdout)
    return result.exit_code, {name: count for name, count in counts.items() if count}


def test_list_tells_when_what_and_why(app: Flask, run: Run) -> None:
    files_of(app).refuse(event("purchase", user="anna"), "broken")
    result = run(app, *LIST, "--format", "table")
    head, letter, damaged = result.stdout.splitlines()
    id_ = event("purchase")["id"]
    assert head.split() == ["WHEN", "TYPE", "WHAT", "ID", "WHY"]
    assert letter == (
        f"2030-01-07T09:00:00Z  event  purchase  {id_}  The trigger says no."
    )
    assert damaged.split(maxsplit=4)[1:4] == ["-", "-", "-"]


def test_list_tells_nothing_of_people(app: Flask, run: Run) -> None:
    files_of(app).refuse(event("purchase", user="anna"), '{"user": "anna"')
    for form in ("table", "json"):
        assert "anna" not in run(app, *LIST, "--format", form).output


def test_list_says_where_they_are(app: Flask, run: Run) -> None:
    files_of(app).refuse(event("purchase", user="anna"))
    assert "dead-letters.jsonl" in run(app, *LIST).stderr


def test_list_of_none_says_so(app: Flask, run: Run) -> None:
    result = run(app, *LIST, "--format", "table")
    assert result.exit_code == 0
    assert result.stdout == (
        "There are no dead letters: the database has refused nothing.\n"
    )


def test_list_tells_of_lines_that_are_no_letters(app: Flask, run: Run) -> None:
    files_of(app).refuse(event("purchase", user="anna"))
    with files_of(app).letters.path.open("ab") as file:
        file.write(b"rubbish\n")
    result = run(app, *LIST)
    assert len(data_of(result)) == 1
    assert "1 line in " in result.stderr


@pytest.mark.parametrize("kind", ENGINES)
def test_retry_stores_what_the_database_takes_now(
    tmp_path: Path, run: Run, kind: str
) -> None:
    with (
        fresh_database(kind, tmp_path) as url,
        shop_with_files(url, tmp_path) as app,
    ):
        files_of(app).refuse(event("one", user="anna"), event("two", user="anna"))
        assert outcome(run(app, *RETRY)) == (0, {"stored": 2})
        assert (sorted(names(app)), files_of(app).letters.read()) == (
            ["one", "two"],
            [],
        )


def test_retry_keeps_what_is_refused_again_with_the_new_reason(
    app: Flask, run: Run
) -> None:
    files_of(app).refuse({**event("bad", user="anna"), "at": "never"})
    files_of(app).refuse(event("good", user="anna"))
    assert outcome(run(app, *RETRY)) == (1, {"stored": 1, "refused": 1})
    (left,) = files_of(app).letters.read()
    assert left.reason.startswith("The record's 'at' is 'never', must be a moment")
    assert left.at != REFUSED_AT


def test_retry_changes_nothing_where_the_reason_is_the_same(
    app: Flask, run: Run
) -> None:
    files_of(app).refuse({**event("bad", user="anna"), "at": "never"})
    run(app, *RETRY)
    before = files_of(app).letters.read()
    assert outcome(run(app, *RETRY)) == (1, {"refused": 1})
    assert files_of(app).letters.read() == before


def test_retry_leaves_what_cannot_be_read(app: Flask, run: Run) -> None:
    files_of(app).refuse("broken")
    result = run(app, *RETRY, "--format", "table")
    assert result.exit_code == 1
    assert "1 damaged line left as they are" in result.stdout
    assert len(files_of(app).letters.read()) == 1


def test_retry_fails_where_a_line_is_no_letter(app: Flask, run: Run) -> None:
    files_of(app).refuse(event("one", user="anna"))
    with files_of(app).letters.path.open("ab") as file:
        file.write(b"rubbish\n")
    result = run(app, *RETRY)
    assert outcome(result) == (1, {"stored": 1, "unreadable": 1})
    assert "1 line in " in result.stderr
    assert files_of(app).letters.path.read_bytes() == b"rubbish\n"


def test_retry_drops_what_belongs_to_an_erased_unit(app: Flask, run: Run) -> None:
    database = database_of(app)
    erase(database.own, database.tables, Unit("user", "anna"))
    files_of(app).refuse(event("hers", at=1_000, user="anna"))
    assert outcome(run(app, *RETRY)) == (0, {"erased": 1})
    assert (names(app), files_of(app).letters.read()) == ([], [])


def test_retry_stores_a_record_once_however_often_it_was_refused(
    app: Flask, run: Run
) -> None:
    files_of(app).refuse(*[event("one", user="anna")] * 2)
    assert outcome(run(app, *RETRY)) == (0, {"stored": 2})
    assert names(app) == ["one"]


def test_a_letter_is_kept_until_it_is_stored(
    app: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    files_of(app).refuse(event("one", user="anna"))
    monkeypatch.setattr(command, "store", die)
    assert run(app, *RETRY).exit_code == 1
    assert len(files_of(app).letters.read()) == 1


def test_retry_of_none_says_so(app: Flask, run: Run) -> None:
    result = run(app, *RETRY, "--format", "table")
    assert (result.exit_code, result.stdout[:26]) == (0, "There are no dead letters:")


@pytest.mark.parametrize("arguments", [LIST, RETRY], ids=["list", "retry"])
def test_in_memory_there_are_none(
    tmp_path: Path, run: Run, arguments: tuple[str, ...]
) -> None:
    with shops(tmp_path) as make:
        app = make("memory")
        run(app, "db", "create")
        assert run(app, *arguments).exit_code == 0


@pytest.mark.parametrize("arguments", [LIST, RETRY], ids=["list", "retry"])
def test_without_a_database_it_is_told(
    make_app: MakeApp, run: Run, arguments: tuple[str, ...]
) -> None:
    result = run(make_app(), *arguments)
    assert result.exit_code == 1
    assert "has no database for experiments" in result.stderr


def test_without_tables_the_way_out_is_told(tmp_path: Path, run: Run) -> None:
    with shops(tmp_path) as make:
        result = run(make(), *RETRY)
    assert result.exit_code == 1
    assert "`flask abx db create`" in result.stderr
