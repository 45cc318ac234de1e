"""One file of records, locked by the process that owns it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING, TypeAlias

from flask_abx.errors import ABXError
from flask_abx.events.records import fresh_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from flask_abx.events.spool.descriptors import Descriptors

#: What drainers look at, and what they do not.
SUFFIX = ".spool"
NEW_SUFFIX = ".new"

Write: TypeAlias = "Callable[[int, bytes], int]"


class NotOurs(ABXError, OSError):  # noqa: N818 - named after what was found
    """A file of the folder is none that this process may adopt.

    Attributes:
        why: One word for it.
    """

    def __init__(self, why: str, message: str) -> None:
        self.why = why
        super().__init__(message)


class Segment:
    """A file that is open and locked.

    Args:
        path: Where it stands.
        descriptor: Its number among those of this process.
        size: How much it holds.
        descriptors: Where the number is kept.
        write: `os.write`, or what a test puts in its place.
    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        size: int,
        descriptors: Descriptors,
        write: Write = os.write,
    ) -> None:
        self.path = path
        self.size = size
        self._descriptor = descriptor
        self._descriptors = descriptors
        self._write = write
        self._is_torn = False

    @property
    def is_open(self) -> bool:
        """True until it was dropped or released, never in a child of its owner."""
        return self._descriptors.has(self._descriptor)

    @property
    def is_blank(self) -> bool:
        """True where the file holds nothing at all."""
        try:
            return os.fstat(self._descriptor).st_size == 0
        except OSError:
            return False

    def append(self, data: bytes) -> None:
        """Append whole lines in one write, or nothing.

        Raises:
            OSError: Nothing was appended.
        """
        was_torn = self._is_torn
        if was_torn:
            # What stands at the end costs only itself.
            self.size = os.fstat(self._descriptor).st_size
            data = b"\n" + data
        # Whoever interrupts the next lines leaves this behind.
        self._is_torn = True
        try:
            written = self._write(self._descriptor, data)
        except OSError:
            self._undo(was_torn=was_torn)
            raise
        if written != len(data):
            self._undo(was_torn=was_torn)
            raise OSError(errno.ENOSPC, f"{written} of {len(data)} bytes were written")
        self.size += written
        self._is_torn = False

    def _undo(self, *, was_torn: bool) -> None:
        try:
            size = os.fstat(self._descriptor).st_size
            if size > self.size:
                os.ftruncate(self._descriptor, self.size)
        except OSError:
            return
        self._is_torn = was_torn or size < self.size

    def read(self, size: int, offset: int) -> bytes:
        """Read a part of it."""
        if not self.is_open:
            raise OSError(errno.EBADF, "The file is closed", str(self.path))
        return os.pread(self._descriptor, size, offset)

    def drop(self) -> bool:
        """Remove the file while it is locked, then close it; False if it stays."""
        if not self.is_open:
            return True
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            is_gone = self._empty()
        else:
            is_gone = True
        self.release()
        return is_gone

    def _empty(self) -> bool:
        try:
            os.ftruncate(self._descriptor, 0)
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Give up the lock, so that another process may adopt the file."""
        descriptor, self._descriptor = self._descriptor, -1
        self._descriptors.close(descriptor)


def create(
    folder: Path, moment: datetime, descriptors: Descriptors, write: Write = os.write
) -> Segment:
    """Make a new, locked file; it gets its name only when it is locked.

    Raises:
        OSError: The disk would not have it.
    """
    name = fresh_id(moment)
    new = folder / f"{name}{NEW_SUFFIX}"
    path = folder / f"{name}{SUFFIX}"
    flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_RDWR
    descriptor, _ = descriptors.open(new, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        descriptors.close(descriptor)
        raise
    return Segment(path, descriptor, 0, descriptors, write)


def adopt(path: Path, descriptors: Descriptors) -> Segment | None:
    """Lock a file whose owner has died; None where it lives or the file is gone.

    Raises:
        NotOurs: The file is none that a process of ours has made.
        OSError: It cannot be opened or locked now.
    """
    try:
        descriptor, status = descriptors.open(path, os.O_RDWR | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refusal(path, error) from None
    segment = Segment(path, descriptor, status.st_size, descriptors)
    try:
        _check(path, status)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking another one may have stored and removed it.
        now = path.stat(follow_symlinks=False)
    except (BlockingIOError, FileNotFoundError):
        segment.release()
        return None
    except BaseException:
        segment.release()
        raise
    if (now.st_dev, now.st_ino) != (status.st_dev, status.st_ino):
        segment.release()
        return None
    # The owner may have appended until the lock was ours.
    segment.size = now.st_size
    return segment


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotOurs("kind", f"{str(path)!r} is no regular file, remove it.")
    if status.st_uid != os.geteuid():
        raise NotOurs(
            "owner",
            f"{str(path)!r} belongs to user {status.st_uid}, this process is user "
            f"{os.geteuid()}: drain it as that user, or remove it.",
        )


def _refusal(path: Path, error: OSError) -> OSError:
    if error.errno == errno.ELOOP:
        return NotOurs("symlink", f"{str(path)!r} is a symbolic link, remove it.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotOurs(
            "rights",
            f"{str(path)!r} may not be opened by user {os.geteuid()}: drain it as its "
            "owner, or remove it.",
        )
    if error.errno in (errno.EISDIR, errno.ENXIO):
        return NotOurs("kind", f"{str(path)!r} is no regular file, remove it.")
    return error
