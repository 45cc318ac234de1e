"""The one thread of a process that talks to the database."""

from __future__ import annotations

import os
import sys
import weakref
from hashlib import blake2b
from threading import Condition, Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from flask_abx.stores.database import cut, is_idle

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from sqlalchemy import Engine

    from flask_abx.errors import SetupError
    from flask_abx.events.tally import Tally
    from flask_abx.stores.database import Database

#: After so many seconds in one job a thread is taken for stuck.
STUCK = 30.0
#: How many threads of one process may be alive, stuck ones included.
MOST_ALIVE = 3
#: How long the end of a thread is waited for, in seconds.
_PARTING = 1.0
#: By how much a pause differs from process to process.
_JITTER = 0.2


class Job(Protocol):
    """What the thread does in each round."""

    @property
    def name(self) -> str:
        """How the log names it."""
        ...

    def run(self, life: Life) -> None:
        """Do it once."""
        ...


class Life:
    """One thread from its start to its end.

    Attributes:
        wake: Set to end the pause between two rounds.
        busy_since: When the present job began, or None between two rounds.
        rounds: How many rounds it has done.
    """

    def __init__(self, database: Database) -> None:
        self.wake = Event()
        self.busy_since: float | None = monotonic()
        self.rounds = 0
        self.is_over = False
        self.thread: Thread | None = None
        self._database = database
        self._engine: Engine | None = None
        self._connections: list[object] = []

    @property
    def engine(self) -> Engine:
        """The engine of this thread, made when it is first needed."""
        if self._engine is None:
            self._engine = self._database.engine()
            if not self._database.is_in_memory:
                event.listen(self._engine, "connect", self._keep)
        return self._engine

    def _keep(self, connection: object, record: object) -> None:
        del record
        self._connections = [*self._connections[-1:], connection]

    @property
    def is_alive(self) -> bool:
        """True until the thread has ended."""
        thread = self.thread
        return thread is not None and thread.is_alive()

    @property
    def is_stuck(self) -> bool:
        """True where one job has taken so long that it may never end."""
        since = self.busy_since
        return since is not None and monotonic() - since > STUCK

    def clear(self) -> None:
        """Let the next pause last, unless it is to end."""
        self.wake.clear()
        if self.is_over:
            self.wake.set()

    def end(self) -> None:
        """Have it touch nothing any more, and stop."""
        self.is_over = True
        self.wake.set()

    def cut(self) -> None:
        """Cut the lines on which it waits, so that it wakes up and ends."""
        for connection in self._connections:
            cut(connection)

    def close(self) -> None:
        """Close its connections."""
        if self._engine is not None:
            self._engine.dispose()


