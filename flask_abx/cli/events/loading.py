"""A log taken into the tables: events load."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import click
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.database import current_database
from flask_abx.cli.events.progress import progress_bar
from flask_abx.cli.output import counted, fail, format_option, note, write
from flask_abx.errors import UsageError
from flask_abx.events.lines import DAMAGED, read_lines, unpacked
from flask_abx.events.sql.loading import Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from flask_abx.events.lines import Line
    from flask_abx.events.sql.loading import Loaded, Refusal

_STDIN = "-"
#: So many records that cannot be stored are told; the others are counted.
_MOST_TOLD = 100
_NEVER = datetime.max.replace(tzinfo=UTC)


@click.command("load")
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)
@format_option
@with_appcontext
def load_command(files: tuple[Path, ...], form: str) -> None:
    """Take the records of log files into the database, each of them once.

    Rotated and compressed files will do, and - is the standard input. What is no
    record is skipped. A file may be loaded again: nothing is counted twice.
    """
    database = current_database()
    rules = loaded_state().store.ruleset().rules
    telling = _Telling()

    def kinds_of(key: str) -> tuple[str, ...]:
        return rules[key].unit if key in rules else ()

    loader = Loader(database, kinds_of, telling)
    try:
        load_files(files, loader)
    except Exception:
        note(f"It ends here: {_text(loader.loaded)} Load the same files again later.")
        raise
    telling.end()
    data = {"files": len(files), **asdict(loader.loaded)}
    write(form, data, lambda: _text(loader.loaded))
    if loader.loaded.refused:
        fail()


class _Telling:
    """Tells what is refused, up to a point."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, refusal: Refusal) -> None:
        self._count += 1
        if self._count <= _MOST_TOLD:
            note(str(refusal))

    def end(self) -> None:
        """Say how many were not told."""
        if self._count > _MOST_TOLD:
            note(f"{self._count - _MOST_TOLD:,} more records cannot be stored.")


class _File(NamedTuple):
    """A file to load, and what is known of it before."""

    path: Path
    size: int
    begins: datetime


def _in_order(paths: Sequence[Path]) -> list[_File]:
    """Put the oldest first: the variant that a unit met first is the one that counts.

    Raises:
        UsageError: If one cannot be read.
    """
    files = []
    for path in dict.fromkeys(paths):
        if str(path) == _STDIN:
            # It can be read only once, and is most likely what is new.
            files.append(_File(path, 0, _NEVER))
            continue
        with _opened(path) as (_, lines):
            begins = next(filter(None, map(_moment, lines)), _NEVER)
        files.append(_File(path, path.stat().st_size, begins))
    return sorted(files, key=lambda each: each.begins)


def _moment(line: Line) -> datetime | None:
    with suppress(KeyError, TypeError, ValueError):
        moment = datetime.fromisoformat((line.record or {})["at"])
        return moment if moment.utcoffset() is not None else None
    return None


def load_files(paths: Sequence[Path], loader: Loader) -> None:
    """Store what files hold, the oldest first.

    Raises:
        UsageError: If one cannot be read.
    """
    files = _in_order(paths)
    total = sum(each.size for each in files)
    with progress_bar("Loading") as progress:
        for each in files:
            with _opened(each.path) as (position, lines):
                done = 0
                for line in lines:
                    loader.add(line)
                    if line.number % 1_000 == 0 and each.size:
                        progress(position() - done, total)
                        done = position()
                progress(max(each.size - done, 0), total)
    loader.flush()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Callable[[], int], Iterator[Line]]]:
    """Open a file; give the place that was read up to, and its lines.

    Raises:
        UsageError: If it cannot be read, or not to its end.
    """
    if str(path) == _STDIN:
        yield (lambda: 0), read_lines(unpacked(sys.stdin.buffer), _STDIN)
        return
    try:
        with path.open("rb") as raw, closing(_guarded(raw, path)) as lines:
            yield raw.tell, lines
    except OSError as error:
        raise _unreadable(path, error) from error


def _guarded(raw: BinaryIO, path: Path) -> Generator[Line]:
    try:
        with unpacked(raw) as file:
            yield from read_lines(file, str(path))
    except DAMAGED as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or str(error)
    return UsageError(
        f"{str(path)!r} cannot be read to its end ({reason}): see that it is whole."
    )


def _text(loaded: Loaded) -> str:
    exposures = counted(loaded.exposures, "exposure")
    parts = [
        f"{exposures} and {counted(loaded.events, 'event')} are stored",
        *_said(loaded.skipped, "other line", "skipped"),
        *_said(loaded.erased, "record", "of an erased unit"),
        *_said(loaded.refused, "record", "refused"),
    ]
    return f"{', '.join(parts)}."


def _said(count: int, what: str, how: str) -> list[str]:
    verb = "is" if count == 1 else "are"
    return [f"{counted(count, what)} {verb} {how}"] if count else []
