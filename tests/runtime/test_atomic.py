"""An atomic event exists if and only if what was written beside it exists."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError

from tests.databases import engine_of
from tests.runtime.atomic_shop import KINDS, SAVEPOINTS, broken, conflict, open_shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.events.records import Event
    from tests.runtime.atomic_shop import Shop


@pytest.fixture(scope="module", params=KINDS)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    with open_shop(request.param, tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(opened: Shop) -> Iterator[Shop]:
    """Give a shop on each kind of database, without rows and within its context."""
    opened.empty()
    with opened.app.app_context():
        yield opened


only_with_savepoints = pytest.mark.parametrize("opened", SAVEPOINTS, indirect=True)
only_on_servers = pytest.mark.parametrize("opened", KINDS[2:], indirect=True)
only_on_postgresql = pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
only_on_mariadb = pytest.mark.parametrize("opened", ["mariadb"], indirect=True)


def test_an_order_that_is_committed_has_its_event(shop: Shop) -> None:
    shop.buy("a")
    shop.db.session.commit()
    assert shop.story() == (["a"], ["a"], ["a"])


def test_an_order_that_is_rolled_back_leaves_no_event(shop: Shop) -> None:
    shop.buy("a")
    shop.db.session.rollback()
    assert shop.story() == ([], [], [])


@pytest.mark.parametrize("leave", ["remove", "close", "invalidate"])
def test_a_session_that_is_left_without_a_commit_leaves_no_event(
    shop: Shop, leave: str
) -> None:
    shop.buy("a")
    session = shop.db.session if leave == "remove" else shop.db.session()
    getattr(session, leave)()
    shop.buy("b")
    shop.db.session.commit()
    assert shop.story() == (["b"], ["b"], ["b"])


def test_nothing_is_delivered_before_the_commit(shop: Shop) -> None:
    shop.buy("a")
    assert shop.delivered == []


def test_the_row_is_there_before_the_commit(shop: Shop) -> None:
    shop.buy("a")
    events = shop.place.tables.events
    assert shop.db.session.scalars(select(events.c.id)).all() == ["a"]


def test_an_event_has_a_row_for_each_of_its_units(shop: Shop) -> None:
    shop.buy("a")
    shop.db.session.commit()
    units = shop.place.tables.event_units
    assert shop.db.session.execute(select(units.c.unit, units.c.event_id)).all() == [
        ("user:7", "a")
    ]


def test_each_of_two_commits_delivers_its_own_event_once(shop: Shop) -> None:
    shop.buy("a")
    shop.db.session.commit()
    shop.buy("b")
    shop.db.session.commit()
    shop.db.session.commit()
    assert shop.story() == (["a", "b"], ["a", "b"], ["a", "b"])


def test_an_event_is_stored_where_the_application_writes_nothing(shop: Shop) -> None:
    shop.track("a")
    shop.db.session.commit()
    assert shop.story() == ([], ["a"], ["a"])


def test_an_event_that_is_there_already_is_left_as_it_is(shop: Shop) -> None:
    for _ in range(2):
        shop.track("a")
        shop.db.session.commit()
    assert shop.story() == ([], ["a"], ["a", "a"])
    assert not shop.tally.counts


def test_a_block_of_begin_delivers_at_its_end(shop: Shop) -> None:
    with shop.db.session.begin():
        shop.buy("a")
    with suppress(ZeroDivisionError), shop.db.session.begin():
        shop.buy("b")
        raise ZeroDivisionError
    assert shop.story() == (["a"], ["a"], ["a"])


@only_with_savepoints
def test_a_released_savepoint_waits_for_the_root(shop: Shop) -> None:
    with shop.db.session.begin_nested():
        shop.buy("a")
    assert shop.delivered == []
    shop.db.session.commit()
    assert shop.story() == (["a"], ["a"], ["a"])


@only_with_savepoints
def test_a_released_savepoint_goes_down_with_the_root(shop: Shop) -> None:
    with shop.db.session.begin_nested():
        shop.buy("a")
    shop.db.session.rollback()
    assert shop.story() == ([], [], [])


@only_with_savepoints
def test_an_undone_savepoint_takes_its_own_events_alone(shop: Shop) -> None:
    shop.buy("a")
    nested = shop.db.session.begin_nested()
    shop.buy("b")
    with shop.db.session.begin_nested():
        shop.buy("c")
    nested.rollback()
    shop.buy("d")
    shop.db.session.commit()
    assert shop.story() == (["a", "d"], ["a", "d"], ["a", "d"])


@only_with_savepoints
def test_a_commit_of_the_root_releases_open_savepoints(shop: Shop) -> None:
    root = shop.db.session.begin()
    shop.db.session.begin_nested()
    shop.buy("a")
    shop.db.session.begin_nested()
    shop.buy("b")
    root.commit()
    assert shop.story() == (["a", "b"], ["a", "b"], ["a", "b"])


@only_with_savepoints
def test_an_order_that_collides_in_a_savepoint_has_no_event(shop: Shop) -> None:
    shop.buy("a")
    nested = shop.db.session.begin_nested()
    shop.track("b")
    with pytest.raises(IntegrityError):
        shop.order("a")
    nested.rollback()
    shop.db.session.commit()
    assert shop.story() == (["a"], ["a"], ["a"])


def test_nothing_of_the_application_is_flushed(shop: Shop) -> None:
    shop.db.session.add(shop.order_class(id="a"))
    shop.track("a")
    assert len(shop.db.session.new) == 1
    shop.db.session.commit()
    assert shop.story() == (["a"], ["a"], ["a"])


def test_a_view_that_flushed_and_raised_leaves_no_event(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.buy("a")
    shop.db.session.commit()
    shop.db.session.add(shop.order_class(id="a"))
    shop.track("b")
    with pytest.raises(IntegrityError):
        shop.db.session.flush()
    shop.track("c")
    with pytest.raises(PendingRollbackError):
        shop.db.session.commit()
    shop.db.session.rollback()
    assert shop.story() == (["a"], ["a"], ["a"])
    assert "could not be inserted" in caplog.text


def test_a_failure_of_ours_is_delivered_after_the_commit(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with broken(shop):
        shop.buy("a")
        assert shop.delivered == []
        shop.db.session.commit()
    assert shop.story() == (["a"], [], ["a"])
    assert shop.tally.counts == {"atomic_failed": 1}
    assert "could not be inserted" in caplog.text


def test_a_failure_of_ours_goes_down_with_the_transaction(shop: Shop) -> None:
    with broken(shop):
        shop.buy("a")
        shop.db.session.rollback()
    assert shop.story() == ([], [], [])


@only_with_savepoints
def test_a_failure_of_ours_goes_down_with_a_savepoint(shop: Shop) -> None:
    with broken(shop):
        nested = shop.db.session.begin_nested()
        shop.buy("a")
        nested.rollback()
        shop.order("b")
        shop.db.session.commit()
    assert shop.story() == (["b"], [], [])


def test_the_application_goes_on_writing_after_a_failure_of_ours(shop: Shop) -> None:
    with broken(shop):
        shop.buy("a")
        shop.order("b")
        shop.db.session.commit()
    assert shop.rows() == ["a", "b"]


@only_on_servers
def test_a_deadlock_is_raised_as_it_came(shop: Shop) -> None:
    with conflict(shop):
        shop.order("a")
        with pytest.raises(DBAPIError, match=r"1213|deadlock"):
            shop.track("a")
        shop.db.session.rollback()
    assert shop.story() == ([], [], [])
    assert not shop.tally.counts


@only_on_mariadb
def test_what_a_deadlock_has_undone_is_not_delivered(shop: Shop) -> None:
    shop.buy("a")
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(cross, shop, met := Barrier(2))
        shop.order("hot1")
        met.wait(20)
        with pytest.raises(DBAPIError, match="1213"):
            shop.track("hot2")
        shop.db.session.commit()
        holding.result(20)
    assert ("a" in shop.rows(), shop.delivered) == (False, [])


def cross(shop: Shop, met: Barrier) -> None:
    """Lock in the other order, with so many rows that the other one is undone."""
    row = {"id": "hot2", "name": "x", "at": 1, "stored_at": 1, "version": "c0"}
    row |= dict.fromkeys(("units", "properties", "variants"), "{}")
    more = [{"id": f"more{number}"} for number in range(200)]
    with engine_of(shop.url) as engine, engine.begin() as connection:
        connection.execute(shop.place.tables.events.insert(), row)
        connection.execute(shop.orders.insert(), more)
        met.wait(20)
        connection.execute(shop.orders.insert(), {"id": "hot1"})


@only_on_postgresql
def test_a_transaction_that_postgresql_had_aborted_delivers_nothing(shop: Shop) -> None:
    shop.buy("a")
    with suppress(DBAPIError):
        shop.db.session.execute(text("SELECT 1 / 0"))
    shop.track("b")
    shop.db.session.commit()
    assert shop.story() == ([], [], [])


@only_with_savepoints
def test_an_aborted_savepoint_leaves_the_events_round_it(shop: Shop) -> None:
    shop.buy("a")
    with suppress(DBAPIError), shop.db.session.begin_nested():
        shop.track("b")
        shop.db.session.execute(text("SELECT * FROM nowhere"))
    shop.db.session.commit()
    assert shop.story() == (["a"], ["a"], ["a"])


def test_a_delivery_that_fails_leaves_the_commit_alone(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Event) -> None:
        raise ZeroDivisionError(event.id)

    shop.order("a")
    shop.track("a", fail)
    shop.track("b")
    shop.db.session.commit()
    assert shop.story() == (["a"], ["a", "b"], ["b"])
    assert "was not delivered" in caplog.text


def test_a_process_that_is_told_to_end_delivers_the_others_first(shop: Shop) -> None:
    def end(event: Event) -> None:
        raise SystemExit(event.id)

    shop.track("a", end)
    shop.track("b")
    with pytest.raises(SystemExit):
        shop.db.session.commit()
    assert shop.delivered == ["b"]


def test_a_delivery_may_use_the_session(shop: Shop) -> None:
    def use(event: Event) -> None:
        shop.buy(f"{event.id}2")
        shop.db.session.commit()

    shop.order("a")
    shop.track("a", use)
    shop.db.session.commit()
    assert shop.story() == (["a", "a2"], ["a", "a2"], ["a2"])


def test_nothing_keeps_a_session_alive(shop: Shop) -> None:
    shop.buy("a")
    seen = weakref.ref(shop.db.session())
    shop.db.session.remove()
    gc.collect()
    assert seen() is None


def test_sessions_of_several_threads_go_their_own_ways(shop: Shop) -> None:
    together = Barrier(3)

    def visit(key: str) -> None:
        with shop.app.app_context():
            together.wait(20)
            shop.buy(key)
            getattr(shop.db.session, "rollback" if key == "b" else "commit")()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(visit, "abc"))
    orders, events, delivered = shop.story()
    assert (orders, events, sorted(delivered)) == (["a", "c"],) * 3
