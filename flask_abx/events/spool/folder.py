"""The folder of the spool: made, and found fit or refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flask_abx.errors import ABXError

#: File systems that several machines share, on which a lock may mean nothing.
NETWORK = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs"),
        *("afs", "coda", "ceph", "glusterfs", "lustre", "gpfs", "beegfs"),
        *("beegfs_nodev", "orangefs", "pvfs2", "panfs", "davfs", "fuse.davfs"),
        *("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.goofys"),
        *("fuse.mount-s3", "fuse.blobfuse", "fuse.blobfuse2", "fuse.curlftpfs"),
        *("fuse.ceph", "fuse.ceph-fuse", "fuse.glusterfs", "fuse.juicefs"),
        *("fuse.seaweedfs", "fuse.mfs", "fuse.lizardfs", "fuse.fuse_dfs"),
    }
)

_MOUNTS = Path("/proc/self/mountinfo")
#: Which field of its lines names the place.
_PLACE = 4


class FolderRefused(ABXError, OSError):  # noqa: N818 - named after what happened
    """The folder cannot hold the spool; the message says why and what to do."""


def prepare(path: Path) -> None:
    """Make the folder and those above it, for the owner alone, and check it.

    Raises:
        FolderRefused: It cannot hold the spool.
    """
    try:
        _make(path)
    except OSError as error:
        raise FolderRefused(
            f"The folder {str(path)!r} cannot be made ({error.strerror}): make it for "
            f"user {os.geteuid()}, or set ABX_SPOOL_DIR."
        ) from error
    check(path)


def check(path: Path) -> None:
    """Check a folder that exists.

    Raises:
        FolderRefused: It cannot hold the spool.
    """
    name = str(path)
    try:
        status = path.lstat()
    except OSError as error:
        raise FolderRefused(
            f"The folder {name!r} cannot be looked at ({error.strerror}): make it for "
            f"user {os.geteuid()}, or set ABX_SPOOL_DIR."
        ) from error
    if stat.S_ISLNK(status.st_mode):
        raise FolderRefused(
            f"{name!r} is a symbolic link: set ABX_SPOOL_DIR to the folder itself."
        )
    if not stat.S_ISDIR(status.st_mode):
        raise FolderRefused(
            f"{name!r} is no folder: remove it, or set ABX_SPOOL_DIR to another place."
        )
    if status.st_uid != os.geteuid():
        raise FolderRefused(
            f"The folder {name!r} belongs to user {status.st_uid}, this process is "
            f"user {os.geteuid()}: give it to that user, or set ABX_SPOOL_DIR."
        )
    if not _is_writable(path):
        raise FolderRefused(
            f"The folder {name!r} cannot be written to: mend its rights or mount it "
            "for writing, or set ABX_SPOOL_DIR."
        )
    _check_filesystem(path)


def foresee(path: Path) -> None:
    """Check whether a folder that does not exist yet could be made.

    Raises:
        FolderRefused: It could not.
    """
    parent = next(each for each in path.absolute().parents if each.exists())
    if not parent.is_dir() or not _is_writable(parent):
        raise FolderRefused(
            f"The folder {str(path)!r} cannot be made in {str(parent)!r}: make it for "
            f"user {os.geteuid()}, or set ABX_SPOOL_DIR."
        )
    _check_filesystem(parent)


def filesystem_of(path: Path) -> str | None:
    """Name the type of the file system that a path is on, None where nobody tells."""
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    real = Path(os.path.realpath(path))
    above = {str(real), *(str(parent) for parent in real.parents)}
    found: str | None = None
    longest = -1
    for line in mounts.splitlines():
        place, _, kind = line.partition(" - ")
        fields, kinds = place.split(" "), kind.split(" ")
        if len(fields) <= _PLACE:
            continue
        point = _plain(fields[_PLACE])
        # Of two mounts on one place the later one hides the other.
        if point in above and len(point) >= longest:
            found, longest = kinds[0], len(point)
    return found


def _plain(point: str) -> str:
    for escaped, plain in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        point = point.replace(f"\\{escaped}", plain)
    return point


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _is_writable(path: Path) -> bool:
    mode = os.R_OK | os.W_OK | os.X_OK
    if os.access in os.supports_effective_ids:
        return os.access(path, mode, effective_ids=True)
    return os.access(path, mode)


def _check_filesystem(path: Path) -> None:
    kind = filesystem_of(path)
    if kind in NETWORK:
        raise FolderRefused(
            f"The folder {str(path)!r} is on a network file system ({kind}), where "
            "locks are not to be relied on: set ABX_SPOOL_DIR to a local disk."
        )
