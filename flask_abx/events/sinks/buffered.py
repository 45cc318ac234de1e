"""A bounded queue and a thread round a sink that is slow."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from flask_abx.events.locks import ProcessLock
from flask_abx.events.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.events.records import Record
    from flask_abx.events.sinks.base import Sink

_logger = "flask_abx"
_restarting = ProcessLock()
#: Seconds without a record after which the thread ends, until the next one.
IDLE = 10.0


class Buffered:
    """Lets requests go on while a slow sink writes; drops the newest when full.

    Nothing here survives a crash: what must not be lost goes to a durable sink.

    Args:
        sink: The slow sink.
        size: How many records may wait.
        exit_timeout: Seconds that the end of the process waits for the rest.

    Attributes:
        tally: Counts ``dropped`` and ``failed`` records.
    """

    def __init__(
        self, sink: Sink, *, size: int = 10_000, exit_timeout: float = 2.0
    ) -> None:
        if size < 1:
            raise ValueError(f"size is {size!r}, must be 1 or more.")
        self.sink = sink
        self.tally = Tally()
        self._size = size
        self._exit_timeout = exit_timeout
        self._start_afresh()
        _start_afresh_after_fork(self)
        _drain_at_exit(self)

    def write(self, batch: Sequence[Record]) -> None:
        """Queue a batch; what finds no room is dropped, counted and logged."""
        self._notice_fork()
        with self._changed:
            room = max(self._size - len(self._waiting) - self._writing, 0)
            self._waiting.extend(batch[:room])
            self._ensure_thread()
            self._changed.notify_all()
            dropped = max(len(batch) - room, 0)
            is_time = bool(dropped) and self.tally.count("dropped", dropped)
        if is_time:
            logging.getLogger(_logger).warning(
                "Buffered(%s) is full at %d records: %d dropped so far. "
                "Raise `size`, or use a faster sink.",
                type(self.sink).__name__,
                self._size,
                self.tally.counts["dropped"],
            )

    def flush(self, timeout: float) -> bool:
        """Wait until all is written, at most so many seconds; True if it is."""
        deadline = monotonic() + timeout
        self._notice_fork()
        with self._changed:
            while self._waiting or self._writing:
                left = deadline - monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _start_afresh(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Record] = deque()
        self._writing = 0
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def _notice_fork(self) -> None:
        # Servers written in C fork without telling Python.
        if self._pid != os.getpid():
            with _restarting:
                if self._pid != os.getpid():
                    self._start_afresh()

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._run, name="flask-abx-buffered", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if not self._changed.wait(IDLE) and not self._waiting:
                        # Nothing holds a buffer that is no longer used.
                        self._thread = None
                        return
                batch = tuple(self._waiting)
                self._waiting.clear()
                self._writing = len(batch)
            try:
                self._write(batch)
            finally:
                with self._changed:
                    self._writing = 0
                    self._changed.notify_all()

    def _write(self, batch: Sequence[Record]) -> None:
        try:
            self.sink.write(batch)
        except BaseException as error:
            if self.tally.count("failed", len(batch)):
                logging.getLogger(_logger).exception(
                    "Sink %s lost %d records.", type(self.sink).__name__, len(batch)
                )
            if not isinstance(error, Exception):
                raise

    def _drain(self) -> None:
        if not self.flush(self._exit_timeout):
            logging.getLogger(_logger).warning(
                "Buffered(%s) lost %d records at the end of the process.",
                type(self.sink).__name__,
                len(self._waiting) + self._writing,
            )


def _start_afresh_after_fork(buffered: Buffered) -> None:
    reference = weakref.ref(buffered)

    def start_afresh() -> None:
        # The thread and whoever held the lock stayed in the parent.
        alive = reference()
        if alive is not None:
            alive._start_afresh()  # noqa: SLF001 - its own fork hook

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=start_afresh)


def _drain_at_exit(buffered: Buffered) -> None:
    reference = weakref.ref(buffered)

    def drain() -> None:
        alive = reference()
        if alive is not None:
            alive._drain()  # noqa: SLF001 - its own exit hook

    atexit.register(drain)
    # At the exit itself it would take away the hook before it has run.
    weakref.finalize(buffered, atexit.unregister, drain).atexit = False
