"""Records that no database would have, kept with the reason."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from flask_abx.events.records import encoded, stamp
from flask_abx.events.spool.frames import raw_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

NAME = "dead-letters.jsonl"

_NEW = f"{NAME}.new"
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Letter:
    """One record that cannot be stored.

    Attributes:
        reason: Why.
        at: When that was found, aware.
        record: Its fields, None where they could not be read.
        raw: The line as it stood, where its fields could not be read.
    """

    reason: str
    at: datetime
    record: Mapping[str, Any] | None
    raw: str | None


class Contents(NamedTuple):
    """What a file of dead letters holds.

    Attributes:
        unreadable: How many of its lines are no letters.
    """

    letters: list[Letter]
    unreadable: int


class Retried(NamedTuple):
    """What became of the letters that were offered again.

    Attributes:
        taken: How many of them were taken, and removed.
        unreadable: How many lines are no letters, and stay.
    """

    taken: int
    unreadable: int


class DeadLetters:
    """The file of dead letters in a folder, shared by all processes.

    The lock is on the folder, so no file of a lock can belong to the wrong user.

    Attributes:
        path: The file.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._folder = folder

    def add(self, letters: Sequence[Letter]) -> None:
        """Append letters; they are on the disk when this returns.

        Raises:
            OSError: None of them is.
        """
        if not letters:
            return
        data = b"".join(map(_line, letters))
        with self._locked() as folder:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _FLAGS
            descriptor = os.open(NAME, flags, 0o600, dir_fd=folder)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data
                _append(descriptor, data, size)
            finally:
                os.close(descriptor)
            if not size:
                os.fsync(folder)

    def contents(self) -> Contents:
        """Give every letter, and how many lines are none."""
        found = [_letter(raw) for raw in self._lines()]
        return Contents([each for each in found if each], found.count(None))

    def read(self) -> list[Letter]:
        """Give every letter; lines that are none are skipped."""
        return self.contents().letters

    def rewrite(self, keep: Callable[[Letter], bool]) -> int:
        """Remove the letters that are not to be kept, all at once; how many."""

        def keeps(raw: bytes) -> bool:
            letter = _letter(raw)
            # What nobody can read is nobody's to throw away.
            return letter is None or keep(letter)

        return self._rewrite(keeps)

    def retry(
        self, store: Callable[[Sequence[Letter]], Iterable[bool]], size: int = 500
    ) -> Retried:
        """Offer every letter again, and remove those that were taken.

        No lock is held in the meantime, so `store` may add letters. Whatever ends it
        early, a letter is in the file until `store` has said that it is taken.

        Args:
            store: Says of each letter of a chunk whether it is stored now.
            size: How many letters a chunk has.
        """
        taken: Counter[bytes] = Counter()
        source, unreadable = self._lines(), 0
        try:
            while raws := list(islice(source, size)):
                chunk = [(raw, each) for raw in raws if (each := _letter(raw))]
                unreadable += len(raws) - len(chunk)
                answers = store([letter for _, letter in chunk]) if chunk else ()
                for (raw, _), is_taken in zip(chunk, answers, strict=True):
                    taken[raw] += is_taken
        finally:
            removed = self._rewrite(partial(_is_left, taken)) if +taken else 0
        return Retried(removed, unreadable)

    def _lines(self) -> Iterator[bytes]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return
        try:
            # What is appended from now on is another reading's.
            end = os.fstat(descriptor).st_size

            def read(size: int, offset: int) -> bytes:
                return os.pread(descriptor, min(size, end - offset), offset)

            for raw, _ in raw_lines(read):
                yield raw
        finally:
            os.close(descriptor)

    def _rewrite(self, keeps: Callable[[bytes], bool]) -> int:
        removed = 0
        with self._locked() as folder:
            try:
                before = os.stat(NAME, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return 0
            descriptor = _new_file(folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    for raw in self._lines():
                        if keeps(raw):
                            file.write(raw + b"\n")
                        else:
                            removed += 1
                    if os.geteuid() == 0:
                        # The application must be able to go on with its file.
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                    file.flush()
                    os.fsync(file.fileno())
                if removed:
                    os.rename(_NEW, NAME, src_dir_fd=folder, dst_dir_fd=folder)
                    os.fsync(folder)
            finally:
                _remove_new(folder)
        return removed

    @contextmanager
    def _locked(self) -> Iterator[int]:
        flags = os.O_RDONLY | os.O_DIRECTORY | _FLAGS
        folder = os.open(self._folder, flags)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            try:
                yield folder
            finally:
                # Said aloud, as a child that was forked meanwhile has a copy.
                fcntl.flock(folder, fcntl.LOCK_UN)
        finally:
            os.close(folder)


def _is_left(taken: Counter[bytes], raw: bytes) -> bool:
    if taken[raw] <= 0:
        return True
    taken[raw] -= 1
    return False


def _append(descriptor: int, data: bytes, size: int) -> None:
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            _short(written, data)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _short(written: int, data: bytes) -> None:
    raise OSError(errno.ENOSPC, f"{written} of {len(data)} bytes were written")


def _new_file(folder: int) -> int:
    _remove_new(folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
    return os.open(_NEW, flags, 0o600, dir_fd=folder)


def _remove_new(folder: int) -> None:
    try:
        os.unlink(_NEW, dir_fd=folder)
    except FileNotFoundError:
        return


def _line(letter: Letter) -> bytes:
    fields: dict[str, object] = {"reason": letter.reason, "at": stamp(letter.at)}
    if letter.record is None:
        fields["raw"] = letter.raw
    else:
        fields["record"] = dict(letter.record)
    try:
        text = encoded(fields)
    except TypeError:
        # A Decimal within a list.
        text = json.dumps(fields, default=float)
    return text.encode() + b"\n"


def _letter(raw: bytes) -> Letter | None:
    try:
        fields = json.loads(raw)
        record, text = fields.get("record"), fields.get("raw")
        at = datetime.fromisoformat(fields["at"])
        reason = fields["reason"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(reason, str) or at.tzinfo is None:
        return None
    if isinstance(record, dict):
        return Letter(reason, at, record, None)
    return Letter(reason, at, None, text) if isinstance(text, str) else None
