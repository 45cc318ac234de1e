"""Who changed what, as the command tells it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from tests.cli.stored import CREATE, data_of, masked, stored_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

ANNA = ("--actor", "anna")
TWO = {"variants": ["control", "bold"], "metrics": ["signup"]}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Flask]:
    """Make an application without an experiment."""
    with stored_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as made:
        yield made


@pytest.fixture
def app(empty: Flask, run: Run) -> Flask:
    """Make an application in which something was done."""
    for command in (
        (*CREATE, "--note", "the first\nidea"),
        ("create", "prices", "--variant", "low", "--variant", "high"),
        ("start", "headline"),
        ("pause", "headline", "--note", "too slow", "--actor", ""),
    ):
        assert run(empty, command[0], *ANNA, *command[1:]).exit_code == 0
    return empty


def test_the_audit_begins_with_the_latest(app: Flask, run: Run) -> None:
    result = run(app, "audit", "--format", "table")
    assert (result.exit_code, result.stderr) == (0, "")
    moment = "TIME".ljust(len("2026-11-23T20:20:20Z"))
    assert masked(result.stdout).replace("TIME ", f"{moment} ").splitlines() == [
        f"VERSION  {'WHEN'.ljust(20)}  WHO   CHANNEL  ACTION  KEY       NOTE",
        f"4        {moment}  -     cli      pause   headline  too slow",
        f"3        {moment}  anna  cli      start   headline",
        f"2        {moment}  anna  cli      create  prices",
        f"1        {moment}  anna  cli      create  headline  the first idea",
    ]


def test_the_audit_of_one_experiment_leaves_the_others_out(
    app: Flask, run: Run
) -> None:
    versions = [each["version"] for each in data_of(run(app, "audit", "headline"))]
    assert versions == [4, 3, 1]


def test_the_audit_is_limited(app: Flask, run: Run) -> None:
    told = data_of(run(app, "audit", "headline", "--limit", "2"))
    assert [each["version"] for each in told] == [4, 3]
    assert run(app, "audit", "--limit", "0").exit_code == 2


def test_the_audit_tells_before_and_after_as_data(app: Flask, run: Run) -> None:
    pause, _, _, create = data_of(run(app, "audit"))
    assert (pause["before"]["status"], pause["after"]["status"]) == (
        "running",
        "paused",
    )
    assert (create["before"], create["note"]) == (None, "the first\nidea")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", create["at"])


def test_an_unknown_key_is_not_found_and_the_near_one_named(
    app: Flask, run: Run
) -> None:
    result = run(app, "audit", "headlin")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "did you mean 'headline'?" in result.stderr


def test_what_is_deleted_is_still_told(app: Flask, run: Run) -> None:
    assert run(app, "delete", "prices").exit_code == 0
    told = data_of(run(app, "audit", "prices"))
    assert [each["action"] for each in told] == ["delete", "create"]
    assert (told[0]["status"], told[0]["after"]) == (None, None)


def test_an_audit_of_nothing_says_so(empty: Flask, run: Run) -> None:
    result = run(empty, "audit", "--format", "table")
    assert result.stdout == "No change is recorded yet.\n"
    assert data_of(run(empty, "audit")) == []


def test_other_definitions_are_told_with_their_kind(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "more.json"
    path.write_text('{"segments": {"vip": ["7"]}}', "utf-8")
    assert run(app, "apply", str(path)).exit_code == 0
    assert "segment vip" in run(app, "audit", "--format", "table").stdout
    (change,) = data_of(run(app, "audit", "vip"))
    assert (change["kind"], change["status"], change["after"]) == (
        "segment",
        None,
        ["7"],
    )


def test_definitions_of_the_configuration_are_told_by_their_channel(
    tmp_path: Path, run: Run
) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    config = {"ABX_EXPERIMENTS": {"headline": TWO}}
    with stored_app(url, tmp_path, **config) as app:
        assert data_of(run(app, "audit", "headline")) == []
        background = state_of(app).storage.background
        assert background is not None
        assert background.settle(2.0)
        (change,) = data_of(run(app, "audit", "headline"))
        assert (change["channel"], change["actor"]) == ("config", "")
        assert run(app, "audit", "headlin").exit_code == 3


def test_there_is_no_audit_without_a_database(make_app: MakeApp, run: Run) -> None:
    result = run(make_app(), "audit")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: There is no database that keeps changes: write ABX(app, db=db).\n"
    )


def test_a_missing_table_names_the_command_that_makes_it(
    tmp_path: Path, run: Run
) -> None:
    db, app = SQLAlchemy(), Flask(__name__)
    app.config["SECRET_KEY"] = "secret"
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'app.db'}"
    db.init_app(app)
    ABX(app, db=db)
    result = run(app, "audit")
    database = state_of(app).database
    assert database is not None
    database.own.dispose()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "flask abx db create" in result.stderr
