"""Reading records back from the lines of a log."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from dataclasses import dataclass
from io import BufferedReader
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DECODER = json.JSONDecoder()
_TYPES = ("exposure", "event")
#: Each kind of compressed file begins in its own way, whatever it is called.
_OPENERS: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
#: What reading a compressed file raises that was cut off or damaged.
DAMAGED = (EOFError, OSError, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log.

    Attributes:
        file: Where it stands.
        number: Which line it is, from 1.
        record: The record on it as plain values, or None where there is none.
        is_broken: True where there was a record that cannot be read any more.
    """

    file: str
    number: int
    record: Mapping[str, Any] | None = None
    is_broken: bool = False


def unpacked(raw: BinaryIO) -> BinaryIO:
    """Give what a file holds, compressed or not."""
    file = raw if isinstance(raw, BufferedReader) else BufferedReader(cast("Any", raw))
    start = file.peek(8)
    for mark, opener in _OPENERS.items():
        if start.startswith(mark):
            return cast("BinaryIO", opener(file))
    return file


def read_lines(file: BinaryIO, name: str) -> Iterator[Line]:
    """Read line by line what a log holds."""
    for number, data in enumerate(file, 1):
        text = data.decode("utf-8", "replace")
        record = _record_in(text)
        is_broken = record is None and _was_a_record(text)
        yield Line(name, number, record, is_broken)


def _record_in(text: str) -> dict[str, Any] | None:
    """Find a record, with whatever a logger wrote before it."""
    start = text.find('{"type"')
    if start < 0:
        start = text.find("{")
    if start < 0:
        return None
    try:
        found, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    # Other programs write lines with a type, too.
    is_record = isinstance(found, dict) and found.get("type") in _TYPES
    return found if is_record and "id" in found and "units" in found else None


def _was_a_record(text: str) -> bool:
    return any(f'{{"type": "{each}", "id": "' in text for each in _TYPES)
