from __future__ import annotations

import json
import shlex
import time
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from flask_abx.cli.doctor import database as doctor
from flask_abx.runtime.state import state_of
from flask_abx.stores.copy import Copied, DiskCopy
from flask_abx.stores.reading import Mark, Name
from flask_abx.stores.sql import SqlStore
from tests.cli.shops import MakeShop, database_of, mark_of, shops, url_of
from tests.databases import ENGINES
from tests.databases import run as run_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TWO = {"variants": ["control", "bold"], "metrics": ["signup"]}
BODY = json.dumps({"key": "headline", **TWO})
HEADLINE = Name("experiment", "headline")
every_kind = pytest.mark.parametrize("kind", ENGINES)
OURS = {"tables", "migrations", "standing", "journal", "transactions", "clock"}


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[MakeShop]:
    with shops(tmp_path) as make:
        yield make


@pytest.fixture
def shop(make_shop: MakeShop, run: Run) -> Flask:
    """Make a shop with its tables."""
    app = make_shop()
    run(app, "db", "create")
    return app


def found(run: Run, app: Flask) -> dict[str, dict[str, Any]]:
    """Run doctor, and give what it found out about the database."""
    every = everything(run, app)
    return {check: each for check, each in every.items() if check in OURS}


def everything(run: Run, app: Flask) -> dict[str, dict[str, Any]]:
    data = json.loads(run(app, "doctor").stdout)
    return {each["check"]: each for each in data["findings"]}


def levels(run: Run, app: Flask) -> dict[str, str]:
    return {check: each["level"] for check, each in found(run, app).items()}


def create(app: Flask) -> None:
    editor = state_of(app).editor
    assert editor is not None
    editor.create("headline", TWO)


def keep_copy(app: Flask, mark: Mark, body: str = BODY) -> None:
    """Put a copy on disk as another process would."""
    store = state_of(app).store
    assert isinstance(store, SqlStore)
    copy = store._poll._find_copy()
    assert isinstance(copy, DiskCopy)
    copy.write(Copied(mark, {HEADLINE: body}))


def test_without_a_database_nothing_is_said(make_app: MakeApp, run: Run) -> None:
    assert found(run, make_app()) == {}


@every_kind
def test_a_database_as_it_should_be_is_well(
    make_shop: MakeShop, run: Run, kind: str
) -> None:
    app = make_shop(kind)
    run(app, "db", "create")
    last = "journal" if kind == "sqlite" else "clock"
    assert levels(run, app) == dict.fromkeys(("tables", "standing", last), "ok")


def test_the_version_is_told(shop: Flask, run: Run) -> None:
    create(shop)
    message = "READY: version 1 is the latest."
    assert found(run, shop)["standing"]["message"] == message


def test_the_other_checks_see_the_definitions(shop: Flask, run: Run) -> None:
    create(shop)
    data = json.loads(run(shop, "doctor").stdout)
    messages = [each["message"] for each in data["findings"]]
    assert "Version 1: 1 draft." in messages


def test_missing_tables_are_found_with_the_command(
    make_shop: MakeShop, run: Run
) -> None:
    findings = found(run, make_shop())
    assert findings["tables"]["paste"] == "flask abx db create"
    assert findings["standing"]["message"].startswith("EMPTY: ")


def test_tables_that_differ_are_found(shop: Flask, run: Run) -> None:
    run_sql(url_of(shop), "DROP INDEX ix_abx_links_unit")
    tables = found(run, shop)["tables"]
    assert (tables["level"], tables["paste"]) == ("fail", "flask abx db check")


def test_tables_in_memory_are_made_by_the_application(
    make_shop: MakeShop, run: Run
) -> None:
    assert found(run, make_shop("memory"))["tables"]["paste"] == "db.create_all()"


def unreachable(make_shop: MakeShop, folder: Path) -> Flask:
    url = f"sqlite:///{folder / 'nowhere' / 'app.db'}"
    return make_shop(SQLALCHEMY_DATABASE_URI=url)


def test_without_database_and_copy_it_is_empty(
    make_shop: MakeShop, run: Run, tmp_path: Path
) -> None:
    findings = found(run, unreachable(make_shop, tmp_path))
    assert "(unable to open database file)" in findings["tables"]["message"]
    assert findings["standing"]["level"] == "fail"
    assert findings["standing"]["message"].startswith("EMPTY: ")


def test_without_database_it_is_stale_where_a_copy_is(
    make_shop: MakeShop, run: Run, tmp_path: Path
) -> None:
    app = unreachable(make_shop, tmp_path)
    keep_copy(app, Mark("abc", 7))
    standing = found(run, app)["standing"]
    assert standing["level"] == "warn"
    assert standing["message"].startswith("STALE: ")
    assert "serves version 7 from the copy on disk" in standing["message"]


def test_the_other_checks_look_at_the_copy(
    make_shop: MakeShop, run: Run, tmp_path: Path
) -> None:
    app = unreachable(make_shop, tmp_path)
    keep_copy(app, Mark("abc", 7))
    result = run(app, "doctor")
    assert "Version 7: 1 running." in result.stdout
    assert result.stderr == ""


def test_a_copy_that_does_not_parse_is_none(
    make_shop: MakeShop, run: Run, tmp_path: Path
) -> None:
    app = unreachable(make_shop, tmp_path)
    keep_copy(app, Mark("abc", 7), "{}")
    assert found(run, app)["standing"]["message"].startswith("EMPTY: ")


