"""One file: locked for life, appended whole or not at all, adopted by one only."""

from __future__ import annotations

import errno
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flask_abx.events.spool.segment import NotOurs, adopt, create
from tests.events.spool.conftest import Disk, names

if TYPE_CHECKING:
    from flask_abx.events.spool.descriptors import Descriptors

NOW = datetime(2030, 1, 7, 9, tzinfo=UTC)


def test_a_file_is_named_when_it_is_locked(
    tmp_path: Path, descriptors: Descriptors
) -> None:
    segment = create(tmp_path, NOW, descriptors)
    (name,) = names(tmp_path)
    assert segment.path.name == name
    assert len(name.removesuffix(".spool")) == 32
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert adopt(segment.path, descriptors) is None


def test_a_file_that_cannot_be_locked_leaves_nothing(
    tmp_path: Path, descriptors: Descriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks"):
        create(tmp_path, NOW, descriptors)
    assert names(tmp_path) == []


@pytest.mark.parametrize("fault", ["full", "short", "torn"])
def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, descriptors: Descriptors, fault: str
) -> None:
    segment = create(tmp_path, NOW, descriptors, Disk(["", fault]))
    segment.append(b"one\n")
    with pytest.raises(OSError, match=r"written|No space|Input/output"):
        segment.append(b"two\n")
    assert segment.path.read_bytes() == b"one\n"
    segment.append(b"three\n")
    assert segment.path.read_bytes() == b"one\nthree\n"


def test_what_cannot_be_undone_costs_only_itself(
    tmp_path: Path, descriptors: Descriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    segment = create(tmp_path, NOW, descriptors, Disk(["short", "short", ""]))
    monkeypatch.setattr(os, "ftruncate", refuse)
    for data in (b"one.\n", b"two.\n"):
        with pytest.raises(OSError, match="written"):
            segment.append(data)
    segment.append(b"three\n")
    segment.append(b"four\n")
    assert segment.path.read_bytes() == b"on\ntw\nthree\nfour\n"


def test_a_torn_end_stays_apart_when_a_later_write_is_undone(
    tmp_path: Path, descriptors: Descriptors
) -> None:
    segment = create(tmp_path, NOW, descriptors, Disk(["interrupted", "torn", ""]))
    with pytest.raises(KeyboardInterrupt):
        segment.append(b"one")
    with pytest.raises(OSError, match="Input/output"):
        segment.append(b"two\n")
    segment.append(b"three\n")
    assert segment.path.read_bytes() == b"one\nthree\n"
    assert segment.size == 10


def test_a_released_file_is_adopted_by_one(
    tmp_path: Path, descriptors: Descriptors
) -> None:
    segment = create(tmp_path, NOW, descriptors)
    segment.append(b"one\n")
    segment.release()
    adopted = adopt(segment.path, descriptors)
    assert adopted is not None
    assert adopted.size == 4
    assert adopt(segment.path, descriptors) is None


def test_a_dropped_file_is_gone(tmp_path: Path, descriptors: Descriptors) -> None:
    segment = create(tmp_path, NOW, descriptors)
    assert segment.drop()
    assert names(tmp_path) == []
    assert segment.drop()
    assert adopt(segment.path, descriptors) is None


def test_a_file_that_was_replaced_meanwhile_is_not_adopted(
    tmp_path: Path, descriptors: Descriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = create(tmp_path, NOW, descriptors)
    segment.release()
    flock = fcntl.flock

    def replace(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            segment.path.rename(tmp_path / "elsewhere")
            segment.path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace)
    assert adopt(segment.path, descriptors) is None
    assert not segment.is_open


def make_symlink(path: Path) -> None:
    (path.parent / "target").touch(0o600)
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(make_symlink, "symlink", id="symlink"),
        pytest.param(Path.mkdir, "kind", id="folder"),
        pytest.param(os.mkfifo, "kind", id="pipe"),
    ],
)
def test_what_is_no_file_of_ours_is_refused(
    tmp_path: Path, descriptors: Descriptors, make: object, why: str
) -> None:
    path = tmp_path / "x.spool"
    assert callable(make)
    make(path)
    with pytest.raises(NotOurs) as caught:
        adopt(path, descriptors)
    assert caught.value.why == why
    assert not descriptors._files


def test_a_file_of_somebody_else_is_refused(
    tmp_path: Path, descriptors: Descriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.spool").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 65_534)
    with pytest.raises(NotOurs, match="belongs to user") as caught:
        adopt(tmp_path / "x.spool", descriptors)
    assert caught.value.why == "owner"


def test_a_file_that_cannot_be_removed_is_emptied(
    tmp_path: Path, descriptors: Descriptors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    segment = create(tmp_path, NOW, descriptors)
    segment.append(b"one\n")
    monkeypatch.setattr(Path, "unlink", refuse)
    assert segment.drop()
    assert segment.path.read_bytes() == b""


def test_a_closed_file_is_not_read_under_a_number_of_another(
    tmp_path: Path, descriptors: Descriptors
) -> None:
    segment = create(tmp_path, NOW, descriptors)
    segment.release()
    with pytest.raises(OSError, match="closed"):
        segment.read(1, 0)
