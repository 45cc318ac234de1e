"""The records of one person that wait in files: to read them, and to erase them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from flask_abx.events.spool.descriptors import Descriptors
from flask_abx.events.spool.frames import lines
from flask_abx.events.spool.segment import SUFFIX, NotOurs, adopt, create
from flask_abx.events.sql.rows import RecordRefused, milliseconds, unit_of
from flask_abx.stores.change import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flask_abx.events.spool.frames import Line
    from flask_abx.events.spool.letters import DeadLetters, Letter
    from flask_abx.events.spool.segment import Segment

#: How much of a file that is written anew is written at once, in bytes.
_BLOCK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Swept:
    """What was erased from files.

    Attributes:
        records: How many records of the spool are gone.
        letters: How many dead letters are gone.
        busy: How many files belong to processes that live, and were left alone.
        failed: How many files could not be written anew, and were left alone.
    """

    records: int = 0
    letters: int = 0
    busy: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Doomed:
    """Tells which records an erasure takes away.

    Attributes:
        units: The erased units, such as ``user:7``.
        at: When they were erased, in milliseconds; what is newer stays.
    """

    units: frozenset[str]
    at: int
    _marks: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        text = encode_basestring_ascii
        pairs = (each.split(":", 1) for each in sorted(self.units))
        marks = tuple(f"{text(kind)}: {text(id_)}" for kind, id_ in pairs)
        object.__setattr__(self, "_marks", marks)

    def has(self, record: Mapping[str, Any] | None, raw: str | None = None) -> bool:
        """Tell whether a record goes, or what is left of one that is damaged."""
        if record is None:
            return any(mark in (raw or "") for mark in self._marks)
        named = {unit_of(*each) for each in units_of(record).items()}
        return not named.isdisjoint(self.units) and _is_older(record, self.at)

    def has_line(self, line: Line) -> bool:
        """Tell whether the record of a line goes."""
        return self.has(record_of(line), line.raw.decode("ascii", "replace"))

    def has_letter(self, letter: Letter) -> bool:
        """Tell whether a dead letter goes."""
        return self.has(letter.record, letter.raw)


def _is_older(record: Mapping[str, Any], at: int) -> bool:
    try:
        return milliseconds(record.get("at")) <= at
    except RecordRefused:
        # Nobody can tell that it is newer.
        return True


def units_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Give everybody a record belongs to: unit type to id."""
    told = record.get("units")
    units = dict(told) if isinstance(told, dict) else {}
    if "unit_type" in record and "unit" in record:
        units[str(record["unit_type"])] = record["unit"]
    return units


def record_of(line: Line) -> dict[str, Any] | None:
    """Read the record of a line; None where it is damaged."""
    if line.text is None:
        return None
    try:
        record = from_json(line.text, cache_strings="keys")
    except ValueError:
        record = _decoded(line.text)
    return record if isinstance(record, dict) else None


def _decoded(text: str) -> object:
    # The faster one takes no half of a surrogate pair, which properties may hold.
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def waiting_in(folder: Path) -> Iterator[dict[str, Any]]:
    """Read every record that waits in a folder, those of living processes too."""
    for path in _files(folder):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            # Stored meanwhile, or none of ours.
            continue
        try:
            for line in lines(partial(_read, descriptor)):
                record = record_of(line)
                if record is not None:
                    yield record
        finally:
            os.close(descriptor)


def _read(descriptor: int, size: int, offset: int) -> bytes:
    return os.pread(descriptor, size, offset)


def sweep(folder: Path, doomed: Doomed) -> Swept:
    """Erase records from the files of a folder whose owner has died.

    A file is replaced by one without them: at no moment is a record that stays in none.
    """
    descriptors, swept = Descriptors(), Swept()
    for path in _files(folder):
        try:
            segment = adopt(path, descriptors)
            if segment is None:
                swept = replace(swept, busy=swept.busy + path.exists())
                continue
            count = _rewrite(segment, descriptors, doomed)
            swept = replace(swept, records=swept.records + count)
        except (NotOurs, OSError):
            swept = replace(swept, failed=swept.failed + 1)
    return swept


def _rewrite(segment: Segment, descriptors: Descriptors, doomed: Doomed) -> int:
    """Give how many records went."""
    try:
        count = sum(doomed.has_line(line) for line in lines(segment.read))
        if count:
            folder, moment = segment.path.parent, _moment(segment.path)
            kept = create(folder, moment, descriptors)
            try:
                _copy(segment, kept, doomed)
            except BaseException:
                kept.drop()
                raise
            _replace(segment, kept)
        return count
    finally:
        if segment.is_open:
            segment.release()


def _moment(path: Path) -> datetime:
    """Read the moment in the name of a file, by which the oldest is stored first."""
    try:
        return moment_of(int(path.name[:12], 16))
    except (OSError, OverflowError, ValueError):
        return datetime.now(UTC)


def _replace(segment: Segment, kept: Segment) -> None:
    # An end in between leaves both, and a record that is stored twice is stored once.
    if not segment.drop():
        kept.drop()
        raise OSError(f"{str(segment.path)!r} cannot be removed.")
    if kept.size:
        kept.release()
    else:
        kept.drop()


def _copy(segment: Segment, kept: Segment, doomed: Doomed) -> None:
    block = bytearray()
    for line in lines(segment.read):
        if not doomed.has_line(line):
            block += line.raw + b"\n"
        if len(block) >= _BLOCK:
            kept.append(bytes(block))
            block.clear()
    if block:
        kept.append(bytes(block))


def sweep_letters(letters: DeadLetters, doomed: Doomed) -> int:
    """Erase dead letters; gives how many went."""
    try:
        return letters.rewrite(lambda letter: not doomed.has_letter(letter))
    except FileNotFoundError:
        # Where there is no folder yet, there is no letter.
        return 0


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))
