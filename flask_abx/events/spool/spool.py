"""The spool: where a batch is safe before the response leaves."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from flask_abx.events.locks import ProcessLock
from flask_abx.events.spool import drainer
from flask_abx.events.spool.folder import FolderRefused, check, foresee, prepare
from flask_abx.events.spool.frames import frame
from flask_abx.events.spool.keeper import Keeper
from flask_abx.events.spool.orphans import sizes_of
from flask_abx.events.spool.process import Process, Trouble
from flask_abx.events.spool.segment import create
from flask_abx.events.spool.telling import (
    tell_dropped,
    tell_lost,
    tell_refused,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from flask_abx.events.spool.haul import Haul
    from flask_abx.events.spool.segment import Segment, Write
    from flask_abx.events.tally import Tally

#: Seconds after which a folder that was refused is looked at again.
LOOK_AGAIN = 10.0

_IN_MEMORY = Trouble("memory", "")


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How the spool of this process stands.

    Attributes:
        folder: Where it is, None where it is in memory or not known.
        files: How many files wait in the folder, live ones included.
        bytes: How much they hold.
        remembered: How many records this process has in memory only.
        is_on_disk: True where a batch goes to a file.
        why: What keeps it from the disk, a full sentence; None where nothing does.
    """

    folder: Path | None
    files: int
    bytes: int
    remembered: int
    is_on_disk: bool
    why: str | None


