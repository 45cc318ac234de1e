"""A sink that appends JSON lines to a file of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flask_abx.events.records import Record

#: Readable by the owner and the group: records hold ids of people.
MODE = 0o640


class FileSink:
    """Appends each batch in one write, so that workers never mix their lines.

    The file is opened anew for each batch, so it may be rotated at any time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, batch: Sequence[Record]) -> None:
        """Append the batch, one record a line."""
        data = "".join(f"{record.to_json()}\n" for record in batch).encode()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, MODE)
        try:
            written = os.write(descriptor, data)
            if written != len(data):
                # End the cut line, so that the next record starts on its own.
                os.write(descriptor, b"\n")
                raise OSError(f"Only {written} of {len(data)} bytes were written.")
        finally:
            os.close(descriptor)
