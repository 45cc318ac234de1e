"""The sink of the database: what it waits for, how long, and what it leaves."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from flask_abx.events.flights import Flights
from flask_abx.events.sinks import sql
from flask_abx.events.sinks.sql import EXIT_WAIT, SqlSink
from flask_abx.events.tally import Tally
from tests.events.conftest import an_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask_abx.events.draining import Drain
    from flask_abx.events.spool.spool import Spool
    from flask_abx.stores.background import Background

LOGGER = logging.getLogger("tests.sql_sink")
WAIT = 0.25


@dataclass
class FakeSpool:
    """Counts what is appended, and what of it is settled."""

    texts: list[str] = field(default_factory=list)
    settled: int = 0
    is_closed: bool = False

    def append(self, texts: Sequence[str]) -> None:
        self.texts += texts

    @property
    def is_empty(self) -> bool:
        return self.settled >= len(self.texts)

    def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeDrain:
    """Settles everything when it runs, unless the database is down."""

    spool: FakeSpool
    is_down: bool = False
    refuses: int = 0
    refused: int = 0

    def hurry(self) -> int:
        return len(self.spool.texts)

    def run(self) -> None:
        if not self.is_down:
            self.spool.settled = len(self.spool.texts)
            self.refused += self.refuses


@dataclass
class FakeBackground:
    """Runs the drain in the thread of whoever waits, and notes the wait."""

    drain: FakeDrain
    is_here: bool = False
    forgiven: int = 0
    waits: list[tuple[float, bool]] = field(default_factory=list)

    def wait_until(
        self, is_done: Callable[[], bool], seconds: float, *, is_last: bool
    ) -> bool:
        self.waits.append((seconds, is_last))
        self.drain.run()
        return is_done()

    def forgive(self) -> None:
        self.forgiven += 1


class House:
    """A sink and the fakes round it."""

    def __init__(self) -> None:
        self.spool = FakeSpool()
        self.drain = FakeDrain(self.spool)
        self.background = FakeBackground(self.drain)
        self.flights, self.tally = Flights(), Tally()
        spool, drain = cast("Spool", self.spool), cast("Drain", self.drain)
        background = cast("Background", self.background)
        self.sink = SqlSink(
            spool, drain, background, self.flights, WAIT, self.tally, LOGGER
        )

    @property
    def waits(self) -> list[tuple[float, bool]]:
        return self.background.waits


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What runs at the end of the process, which these tests shall not have."""
    made: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", made.append)
    monkeypatch.setattr(atexit, "unregister", made.remove)
    return made


@pytest.fixture
def house(hooks: list[Callable[[], None]]) -> House:
    made = House()
    made.sink.write([an_event("one")])
    return made


def test_a_batch_is_appended_as_one_line_for_each_record(house: House) -> None:
    house.sink.write([an_event("two"), an_event("three")])
    names = [json.loads(text)["name"] for text in house.spool.texts]
    assert names == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("is_awaited", "is_test", "waits"),
    [
        pytest.param(False, False, [], id="nobody-waits"),
        pytest.param(True, False, [(WAIT, False)], id="promised"),
        pytest.param(False, True, [(sql._TEST_WAIT, False)], id="test"),
    ],
)
def test_a_request_waits_for_what_was_promised(
    house: House, waits: list[tuple[float, bool]], *, is_awaited: bool, is_test: bool
) -> None:
    house.sink.settle(is_awaited=is_awaited, is_test=is_test)
    assert (house.waits, house.background.forgiven) == (waits, is_test)


def test_without_a_thread_it_is_stored_at_once_and_without_waiting(
    house: House,
) -> None:
    house.background.is_here = True
    house.sink.settle(is_awaited=False, is_test=False)
    assert house.waits == [(0.0, False)]
    assert house.spool.is_empty


def test_a_wait_in_vain_is_counted_and_told_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.drain.is_down = True
    for _ in range(3):
        house.sink.settle(is_awaited=True, is_test=False)
    assert [record.args for record in caplog.records] == [(WAIT, " (ABX_WAIT)")]
    assert house.tally.counts["delivery_late"] == 3


def test_a_flush_waits_whatever_was_missed_before(house: House) -> None:
    assert house.sink.flush(7.0)
    assert house.waits == [(7.0, True)]


def test_a_flush_tells_that_the_database_is_down(house: House) -> None:
    house.drain.is_down = True
    assert not house.sink.flush(7.0)


def test_a_flush_tells_that_the_database_has_refused_a_record(house: House) -> None:
    house.drain.refuses = 1
    assert not house.sink.flush(7.0)


def test_in_the_middle_of_a_request_it_does_not_wait_for_itself(house: House) -> None:
    house.flights.begin("the request of this thread")
    house.sink.flush(7.0)
    assert house.waits == [(0.0, True)]


def test_where_nobody_can_be_disturbed_a_request_waits(house: House) -> None:
    house.flights.are_counted = False
    house.flights.begin("the request of this thread")
    house.sink.flush(7.0)
    assert house.waits == [(7.0, True)]


def test_closing_stores_what_is_left(house: House) -> None:
    house.sink.close()
    assert house.waits == [(EXIT_WAIT, True)]
    assert house.spool.is_closed


def test_closing_what_is_settled_waits_for_nothing(house: House) -> None:
    house.drain.run()
    house.sink.close()
    assert (house.waits, house.spool.is_closed) == ([], True)


def test_closing_lets_the_file_go_even_where_storing_raises(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(FakeDrain, "hurry")
    with pytest.raises(AttributeError):
        house.sink.close()
    assert house.spool.is_closed


def test_the_end_of_the_process_closes_it_once(
    house: House, hooks: list[Callable[[], None]]
) -> None:
    house.sink.write([an_event("two")])
    (hook,) = hooks
    hook()
    assert house.spool.is_closed


def test_a_sink_that_wrote_nothing_has_nothing_to_close(
    hooks: list[Callable[[], None]],
) -> None:
    House()
    assert hooks == []


def test_a_forked_child_leaves_what_its_parent_wrote(
    house: House, hooks: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    hooks[0]()
    assert not house.spool.is_closed
    house.sink.write([an_event("two")])
    hooks[1]()
    assert house.spool.is_closed


def test_a_sink_that_nobody_holds_takes_its_hook_along(
    hooks: list[Callable[[], None]],
) -> None:
    house = House()
    house.sink.write([an_event("one")])
    assert len(hooks) == 1
    del house
    gc.collect()
    assert hooks == []
