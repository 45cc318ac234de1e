"""Spools on a folder of the test, and a disk that does as it is told."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pytest

from flask_abx.events.spool.descriptors import Descriptors
from flask_abx.events.spool.spool import Spool
from flask_abx.events.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask_abx.events.spool.haul import Haul

GIB = 1 << 30


@dataclass
class Disk:
    """Stands in for `os.write`; the next writes end as it is told."""

    faults: list[str] = field(default_factory=list)

    def __call__(self, descriptor: int, data: bytes) -> int:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if fault == "short":
            return os.write(descriptor, data[: len(data) // 2])
        if fault == "torn":
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        written = os.write(descriptor, data)
        if fault == "interrupted":
            raise KeyboardInterrupt
        return written


class MakeSpool(Protocol):
    """Makes a spool as another process of the application would have it."""

    def __call__(
        self,
        *,
        disk: Disk | None = None,
        max_bytes: int = GIB,
        find_folder: Callable[[], Path | None] | None = None,
    ) -> Spool: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "0123"


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def make_spool(folder: Path, tally: Tally) -> Iterator[MakeSpool]:
    made: list[Spool] = []

    def make(
        *,
        disk: Disk | None = None,
        max_bytes: int = GIB,
        find_folder: Callable[[], Path | None] | None = None,
    ) -> Spool:
        spool = Spool(
            find_folder or (lambda: folder),
            max_bytes,
            tally,
            logging.getLogger("flask_abx.spool"),
            write=disk or os.write,
        )
        made.append(spool)
        return spool

    yield make
    for spool in made:
        kill(spool)


@pytest.fixture
def descriptors() -> Iterator[Descriptors]:
    made = Descriptors()
    yield made
    made.abandon()


def kill(spool: Spool) -> None:
    """End its process as kill -9 does: the kernel closes its files, nothing else."""
    for process in spool._processes.values():
        process.descriptors.abandon()
    spool._processes.clear()


def texts_of(haul: Haul | None) -> list[str]:
    """Read a whole haul; "?" stands for a line that is no record."""
    assert haul is not None
    return [line.text or "?" for chunk in haul.chunks(3) for line in chunk]


def drained(take: Callable[[], Haul | None]) -> list[str]:
    """Store everything that is given out."""
    texts: list[str] = []
    while (haul := take()) is not None:
        texts += texts_of(haul)
        haul.done()
    return texts


def names(folder: Path) -> list[str]:
    """List what stands in the folder."""
    return sorted(path.name for path in folder.iterdir())
