"""Checks of the way of the records into the database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from shlex import quote
from typing import TYPE_CHECKING

from flask_abx.cli.doctor.finding import Finding, Level
from flask_abx.cli.output import counted
from flask_abx.errors import SetupError
from flask_abx.events.spool.drainer import has_drainer
from flask_abx.events.spool.folder import filesystem_of
from flask_abx.events.spool.frames import lines
from flask_abx.events.spool.orphans import sizes_of
from flask_abx.events.spool.waiting import record_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.cli.doctor.finding import Case
    from flask_abx.events.spool.spool import SpoolState

#: After so many seconds a record should be in the database, whatever happened.
LATE = 60.0
#: From this share of ABX_SPOOL_MAX_BYTES on it is told.
_NEARLY = 0.9
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OF_CONTAINERS = frozenset({"overlay", "aufs"})
_ELSEWHERE = 'app.config["ABX_SPOOL_DIR"] = "/var/lib/flask-abx"'
_DRAIN = "flask abx events drain"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is in the files of a folder.

    Attributes:
        files: How many of them hold anything.
        bytes: How much that is.
        since: When the oldest record was made, None where nobody can tell.
    """

    files: int
    bytes: int
    since: datetime | None


def check_route(case: Case) -> Iterator[Finding]:
    """Look whether records go to the database, where there is one."""
    if case.state.database is None:
        return
    if case.state.delivery is not None:
        message = "Records go to the database, by way of the spool."
        yield Finding("delivery", Level.OK, message)
        return
    level = Level.OK if case.app.testing else Level.WARN
    message = 'ABX_SINKS leaves out "sql", so no record gets into the database.'
    paste = 'app.config["ABX_SINKS"] = ["sql", "log"]'
    yield Finding("delivery", level, message, paste)


def check_spool(case: Case) -> Iterator[Finding]:
    """Look where the spool is, and whether it takes records."""
    state = _spool_of(case)
    if state is None:
        return
    if state.folder is None:
        yield _nowhere(case, state)
    elif (owner := _other_owner(state.folder)) is not None:
        message = f"Only the user of the servers can tell. {state.why}"
        paste = f"sudo -u '#{owner}' flask abx doctor"
        yield Finding("spool", Level.WARN, message, paste)
    elif not state.is_on_disk:
        is_full = state.bytes >= case.state.settings.spool_max_bytes
        message = f"Records are in memory only, and lost with the process: {state.why}"
        yield Finding("spool", Level.FAIL, message, _DRAIN if is_full else _ELSEWHERE)
    else:
        yield _on_disk(case, state, str(state.folder))


def _on_disk(case: Case, state: SpoolState, place: str) -> Finding:
    most = case.state.settings.spool_max_bytes
    if state.remembered:
        message = (
            f"This process keeps {counted(state.remembered, 'record')} in memory only, "
            f"as the spool takes no more: make room for {place!r}."
        )
        return Finding("spool", Level.WARN, message, f"df -h {quote(place)}")
    if state.bytes >= _NEARLY * most:
        message = (
            f"{place!r} holds {state.bytes:,} of {most:,} bytes (ABX_SPOOL_MAX_BYTES), "
            "soon records are in memory only: see why they are not stored."
        )
        return Finding("spool", Level.WARN, message, _DRAIN)
    message = f"Records wait for the database in {place!r}."
    return Finding("spool", Level.OK, message)


def _nowhere(case: Case, state: SpoolState) -> Finding:
    message = state.why or "Nobody can tell where records wait."
    if case.app.testing:
        return Finding("spool", Level.OK, message)
    paste = 'app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///app.db"'
    return Finding("spool", Level.WARN, message, paste)


def check_filesystem(case: Case) -> Iterator[Finding]:
    """Look whether what waits outlives the machine and the container."""
    state = _spool_of(case)
    if state is None or state.folder is None or case.app.testing:
        return
    kind, place = filesystem_of(state.folder), str(state.folder)
    if kind in _IN_MEMORY:
        message = (
            f"The spool {place!r} is in memory ({kind}), so what waits there is lost "
            "when the machine or the container stops: take a folder on a disk."
        )
    elif kind in _OF_CONTAINERS:
        message = (
            f"The spool {place!r} is within the container ({kind}), so what waits "
            "there is lost when that is removed: mount a volume, and name it."
        )
    else:
        return
    yield Finding("filesystem", Level.WARN, message, _ELSEWHERE)


