"""What an error of a database means for the transaction that met it."""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, StatementError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Trouble(StrEnum):
    """What to do about a transaction that failed."""

    #: Somebody was in the way: try the whole transaction again.
    AGAIN = "again"
    #: The data is at fault: halve the batch until the bad record stands alone.
    REFUSED = "refused"
    #: Connection, disk, rights or anything else: try later.
    FAILED = "failed"


_CONFLICT_STATES = frozenset({"40001", "40P01"})
#: These, and a lock that was not had in time.
_AGAIN_STATES = _CONFLICT_STATES | {"55P03"}
#: Data exceptions, broken constraints, a view's check, and what is too large.
_DATA_CLASSES = frozenset({"22", "23", "44", "54"})
#: A trigger that raises, types that do not fit, two rows where one belongs.
_DATA_STATES = frozenset({"21000", "40002", "42804", "42846", "P0001"})

#: Deadlock, and a row that changed since the snapshot of the transaction.
_CONFLICT_NUMBERS = frozenset({1213, 1020})
_AGAIN_NUMBERS = _CONFLICT_NUMBERS | {1205}
_DATA_NUMBERS = frozenset(
    {1048, 1062, 1153, 1264, 1265, 1267, 1292, 1300, 1366, 1406, 1452, 1644, 1690}
    | {3819, 3988, 4025}
)

_SQLITE_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SQLITE_DATA = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)
_DATA_CLASS_NAMES = frozenset({"DataError", "IntegrityError"})
#: What making a row of a bad record raises, and what drivers do about a bad value.
_DATA_ERRORS = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


def trouble_of(error: BaseException) -> Trouble:
    """Tell what to do about a transaction that ended with an error."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Trouble.FAILED
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    number, state = _number(cause), _state(cause)
    if number in _AGAIN_NUMBERS or state in _AGAIN_STATES:
        return Trouble.AGAIN
    if number in _DATA_NUMBERS or state in _DATA_STATES or _is_named_data(cause):
        return Trouble.REFUSED
    if state is not None and state[:2] in _DATA_CLASSES:
        return Trouble.REFUSED
    return Trouble.REFUSED if isinstance(cause, _DATA_ERRORS) else Trouble.FAILED


def is_conflict(error: BaseException) -> bool:
    """Tell whether a database ended the whole transaction for somebody else's sake.

    That is a deadlock or a serialisation failure; a lock that was not had in time is
    none, for then the transaction still stands.
    """
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return False
    return _number(cause) in _CONFLICT_NUMBERS or _state(cause) in _CONFLICT_STATES


def _of_sqlite(error: sqlite3.Error) -> Trouble:
    code = getattr(error, "sqlite_errorcode", None)
    # The rest of the number tells the same trouble in more detail.
    code = None if code is None else code & 0xFF
    if code in _SQLITE_LOCKED:
        return Trouble.AGAIN
    if code in _SQLITE_DATA or isinstance(
        error, sqlite3.DataError | sqlite3.IntegrityError
    ):
        return Trouble.REFUSED
    # A value of a type that SQLite has no place for has no number.
    is_binding = code is None and "binding" in str(error).lower()
    return Trouble.REFUSED if is_binding else Trouble.FAILED


def _cause(error: BaseException) -> BaseException:
    """Find the error of the driver, or of Python, below that of SQLAlchemy."""
    while isinstance(error, StatementError) and error.orig is not None:
        error = error.orig
    return error


def _number(error: BaseException) -> int | None:
    """Find the number by which MariaDB and MySQL tell an error."""
    for number in (getattr(error, "errno", None), *error.args[:1]):
        if type(number) is int and not isinstance(error, OSError):
            return number
    return None


def _state(error: BaseException) -> str | None:
    """Find the five letters by which PostgreSQL tells an error."""
    for state in _states(error):
        if isinstance(state, str) and len(state) == 5:
            return state
    return None


def _states(error: BaseException) -> Iterator[Any]:
    yield getattr(error, "sqlstate", None)
    yield getattr(error, "pgcode", None)
    first = error.args[0] if error.args else None
    if isinstance(first, dict):
        yield first.get("C")


def _is_named_data(error: BaseException) -> bool:
    return any(kind.__name__ in _DATA_CLASS_NAMES for kind in type(error).__mro__)
