"""What stands in the folder: how much, and what nobody will ever finish."""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING

from flask_abx.events.spool.segment import NEW_SUFFIX, SUFFIX, adopt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flask_abx.events.spool.descriptors import Descriptors

#: A file that is being made is given up by its maker after so many seconds.
ABANDONED = 60.0


def sizes_of(folder: Path) -> dict[str, int]:
    """Give the size of each file of records, by its name."""
    return _sizes(_files(folder))


def look(folder: Path, descriptors: Descriptors) -> dict[str, int]:
    """Give the size of each file, and remove those that were never finished."""
    files = _files(folder)
    now = time()
    for name, status in files.items():
        if name.endswith(NEW_SUFFIX) and now - status.st_mtime > ABANDONED:
            _sweep(folder / name, descriptors)
    return _sizes(files)


def _sizes(files: Mapping[str, os.stat_result]) -> dict[str, int]:
    return {
        name: status.st_size for name, status in files.items() if name.endswith(SUFFIX)
    }


def _files(folder: Path) -> dict[str, os.stat_result]:
    files: dict[str, os.stat_result] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    files[entry.name] = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        return {}
    return files


def _sweep(path: Path, descriptors: Descriptors) -> None:
    try:
        segment = adopt(path, descriptors)
    except OSError:
        return
    if segment is not None:
        segment.drop()
