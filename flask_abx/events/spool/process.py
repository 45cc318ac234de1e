"""What the spool of one process holds, and which of its batches are done."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flask_abx.events.spool.descriptors import Descriptors, native_lock
from flask_abx.events.spool.frames import frame
from flask_abx.events.spool.haul import Haul

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flask_abx.events.spool.keeper import Keeper
    from flask_abx.events.spool.segment import Segment

#: How many records are kept in memory where no file can take them.
REMEMBERED = 10_000

#: By how much the names of two files of one process differ at least.
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no file takes a batch.

    Attributes:
        why: One word: ``disk``, ``size`` or ``folder``; ``memory`` where none is to.
        fault: What was wrong, in plain words.
    """

    why: str
    fault: str


class Process:
    """The state of one process; everything that changes does so under `lock`.

    Attributes:
        found: The folder that is to be used, once it was asked for.
        folder: The same, once it is fit.
        is_in_memory: True where there is to be no folder.
        look_again_at: When a folder that was refused is looked at again.
        current: The file that takes the batches.
        first: The first ticket in it, None while it holds none.
        hauls: Its own that are sealed and not done, the oldest first.
        appended: How many batches it has taken.
        own: The bytes of its own files.
        rest: The bytes of all others when they were last measured.
        orphans: Files of the folder that this round has not tried yet.
        passed: Names of files that it does not try again.
        trouble: Why no file takes the batches.
    """

    def __init__(self) -> None:
        self.lock = native_lock()
        self.descriptors = Descriptors()
        self.found: Path | None = None
        self.folder: Path | None = None
        self.is_in_memory = False
        self.look_again_at = 0.0
        self.current: Segment | None = None
        self.first: int | None = None
        self.hauls: deque[Haul] = deque()
        self.adopted: list[Haul] = []
        self.appended = 0
        self.own = 0
        self.rest = 0
        self.orphans: deque[Path] | None = None
        self.passed: set[str] = set()
        self.trouble = Trouble("folder", "")
        self._named_at = datetime.min.replace(tzinfo=UTC)
        self._queue: list[str] = []
        self._first_in_queue: int | None = None
        self._remembered = 0
        self._handed: deque[tuple[int, Path]] = deque()

    def moment(self) -> datetime:
        """Give a moment for the name of a file, later than that of the one before."""
        with self.lock:
            self._named_at = max(datetime.now(UTC), self._named_at + _TICK)
            return self._named_at

    def put(self, data: bytes, max_bytes: int) -> Trouble | None:
        """Append a batch to the file; why not, where it cannot be."""
        trouble = self.write(data, max_bytes)
        if trouble is None:
            self.appended += 1
            if self.first is None:
                self.first = self.appended
        return trouble

    def write(self, data: bytes, max_bytes: int) -> Trouble | None:
        """Append lines to the file, without a ticket of their own."""
        segment = self.current
        if segment is None:
            return self.trouble
        if self.own + self.rest + len(data) > max_bytes:
            return Trouble("size", f"{self.own + self.rest} bytes wait there already")
        before = segment.size
        try:
            segment.append(data)
        except OSError as error:
            return Trouble("disk", error.strerror or str(error))
        self.own += segment.size - before
        return None

    def remember(self, texts: Sequence[str]) -> int:
        """Keep a batch in memory; how many of its records found room."""
        kept = texts[: max(0, REMEMBERED - self._remembered)]
        if kept:
            self.appended += 1
            if self._first_in_queue is None:
                self._first_in_queue = self.appended
            self._queue.extend(kept)
            self._remembered += len(kept)
        return len(kept)

    def recall(self) -> tuple[int | None, list[str]]:
        """Take the queue out of memory, with the first ticket in it."""
        first, self._first_in_queue = self._first_in_queue, None
        texts, self._queue = self._queue, []
        return first, texts

    def spill(self, max_bytes: int) -> None:
        """Move what is in memory into the file, if that takes it now."""
        for haul in [each for each in self.hauls if each.segment is None]:
            self.hauls.remove(haul)
            haul.is_over = True
            self._queue[:0] = haul.texts
            self._first_in_queue = haul.first
        if not self._queue:
            return
        if self.write(b"".join(map(frame, self._queue)), max_bytes) is not None:
            return
        first, texts = self.recall()
        self._remembered -= len(texts)
        firsts = [each for each in (self.first, first) if each is not None]
        self.first = min(firsts, default=None)

    def clear(self) -> int:
        """Forget what is in memory; how many records that were."""
        self.recall()
        lost, self._remembered = self._remembered, 0
        return lost

    def seal(self, fresh: Segment | None, keeper: Keeper) -> Segment | None:
        """Put a file in the place of the current one, which is to be drained.

        Returns:
            The file that nobody needs: the current one where nothing was put into it.
        """
        sealed, self.current = self.current, fresh
        first, self.first = self.first, None
        if sealed is None or first is None:
            return sealed
        self.hauls.append(Haul(first, sealed, (), keeper))
        return None

    def oldest(self, keeper: Keeper) -> Haul | None:
        """Give the first haul in line; the queue in memory becomes one at the end."""
        if not self.hauls and self._queue:
            first, texts = self.recall()
            self.hauls.append(Haul(first, None, texts, keeper))
        return self.hauls[0] if self.hauls else None

    def measure(self, sizes: Mapping[str, int]) -> set[str]:
        """Note how much the files of others hold; the names of its own."""
        with self.lock:
            own = {haul.name for haul in self.hauls}
            if self.current is not None:
                own.add(self.current.path.name)
            self.rest = sum(size for name, size in sizes.items() if name not in own)
        return own

    def finish(self, haul: Haul) -> None:
        """Forget a haul that is done or no more ours."""
        with self.lock:
            if haul.is_over:
                return
            haul.is_over = True
            if haul.is_adopted:
                self.adopted.remove(haul)
                self.rest = max(0, self.rest - haul.size)
                return
            self.hauls.remove(haul)
            self.own -= haul.size
            self._remembered -= len(haul.texts)

    @property
    def remembered(self) -> int:
        """How many records are in memory only."""
        return self._remembered

    @property
    def is_empty(self) -> bool:
        """True where nothing of it waits."""
        return not self.hauls and self.first is None and not self._queue

    def hand_over(self, haul: Haul) -> None:
        """Give up a sealed file, and watch for its end from outside."""
        segment, first = haul.segment, haul.first
        if segment is None or first is None:
            return
        self.finish(haul)
        with self.lock:
            self.rest += haul.size
            self._handed.append((first, segment.path))
        segment.release()

    def settled(self) -> int:
        """The ticket up to which everything is done."""
        # A file goes when its rows are committed, whoever has drained it.
        gone = {path for _, path in tuple(self._handed) if _is_gone(path)}
        with self.lock:
            if gone:
                left = (each for each in self._handed if each[1] not in gone)
                self._handed = deque(left)
            waiting = [self.first, self._first_in_queue]
            waiting += [haul.first for haul in self.hauls]
            waiting += [first for first, _ in self._handed]
            firsts = [first for first in waiting if first is not None]
            return min(firsts) - 1 if firsts else self.appended


def _is_gone(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False
