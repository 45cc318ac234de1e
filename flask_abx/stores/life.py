"""A thread that talks to the database, and the process that it belongs to."""

from __future__ import annotations

from threading import Condition, Event, Lock
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import event

from flask_abx.stores.database import cut

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from sqlalchemy import Engine

    from flask_abx.stores.database import Database

#: After so many seconds in one job a thread is taken for stuck.
STUCK = 30.0


class Job(Protocol):
    """What the thread does in each round."""

    @property
    def name(self) -> str:
        """How the log names it."""
        ...

    def run(self, life: Life) -> None:
        """Do it once."""
        ...


class Errand(Job, Protocol):
    """What the thread does in each turn, of which a round has many."""

    @property
    def rest(self) -> float:
        """How long it need not be run again, in seconds."""
        ...


class Life:
    """One thread from its start to its end.

    Attributes:
        wake: Set to end the pause between two rounds.
        busy_since: When the present job began, or None between two turns.
        rounds: How many rounds it has done.
        round_at: When the next round is due, by `monotonic`.
    """

    def __init__(self, database: Database) -> None:
        self.wake = Event()
        self.busy_since: float | None = monotonic()
        self.rounds = 0
        self.round_at = 0.0
        self.is_over = False
        self.thread: Thread | None = None
        self._database = database
        self._engine: Engine | None = None
        self._connections: list[object] = []

    @property
    def engine(self) -> Engine:
        """The engine of this thread, made when it is first needed."""
        if self._engine is None:
            self._engine = self._database.engine(is_watched=True)
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


class Process:
    """What belongs to one process alone: its lock, its threads, and who waits there.

    Attributes:
        turned: Told after each job.
        deadline: Until when its requests wait for the first round, by `monotonic`.
        is_late: True after a deadline was missed, until a turn is in time.
        has_failed: True where something in the present turn has failed.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.lives: list[Life] = []
        self.life: Life | None = None
        self.has_gone_round = Event()
        self.turned = Condition()
        self.deadline: float | None = None
        self.is_late = False
        self.has_failed = False

    def wait_until(
        self, is_done: Callable[[], bool], seconds: float, *, is_last: bool
    ) -> bool:
        """Wait until a job has done something; False if it is not done.

        Args:
            is_done: Tells whether it is done.
            seconds: The longest wait.
            is_last: True to wait on where somebody else has waited in vain.
        """
        deadline = monotonic() + seconds
        woken: Life | None = None
        with self.turned:
            while not is_done():
                life, left = self.life, deadline - monotonic()
                if life is None or left <= 0:
                    if not is_last:
                        self._miss()
                    return False
                if life is not woken:
                    life.wake.set()
                    woken = life
                self.turned.wait(left)
                if self.is_late and not is_last:
                    return is_done()
        return True

    def _miss(self) -> None:
        """Let nobody wait any more, until the thread is seen to be in time again."""
        self.is_late = True
        # Whoever waits beside goes on too.
        self.turned.notify_all()
        if self.life is not None:
            self.life.wake.set()
