"""`flask abx simulate`: an experiment is tried out on traffic that is made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from flask_abx.runtime.state import state_of
from flask_abx.stores.database import reading
from tests.cli.stored import CREATE, data_of, stored_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run

SIMULATE = ("simulate", "headline", "--units", "200")
DEFINED = {"headline": {"variants": ["control", "bold"], "metrics": "signup"}}


@pytest.fixture
def app(tmp_path: Path, run: Run) -> Iterator[Flask]:
    with stored_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as made:
        run(made, *CREATE)
        run(made, "start", "headline")
        yield made


def count(app: Flask) -> int:
    database = state_of(app).database
    assert database is not None
    query = select(func.count()).select_from(database.tables.exposures)
    with reading(database.own) as connection:
        return int(connection.execute(query).scalar_one())


def test_it_tells_what_came_and_what_to_do_next(app: Flask, run: Run) -> None:
    result = run(app, *SIMULATE, "--format", "table")
    assert result.exit_code == 0, result.stderr
    first, second, *others = result.stdout.splitlines()
    assert first.startswith("200 visitors came from ")
    assert "6 bots left no trace" in first
    assert "met their variant of headline" in second
    assert others[0].startswith("Others got the control and do not count: traffic ")
    assert others[1] == (
        "headline is told to have begun with them; --clear puts that back."
    )
    assert others[2] == "Next: flask abx results headline --refresh"


def test_in_a_pipe_it_is_json(app: Flask, run: Run) -> None:
    data = data_of(run(app, *SIMULATE, "--seed", "3", "--days", "2"))
    assert (data["experiment"], data["units"], data["bots"]) == ("headline", 200, 6)
    assert data["exposures"] == data["exposed"]["headline"] == count(app)
    assert data["moved"] is True


def test_it_is_replaced_by_the_next_one(app: Flask, run: Run) -> None:
    run(app, *SIMULATE)
    result = run(app, *SIMULATE, "--seed", "2", "--format", "table")
    assert result.stdout.startswith("What was simulated before is replaced: ")


def test_clear_takes_it_away(app: Flask, run: Run) -> None:
    made = data_of(run(app, *SIMULATE))
    cleared = data_of(run(app, "simulate", "headline", "--clear"))["cleared"]
    assert (cleared["exposures"], cleared["events"]) == (
        made["exposures"],
        made["events"],
    )
    assert count(app) == 0
    again = run(app, "simulate", "headline", "--clear", "--format", "table")
    assert again.stdout == "Nothing is simulated for headline.\n"


def test_a_draft_is_refused_with_the_next_command(app: Flask, run: Run) -> None:
    run(app, "create", "price", "--variant", "a", "--variant", "b")
    result = run(app, "simulate", "price")
    assert result.exit_code == 4
    assert result.stderr == (
        "Error: Experiment 'price' is draft, so nobody can come into it: run "
        "`flask abx start price` first.\n"
    )


def test_an_unknown_experiment_is_told(app: Flask, run: Run) -> None:
    result = run(app, "simulate", "hedline")
    assert result.exit_code == 3
    assert "'headline'" in result.stderr


def test_an_effect_that_makes_no_sense_is_told(app: Flask, run: Run) -> None:
    result = run(app, *SIMULATE, "--effect", "-1")
    assert result.exit_code == 1
    assert "0.05 is 5 % more" in result.stderr


def test_without_a_database_it_says_which_line_is_missing(
    shop: Flask, run: Run
) -> None:
    result = run(shop, "simulate", "headline")
    assert result.exit_code == 1
    assert "ABX(app, db=db)" in result.stderr


def test_an_experiment_of_the_configuration_begins_with_its_traffic(
    tmp_path: Path, run: Run
) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with stored_app(url, tmp_path, ABX_EXPERIMENTS=DEFINED) as app:
        data = data_of(run(app, *SIMULATE))
        assert data["moved"] is True
        assert count(app) == 200
        again = data_of(run(app, *SIMULATE))
        assert again["cleared"]["exposures"] == 200
