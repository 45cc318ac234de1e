"""The lock by which a drainer tells the workers that it is there."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING

from flask_abx.errors import ABXError
from flask_abx.events.spool.folder import FolderRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.events.spool.descriptors import Descriptors

NAME = "drainer.lock"

#: Workers that ask hold the lock for a moment.
_TRIES = 40
_PAUSE = 0.025


class DrainerPresent(ABXError, RuntimeError):  # noqa: N818 - named after what was found
    """Another process drains this folder already."""


def has_drainer(folder: Path) -> bool:
    """Tell whether a drainer watches the folder."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(folder / NAME, flags)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


@contextmanager
def watched(folder: Path, descriptors: Descriptors) -> Iterator[None]:
    """Tell the workers that a drainer is there, as long as the block runs.

    Raises:
        DrainerPresent: Another one is.
        FolderRefused: The lock cannot be had.
    """
    path = folder / NAME
    try:
        descriptor, _ = descriptors.open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise FolderRefused(
            f"{str(path)!r} cannot be opened ({error.strerror}): remove it, and drain "
            "as the user that the application runs as."
        ) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        descriptors.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    for attempt in range(_TRIES):
        if attempt:
            sleep(_PAUSE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return
    raise DrainerPresent(
        f"Another process holds {str(path)!r} and drains this folder: let it, or stop "
        "it first."
    )
