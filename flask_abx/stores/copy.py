"""The last known definitions on disk, for a start without database."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from stat import S_ISREG
from threading import get_ident
from typing import TYPE_CHECKING, Any

from flask_abx.stores.reading import Mark, Name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FORMAT = 1
#: A larger file is no copy of ours.
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Copied:
    """Definitions as they were in force."""

    mark: Mark
    bodies: Mapping[Name, str]


class DiskCopy:
    """Keeps one file for each lineage of one database.

    Args:
        folder: Where the files are.
        database: Tells the databases that share the folder apart.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        self._database = database

    def read(self) -> Copied | None:
        """Give the newest copy that is whole, or None."""
        try:
            paths = sorted(
                self._folder.glob(f"abx-{self._database}-*.json"), key=_written_at
            )
        except OSError:
            return None
        for path in reversed(paths):
            copied = _read(path)
            if copied is not None:
                return copied
        return None

    def write(self, copied: Copied) -> None:
        """Replace the copy, whole or not at all.

        Raises:
            OSError: If it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"abx-{self._database}-{copied.mark.lineage}.json"
        temporary = path.with_suffix(f".{os.getpid()}-{get_ident()}.tmp")
        try:
            _write(temporary, _text(copied))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        for other in self._folder.glob(f"abx-{self._database}-*.json"):
            if other != path:
                other.unlink(missing_ok=True)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _write(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _text(copied: Copied) -> str:
    body = json.dumps(
        {
            "lineage": copied.mark.lineage,
            "version": copied.mark.version,
            "definitions": [[*name, body] for name, body in copied.bodies.items()],
        },
        separators=(",", ":"),
    )
    head = {"format": _FORMAT, "sha256": sha256(body.encode()).hexdigest()}
    return f"{json.dumps(head)}\n{body}\n"


def _read(path: Path) -> Copied | None:
    try:
        head, _, body = _content(path).partition("\n")
        body = body.rstrip("\n")
        told: dict[str, Any] = json.loads(head)
        if told != {"format": _FORMAT, "sha256": sha256(body.encode()).hexdigest()}:
            return None
        content = json.loads(body)
        mark = Mark(content["lineage"], content["version"])
        bodies = {Name(kind, key): text for kind, key, text in content["definitions"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Copied(mark, bodies)


def _content(path: Path) -> str:
    """Read a file that is one: a link may lead anywhere, a pipe may never end."""
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, os.O_RDONLY | flags)
    told = os.fstat(descriptor)
    if not S_ISREG(told.st_mode) or told.st_size > _MOST_BYTES:
        os.close(descriptor)
        raise ValueError(f"{path} is no copy.")
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()
