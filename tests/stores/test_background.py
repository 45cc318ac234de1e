"""The one thread of a process: started late, watched, and never in the way."""

from __future__ import annotations

import gc
import logging
import os
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from flask_abx.events.tally import Tally
from flask_abx.stores import background as module
from flask_abx.stores import life as life_module
from flask_abx.stores.background import MOST_ALIVE, Background
from flask_abx.stores.life import STUCK
from tests.stores.places import database_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask_abx.stores.database import Database
    from flask_abx.stores.life import Life

LOGGER = logging.getLogger("tests.background")
#: Nothing waits so long where all is well.
PATIENCE = 10.0


def nothing(life: Life) -> None:
    """Do nothing."""


def query(life: Life) -> None:
    """Ask the database for a table that may be missing."""
    with life.engine.connect() as connection:
        connection.execute(text("SELECT * FROM abx_state"))


def fail(life: Life) -> None:
    """Fail as a job may."""
    del life
    raise RuntimeError("the disk is full")


@dataclass
class Work:
    """A job that does what a test tells it, and remembers in which thread it ran."""

    do: Callable[[Life], None] = nothing
    name: str = "do its work"
    lives: list[Life] = field(default_factory=list)

    def run(self, life: Life) -> None:
        self.lives.append(life)
        self.do(life)


class Hanging:
    """A job that hangs until it is released."""

    name = "hang"

    def __init__(self) -> None:
        self.begun = 0
        self.release = Event()

    def run(self, life: Life) -> None:
        del life
        self.begun += 1
        self.release.wait(PATIENCE)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for each in (module, life_module):
        monkeypatch.setattr(each, "monotonic", made)
    return made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with database_at(url, is_empty=True) as made:
        yield made


@pytest.fixture
def background(database: Database) -> Iterator[Background]:
    # The pause is so long that every further round is asked for.
    made = Background(database, 60.0, Tally(), LOGGER)
    yield made
    made.stop()


@pytest.fixture
def hanging(background: Background) -> Iterator[Hanging]:
    job = Hanging()
    background.add(job)
    yield job
    job.release.set()


def ended(life: Life) -> bool:
    """Tell whether a thread ends, or has ended."""
    assert life.thread is not None
    life.thread.join(PATIENCE)
    return not life.is_alive


def life_of(background: Background) -> Life:
    """Give the thread of this process."""
    life = background.life
    assert life is not None
    return life


def test_nothing_runs_before_the_first_request(background: Background) -> None:
    background.add(Work())
    assert background.life is None


def test_many_requests_that_come_first_start_one_thread(background: Background) -> None:
    work = Work()
    background.add(work)
    requests = [Thread(target=background.touch) for _ in range(20)]
    for request in requests:
        request.start()
    for request in requests:
        request.join()
    assert background.settle(PATIENCE)
    assert set(map(id, work.lives)) == {id(background.life)}


