"""Open files that must not outlive a fork, and the lock that gevent leaves alone."""

from __future__ import annotations

import _thread
import fcntl
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from threading import RLock

#: How long a fork waits for a file that is just being opened, in seconds.
FORK_WAITS = 1.0


def native_lock() -> RLock:
    """Make a lock between real threads, also where gevent has replaced them.

    It is reentrant: a collection of garbage in mid-append may end a response, whose
    records are appended by the same thread. No block under it may log, call what is
    not ours or wait for anything but the disk: it would stop every greenlet.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return _thread.RLock()
    lock: RLock = monkey.get_original("_thread", "RLock")()
    return lock


class Descriptors:
    """The open and locked files of one process.

    A lock of `flock` lives as long as any copy of its descriptor, so a child has to
    close its copies at once, or a file would look alive after its owner has died.
    """

    def __init__(self) -> None:
        # A fork waits for it, so that a child knows every file it inherits.
        self.lock = native_lock()
        self._files: dict[int, tuple[int, int]] = {}

    def open(self, path: Path, flags: int) -> tuple[int, os.stat_result]:
        """Open a file for the owner alone, closed by `exec`, never through a link."""
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        with self.lock:
            descriptor = os.open(path, flags, 0o600)
            try:
                status = os.fstat(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._files[descriptor] = (status.st_dev, status.st_ino)
        return descriptor, status

    def has(self, descriptor: int) -> bool:
        """Tell whether a file is open here."""
        return descriptor in self._files

    def close(self, descriptor: int) -> None:
        """Give up the lock of a file and close it, once."""
        with self.lock:
            if self._files.pop(descriptor, None) is None:
                return
            with suppress(OSError):
                # Said aloud, as a child may still have its copy.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            with suppress(OSError):
                os.close(descriptor)

    def abandon(self) -> None:
        """Close every file and leave its lock alone, which may be another process's."""
        while self._files:
            try:
                descriptor, identity = self._files.popitem()
            except KeyError:
                return
            with suppress(OSError):
                status = os.fstat(descriptor)
                # A server may have closed it and given its number to another file.
                if (status.st_dev, status.st_ino) == identity:
                    os.close(descriptor)

    def before_fork(self) -> None:
        """Wait until no file is just being opened or closed."""
        self.lock.acquire(timeout=FORK_WAITS)

    def after_fork(self) -> None:
        """Go on in the parent."""
        # It is not ours where the wait was given up.
        with suppress(RuntimeError):
            self.lock.release()