class Spool:
    """Takes batches of records and gives them out again, whatever dies in between.

    Each process has files of its own, so a fork inherits neither files nor queue.

    Args:
        find_folder: Names the folder, asked once in each process when it is first
            needed; None keeps everything in memory, and acknowledges nothing.
        max_bytes: How much may wait in the folder.
        tally: Counts what was refused, dropped or passed over.
        logger: Where that is told, once a minute.
        write: `os.write`, or what a test puts in its place.
    """

    def __init__(
        self,
        find_folder: Callable[[], Path | None],
        max_bytes: int,
        tally: Tally,
        logger: logging.Logger,
        *,
        write: Write = os.write,
    ) -> None:
        self._find_folder = find_folder
        self._max_bytes = max_bytes
        self._tally = tally
        self._logger = logger
        self._write = write
        self._processes: dict[int, Process] = {}
        self._looking = ProcessLock()
        self._is_hooked = False
        # At exit there may still be something to drain; the kernel closes as well.
        weakref.finalize(self, _abandon, self._processes).atexit = False

    def append(self, texts: Sequence[str]) -> bool:
        """Take a batch of records, each a line of JSON; True when it is in the file."""
        if not texts:
            return True
        process = self._processes.get(os.getpid())
        if process is None or process.current is None:
            process = self._ready()
        data = frame(texts[0]) if len(texts) == 1 else b"".join(map(frame, texts))
        with process.lock:
            trouble = process.put(data, self._max_bytes)
            if trouble is None:
                return True
            kept = process.remember(texts)
        if trouble.why != "memory":
            tell_refused(self._tally, self._logger, trouble, len(texts))
        if kept < len(texts):
            tell_dropped(self._tally, self._logger, len(texts) - kept)
        return False

    @property
    def folder(self) -> Path | None:
        """Where the files stand, None where there is no folder or none that is fit."""
        return self._folder(self._here(), make=False)

    @property
    def appended(self) -> int:
        """How many batches this process has taken so far: the last one's ticket."""
        return self._here().appended

    @property
    def settled(self) -> int:
        """The ticket up to which everything of this process is done."""
        return self._here().settled()

    @property
    def is_empty(self) -> bool:
        """True where nothing of this process waits for it to drain."""
        return self._here().is_empty

    def take(self) -> Haul | None:
        """Give the oldest haul of this process that is not done; by one thread only."""
        process = self._here()
        if not process.hauls and process.first is not None:
            # It is opened before the swap, so that no request waits for it.
            self._seal(process, self._fresh(process))
        with process.lock:
            return process.oldest(self._keeper(process))

    def adopt(self) -> Haul | None:
        """Give the next file of the folder whose owner has died, locked.

        None ends a round: the call after it looks at the folder anew, so a haul that
        was released is not met twice in one round.
        """
        process = self._here()
        folder = self._folder(process, make=False)
        if folder is None:
            return None
        return self._keeper(process).adopt(folder)

    def hand_over(self) -> None:
        """Seal what is there and give it up, for a drainer to adopt."""
        process = self._here()
        if process.folder is not None:
            # Who hands over looks for no orphans, and would not see the folder empty.
            self._keeper(process).measure(process.folder)
        self._spill(process)
        if process.first is not None:
            self._seal(process, self._fresh(process))
        for haul in tuple(process.hauls):
            process.hand_over(haul)

    def close(self) -> None:
        """Leave what is there to other processes; a later batch begins a new file."""
        process = self._processes.get(os.getpid())
        if process is None:
            return
        self._spill(process)
        self._seal(process, None)
        for haul in tuple(process.hauls):
            process.hand_over(haul)
        for haul in tuple(process.adopted):
            haul.release()
        process.orphans = None
        with process.lock:
            lost = process.clear()
        if lost and not process.is_in_memory:
            tell_lost(self._tally, self._logger, lost)

    def has_drainer(self) -> bool:
        """Tell whether a drainer watches the folder."""
        folder = self._folder(self._here(), make=False)
        return folder is not None and drainer.has_drainer(folder)

    def watch(self) -> AbstractContextManager[None]:
        """Tell all workers, as long as a block runs, that a drainer is there.

        Raises:
            DrainerPresent: Another one is.
            FolderRefused: There is no folder to watch.
        """
        process = self._here()
        folder = self._folder(process, make=True)
        if folder is None:
            raise FolderRefused(
                process.trouble.fault
                or "The records of this application are in memory only: there is "
                "nothing to drain for another process, stop this one."
            )
        return drainer.watched(folder, process.descriptors)

    @property
    def state(self) -> SpoolState:
        """Tell how it stands, without making the folder."""
        process = self._here()
        folder = self._folder(process, make=False)
        sizes = [] if folder is None else list(sizes_of(folder).values())
        why: str | None = None
        if process.is_in_memory:
            why = "The database itself is in memory, so are the records."
        elif process.current is None:
            why = process.trouble.fault or None
        if why is None and sum(sizes) >= self._max_bytes:
            why = f"The folder holds ABX_SPOOL_MAX_BYTES ({self._max_bytes}) already."
        return SpoolState(
            folder=folder or process.found,
            files=len(sizes),
            bytes=sum(sizes),
            remembered=process.remembered,
            is_on_disk=why is None,
            why=why,
        )

    def _here(self) -> Process:
        pid = os.getpid()
        process = self._processes.get(pid)
        if process is not None:
            return process
        # A server that forks in C has run no hook of ours.
        self._leave(*(other for other in tuple(self._processes) if other != pid))
        if not self._is_hooked:
            self._is_hooked = True
            _hook(weakref.ref(self))
        # One step: of several threads that come first, one makes it for all.
        return self._processes.setdefault(pid, Process())

    def _leave(self, *pids: int) -> None:
        for pid in pids:
            process = self._processes.pop(pid, None)
            if process is not None:
                process.descriptors.abandon()

    def before_fork(self) -> None:
        """Let no fork fall between the opening of a file and its being known."""
        process = self._processes.get(os.getpid())
        if process is not None:
            process.descriptors.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        process = self._processes.get(os.getpid())
        if process is not None:
            process.descriptors.after_fork()

    def after_fork_in_child(self) -> None:
        """Close what was inherited: it is the parent's."""
        self._leave(*tuple(self._processes))

    def _ready(self) -> Process:
        process = self._here()
        if self._folder(process, make=True) is not None:
            with process.lock:
                if process.current is None:
                    process.current = self._fresh(process)
        return process

    def _folder(self, process: Process, *, make: bool) -> Path | None:
        if process.folder is not None or process.is_in_memory:
            return process.folder
        if monotonic() < process.look_again_at:
            return None
        with self._looking:
            self._look_for_folder(process, make=make)
        return process.folder

    def _look_for_folder(self, process: Process, *, make: bool) -> None:
        if process.folder is not None or process.is_in_memory:
            return
        try:
            path = process.found = process.found or self._find_folder()
            if path is None:
                process.is_in_memory, process.trouble = True, _IN_MEMORY
                return
            if make:
                prepare(path)
            elif os.path.lexists(path):
                check(path)
            else:
                foresee(path)
                return
        except OSError as error:
            process.look_again_at = monotonic() + LOOK_AGAIN
            process.trouble = Trouble("folder", str(error))
        else:
            process.folder = path

    def _fresh(self, process: Process) -> Segment | None:
        folder = process.folder
        if folder is None:
            return None
        moment, descriptors = process.moment(), process.descriptors
        try:
            try:
                return create(folder, moment, descriptors, self._write)
            except FileNotFoundError:
                prepare(folder)
                return create(folder, moment, descriptors, self._write)
        except FolderRefused as error:
            process.trouble = Trouble("folder", str(error))
        except OSError as error:
            process.trouble = Trouble("disk", error.strerror or str(error))
        return None

    def _seal(self, process: Process, fresh: Segment | None) -> None:
        with process.lock:
            spare = process.seal(fresh, self._keeper(process))
        if spare is None:
            return
        # What a failed write has left there is looked at by whoever adopts it.
        if spare.is_blank:
            spare.drop()
        else:
            spare.release()

    def _spill(self, process: Process) -> None:
        if process.remembered:
            self._ready()
            with process.lock:
                process.spill(self._max_bytes)

    def _keeper(self, process: Process) -> Keeper:
        return Keeper(process, self._tally, self._logger)


def _abandon(processes: dict[int, Process]) -> None:
    while processes:
        _, process = processes.popitem()
        process.descriptors.abandon()


def _hook(spool_ref: weakref.ref[Spool]) -> None:
    def call(name: str) -> None:
        spool = spool_ref()
        if spool is not None:
            getattr(spool, name)()

    os.register_at_fork(
        before=partial(call, "before_fork"),
        after_in_parent=partial(call, "after_fork_in_parent"),
        after_in_child=partial(call, "after_fork_in_child"),
    )
