"""A folder that can hold the spool, or a sentence on why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flask_abx.errors import ABXError
from flask_abx.events.spool import folder as module
from flask_abx.events.spool.folder import (
    FolderRefused,
    check,
    filesystem_of,
    foresee,
    prepare,
)

MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:5 / /srv rw - tmpfs tmpfs rw
23 22 0:6 / /srv/my\040disk rw master:2 shared:9 - nfs4 server:/x rw
24 21 0:7 / /data rw - ext4 /dev/sdb1 rw
25 24 0:8 / /data rw - cifs //server/x rw
broken
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    monkeypatch.setattr(module, "_MOUNTS", path)
    return path


def test_a_folder_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "b")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert path.stat().st_mode & 0o777 == 0o700
    prepare(tmp_path / "a" / "b")


def make_file(path: Path) -> None:
    path.touch()


def make_link(path: Path) -> None:
    path.symlink_to(path.parent)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(make_file, "is no folder: remove it", id="file"),
        pytest.param(make_link, "is a symbolic link: set ABX_SPOOL_DIR", id="link"),
    ],
)
def test_what_is_no_folder_is_refused(
    tmp_path: Path, make: object, message: str
) -> None:
    path = tmp_path / "spool"
    assert callable(make)
    make(path)
    with pytest.raises(FolderRefused, match=message):
        prepare(path)


def test_a_folder_within_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for look in (prepare, foresee):
        with pytest.raises(FolderRefused, match="cannot be made"):
            look(tmp_path / "file" / "spool")


def test_a_missing_folder_is_foreseen(tmp_path: Path) -> None:
    foresee(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    with pytest.raises(FolderRefused, match="cannot be looked at"):
        check(tmp_path / "a")


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65_534)
    with pytest.raises(FolderRefused, match="belongs to user"):
        prepare(tmp_path)


def test_a_folder_that_is_read_only_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_is_writable", lambda path: False)
    with pytest.raises(FolderRefused, match="cannot be written to"):
        prepare(tmp_path)


def test_a_network_file_system_is_refused(
    tmp_path: Path, mounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 server:/x rw\n")
    with pytest.raises(FolderRefused, match=r"network file system \(nfs4\)"):
        prepare(tmp_path)


def test_a_refusal_is_an_error_of_ours_and_of_the_disk() -> None:
    assert issubclass(FolderRefused, ABXError)
    assert issubclass(FolderRefused, OSError)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/home/x", "ext4", id="root"),
        pytest.param("/srv", "tmpfs", id="the place itself"),
        pytest.param("/srv/spool", "tmpfs", id="below"),
        pytest.param("/srvx", "ext4", id="a longer name"),
        pytest.param("/srv/my disk/spool", "nfs4", id="with a blank"),
        pytest.param("/data/spool", "cifs", id="hidden by a later one"),
    ],
)
def test_the_nearest_mount_names_the_file_system(
    mounts: Path, path: str, kind: str
) -> None:
    assert filesystem_of(Path(path)) == kind


def test_where_nobody_tells_there_is_no_name(mounts: Path) -> None:
    mounts.unlink()
    assert filesystem_of(Path("/srv")) is None
