"""Trying a transaction again that only came at a bad moment."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError

from flask_abx.events.sql.faults import Trouble, trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")
#: How long to wait before each further attempt, in seconds.
_PAUSES = (0.02, 0.1, 0.5)


def retried(transaction: Callable[[], _Result]) -> _Result:
    """Run a whole transaction, again where it lost against another one.

    Raises:
        DBAPIError: What it raised last, or whatever no further attempt would mend.
    """
    for pause in _PAUSES:
        try:
            return transaction()
        except DBAPIError as error:
            if trouble_of(error) is not Trouble.AGAIN:
                raise
        sleep(pause)
    return transaction()