def test_a_child_starts_a_thread_of_its_own(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    background.touch()
    parent = life_of(background)
    with monkeypatch.context() as fork:
        fork.setattr(os, "getpid", lambda: -1)
        assert background.life is None
        background.touch()
        child = life_of(background)
        background.stop()
    assert child is not parent
    assert ended(child)
    assert life_of(background) is parent
    assert parent.is_alive


def test_the_thread_ends_when_nobody_holds_it(database: Database) -> None:
    background = Background(database, 60.0, Tally(), LOGGER)
    work = Work()
    background.add(work)
    assert background.wait(PATIENCE)
    life = life_of(background)
    del background
    gc.collect()
    assert ended(life)


def test_a_thread_that_ends_closes_its_connections(background: Background) -> None:
    background.add(Work(lambda life: life.engine.connect().close()))
    assert background.wait(PATIENCE)
    life = life_of(background)
    before = life.engine.pool
    background.stop()
    assert ended(life)
    assert life.engine.pool is not before


def test_after_a_stop_the_next_request_starts_another(background: Background) -> None:
    background.touch()
    before = life_of(background)
    background.stop()
    assert background.life is None
    background.touch()
    assert life_of(background) is not before
    assert ended(before)


def test_a_stuck_thread_is_left_and_told(
    background: Background,
    hanging: Hanging,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    background.touch()
    before = life_of(background)
    clock.now += STUCK
    background.touch()
    assert life_of(background) is before
    clock.now += 1
    background.touch()
    assert life_of(background) is not before
    assert before.is_over
    assert caplog.messages == [
        "The background thread has not moved for 30 s, another takes over."
    ]
    hanging.release.set()


def test_at_most_so_many_threads_are_alive(
    background: Background, hanging: Hanging, clock: Clock
) -> None:
    lives = []
    for _ in range(MOST_ALIVE + 2):
        background.touch()
        lives.append(life_of(background))
        clock.now += STUCK + 1
    assert len(set(map(id, lives))) == MOST_ALIVE
    hanging.release.set()
    assert all(ended(life) for life in lives[: MOST_ALIVE - 1])


def test_a_thread_that_was_left_touches_nothing(
    background: Background, hanging: Hanging, clock: Clock
) -> None:
    work = Work()
    background.add(work)
    background.touch()
    before = life_of(background)
    clock.now += STUCK + 1
    background.touch()
    hanging.release.set()
    assert ended(before)
    assert background.settle(PATIENCE)
    assert set(map(id, work.lives)) == {id(background.life)}


def test_what_a_left_thread_meets_is_not_told(
    background: Background, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    release = Event()

    def hang_and_fail(life: Life) -> None:
        release.wait(PATIENCE)
        if life.is_over:
            raise RuntimeError("the old connection is dead")

    background.add(Work(hang_and_fail))
    background.touch()
    before = life_of(background)
    clock.now += STUCK + 1
    background.touch()
    release.set()
    assert ended(before)
    assert len(caplog.messages) == 1


def test_a_job_that_raises_harms_no_other(background: Background) -> None:
    work = Work()
    background.add(Work(fail))
    background.add(work)
    assert background.wait(PATIENCE)
    assert background.settle(PATIENCE)
    assert len(work.lives) >= 2


def test_a_job_that_raises_is_told_once_and_counted_each_time(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally()
    background = Background(database, 60.0, tally, LOGGER)
    background.add(Work(fail, "drain"))
    background.add(Work(fail, "ask"))
    for _ in range(3):
        assert background.settle(PATIENCE)
    background.stop()
    assert caplog.messages == [
        "The background thread could not drain, it tries again.",
        "The background thread could not ask, it tries again.",
    ]
    assert all(record.exc_info for record in caplog.records)
    assert min(tally.counts.values()) >= 3


def test_a_missing_table_is_told_with_the_command(
    background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    background.add(Work(query))
    assert background.wait(PATIENCE)
    (record,) = caplog.records
    assert "`flask abx db create`" in record.getMessage()
    assert record.exc_info is None


def test_a_thread_that_cannot_be_started_breaks_no_page(
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    clock: Clock,
) -> None:
    def refuse(thread: Thread) -> None:
        raise RuntimeError(f"can't start {thread.name}")

    with monkeypatch.context() as full:
        full.setattr(Thread, "start", refuse)
        background.touch()
    assert caplog.messages == ["The background thread could not be started."]
    clock.now += STUCK + 1
    background.touch()
    assert life_of(background).is_alive


def test_waiting_ends_with_the_first_round_however_it_ended(
    background: Background,
) -> None:
    background.add(Work(fail))
    assert background.wait(PATIENCE)


def test_all_who_wait_have_one_deadline(
    background: Background, hanging: Hanging, clock: Clock
) -> None:
    waits: list[float | None] = []

    def wait(timeout: float | None = None) -> bool:
        waits.append(timeout)
        return False

    background.touch()
    background._process().has_gone_round.wait = wait  # type: ignore[method-assign]
    for _ in range(4):
        assert not background.wait(2.0)
        clock.now += 0.75
    assert waits == [2.0, 1.25, 0.5, 0.0]
    hanging.release.set()


def test_settling_waits_for_a_round_that_begins_later(background: Background) -> None:
    heard: list[str] = []
    told = ["before"]
    entered, release = Event(), Event()

    def listen(life: Life) -> None:
        del life
        heard.append(told[0])
        entered.set()
        release.wait(PATIENCE)

    background.add(Work(listen))
    background.touch()
    assert entered.wait(PATIENCE)
    told[0] = "after"
    release.set()
    assert background.settle(PATIENCE)
    assert heard[-1] == "after"


def test_settling_gives_up_in_the_end(background: Background, hanging: Hanging) -> None:
    assert not background.settle(0.05)
    hanging.release.set()


def test_waking_ends_the_pause(background: Background) -> None:
    done: list[Event] = [Event(), Event()]
    waiting = iter(done)
    background.add(Work(lambda life: next(waiting, done[-1]).set()))
    assert background.wait(PATIENCE)
    background.wake()
    assert done[1].wait(PATIENCE)


def test_pauses_differ_and_stay_near_the_interval(background: Background) -> None:
    background.touch()
    life = life_of(background)
    pauses = []
    for rounds in range(200):
        life.rounds = rounds
        pauses.append(background.pause(life) / 60)
    assert 0.8 <= min(pauses) < 0.85
    assert 1.15 < max(pauses) <= 1.2


@dataclass
class Chore:
    """An errand that does what a test tells it, and rests as long as it says."""

    do: Callable[[Life], None] = nothing
    name: str = "run an errand"
    rest: float = 60.0
    runs: int = 0

    def run(self, life: Life) -> None:
        self.runs += 1
        self.do(life)


def test_an_errand_is_run_in_each_turn_and_a_job_in_each_round(
    background: Background,
) -> None:
    errand, work = Chore(rest=0.001), Work()
    background.add_errand(errand)
    background.add(work)
    assert background.wait(PATIENCE)
    assert background.wait_until(lambda: errand.runs >= 20, PATIENCE)
    assert len(work.lives) == 1


def test_what_can_wait_is_done_last(background: Background) -> None:
    order: list[str] = []
    background.add_errand(Chore(lambda life: order.append("leisure")), can_wait=True)
    background.add(Work(lambda life: order.append("job")))
    background.add_errand(Chore(lambda life: order.append("errand")))
    assert background.wait(PATIENCE)
    assert order[:3] == ["errand", "job", "leisure"]


def test_whoever_waits_has_the_errand_run_at_once(background: Background) -> None:
    errand = Chore()
    background.add_errand(errand)
    assert background.wait(PATIENCE)
    before = errand.runs
    assert background.wait_until(lambda: errand.runs > before, PATIENCE)


def test_after_a_missed_deadline_nobody_waits(
    background: Background, hanging: Hanging
) -> None:
    assert not background.wait_until(lambda: False, 0.01)
    assert background.is_late
    asked: list[int] = []

    def is_done() -> bool:
        asked.append(1)
        return False

    assert not background.wait_until(is_done, PATIENCE)
    assert asked == [1]
    hanging.release.set()


def test_all_who_wait_go_on_when_the_first_has_missed(
    background: Background, hanging: Hanging
) -> None:
    background.touch()
    results: list[bool] = []
    patient = Thread(
        target=lambda: results.append(background.wait_until(lambda: False, PATIENCE))
    )
    patient.start()
    assert not background.wait_until(lambda: False, 0.05)
    patient.join(PATIENCE / 2)
    assert results == [False]
    hanging.release.set()


def test_a_turn_in_time_lets_them_wait_again(
    background: Background, hanging: Hanging
) -> None:
    errand = Chore(rest=0.001)
    background.add_errand(errand)
    assert not background.wait_until(lambda: False, 0.01)
    hanging.release.set()
    assert background.wait_until(lambda: errand.runs >= 3, PATIENCE, is_last=True)
    assert background.wait_until(lambda: not background.is_late, PATIENCE, is_last=True)


def test_a_slow_turn_does_not_let_them_wait_again(
    database: Database, clock: Clock
) -> None:
    background = Background(database, 60.0, Tally(), LOGGER, patience=0.25)

    def take_long(life: Life) -> None:
        del life
        clock.now += 0.3

    errand = Chore(take_long, rest=0.0)
    background.add_errand(errand)
    background._process().is_late = True
    assert background.wait_until(lambda: errand.runs >= 3, PATIENCE, is_last=True)
    assert background.is_late
    background.stop()


def test_an_errand_that_fails_lets_nobody_wait(background: Background) -> None:
    background.add_errand(Chore(fail))
    assert not background.wait_until(lambda: False, PATIENCE)
    assert background.is_late


def test_the_last_wait_goes_on_whatever_was_missed(background: Background) -> None:
    errand = Chore()
    background.add_errand(errand)
    background._process().is_late = True
    assert background.wait_until(lambda: errand.runs > 0, PATIENCE, is_last=True)