def test_a_server_that_hangs_is_given_up(
    make_shop: MakeShop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, over = make_shop("postgresql"), Event()
    monkeypatch.setattr(doctor, "PATIENCE", 0.05)
    monkeypatch.setattr(doctor, "differences", lambda *_: over.wait(5))
    findings = found(run, app)
    over.set()
    assert "nothing came within 0.05 s" in findings["tables"]["message"]
    assert findings["standing"]["message"].startswith("EMPTY: ")


@every_kind
def test_a_bad_row_is_found_with_the_command_that_repairs_it(
    make_shop: MakeShop, run: Run, kind: str
) -> None:
    app = make_shop(kind)
    run(app, "db", "create")
    create(app)
    run_sql(url_of(app), "UPDATE abx_definitions SET body = '{\"variants\": 3}'")
    standing = found(run, app)["standing"]
    assert standing["level"] == "fail"
    assert "experiments.headline.variants" in standing["message"]
    assert standing["paste"] == "flask abx rollback 1 headline"
    assert run(app, "rollback", "1", "headline").exit_code == 0
    assert levels(run, app)["standing"] == "ok"


def test_a_row_of_a_later_release_asks_for_that(shop: Flask, run: Run) -> None:
    create(shop)
    run_sql(
        url_of(shop),
        "UPDATE abx_changes SET kind = 'holdout'",
        "UPDATE abx_definitions SET kind = 'holdout'",
    )
    standing = found(run, shop)["standing"]
    assert standing["paste"] == "pip install --upgrade flask-abx"


def test_a_restored_backup_is_found(shop: Flask, run: Run) -> None:
    create(shop)
    keep_copy(shop, Mark(mark_of(shop).lineage, 7))
    standing = found(run, shop)["standing"]
    assert (standing["level"], standing["paste"]) == ("fail", "flask abx db accept")
    assert "at version 1, but version 7 was published" in standing["message"]


def test_an_accepted_backup_is_well(shop: Flask, run: Run) -> None:
    create(shop)
    keep_copy(shop, Mark(mark_of(shop).lineage, 7))
    run(shop, "db", "accept")
    assert levels(run, shop)["standing"] == "ok"


def test_sqlite_without_wal_is_a_warning(shop: Flask, run: Run) -> None:
    database_of(shop).own.dispose()
    run_sql(url_of(shop), "PRAGMA journal_mode=DELETE")
    journal = found(run, shop)["journal"]
    assert (journal["level"], journal["paste"]) == ("warn", "flask abx db create")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param("BEGIN", "warn", id="deferred"),
        pytest.param("BEGIN IMMEDIATE", None, id="immediate"),
    ],
)
def test_an_application_that_begins_transactions_to_read_is_told(
    shop: Flask, run: Run, statement: str, expected: str | None
) -> None:
    host = database_of(shop).host
    event.listen(
        host, "connect", lambda driver, _: setattr(driver, "isolation_level", None)
    )
    event.listen(host, "begin", lambda begun: begun.exec_driver_sql(statement))
    assert levels(run, shop).get("transactions") == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        pytest.param(-10, "10.0 s ahead of", id="ahead"),
        pytest.param(10, "10.0 s behind", id="behind"),
    ],
)
def test_a_clock_that_is_off_is_a_warning(
    make_shop: MakeShop,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    words: str,
) -> None:
    app = make_shop("postgresql")
    run(app, "db", "create")
    monkeypatch.setattr(doctor, "time", lambda: time.time() + seconds)
    finding = found(run, app)["clock"]
    assert (finding["level"], words in finding["message"]) == ("warn", True)


def test_with_experiments_in_the_configuration_nothing_is_said_of_their_standing(
    make_shop: MakeShop, run: Run
) -> None:
    app = make_shop(ABX_EXPERIMENTS={"headline": TWO})
    run(app, "db", "create")
    assert levels(run, app) == {"tables": "ok", "journal": "ok"}


def test_an_empty_database_is_filled_by_a_command(shop: Flask, run: Run) -> None:
    paste = everything(run, shop)["definitions"]["paste"]
    assert paste.startswith("flask abx create headline --variant control")
    assert run(shop, *shlex.split(paste)[2:]).exit_code == 0


def test_a_draft_without_a_metric_is_given_one_by_a_command(
    shop: Flask, run: Run
) -> None:
    run(shop, "create", "headline", "--variant", "a", "--variant", "b")
    paste = everything(run, shop)["metrics"]["paste"]
    assert run(shop, *shlex.split(paste)[2:]).exit_code == 0
    assert everything(run, shop)["metrics"]["level"] == "ok"


def test_an_experiment_past_its_end_is_concluded_by_a_command(
    shop: Flask, run: Run
) -> None:
    create(shop)
    editor = state_of(shop).editor
    assert editor is not None
    old = {"variants": ["a", "b"], "metrics": ["x"], "end_at": "2020-01-01T00:00:00Z"}
    editor.apply({"experiments": {"old": old}})
    paste = everything(run, shop)["schedule"]["paste"]
    assert paste == "flask abx conclude old"
    assert run(shop, *shlex.split(paste)[2:]).exit_code == 0
    assert everything(run, shop)["schedule"]["level"] == "ok"
