from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click
import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import OperationalError

from flask_abx.cli.database import accept, make_missing, turn_wal_on
from flask_abx.errors import ChangeRefused, SetupError, UnknownExperiment
from flask_abx.runtime.state import state_of
from tests.cli.shops import MakeShop, absent, database_of, mark_of, shops, url_of
from tests.databases import ENGINES
from tests.databases import run as run_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TABLES = 10
every_kind = pytest.mark.parametrize("kind", ENGINES)


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[MakeShop]:
    with shops(tmp_path) as make:
        yield make


@every_kind
def test_create_makes_the_tables_and_begins_a_lineage(
    make_shop: MakeShop, run: Run, kind: str
) -> None:
    app = make_shop(kind)
    result = run(app, "db", "create", "--format", "table")
    assert result.stdout.startswith("Made 10 tables: abx_state, abx_definitions, ")
    assert (result.exit_code, absent(app), result.stderr) == (0, 0, "")
    assert mark_of(app).lineage


def test_create_says_when_all_tables_are_there(make_shop: MakeShop, run: Run) -> None:
    app = make_shop()
    run(app, "db", "create")
    before = mark_of(app)
    result = run(app, "db", "create", "--format", "table")
    assert result.stdout == "All 10 tables are there.\n"
    assert mark_of(app) == before


def test_create_makes_what_is_missing(make_shop: MakeShop, run: Run) -> None:
    app = make_shop()
    run(app, "db", "create")
    run_sql(url_of(app), "DROP TABLE abx_links")
    result = run(app, "db", "create", "--format", "table")
    assert result.stdout == "Made 1 table: abx_links. The other 9 are there.\n"


def test_create_turns_wal_on_and_says_so(make_shop: MakeShop, run: Run) -> None:
    app = make_shop()
    result = run(app, "db", "create", "--format", "table")
    assert "\nWAL is turned on in the SQLite file now, so that " in result.stdout
    assert "WAL" not in run(app, "db", "create", "--format", "table").stdout


def test_wal_that_cannot_be_turned_on_is_told(
    make_shop: MakeShop, capsys: pytest.CaptureFixture[str]
) -> None:
    database = database_of(make_shop())
    make_missing(database.own, database.tables)
    impatient = create_engine(database.own.url, connect_args={"timeout": 0.05})
    with database.own.begin() as other:
        other.exec_driver_sql("SELECT * FROM abx_state")
        assert turn_wal_on(impatient) is False
    impatient.dispose()
    assert "WAL could not be turned on in the SQLite file" in capsys.readouterr().err


def test_create_tells_a_program_what_it_made(make_shop: MakeShop, run: Run) -> None:
    app = make_shop()
    data = json.loads(run(app, "db", "create").stdout)
    assert (len(data["made"]), data["journal"], data["version"]) == (TABLES, "wal", 0)
    assert data["lineage"] == mark_of(app).lineage


def test_create_works_through_the_one_connection_in_memory(
    make_shop: MakeShop, run: Run
) -> None:
    app = make_shop("memory")
    result = run(app, "db", "create")
    assert absent(app) == 0
    assert "`db.create_all()`" in result.stderr


def test_create_makes_the_tables_of_a_bind_there(make_shop: MakeShop, run: Run) -> None:
    app = make_shop(bind="abx")
    run(app, "db", "create")
    assert absent(app) == 0
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engines[None]
        assert inspect(engine).get_table_names() == []


def test_create_says_that_tables_differ(make_shop: MakeShop, run: Run) -> None:
    app = make_shop()
    run(app, "db", "create")
    run_sql(url_of(app), "DROP INDEX ix_abx_links_unit")
    assert "run `flask abx db check`" in run(app, "db", "create").stderr


def test_a_schema_that_is_missing_is_told(make_shop: MakeShop, run: Run) -> None:
    result = run(make_shop("postgresql", schema="shop"), "db", "create")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: There is no schema 'shop' in the database: run `CREATE SCHEMA shop` "
        "there first.\n"
    )


@every_kind
def test_two_that_create_at_once_do_not_fail(make_shop: MakeShop, kind: str) -> None:
    database = database_of(make_shop(kind))
    tables, engines = database.tables, [database.engine() for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda engine: make_missing(engine, tables), engines))
    for engine in engines:
        engine.dispose()
    assert len(made[0]) + len(made[1]) == TABLES


@every_kind
def test_check_fails_until_the_tables_are_there(
    make_shop: MakeShop, run: Run, kind: str
) -> None:
    app = make_shop(kind)
    before = run(app, "db", "check")
    run(app, "db", "create")
    after = run(app, "db", "check")
    assert (before.exit_code, after.exit_code) == (1, 0)
    assert json.loads(after.stdout) == {"ok": True, "differences": []}


