"""Moments on the command line: a time, a date, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from flask_abx.stores.change import milliseconds_of, moment_of
from flask_abx.stores.database import clock, reading

if TYPE_CHECKING:
    from flask_abx.stores.database import Database

#: A bare "m" could be taken for months by whoever deletes what is old.
_AGE = re.compile(r"(\d{1,6})(d|h|min)")
_UNITS = {"d": "days", "h": "hours", "min": "minutes"}


def moment_in(database: Database, text: str, option: str) -> int:
    """Read a moment that is past, in milliseconds of the database's clock.

    Args:
        database: Whose clock says what is past.
        text: Such as ``2026-11-23T22:43:00Z``, ``2026-11-23`` (in UTC) or ``2d``.
        option: Where it was given, for the message.

    Raises:
        UsageError: If it is none, or lies in the future.
    """
    with reading(database.own) as connection:
        now = moment_of(clock(connection))
    return milliseconds_of(_moment(text, option, now))


def _moment(text: str, option: str, now: datetime) -> datetime:
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"{option} is {text!r}, must be a time such as 2026-11-23T18:00:00Z, a "
            "date, or an age such as 2d or 6h."
        ) from None
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=UTC)
    if moment > now:
        raise click.UsageError(f"{option} is {text!r}, must not lie in the future.")
    return moment