class _Process:
    """What belongs to one process alone: its lock and its threads."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.lives: list[Life] = []
        self.life: Life | None = None
        self.has_gone_round = Event()
        self.turned = Condition()
        self.deadline: float | None = None


class Background:
    """Runs jobs in a thread that each process starts with its first request.

    Locks and threads are kept by process id, so that a fork inherits neither. SQLite in
    memory has no thread: there whoever touches it does a round that is due, unless the
    application is in the middle of a transaction.

    Args:
        database: Where each thread gets its own connections.
        interval: The pause between two rounds, in seconds.
        tally: Counts the rounds that fail.
        logger: Where a job that raises is told, once a minute each.
    """

    def __init__(
        self, database: Database, interval: float, tally: Tally, logger: logging.Logger
    ) -> None:
        self._database = database
        self._interval = interval
        self._tally = tally
        self._logger = logger
        self._jobs: list[Job] = []
        self._processes: dict[int, _Process] = {}
        self._here: Life | None = None
        self._went_at: float | None = None

    def add(self, job: Job) -> None:
        """Give the thread something to do in each round."""
        self._jobs.append(job)

    @property
    def life(self) -> Life | None:
        """The thread of this process, if one was started."""
        process = self._processes.get(os.getpid())
        return None if process is None else process.life

    def touch(self) -> None:
        """See to it that a thread of this process is at work."""
        process = self._processes.get(os.getpid())
        life = None if process is None else process.life
        if life is not None and not life.is_stuck:
            return
        try:
            self._start()
        except Exception:
            # The page goes on with what is known.
            if self._tally.count("background:start"):
                self._logger.exception("The background thread could not be started.")

    def wake(self) -> None:
        """Have the next round begin now, where a thread is at work."""
        life = self.life
        if life is not None:
            life.wake.set()
        elif self._database.is_in_memory:
            self._went_at = None
            self.touch()

    def stop(self) -> None:
        """End the thread of this process; the next request starts another."""
        process, life = self._process(), self.life
        if life is None:
            return
        process.life = None
        life.end()
        if life.thread is not None:
            life.thread.join(_PARTING)

    def settle(self, seconds: float) -> bool:
        """Wait until a whole round is done that begins from now on.

        Returns:
            False if it is not done after so many seconds.
        """
        self.touch()
        process, life = self._process(), self.life
        if life is None:
            self.wake()
            return True
        deadline = monotonic() + seconds
        with process.turned:
            wanted = life.rounds + (1 if life.busy_since is None else 2)
            while life.rounds < wanted:
                life.wake.set()
                left = deadline - monotonic()
                if left <= 0 or not process.turned.wait(left):
                    return False
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until a first round is done, however it ended; False if it is not.

        All who wait in one process have one deadline: once it is missed, nobody waits.

        Args:
            seconds: The time from the first call on.
        """
        self.touch()
        process = self._process()
        if process.life is None:
            return True
        if process.deadline is None:
            process.deadline = monotonic() + seconds
        return process.has_gone_round.wait(max(0.0, process.deadline - monotonic()))

    def _process(self) -> _Process:
        pid = os.getpid()
        process = self._processes.get(pid)
        if process is None:
            # One step: of several threads that come first, one makes it for all.
            # A parent's stays too: to forget its connections would be to close them.
            process = self._processes.setdefault(pid, _Process())
        return process

    def _start(self) -> None:
        if self._database.is_in_memory:
            self._go_here()
            return
        process = self._process()
        with process.lock:
            before = process.life
            if before is not None and not before.is_stuck:
                return
            process.lives = [each for each in process.lives if each.is_alive]
            if len(process.lives) >= MOST_ALIVE:
                return
            if before is not None:
                before.end()
                before.cut()
                self._logger.error(
                    "The background thread has not moved for %d s, another takes over.",
                    STUCK,
                )
            life = Life(self._database)
            # The thread must not keep alive what nobody else needs.
            weakref.finalize(self, _end, life, os.getpid())
            life.thread = Thread(
                target=_live,
                args=(weakref.ref(self), life, process),
                name="flask-abx",
                daemon=True,
            )
            life.thread.start()
            process.lives.append(life)
            process.life = life

    def _go_here(self) -> None:
        """Do a round in this thread, where one is due and the connection is free."""
        now = monotonic()
        if self._went_at is not None and now - self._went_at < self._interval:
            return
        lock = self._process().lock
        # Another thread may be at it on the one connection.
        if not lock.acquire(blocking=False):
            return
        try:
            if is_idle(self._database.host):
                self._went_at = now
                self._here = self._here or Life(self._database)
                self.go_round(self._here, _call)
        finally:
            lock.release()

    def go_round(self, life: Life, call: Callable[..., Any]) -> None:
        """Do every job once; one that raises is logged and harms no other."""
        for job in tuple(self._jobs):
            if life.is_over:
                return
            life.busy_since = monotonic()
            self._do(job, life, call)

    def _do(self, job: Job, life: Life, call: Callable[..., Any]) -> None:
        try:
            call(job.run, life)
        except Exception as error:
            # What an abandoned thread meets in the end is nobody's concern.
            if life.is_over or not self._tally.count(f"background:{job.name}"):
                return
            missing = call(self._missing_table, life, error)
            # What to do, or what the driver says, tells more than its traceback.
            if missing is not None:
                self._logger.error("%s", missing)  # noqa: TRY400
            elif isinstance(error, DBAPIError):
                self._logger.error(  # noqa: TRY400
                    "The background thread could not %s, it tries again and what is "
                    "known stays in force: %s",
                    job.name,
                    error.orig,
                )
            else:
                self._logger.exception(
                    "The background thread could not %s, it tries again.", job.name
                )

    def _missing_table(self, life: Life, error: Exception) -> SetupError | None:
        if not isinstance(error, DBAPIError):
            return None
        return self._database.missing_table(life.engine)

    def pause(self, life: Life) -> float:
        """Give the length of the next pause: near the interval, another each time."""
        data = f"{os.getpid()}\0{life.rounds}".encode()
        place = blake2b(data, digest_size=1).digest()[0] / 255
        return self._interval * (1 + _JITTER * (2 * place - 1))


def _end(life: Life, pid: int) -> None:
    # A child has the parent's locks, but not the threads that would release them.
    if os.getpid() == pid:
        life.end()


def _live(
    background_ref: weakref.ref[Background], life: Life, process: _Process
) -> None:
    call = _caller()
    while not life.is_over:
        background = background_ref()
        if background is None:
            break
        life.clear()
        background.go_round(life, call)
        pause = background.pause(life)
        # What is not held here can be collected while the thread sleeps.
        del background
        process.has_gone_round.set()
        with process.turned:
            life.busy_since = None
            life.rounds += 1
            process.turned.notify_all()
        life.wake.wait(pause)
        with process.turned:
            life.busy_since = monotonic()
    life.close()


def _caller() -> Callable[..., Any]:
    """Give what runs a job: under gevent a real thread, as drivers in C would block."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return _call
    from gevent.threadpool import ThreadPool

    pool = ThreadPool(1)
    return lambda function, *args: pool.apply(function, args)


def _call(function: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - of the function
    return function(*args)
