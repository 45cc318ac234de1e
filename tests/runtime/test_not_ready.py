"""While no definitions are known: defaults, nothing recorded, nothing remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX, MemorySink
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """Make an application whose database cannot be opened."""
    db = SQLAlchemy()
    abx = ABX(db=db)
    app = Flask(__name__, instance_path=str(tmp_path))
    app.config.update(
        SECRET_KEY="secret",
        ABX_SINKS=["memory"],
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'nowhere' / 'app.db'}",
    )
    db.init_app(app)
    abx.init_app(app)

    @app.get("/")
    def index() -> str:
        abx.track("visit")
        assignment = abx.assignment("headline")
        flag = abx.flag("new_ui", default="off")
        return f"{abx.variant('headline', 'plain')} {assignment.reason} {flag}"

    yield app
    background = state_of(app).storage.background
    assert background is not None
    background.stop()


def test_the_defaults_are_served(app: Flask) -> None:
    assert app.test_client().get("/").text == "plain not_ready off"


def test_strictness_does_not_take_it_for_a_misspelt_key(app: Flask) -> None:
    app.config["DEBUG"] = True
    assert app.test_client().get("/").text == "plain not_ready off"


def test_nothing_is_recorded_and_it_is_counted(app: Flask) -> None:
    app.test_client().get("/")
    (sink,) = state_of(app).recorder.sinks
    assert isinstance(sink, MemorySink)
    assert not sink.records
    assert state_of(app).tally.counts["record_dropped:not_ready"] == 1


def test_no_cookie_is_written(app: Flask) -> None:
    assert "Set-Cookie" not in app.test_client().get("/").headers


def test_no_cache_may_keep_what_stands_in_for_a_variant(app: Flask) -> None:
    assert app.test_client().get("/").headers["Cache-Control"] == "private"


def test_the_api_answers_with_no_experiment(app: Flask) -> None:
    body = app.test_client().get("/api/v1/experiments").get_json()
    assert (body["experiments"], body["version"]) == ([], "")


def test_it_is_told_once(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        app.test_client().get("/")
    told = [each for each in caplog.messages if each.startswith("No definitions")]
    assert len(told) == 1
