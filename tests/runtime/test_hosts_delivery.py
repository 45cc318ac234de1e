"""Ways in which applications are put together and asked: no record is lost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from tests.databases import ENGINES, fresh_database
from tests.runtime.delivered import PATIENCE, RUNNING, open_shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.runtime.delivered import Shop

PLACES = (*ENGINES, "memory")
#: Which of the two extensions is set up first.
ORDERS = ("abx", "db")


@contextmanager
def _factory(url: str, folder: Path, first: str) -> Iterator[tuple[Flask, ABX]]:
    """Make an application as a factory does, with its tables."""
    app, db = Flask("shop", instance_path=str(folder)), SQLAlchemy()
    app.config.update(
        SECRET_KEY="secret",
        SQLALCHEMY_DATABASE_URI=url,
        ABX_SINKS=["sql"],
        ABX_EXPERIMENTS={"headline": RUNNING},
    )
    abx = ABX(db=db)
    for extension in (abx, db) if first == "abx" else (db, abx):
        extension.init_app(app)
    app.get("/")(lambda: abx.variant("headline"))
    with app.app_context():
        db.create_all()
    state = state_of(app)
    try:
        yield app, abx
    finally:
        assert state.delivery is not None
        assert state.database is not None
        assert state.storage.background is not None
        state.delivery.sink.close()
        state.storage.background.stop()
        state.database.own.dispose()
        state.database.host.dispose()


@contextmanager
def _url(kind: str, folder: Path) -> Iterator[str]:
    if kind == "memory":
        yield "sqlite://"
        return
    with fresh_database(kind, folder) as url:
        yield url


@pytest.fixture(params=PLACES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(request.param, tmp_path) as made:
        yield made


def _is_late(shop: Shop) -> bool:
    return "delivery_late" in shop.state.tally.counts


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("first", ORDERS)
def test_either_extension_may_come_first(first: str, kind: str, tmp_path: Path) -> None:
    with (
        _url(kind, tmp_path) as url,
        _factory(url, tmp_path, first) as (app, abx),
    ):
        assert app.test_client().get("/").text in RUNNING["variants"]
        with app.app_context():
            assert abx.flush(PATIENCE)
        assert "delivery_late" not in state_of(app).tally.counts


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("first", ORDERS)
def test_whichever_comes_first_the_row_is_there(
    first: str, kind: str, tmp_path: Path
) -> None:
    with _url(kind, tmp_path) as url, _factory(url, tmp_path, first) as (app, abx):
        app.test_client().get("/")
        with app.app_context():
            abx.flush(PATIENCE)
            session = app.extensions["sqlalchemy"].session
            assert session.scalar(text("SELECT COUNT(*) FROM abx_exposures")) == 1


def test_a_request_in_an_outer_context_stores_its_records(shop: Shop) -> None:
    with shop.app.app_context():
        shop.client().get("/headline")
        shop.settle()
        assert len(shop.rows("exposures")) == 1
    assert not _is_late(shop)


def test_an_outer_context_that_tracks_itself_stores_both(shop: Shop) -> None:
    with shop.app.app_context(), shop.abx.as_unit("7"):
        shop.abx.track("before")
        shop.client().get("/buy")
        shop.abx.track("after")
    shop.settle()
    names = sorted(row["name"] for row in shop.rows("events"))
    assert names == ["after", "before", "purchase"]


def test_a_client_that_keeps_its_context_stores_every_request(shop: Shop) -> None:
    with shop.client() as client:
        for _ in range(3):
            client.get("/buy")
        shop.settle()
        assert len(shop.rows("events")) == 3
    assert not _is_late(shop)


def test_a_kept_context_has_a_request_waited_for(shop: Shop) -> None:
    with shop.client() as client:
        client.get("/buy", query_string={"durability": "request"})
    shop.settle()
    assert len(shop.rows("events")) == 1
