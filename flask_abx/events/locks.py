"""A lock that a fork leaves behind."""

from __future__ import annotations

import os
from threading import Lock


class ProcessLock:
    """Locks within one process.

    A child that is forked while another thread holds the lock finds it open: it has
    that lock, but never the thread that would release it. No block under the lock may
    fork itself.
    """

    def __init__(self) -> None:
        self._locks: dict[int, Lock] = {}

    def __enter__(self) -> None:
        self._own().acquire()

    def __exit__(self, *error: object) -> None:
        self._own().release()

    def _own(self) -> Lock:
        pid = os.getpid()
        lock = self._locks.get(pid)
        # One step: of several threads that come first, one makes it for all.
        return lock if lock is not None else self._locks.setdefault(pid, Lock())
