"""Records on their way from a request into the tables of each kind of database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from flask import Flask, Response, stream_with_context
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.errors import ConfigError, UsageError
from flask_abx.events.records import Event, digest_of
from flask_abx.events.signals import event_tracked
from flask_abx.runtime.state import state_of
from tests.databases import ENGINES
from tests.runtime.delivered import Shop, open_shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeApp

PLACES = (*ENGINES, "memory")


@pytest.fixture(params=PLACES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Shop]:
    with open_shop("sqlite", tmp_path) as made:
        yield made


def test_an_exposure_becomes_one_row(shop: Shop) -> None:
    client = shop.client()
    variant = client.get("/headline").text
    client.get("/headline")
    shop.settle()
    (row,) = shop.rows("exposures")
    assert (row["experiment"], row["variant"], row["mixed"]) == ("headline", variant, 0)
    assert row["unit"] == f"visitor:{row['visitor']}"


def test_an_event_carries_what_its_units_met(shop: Shop) -> None:
    client = shop.client()
    variant = client.get("/headline").text
    client.get("/buy", query_string={"user": "7"})
    shop.settle()
    (row,) = shop.rows("events")
    assert (row["name"], row["value"]) == ("purchase", 9.5)
    assert row["variants"] == f'{{"headline":"{variant}"}}'
    names = {each["unit"].partition(":")[0] for each in shop.rows("event_units")}
    assert names == {"visitor", "user"}


@pytest.mark.parametrize("kind", ENGINES)
def test_a_request_that_waits_finds_its_event_stored(kind: str, tmp_path: Path) -> None:
    with open_shop(kind, tmp_path, ABX_WAIT=10.0) as shop:
        shop.client().get("/buy", query_string={"durability": "request"})
        assert len(shop.rows("events")) == 1


@pytest.mark.parametrize("kind", PLACES)
def test_in_tests_records_are_there_when_the_response_is(
    kind: str, tmp_path: Path
) -> None:
    with open_shop(kind, tmp_path, TESTING=True) as shop:
        shop.client().get("/headline")
        assert len(shop.rows("exposures")) == 1


def test_a_test_leaves_nothing_in_the_instance_folder(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    folder.mkdir()
    with open_shop("memory", folder, TESTING=True) as shop:
        shop.client().get("/headline")
    assert list(folder.iterdir()) == []


def test_records_wait_in_a_folder_named_after_the_database(local: Shop) -> None:
    local.client().get("/headline")
    folder = local.delivery.spool.folder
    assert folder is not None
    assert str(folder.parent) == local.app.instance_path
    assert len(folder.name) == 16
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_empty_file_goes_with_the_process(local: Shop) -> None:
    local.client().get("/headline")
    local.settle()
    local.delivery.sink.close()
    folder = local.delivery.spool.folder
    assert folder is not None
    assert list(folder.glob("*.spool")) == []


def test_the_end_of_a_process_stores_what_is_left(local: Shop) -> None:
    local.client().get("/headline")
    local.delivery.sink.close()
    assert len(local.rows("exposures")) == 1


def test_the_end_of_a_process_stores_after_a_missed_deadline_too(local: Shop) -> None:
    local.client().get("/headline")
    background = local.state.storage.background
    assert background is not None
    background._process().is_late = True
    local.delivery.sink.close()
    assert len(local.rows("exposures")) == 1


@pytest.mark.parametrize("kind", ENGINES)
def test_what_a_dead_process_left_is_stored(kind: str, tmp_path: Path) -> None:
    with open_shop(kind, tmp_path, ABX_SPOOL_DIR=str(tmp_path / "spool")) as shop:
        child = os.fork()
        if child == 0:
            shop.client().get("/headline")
            os._exit(0)
        os.waitpid(child, 0)
        shop.client().get("/buy")
        shop.settle()
        background = shop.state.storage.background
        assert background is not None
        assert background.wait_until(lambda: bool(shop.rows("exposures")), 10.0)


def test_a_name_that_is_too_long_is_not_recorded_anywhere(shop: Shop) -> None:
    with shop.app.test_request_context(), shop.app.app_context():
        shop.abx.track("x" * 101)
    shop.settle()
    assert shop.rows("events") == []
    assert shop.state.tally.counts["record_dropped:name"] == 1


def test_the_same_event_told_twice_is_one_row(shop: Shop) -> None:
    for _ in range(2):
        with shop.app.app_context(), shop.abx.as_unit("7"):
            shop.abx.track("paid", id="order-1")
    shop.settle()
    assert [row["id"] for row in shop.rows("events")] == [
        digest_of("event", "paid", "order-1")
    ]


def test_flush_knows_that_the_tables_are_missing(tmp_path: Path) -> None:
    with open_shop("sqlite", tmp_path) as shop:
        with shop.app.app_context():
            shop.db.drop_all()
        shop.client().get("/headline")
        with shop.app.app_context():
            assert not shop.abx.flush(0.3)
            shop.db.create_all()
            assert shop.abx.flush(10.0)
        assert len(shop.rows("exposures")) == 1


def test_a_page_waits_for_no_database_that_cannot_answer(tmp_path: Path) -> None:
    with open_shop("sqlite", tmp_path) as shop:
        with shop.app.app_context():
            shop.db.drop_all()
        background = shop.state.storage.background
        assert background is not None
        for _ in range(3):
            shop.client().get("/buy", query_string={"durability": "request"})
        assert background.is_late
        assert shop.state.tally.counts["delivery_late"] == 3
        with shop.app.app_context():
            shop.db.create_all()
        shop.settle()


def test_a_body_that_is_streamed_loses_nothing(shop: Shop) -> None:
    @shop.app.get("/stream")
    def stream() -> Iterator[str]:
        def body() -> Iterator[str]:
            yield "<p>"
            shop.abx.track("seen to the end")
            yield shop.abx.variant("headline")

        return stream_with_context(body())  # type: ignore[return-value,unused-ignore] # Flask takes it

    with shop.client().get("/stream") as response:
        assert response.get_data(as_text=True).startswith("<p>")
    shop.settle()
    assert [row["name"] for row in shop.rows("events")] == ["seen to the end"]
    assert len(shop.rows("exposures")) == 1


def test_a_stream_that_waits_is_stored_before_its_body(tmp_path: Path) -> None:
    with open_shop("sqlite", tmp_path, ABX_WAIT=10.0) as shop:

        @shop.app.get("/stream")
        def stream() -> Response:
            shop.abx.track("ordered", durability="request")
            return Response(iter(["<p>", "</p>"]), mimetype="text/html")

        response = shop.client().get("/stream")
        assert len(shop.rows("events")) == 1
        assert not shop.state.tally.counts["delivery_late"]
        response.close()


def test_a_view_that_flushed_and_raised_keeps_its_exposure_only(shop: Shop) -> None:
    class Order(shop.db.Model):  # type: ignore[name-defined,misc] # made by the host
        __tablename__ = f"{shop.prefix}orders"
        id = shop.db.Column(shop.db.Integer, primary_key=True)

    with shop.app.app_context():
        shop.db.create_all()

    @shop.app.get("/crash")
    def crash() -> str:
        shop.abx.variant("headline")
        shop.db.session.add(Order())
        shop.db.session.flush()
        raise RuntimeError("the card was refused")

    assert shop.client().get("/crash").status_code == 500
    shop.settle()
    assert len(shop.rows("exposures")) == 1
    with shop.app.app_context():
        assert shop.db.session.query(Order).count() == 0


def test_the_context_of_a_command_delivers_at_its_end(shop: Shop) -> None:
    with shop.app.app_context(), shop.abx.as_unit("7"):
        shop.abx.track("invoiced")
    shop.settle()
    assert len(shop.rows("events")) == 1


def test_a_client_that_keeps_its_context_loses_nothing(shop: Shop) -> None:
    with shop.client() as client:
        client.get("/headline")
        shop.settle()
        assert len(shop.rows("exposures")) == 1


def test_in_memory_nothing_of_the_application_is_committed(tmp_path: Path) -> None:
    with open_shop("memory", tmp_path, TESTING=True) as shop:

        class Order(shop.db.Model):  # type: ignore[name-defined,misc] # made by the host
            __tablename__ = f"{shop.prefix}orders"
            id = shop.db.Column(shop.db.Integer, primary_key=True)

        with shop.app.app_context():
            shop.db.create_all()
            shop.db.session.add(Order())
            shop.db.session.flush()
            shop.client().get("/headline")
            shop.db.session.rollback()
            assert shop.db.session.query(Order).count() == 0
            shop.db.session.rollback()
            assert shop.abx.flush()
        assert len(shop.rows("exposures")) == 1


@pytest.mark.parametrize("durability", ["atomic", "request", "spool"])
def test_every_promise_stores_one_row(durability: str, shop: Shop) -> None:
    @shop.app.get("/order")
    def order() -> str:
        shop.abx.track("ordered", durability=durability)  # type: ignore[arg-type] # one of the three
        shop.db.session.commit()
        return "thanks"

    shop.client().get("/order")
    shop.settle()
    assert [row["name"] for row in shop.rows("events")] == ["ordered"]
    assert len(shop.rows("event_units")) == 1


def test_an_atomic_event_shares_the_fate_of_the_transaction(shop: Shop) -> None:
    @shop.app.get("/order")
    def order() -> str:
        shop.abx.variant("headline")
        shop.abx.track("ordered", durability="atomic")
        shop.db.session.rollback()
        return "sorry"

    shop.client().get("/order")
    shop.settle()
    assert shop.rows("events") == []
    assert len(shop.rows("exposures")) == 1


def test_an_unknown_promise_is_refused_in_tests(tmp_path: Path) -> None:
    with (
        open_shop("memory", tmp_path, TESTING=True) as shop,
        pytest.raises(UsageError, match="must be 'spool', 'request' or 'atomic'"),
    ):
        shop.client().get("/buy", query_string={"durability": "always"})


def test_an_unknown_promise_is_told_where_people_are_served(local: Shop) -> None:
    local.client().get("/buy", query_string={"durability": "always"})
    local.settle()
    assert local.state.tally.counts["durability"] == 1
    assert len(local.rows("events")) == 1


def test_atomic_without_a_database_is_refused_in_tests(make_app: MakeApp) -> None:
    app = make_app(TESTING=True, ABX_TRACK_DURABILITY="atomic")
    with pytest.raises(UsageError, match=r"ABX\(db=db\)"):
        app.test_client().post("/signup")


def test_atomic_without_a_database_is_an_event_like_others(make_app: MakeApp) -> None:
    app = make_app(ABX_TRACK_DURABILITY="atomic")
    app.test_client().post("/signup")
    state = app.extensions["abx"]
    assert len(state.recorder.sinks[0].records) == 1
    assert state.tally.counts["atomic_refused"] == 1


def test_the_sink_sql_needs_a_database(make_app: MakeApp) -> None:
    with pytest.raises(ConfigError, match="there is no database"):
        make_app(ABX_SINKS=["sql"])


def test_with_other_sinks_nothing_is_stored(tmp_path: Path) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(
        SECRET_KEY="secret",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        ABX_SINKS=["log"],
    )
    db = SQLAlchemy(app)
    ABX(app, db=db)
    assert state_of(app).delivery is None


def test_a_record_that_no_statement_could_hold_is_told(shop: Shop) -> None:
    with shop.app.app_context(), shop.abx.as_unit("7"):
        shop.abx.track("read", properties={"book": "x" * 1_100_000})
    shop.settle()
    assert shop.rows("events") == []
    assert shop.state.tally.counts["record_dropped:size"] == 1


def test_a_view_that_flushes_on_sqlite_waits_for_nobody(local: Shop) -> None:
    @local.app.get("/flush")
    def flush() -> str:
        local.abx.track("seen")
        return str(local.abx.flush(30.0))

    local.client().get("/headline")
    local.settle()
    assert local.client().get("/flush").text == "False"
    background = local.state.storage.background
    assert background is not None
    assert not background.is_late
    local.settle()
    assert [row["name"] for row in local.rows("events")] == ["seen"]


def test_an_atomic_event_is_told_when_it_is_committed(shop: Shop) -> None:
    heard: list[str] = []

    @shop.app.get("/order/<end>")
    def order(end: str) -> str:
        shop.abx.track(end, durability="atomic")
        getattr(shop.db.session, end)()
        return "thanks"

    def hear(sender: object, *, event: Event, **extra: object) -> None:
        del sender, extra
        heard.append(event.name)

    with event_tracked.connected_to(hear, sender=shop.app):
        shop.client().get("/order/rollback")
        shop.client().get("/order/commit")
    assert heard == ["commit"]
