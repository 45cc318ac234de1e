"""One record, one line: checksum, length, text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Gives so many bytes (or what is left of them) from an offset.
Read: TypeAlias = "Callable[[int, int], bytes]"

#: How much of a file is in memory at a time.
BLOCK = 256 * 1024
#: A longer line is garbage, whatever it says.
LONGEST = 64 * 1024 * 1024
#: What is kept of a line that is longer.
KEPT = 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        raw: The line as it stands, without its newline.
        text: The record, or None where length or checksum are wrong.
    """

    raw: bytes
    text: str | None


def frame(text: str) -> bytes:
    """Make the line of a record, whose JSON must not hold a raw newline."""
    data = text.encode()
    return b"%08x %d " % (crc32(data), len(data)) + data + b"\n"


def line_of(raw: bytes) -> Line:
    """Read a line back."""
    checksum, _, rest = raw.partition(b" ")
    length, _, data = rest.partition(b" ")
    if checksum != b"%08x" % crc32(data) or length != b"%d" % len(data):
        return Line(raw, None)
    try:
        return Line(raw, data.decode())
    except UnicodeDecodeError:
        return Line(raw, None)


def lines(read: Read) -> Iterator[Line]:
    """Read the records of a file, block by block; empty lines are skipped."""
    for raw, is_whole in raw_lines(read):
        yield line_of(raw) if is_whole else Line(raw, None)


def raw_lines(read: Read) -> Iterator[tuple[bytes, bool]]:
    """Read the lines of a file that hold anything, the last one torn or whole.

    Yields:
        A line without its newline, and False where it was too long and is cut.
    """
    offset = 0
    begun = _Begun()
    while block := read(BLOCK, offset):
        offset += len(block)
        head, newline, rest = block.partition(b"\n")
        begun.add(head)
        if not newline:
            continue
        yield from begun.end()
        *whole, tail = rest.split(b"\n")
        for raw in whole:
            if raw:
                yield raw, True
        begun.add(tail)
    yield from begun.end()


class _Begun:
    """A line of which the end has not been read yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def add(self, part: bytes) -> None:
        self._length += len(part)
        self._parts.append(part)
        if self._length > LONGEST:
            self._parts = [b"".join(self._parts)[:KEPT]]

    def end(self) -> Iterator[tuple[bytes, bool]]:
        raw, is_whole = b"".join(self._parts), self._length <= LONGEST
        self._parts, self._length = [], 0
        if raw:
            yield raw, is_whole
