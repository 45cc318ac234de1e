"""The one thread of a process that talks to the database."""

from __future__ import annotations

import os
import sys
import weakref
from hashlib import blake2b
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from flask_abx.errors import SetupError
from flask_abx.stores.database import is_idle
from flask_abx.stores.life import STUCK, Life, Process

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from flask_abx.events.tally import Tally
    from flask_abx.stores.database import Database
    from flask_abx.stores.life import Errand, Job

#: How many threads of one process may be alive, stuck ones included.
MOST_ALIVE = 3
#: How long the end of a thread is waited for, in seconds.
_PARTING = 1.0
#: By how much a pause differs from process to process.
_JITTER = 0.2


class Background:
    """Runs jobs in a thread that each process starts with its first request.

    Locks and threads are kept by process id, so that a fork inherits neither. SQLite in
    memory has no thread: there whoever touches it does a round that is due, unless the
    application is in the middle of a transaction.

    A round is made of turns: each turn does the errands, and the one that begins a
    round does the jobs too.

    Args:
        database: Where each thread gets its own connections.
        interval: The pause between two rounds, in seconds.
        tally: Counts the rounds that fail.
        logger: Where a job that raises is told, once a minute each.
        patience: The longest turn after which a request may wait again, in seconds.
    """

    def __init__(
        self,
        database: Database,
        interval: float,
        tally: Tally,
        logger: logging.Logger,
        patience: float = 0.25,
    ) -> None:
        self._database = database
        self._interval = interval
        self._patience = patience
        self._tally = tally
        self._logger = logger
        self._jobs: list[Job] = []
        self._errands: list[Errand] = []
        self._leisure: list[Errand] = []
        self._processes: dict[int, Process] = {}
        self._here: Life | None = None
        self._went_at: float | None = None

    def add(self, job: Job) -> None:
        """Give the thread something to do in each round."""
        self._jobs.append(job)

    def add_errand(self, errand: Errand, *, can_wait: bool = False) -> None:
        """Give the thread something to do in each turn.

        Args:
            errand: What it does.
            can_wait: True for what is done after all else.
        """
        (self._leisure if can_wait else self._errands).append(errand)

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
            life.round_at = 0.0
            life.wake.set()
        elif self._database.is_in_memory:
            self._went_at = None
            self.touch()

    @property
    def is_here(self) -> bool:
        """True where there is no thread, and whoever asks does it."""
        return self._database.is_in_memory

    def forgive(self) -> None:
        """Let requests wait again, whatever was missed."""
        self._process().is_late = False

    @property
    def is_late(self) -> bool:
        """True after a deadline was missed, until a whole turn was done in time."""
        return self._process().is_late

    def wait_until(
        self, is_done: Callable[[], bool], seconds: float, *, is_last: bool = False
    ) -> bool:
        """Wait until a job has done something, which it is asked to do at once.

        Once somebody has waited in vain nobody waits, until a turn is in time again.

        Args:
            is_done: Tells whether it is done; it must be quick.
            seconds: The longest wait.
            is_last: True to wait whatever was before, as there is no later.

        Returns:
            False if it is not done.
        """
        if is_done():
            return True
        process = self._process()
        if process.is_late and not is_last:
            return False
        self.touch()
        if self._database.is_in_memory:
            self._go_here(is_due=True)
            return is_done()
        return process.wait_until(is_done, seconds, is_last=is_last)

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
                life.round_at = 0.0
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

    def _process(self) -> Process:
        pid = os.getpid()
        process = self._processes.get(pid)
        if process is None:
            # One step: of several threads that come first, one makes it for all.
            # A parent's stays too: to forget its connections would be to close them.
            process = self._processes.setdefault(pid, Process())
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

    def _go_here(self, *, is_due: bool = False) -> None:
        """Do a turn in this thread, where one is due and the connection is free."""
        now = monotonic()
        is_round = self._went_at is None or now - self._went_at >= self._interval
        if not (is_due or is_round):
            return
        lock = self._process().lock
        # Another thread may be at it on the one connection.
        if not lock.acquire(blocking=False):
            return
        try:
            if is_idle(self._database.host):
                self._here = self._here or Life(self._database)
                if is_round:
                    self._went_at = now
                self.turn(self._here, _call, is_round=is_round)
        finally:
            lock.release()

    def turn(self, life: Life, call: Callable[..., Any], *, is_round: bool) -> None:
        """Do what is to be done; what raises is logged and harms nothing else.

        Args:
            life: The thread that does it.
            call: Runs a function.
            is_round: True to do the jobs too, and not the errands alone.
        """
        process, began = self._process(), monotonic()
        process.has_failed = False
        jobs = self._jobs if is_round else ()
        for job in (*self._errands, *jobs, *self._leisure):
            if life.is_over:
                return
            life.busy_since = monotonic()
            self._do(job, life, call, process)
            with process.turned:
                process.turned.notify_all()
        if not process.has_failed and monotonic() - began <= self._patience:
            process.is_late = False

    def _do(
        self, job: Job, life: Life, call: Callable[..., Any], process: Process
    ) -> None:
        try:
            call(job.run, life)
        except Exception as error:
            # What an abandoned thread meets in the end is nobody's concern.
            if life.is_over:
                return
            if isinstance(error, DBAPIError) or job in self._errands:
                # Nobody waits for what cannot be done now.
                process.has_failed = process.is_late = True
            if not self._tally.count(f"background:{job.name}"):
                return
            missing = call(self._explained, life, error)
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

    def _explained(self, life: Life, error: Exception) -> Exception | None:
        """Give the error that says enough by itself; None where there is none."""
        if isinstance(error, SetupError):
            return error
        if not isinstance(error, DBAPIError):
            return None
        return self._database.missing_table(life.engine)

    def rest(self, life: Life) -> float:
        """Give the length of the pause until the next turn, in seconds."""
        errands = (*self._errands, *self._leisure)
        until_round = max(0.0, life.round_at - monotonic())
        return min([until_round, *(errand.rest for errand in errands)])

    def pause(self, life: Life) -> float:
        """Give the time until the next round: near the interval, another each time."""
        data = f"{os.getpid()}\0{life.rounds}".encode()
        place = blake2b(data, digest_size=1).digest()[0] / 255
        return self._interval * (1 + _JITTER * (2 * place - 1))


def _end(life: Life, pid: int) -> None:
    # A child has the parent's locks, but not the threads that would release them.
    if os.getpid() == pid:
        life.end()


def _live(
    background_ref: weakref.ref[Background], life: Life, process: Process
) -> None:
    call = _caller()
    while not life.is_over:
        background = background_ref()
        if background is None:
            break
        life.clear()
        is_round = monotonic() >= life.round_at
        if is_round:
            life.round_at = monotonic() + background.pause(life)
        background.turn(life, call, is_round=is_round)
        rest = background.rest(life)
        # What is not held here can be collected while the thread sleeps.
        del background
        if is_round:
            process.has_gone_round.set()
        with process.turned:
            life.busy_since = None
            life.rounds += is_round
            process.turned.notify_all()
        if rest > 0:
            life.wake.wait(rest)
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
