"""Hosts where an event cannot be atomic, and hosts with habits of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_sqlalchemy.session import Session
from sqlalchemy import Insert, Update, event
from sqlalchemy.orm import scoped_session, sessionmaker

from flask_abx.errors import ABXError
from flask_abx.runtime.atomic import AtomicRefused
from tests.runtime.atomic_shop import open_shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session as PlainSession

    from tests.runtime.atomic_shop import Shop


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop on SQLite, outside of its context."""
    with open_shop("sqlite", tmp_path) as shop:
        yield shop


@pytest.fixture
def shop(quiet: Shop) -> Iterator[Shop]:
    """Give a shop on SQLite, within its context."""
    with quiet.app.app_context():
        yield quiet


def test_a_savepoint_that_only_the_connection_knows_is_refused(shop: Shop) -> None:
    connection = shop.db.session.connection()
    with pytest.raises(AtomicRefused, match="begin_nested"), connection.begin_nested():
        shop.track("a")
    shop.track("b")
    shop.db.session.commit()
    assert shop.delivered == ["b"]


def test_another_engine_in_the_transaction_is_refused(shop: Shop) -> None:
    other = shop.db.engines["other"]
    shop.db.session.connection(bind_arguments={"bind": other})
    with pytest.raises(AtomicRefused, match=r"other\.db' takes part"):
        shop.track("a")
    shop.db.session.commit()
    shop.track("b")
    shop.db.session.commit()
    assert shop.story() == ([], ["b"], ["b"])


def test_another_engine_within_a_savepoint_is_refused(shop: Shop) -> None:
    other = shop.db.engines["other"]
    shop.db.session.connection(bind_arguments={"bind": other})
    with pytest.raises(AtomicRefused), shop.db.session.begin_nested():
        shop.track("a")


def test_an_event_tracked_when_the_commit_is_done_is_refused(shop: Shop) -> None:
    refused = []

    def on_commit(session: PlainSession) -> None:
        with pytest.raises(AtomicRefused, match="committed already") as caught:
            shop.track("a")
        refused.append((session, caught.value))

    event.listen(shop.db.session(), "after_commit", on_commit)
    shop.order("a")
    shop.db.session.commit()
    assert len(refused) == 1


def test_a_session_keeps_two_listeners_for_all_its_events(shop: Shop) -> None:
    session = shop.db.session()
    for number in range(5):
        shop.buy(str(number))
        session.commit()
    ends = session.dispatch.after_transaction_end
    assert (len(session.dispatch.after_commit), len(ends)) == (1, 1)


def test_without_a_context_it_is_refused(quiet: Shop) -> None:
    with pytest.raises(AtomicRefused, match="no context of the application"):
        quiet.track("a")


def test_in_the_context_of_a_stranger_it_is_refused(quiet: Shop) -> None:
    with (
        Flask("stranger").app_context(),
        pytest.raises(AtomicRefused, match="no context of the application"),
    ):
        quiet.track("a")


def test_a_session_of_another_class_is_refused(shop: Shop) -> None:
    own = shop.db.session
    plain: Any = scoped_session(sessionmaker(shop.db.engine))
    shop.db.session = plain
    try:
        with pytest.raises(AtomicRefused, match="no session of Flask-SQLAlchemy"):
            shop.track("a")
    finally:
        shop.db.session = own


def test_a_bind_that_is_not_there_is_refused(shop: Shop) -> None:
    shop.place, own = replace(shop.place, bind_key="nowhere"), shop.place
    try:
        with pytest.raises(AtomicRefused, match="bind_key='nowhere' is no bind"):
            shop.track("a")
    finally:
        shop.place = own


def test_a_refusal_is_an_error_of_ours_that_tells_the_way_out() -> None:
    assert issubclass(AtomicRefused, ABXError)


class ReplicaSession(Session):
    """Reads from one engine and writes to another, as some applications do."""

    def get_bind(
        self,
        mapper: Any = None,  # noqa: ANN401
        clause: Any = None,  # noqa: ANN401
        bind: Engine | Connection | None = None,
        **options: Any,
    ) -> Engine | Connection:
        if isinstance(clause, Insert | Update):
            return super().get_bind(mapper, clause, bind, **options)
        return self._db.engines["other"]


def test_a_session_that_writes_elsewhere_than_it_reads_may_write(
    tmp_path: Path,
) -> None:
    with open_shop("sqlite", tmp_path, class_=ReplicaSession) as shop:
        with shop.app.app_context():
            shop.buy("a")
            shop.db.session.commit()
        assert shop.story() == (["a"], ["a"], ["a"])


class AwaySession(Session):
    """Sends everything to one engine."""

    def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:
        del args, options
        return self._db.engines["other"]


def test_a_session_that_writes_elsewhere_is_refused(tmp_path: Path) -> None:
    with (
        open_shop("sqlite", tmp_path, class_=AwaySession) as shop,
        shop.app.app_context(),
        pytest.raises(AtomicRefused, match=r"other\.db'"),
    ):
        shop.track("a")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_without_transactions_the_row_is_there_at_once(
    kind: str, tmp_path: Path
) -> None:
    options = {"isolation_level": "AUTOCOMMIT"}
    with open_shop(kind, tmp_path, engine=options) as shop, shop.app.app_context():
        shop.buy("a")
        assert shop.story() == (["a"], ["a"], [])
        shop.db.session.commit()
        assert shop.delivered == ["a"]
        assert not shop.tally.counts


def test_a_transaction_of_two_phases_delivers_when_it_commits(tmp_path: Path) -> None:
    with open_shop("mariadb", tmp_path, twophase=True) as shop, shop.app.app_context():
        shop.buy("a")
        shop.db.session().prepare()
        assert shop.delivered == []
        shop.db.session.commit()
        shop.buy("b")
        shop.db.session.rollback()
        assert shop.story() == (["a"], ["a"], ["a"])


def test_without_autoflush_it_is_the_same(tmp_path: Path) -> None:
    with open_shop("sqlite", tmp_path, autoflush=False) as shop:
        with shop.app.app_context():
            shop.db.session.add(shop.order_class(id="a"))
            shop.track("a")
            shop.db.session.commit()
        assert shop.story() == (["a"], ["a"], ["a"])


class LostSession(Session):
    """Does not know where to go."""

    def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:
        raise LookupError("lost")


def test_a_session_that_finds_no_engine_is_refused(tmp_path: Path) -> None:
    with (
        open_shop("sqlite", tmp_path, class_=LostSession) as shop,
        shop.app.app_context(),
        pytest.raises(AtomicRefused, match="lost"),
    ):
        shop.track("a")


def test_a_failure_to_connect_is_delivered_after_the_commit(quiet: Shop) -> None:
    def fail(*args: object) -> None:
        raise OSError(args)

    with quiet.app.app_context():
        event.listen(quiet.db.engine, "do_connect", fail)
        quiet.track("a")
        event.remove(quiet.db.engine, "do_connect", fail)
        assert quiet.delivered == []
        quiet.db.session.commit()
    assert quiet.delivered == ["a"]
