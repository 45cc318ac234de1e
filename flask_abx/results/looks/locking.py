"""One refresh of an experiment at a time, whichever process or host runs it."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from flask_abx.errors import ChangeRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

#: How long a refresh waits for another one of the same experiment, in seconds.
PATIENCE = 30.0
_PAUSE = 0.1


@contextmanager
def locked(engine: Engine, name: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of a name; the end of the process gives it back.

    PostgreSQL and MariaDB keep it; SQLite is on one host, where a file is locked.

    Args:
        engine: Whose database it belongs to.
        name: What is locked, such as the key of an experiment.
        patience: How long to wait for it, in seconds.

    Raises:
        ChangeRefused: If another process holds it all the while.
    """
    if engine.dialect.name == "sqlite":
        lock = _FileLock(_path(engine, name))
        _wait(lock.take, name, patience)
        try:
            yield
        finally:
            lock.release()
        return
    take = _TAKE["postgresql" if engine.dialect.name == "postgresql" else "mysql"]
    number = _number(engine, name)
    with engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        _wait(lambda: take(alone, number), name, patience)
        try:
            yield
        finally:
            _release(alone, number)


def _wait(take: Callable[[], bool], name: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not take():
        if time.monotonic() > deadline:
            raise ChangeRefused(
                f"The results of {name!r} are being computed by another process for "
                f"over {patience:.0f} s: try again, or read the last ones with "
                f"`flask abx results {name}`."
            )
        time.sleep(_PAUSE)


def _number(engine: Engine, name: str) -> int:
    """Turn a name into the number of a lock, another one in each database."""
    data = f"flask-abx\0{engine.url.database}\0{name}".encode()
    return int.from_bytes(blake2b(data, digest_size=7).digest(), "big")


def _take_postgresql(connection: Connection, number: int) -> bool:
    query = text("SELECT pg_try_advisory_lock(:number)")
    return bool(connection.execute(query, {"number": number}).scalar_one())


def _take_mysql(connection: Connection, number: int) -> bool:
    query = text("SELECT GET_LOCK(:name, 0)")
    return bool(connection.execute(query, {"name": f"abx-{number}"}).scalar_one())


_TAKE = {"postgresql": _take_postgresql, "mysql": _take_mysql}


def _release(connection: Connection, number: int) -> None:
    if connection.dialect.name == "postgresql":
        query = text("SELECT pg_advisory_unlock(:number)")
        connection.execute(query, {"number": number})
    else:
        query = text("SELECT RELEASE_LOCK(:name)")
        connection.execute(query, {"name": f"abx-{number}"})


def _path(engine: Engine, name: str) -> Path:
    """Name the file that stands for a lock."""
    place = str(engine.url.database or id(engine))
    if engine.url.database:
        place = str(Path(place).absolute())
    digest = blake2b(f"{place}\0{name}".encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"flask-abx-{os.getuid()}-{digest}.lock"


class _FileLock:
    """A lock that a file stands for, as long as somebody holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> bool:
        """Take the lock, unless somebody holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who held it until now has taken the file away.
            is_it = os.path.samestat(os.fstat(descriptor), self._path.stat())
        except OSError:
            is_it = False
        if not is_it:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back, and leave no file behind."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
