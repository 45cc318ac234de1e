"""What is stored of a unit: asked once, kept within bounds, and never for too long."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import event as events

from flask_abx.events import lookups as module
from flask_abx.events.answers import FRESH, Wanted
from flask_abx.events.lookups import KEPT, Lookups
from flask_abx.events.tally import Tally
from flask_abx.stores.background import Background
from flask_abx.stores.life import Life
from tests.events.sql.ground import Ground, exposure
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask_abx.stores.database import Database

LOGGER = logging.getLogger("tests.lookups")
RUN = ("both", 1)
MISSING = Wanted(frozenset({RUN}))
UNCONFIRMED = Wanted(frozenset({RUN}), frozenset({RUN}))
#: Nothing waits so long where all is well.
PATIENCE = 10.0


class Waiting:
    """A background whose errand runs in the thread of whoever waits for it."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.is_late = False
        self.waits = 0
        self.run: Callable[[Life], None] = lambda life: None

    def wait_until(self, is_done: Callable[[], bool], seconds: float) -> bool:
        del seconds
        self.waits += 1
        self.run(self.life)
        return is_done()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with database_at(f"sqlite:///{tmp_path / 'app.db'}") as made:
        yield made


@pytest.fixture
def waiting(database: Database) -> Iterator[Waiting]:
    life = Life(database)
    yield Waiting(life)
    life.close()


@pytest.fixture
def lookups(database: Database, waiting: Waiting) -> Lookups:
    made = Lookups(database, cast("Background", waiting), 1.0)
    waiting.run = made.run
    return made


def expose(database: Database, *users: str) -> None:
    Ground(database).store(*(exposure("user", user=each) for each in users))


@contextmanager
def queries(waiting: Waiting) -> Iterator[list[str]]:
    """List the queries that are sent meanwhile."""
    sent: list[str] = []

    def note(_1: object, _2: object, statement: str, *_: object) -> None:
        if "abx_exposures" in statement:
            sent.append(statement)

    events.listen(waiting.life.engine, "before_cursor_execute", note)
    yield sent
    events.remove(waiting.life.engine, "before_cursor_execute", note)


def test_the_thread_answers_what_is_stored_and_what_is_not(database: Database) -> None:
    expose(database, "anna")
    background = Background(database, 60.0, Tally(), LOGGER)
    lookups = Lookups(database, background, PATIENCE)
    background.add_errand(lookups)
    found = lookups.find({"user:anna": MISSING, "user:ben": MISSING})
    background.stop()
    assert found == {"user:anna": {RUN: "bold"}, "user:ben": {}}


def test_many_units_are_asked_about_with_one_query(
    database: Database, lookups: Lookups, waiting: Waiting
) -> None:
    expose(database, "anna", "ben")
    with queries(waiting) as sent:
        found = lookups.find({f"user:{name}": MISSING for name in ("anna", "ben", "c")})
    assert (len(sent), sorted(found)) == (1, ["user:anna", "user:ben", "user:c"])


def test_units_that_several_requests_ask_about_are_asked_about_once(
    lookups: Lookups, waiting: Waiting
) -> None:
    waiting.run = lambda life: None
    for _ in range(3):
        assert lookups.find({"user:anna": MISSING}) == {}
    with queries(waiting) as sent:
        lookups.run(waiting.life)
    assert len(sent) == 1


def test_the_oldest_of_ten_thousand_answers_is_forgotten(
    lookups: Lookups, waiting: Waiting, clock: Clock
) -> None:
    units = [f"user:{number:05}" for number in range(10_001)]
    lookups.find(dict.fromkeys(units, MISSING))
    waiting.run = lambda life: None
    assert KEPT == 10_000
    assert lookups.find({units[0]: MISSING}) == {}
    assert lookups.find({units[1]: MISSING}) == {units[1]: {}}


def test_a_row_is_known_for_ever(
    database: Database, lookups: Lookups, waiting: Waiting, clock: Clock
) -> None:
    expose(database, "anna")
    lookups.find({"user:anna": MISSING})
    clock.now += 100_000
    assert lookups.find({"user:anna": MISSING}) == {"user:anna": {RUN: "bold"}}
    assert waiting.waits == 1


@pytest.mark.parametrize(
    ("later", "waits"),
    [
        pytest.param(FRESH, 1, id="within-a-minute"),
        pytest.param(FRESH + 0.1, 2, id="after-a-minute"),
    ],
)
def test_no_row_is_believed_for_a_minute(
    lookups: Lookups, waiting: Waiting, clock: Clock, later: float, waits: int
) -> None:
    lookups.find({"user:anna": MISSING})
    clock.now += later
    assert lookups.find({"user:anna": MISSING}) == {"user:anna": {}}
    assert waiting.waits == waits


def test_no_row_is_never_believed_for_an_unconfirmed_entry(
    database: Database, lookups: Lookups, clock: Clock
) -> None:
    assert lookups.find({"user:anna": UNCONFIRMED}) == {"user:anna": {}}
    expose(database, "anna")
    clock.now += 0.1
    assert lookups.find({"user:anna": UNCONFIRMED}) == {"user:anna": {RUN: "bold"}}


def test_what_is_forgotten_is_asked_again(
    database: Database, lookups: Lookups, clock: Clock
) -> None:
    lookups.find({"user:anna": MISSING})
    expose(database, "anna")
    clock.now += 0.1
    lookups.forget("user:anna")
    clock.now += 0.1
    assert lookups.find({"user:anna": MISSING}) == {"user:anna": {RUN: "bold"}}


def test_nobody_asks_while_the_thread_is_late(
    database: Database, lookups: Lookups, waiting: Waiting
) -> None:
    expose(database, "anna")
    waiting.is_late = True
    assert lookups.find({"user:anna": MISSING}) == {}
    assert waiting.waits == 0


def test_what_is_known_is_told_while_the_thread_is_late(
    database: Database, lookups: Lookups, waiting: Waiting
) -> None:
    expose(database, "anna")
    lookups.find({"user:anna": MISSING})
    waiting.is_late = True
    found = lookups.find({"user:anna": MISSING, "user:ben": MISSING})
    assert found == {"user:anna": {RUN: "bold"}}


def test_a_thread_that_was_replaced_stores_no_answer(
    database: Database, lookups: Lookups, waiting: Waiting
) -> None:
    expose(database, "anna")
    waiting.life.end()
    assert lookups.find({"user:anna": MISSING}) == {}
