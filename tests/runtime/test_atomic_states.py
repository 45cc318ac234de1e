"""Whatever a session goes through, orders and their events share one fate."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from flask_abx.events.sql.storing import store_event
from tests.databases import engine_of
from tests.runtime.atomic_shop import SAVEPOINTS, open_shop, purchase

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.orm import SessionTransaction

    from flask_abx.events.records import Event
    from tests.runtime.atomic_shop import Shop

#: A drill tries ten times as many.
EXAMPLES = 10
STEPS = 25
DEEPEST = 4


class Buying(RuleBasedStateMachine):
    """One session that buys, beside a plain account of what has to come of it.

    Attributes:
        open: The orders of the transaction, and of each savepoint within it.
        kept: The orders that were committed.
    """

    def __init__(self, shop: Shop, beside: Connection) -> None:
        super().__init__()
        self.shop = shop
        self.beside = beside
        self.session = shop.db.session
        self.savepoints: list[SessionTransaction] = []
        self.open: list[list[str]] = [[]]
        self.kept: list[str] = []
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return f"{self.count:04}"

    def deliver(self, event: Event) -> None:
        """Store what is there already, or what could not be stored, as a drain does."""
        self.shop.deliver(event)
        record = replace(event, value=1).to_dict()
        store_event(self.beside, self.shop.place.tables, record)

    def end(self, kept: list[str]) -> None:
        """Compare what is stored and delivered with the account."""
        self.kept += kept
        self.open, self.savepoints = [[]], []
        orders, events = (
            sorted(self.beside.scalars(select(table.c.id)))
            for table in (self.shop.orders, self.shop.place.tables.events)
        )
        assert (orders, events, self.shop.delivered) == (self.kept,) * 3

    @rule(is_orm=st.booleans())
    def buy(self, *, is_orm: bool) -> None:
        key = self.fresh()
        if is_orm:
            self.session.add(self.shop.order_class(id=key))
        else:
            self.shop.order(key)
        self.shop.track(key, self.deliver)
        self.open[-1].append(key)

    @rule(value=st.sampled_from([1_000, float("nan")]))
    def buy_what_cannot_be_inserted(self, value: float) -> None:
        key = self.fresh()
        self.shop.order(key)
        self.shop.insert(replace(purchase(key), value=value), self.deliver)
        self.open[-1].append(key)

    @precondition(lambda self: len(self.savepoints) < DEEPEST)
    @rule()
    def begin_nested(self) -> None:
        self.savepoints.append(self.session.begin_nested())
        self.open.append([])

    @precondition(lambda self: self.savepoints)
    @rule()
    def release(self) -> None:
        self.savepoints.pop().commit()
        released = self.open.pop()
        self.open[-1] += released

    @precondition(lambda self: self.savepoints)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        depth = data.draw(st.integers(0, len(self.savepoints) - 1), label="depth")
        self.savepoints[depth].rollback()
        del self.savepoints[depth:], self.open[depth + 1 :]

    @precondition(lambda self: self.kept or any(self.open))
    @rule(is_orm=st.booleans())
    def collide_in_a_savepoint(self, *, is_orm: bool) -> None:
        taken = next(chain(self.kept, *self.open))
        savepoint = self.session.begin_nested()
        self.shop.buy(self.fresh(), self.deliver)
        self.collide(taken, is_orm=is_orm)
        savepoint.rollback()

    @precondition(lambda self: self.kept)
    @rule(is_handled_late=st.booleans())
    def collide_in_a_flush(self, *, is_handled_late: bool) -> None:
        self.shop.buy(self.fresh(), self.deliver)
        self.collide(self.kept[0], is_orm=True)
        if is_handled_late:
            self.shop.track(self.fresh(), self.deliver)
        self.session.rollback()
        self.end([])

    def collide(self, taken: str, *, is_orm: bool) -> None:
        """Let the database refuse an order of the application's own."""
        self.session.expunge_all()
        if is_orm:
            self.session.add(self.shop.order_class(id=taken))
        with pytest.raises(IntegrityError):
            self.session.flush() if is_orm else self.shop.order(taken)

    @rule(again=st.booleans())
    def commit(self, *, again: bool) -> None:
        kept = list(chain(*self.open))
        self.session.commit()
        if again:
            self.session.commit()
        self.end(kept)

    @rule(how=st.sampled_from(["rollback", "remove", "close"]))
    def leave(self, how: str) -> None:
        getattr(self.session, how)()
        self.end([])

    def teardown(self) -> None:
        self.session.remove()
        self.end([])
        tables = self.shop.place.tables
        for table in (self.shop.orders, tables.event_units, tables.events):
            self.beside.execute(delete(table))
        self.shop.delivered.clear()


def buy_and_compare(kind: str, folder: Path, examples: int) -> None:
    """Take sessions of one kind of database through all that befalls them."""
    with (
        open_shop(kind, folder) as shop,
        shop.app.app_context(),
        engine_of(shop.url) as engine,
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as beside,
    ):
        run_state_machine_as_test(
            lambda: Buying(shop, beside),  # type: ignore[arg-type] # documented so
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize=True,
            ),
        )


@pytest.mark.parametrize("kind", SAVEPOINTS)
def test_orders_and_events_share_one_fate(kind: str, tmp_path: Path) -> None:
    buy_and_compare(kind, tmp_path, EXAMPLES)