def test_check_prints_each_difference(make_shop: MakeShop, run: Run) -> None:
    app = make_shop()
    run(app, "db", "create")
    url = url_of(app)
    run_sql(url, "DROP INDEX ix_abx_links_unit", "DROP TABLE abx_looks")
    result = run(app, "db", "check", "--format", "table")
    lines = result.stdout.splitlines()
    assert [line[:34] for line in lines] == [
        "There is no table 'abx_looks' in t",
        "There is no index 'ix_abx_links_un",
    ]


def test_check_says_when_all_is_well(make_shop: MakeShop, run: Run) -> None:
    app = make_shop()
    run(app, "db", "create")
    result = run(app, "db", "check", "--format", "table")
    assert result.stdout == "All 10 tables are there, each as it is needed.\n"


@every_kind
def test_accept_gives_the_database_a_new_lineage_and_keeps_the_version(
    make_shop: MakeShop, run: Run, kind: str
) -> None:
    app = make_shop(kind)
    run(app, "db", "create")
    before = mark_of(app)
    result = run(app, "db", "accept", "--format", "table")
    assert result.stdout.startswith("Version 0 counts from now on: every process ")
    assert mark_of(app).version == before.version
    assert mark_of(app).lineage != before.lineage


def test_a_process_takes_a_restored_backup_once_it_is_accepted(
    make_shop: MakeShop, run: Run
) -> None:
    app = make_shop()
    run(app, "db", "create")
    url, editor = url_of(app), state_of(app).editor
    assert editor is not None
    editor.create("headline", {"variants": ["control", "bold"]})
    state_of(app).store.load()
    run_sql(url, "UPDATE abx_state SET version = 0", "DELETE FROM abx_definitions")
    assert accept(database_of(app)).version == 0
    background = state_of(app).storage.background
    assert background is not None
    assert background.settle(5)
    assert state_of(app).store.document().experiments == {}


def test_accept_begins_a_lineage_where_there_is_none(
    make_shop: MakeShop, run: Run
) -> None:
    app = make_shop()
    run(app, "db", "create")
    run_sql(url_of(app), "DELETE FROM abx_state")
    assert run(app, "db", "accept").exit_code == 0
    assert mark_of(app).lineage


@pytest.mark.parametrize("arguments", [("db", "accept"), ("list",)], ids=" ".join)
def test_missing_tables_are_told_with_the_command(
    make_shop: MakeShop, run: Run, arguments: tuple[str, ...]
) -> None:
    result = run(make_shop(), *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no table 'abx_state' in ")
    assert "`flask abx db create`" in result.stderr


@pytest.mark.parametrize("command", ["create", "check", "accept"])
def test_without_a_database_the_line_to_write_is_told(
    make_app: MakeApp, run: Run, command: str
) -> None:
    result = run(make_app(), "db", command)
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "has no database for experiments: write ABX(app, db=db).\n"
    )


def test_a_database_that_does_not_answer_is_told_in_one_line(
    make_shop: MakeShop, run: Run, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'nowhere' / 'app.db'}"
    result = run(make_shop(SQLALCHEMY_DATABASE_URI=url), "db", "check")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "(unable to open database file)" in result.stderr


class Frozen(ChangeRefused):
    """What a change guard of a host raises."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(SetupError("It is so."), 1, id="setup"),
        pytest.param(UnknownExperiment("It is so."), 3, id="unknown"),
        pytest.param(ChangeRefused("It is so."), 4, id="refused"),
        pytest.param(Frozen("It is so."), 4, id="refused-by-the-host"),
    ],
)
def test_an_error_of_ours_ends_a_command_in_one_line(
    make_app: MakeApp, run: Run, error: Exception, code: int
) -> None:
    result = run(raising(make_app(), error), "raise")
    assert (result.exit_code, result.stderr) == (code, "Error: It is so.\n")


def test_every_reason_of_a_refusal_is_told(make_app: MakeApp, run: Run) -> None:
    app = raising(make_app(), ChangeRefused("One.", "Two."))
    assert run(app, "raise").stderr == "Error: One.\nTwo.\n"


def test_an_error_of_a_driver_is_told_in_one_line(make_app: MakeApp, run: Run) -> None:
    error = OperationalError("SELECT 1", None, Exception("gone\n away"))
    result = run(raising(make_app(), error), "raise")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The database cannot be used (gone away): ")


def test_a_fault_of_the_code_keeps_its_traceback(make_app: MakeApp, run: Run) -> None:
    result = run(raising(make_app(), ZeroDivisionError()), "raise")
    assert isinstance(result.exception, ZeroDivisionError)


def raising(app: Flask, error: Exception) -> Flask:
    """Add a command that raises."""

    def callback() -> None:
        raise error

    group: Any = app.cli.commands["abx"]
    group.add_command(click.Command("raise", callback=callback))
    return app