def check_waiting(case: Case) -> Iterator[Finding]:
    """Look how much waits, and whether somebody brings it into the database."""
    state = _spool_of(case)
    if state is None or state.folder is None or _other_owner(state.folder) is not None:
        return
    found = _waiting_in(state.folder)
    if not found.files:
        yield Finding("waiting", Level.OK, "No record waits for the database.")
        return
    files = counted(found.files, "file")
    what = f"{counted(found.bytes, 'byte')} in {files} wait for the database"
    age = 0.0 if found.since is None else (case.now - found.since).total_seconds()
    if age <= LATE:
        yield Finding("waiting", Level.OK, f"{what}.")
        return
    blamed = (
        "`flask abx events drain --watch`, which has taken it over"
        if has_drainer(state.folder)
        else "the servers"
    )
    message = (
        f"{what}, the oldest record since {age:.0f} s: see in the log of {blamed} what "
        "keeps it, and whether the database answers."
    )
    yield Finding("waiting", Level.WARN, message, _DRAIN)


def check_dead_letters(case: Case) -> Iterator[Finding]:
    """Look for records that the database has refused."""
    state, delivery = _spool_of(case), case.state.delivery
    letters = None if state is None or delivery is None else delivery.letters
    if letters is None:
        return
    try:
        found = letters.contents()
        number = len(found.letters) + found.unreadable
    except OSError as error:
        message = f"{str(letters.path)!r} cannot be read ({error.strerror})."
        paste = f"ls -l {quote(str(letters.path))}"
        yield Finding("dead_letters", Level.WARN, message, paste)
        return
    if number:
        message = (
            f"The database has refused {counted(number, 'record')}, which wait as dead "
            "letters: see why, mend that, and store them with `flask abx events "
            "dead-letters retry`."
        )
        paste = "flask abx events dead-letters list"
        yield Finding("dead_letters", Level.WARN, message, paste)
        return
    yield Finding("dead_letters", Level.OK, "The database has refused no record.")


def check_durability(case: Case) -> Iterator[Finding]:
    """Look whether what ABX_TRACK_DURABILITY promises can be kept."""
    if case.state.settings.track_durability != "atomic":
        return
    database = case.state.database
    if database is None or case.state.delivery is None:
        message = (
            "ABX_TRACK_DURABILITY is 'atomic', but records do not go to a database, so "
            "it is refused in debug and testing, and taken for 'request' elsewhere."
        )
        paste = 'app.config["ABX_TRACK_DURABILITY"] = "spool"'
        yield Finding("durability", Level.FAIL, message, paste)
        return
    bind = database.tables.events.metadata.info.get("bind_key")
    if bind is None:
        message = "Events are part of the transactions of the application."
        yield Finding("durability", Level.OK, message)
        return
    message = (
        f"ABX_TRACK_DURABILITY is 'atomic', but our tables are on the bind {bind!r}: "
        "beside rows of another bind it is refused in debug and testing, and taken for "
        "'request' elsewhere. Put our tables beside yours, or do not promise it."
    )
    paste = 'app.config["ABX_TRACK_DURABILITY"] = "request"'
    yield Finding("durability", Level.WARN, message, paste)


def _spool_of(case: Case) -> SpoolState | None:
    """Tell how the spool stands, where there is one and its place is known."""
    delivery = case.state.delivery
    if delivery is None:
        return None
    try:
        return delivery.spool.state
    except SetupError:
        # The check of the database tells it.
        return None


def _other_owner(folder: Path) -> int | None:
    """Give the user that the folder belongs to, if it is another than this one."""
    try:
        owner = folder.lstat().st_uid
    except OSError:
        return None
    return None if owner == os.geteuid() else owner


def _waiting_in(folder: Path) -> _Waiting:
    try:
        sizes = {name: size for name, size in sizes_of(folder).items() if size}
    except OSError:
        # The check of the spool tells what is wrong with it.
        sizes = {}
    moments = [_first_moment(folder / name) for name in sizes]
    since = min((each for each in moments if each is not None), default=None)
    return _Waiting(len(sizes), sum(sizes.values()), since)


def _first_moment(path: Path) -> datetime | None:
    """Give when the first record of a file was made, that of a living process too."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        (line,) = islice(lines(partial(_read, descriptor)), 1)
        record = record_of(line) or {}
        moment = datetime.fromisoformat(record["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        os.close(descriptor)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read(descriptor: int, size: int, offset: int) -> bytes:
    return os.pread(descriptor, size, offset)
