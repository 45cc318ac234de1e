"""A folder that holds exports and nothing else, and never half a file."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from flask_abx.errors import SetupError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Tells what every export of the folder wrote; Spark goes past such a name.
CONTENTS = "_export.json"
_STAGE = "_flask_abx_unfinished"
_MARK = "flask_abx_export"
#: Readable by the owner and the group: records hold ids of people.
_FILE_MODE = 0o640
_FOLDER_MODE = 0o750


class Folder:
    """Where an export goes: it is written aside, and moved in when it is whole.

    Args:
        path: The folder.
        about: What all exports in one folder have in common: the format and so on.
        adds: True to leave earlier exports there, False to take their place.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], *, adds: bool) -> None:
        self.path = path
        self._about = dict(about)
        self._adds = adds
        self._stage = path / _STAGE
        self._known: list[dict[str, Any]] = []
        self._there: set[str] = set()
        self._made: list[str] = []

    @contextmanager
    def opened(self) -> Iterator[Folder]:
        """Take possession of it, and leave nothing half-done behind.

        Raises:
            UsageError: If it holds what no export wrote, or another kind of export.
            SetupError: If it cannot be written.
        """
        try:
            self._look()
            with self._locked():
                # Another export may just have ended here.
                self._look()
                self._clear()
                yield self
        except OSError as error:
            _refuse(self.path, error)

    def holds(self, dataset: str) -> bool:
        """Tell whether an export that stays has files of a dataset."""
        return self._adds and any(_is_of(name, dataset) for name in self._there)

    def create(self, name: str) -> BinaryIO:
        """Make a file, which is in its place once all are published."""
        path = self._stage / name
        path.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, _FILE_MODE), "wb")
        self._made.append(name)
        return file

    def publish(self, told: Mapping[str, Any], *, replaced: str) -> int:
        """Move every file to its place, and tell how many there are.

        Args:
            told: What is to be known of this export later.
            replaced: The dataset of which earlier files go in any case.
        """
        entry = {**told, "files": sorted(self._made)}
        stale = {
            name
            for name in self._there - set(self._made)
            if not self._adds or _is_of(name, replaced)
        }
        # Until the old ones are gone, both are known to be ours.
        self._tell([*self._known, entry])
        for name in self._made:
            place = self.path / name
            place.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
            (self._stage / name).replace(place)
        for name in stale:
            (self.path / name).unlink(missing_ok=True)
            _drop_empty((self.path / name).parent, self.path)
        left = [{**each, "files": _without(each, stale)} for each in self._known]
        self._tell([*(left if self._adds else ()), entry])
        return len(self._made)

    def _look(self) -> None:
        """Find out what is there.

        Raises:
            UsageError: If it is not for us.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(
                f"{str(self.path)!r} is a file, must be a folder: name one with -o."
            )
        found = set(_files(self.path)) - {CONTENTS}
        contents = self._contents()
        self._known = contents.get("exports", [])
        listed = {name for each in self._known for name in each["files"]}
        strange = sorted(found - listed)
        if strange:
            raise UsageError(
                f"{str(self.path)!r} holds {strange[0]!r}, which no export wrote: name "
                "an empty or a new folder with -o."
            )
        self._there = found
        before = contents.get("about", self._about)
        if self._adds and before != self._about:
            raise UsageError(
                f"{str(self.path)!r} holds an export of another kind, {before!r}: name "
                "another folder with -o, or leave out --since to replace it."
            )

    def _contents(self) -> dict[str, Any]:
        path = self.path / CONTENTS
        if not path.is_file():
            return {}
        try:
            contents = json.loads(path.read_text("utf-8"))
            is_ours = contents[_MARK] == 1 and all(
                isinstance(name, str)
                for each in contents["exports"]
                for name in each["files"]
            )
        except (ValueError, LookupError, TypeError):
            is_ours = False
        if not is_ours:
            raise UsageError(
                f"{str(path)!r} is not what an export writes: name an empty or a new "
                "folder with -o."
            )
        found: dict[str, Any] = contents
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other exports out, and take away at the end what is not in its place.

        Raises:
            UsageError: If another export is at work.
        """
        self._stage.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(self._stage, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield
            finally:
                with suppress(OSError):
                    self._clear()
                    self._stage.rmdir()
        except BlockingIOError:
            raise UsageError(
                f"Another export is being written to {str(self.path)!r}: wait for its "
                "end, or name another folder with -o."
            ) from None
        finally:
            os.close(descriptor)

    def _clear(self) -> None:
        """Take away what an export left that was killed."""
        for path in self._stage.iterdir():
            if path.is_dir():
                rmtree(path)
            else:
                path.unlink()

    def _tell(self, exports: list[dict[str, Any]]) -> None:
        contents = {_MARK: 1, "about": self._about, "exports": exports}
        path = self._stage / CONTENTS
        path.write_text(f"{json.dumps(contents, indent=2)}\n", "utf-8")
        path.replace(self.path / CONTENTS)


def _files(path: Path) -> Iterator[str]:
    """List what is in a folder, apart from what a killed export left."""
    for place, folders, files in os.walk(path):
        if Path(place) == path and _STAGE in folders:
            folders.remove(_STAGE)
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in (*files, *links):
            yield Path(place, name).relative_to(path).as_posix()


def _is_of(name: str, dataset: str) -> bool:
    return name.startswith((f"{dataset}/", f"{dataset}.", f"{dataset}-"))


def _without(entry: Mapping[str, Any], names: set[str]) -> list[str]:
    return [name for name in entry["files"] if name not in names]


def _drop_empty(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _refuse(path: Path, error: OSError) -> NoReturn:
    reason = error.strerror or str(error)
    raise SetupError(
        f"The export to {str(path)!r} cannot be written ({reason}), nothing of it is "
        "kept: make room and see to the rights, or name another folder with -o."
    ) from error
