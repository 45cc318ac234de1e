"""Moving into the database what processes have left: events drain."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from flask_abx.cli.application import loaded_state
from flask_abx.cli.database import current_database
from flask_abx.cli.output import counted, format_option, note, reason, write
from flask_abx.errors import SetupError
from flask_abx.events.porter import Disturbed
from flask_abx.stores.life import Life

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from flask_abx.runtime.state import Delivery, State

#: How often a drainer looks for more, in seconds.
_LOOK = 0.2
#: How long it waits where the database does not answer, in seconds.
_PAUSE = 1.0


@click.command("drain")
@click.option(
    "--watch",
    is_flag=True,
    help="Stay, and drain for all workers of this folder, until it is stopped.",
)
@format_option
@with_appcontext
def drain_command(*, watch: bool, form: str) -> None:
    """Store the records that processes have left which are gone.

    What living workers have recorded they store themselves, within a second. With
    --watch they leave it to this process, which is worth it under high traffic.
    """
    database, state = current_database(), loaded_state()
    if state.delivery is None:
        raise SetupError('Records do not go to the database: leave "sql" in ABX_SINKS.')
    life, spool = Life(database), state.delivery.spool
    drainer = _Drainer(state, state.delivery, life, stays=watch)
    try:
        with ExitStack() as stack:
            if watch:
                stack.enter_context(spool.watch())
                stack.enter_context(_stopping(life))
                note(f"Draining {str(spool.folder)!r} until it is stopped.")
            stack.enter_context(database.explained(life.engine))
            drainer.run()
    finally:
        life.close()
        spool.close()
    data = {"files": drainer.files, "bytes": drainer.bytes}
    write(form, data, lambda: _text(drainer))


class _Drainer:
    """Takes one file after the other."""

    def __init__(
        self, state: State, delivery: Delivery, life: Life, *, stays: bool
    ) -> None:
        self._state = state
        self._delivery = delivery
        self._life = life
        self._stays = stays
        self._load_at = monotonic() + state.settings.refresh_seconds
        self.files = 0
        self.bytes = 0

    def run(self) -> None:
        """Drain until nothing is left, or until it is stopped."""
        while not self._life.is_over:
            try:
                is_done = self._step()
            except (DBAPIError, OSError) as error:
                if not self._stays:
                    raise
                self._tell(error)
            else:
                if is_done and not self._stays:
                    return
                if is_done:
                    self._life.wake.wait(_LOOK)

    def _step(self) -> bool:
        """Take the next file; True if there is none."""
        if self._stays and monotonic() >= self._load_at:
            # Which logins join which exposures depends on the experiments.
            self._state.store.load()
            self._load_at = monotonic() + self._state.settings.refresh_seconds
        haul = self._delivery.spool.adopt()
        if haul is None:
            return True
        size = haul.size
        try:
            self._delivery.porter.carry(haul, self._life, is_patient=False)
        except Disturbed:
            # It is being stopped; the file stays for whoever comes next.
            return False
        self.files += 1
        self.bytes += size
        return False

    def _tell(self, error: Exception) -> None:
        if self._state.tally.count("drainer"):
            current_app.logger.warning(
                "Records cannot be stored now (%s), it is tried again.", reason(error)
            )
        self._life.wake.wait(_PAUSE)


@contextmanager
def _stopping(life: Life) -> Iterator[None]:
    """End between two transactions when the process is told to stop."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        # No more: the lock of an event may be held by what is interrupted here.
        life.is_over = True

    before = {
        each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _text(drainer: _Drainer) -> str:
    if not drainer.files:
        return "There is nothing to drain: no process that is gone has left anything."
    is_one = drainer.files == 1
    files, size = counted(drainer.files, "file"), counted(drainer.bytes, "byte")
    return f"{files} with {size} {'is' if is_one else 'are'} stored."
