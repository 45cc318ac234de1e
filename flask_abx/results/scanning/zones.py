"""Days in a time zone, told to a database that knows no zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = date(1970, 1, 1)
#: Clocks are never set twice within so many days.
_STEP = 7 * _DAY
#: What no zone is known for: beyond that `datetime` has no years.
_LOWEST, _HIGHEST = -(10**13), 2 * 10**14


class Offset(NamedTuple):
    """How far the clocks of a zone are ahead of UTC, and until when.

    Attributes:
        until: The moment at which they are set, in milliseconds since 1970.
        added: In milliseconds.
    """

    until: int
    added: int


def offsets(zone: str, begin: int, end: int) -> tuple[Offset, ...]:
    """List the offsets that a zone has between two moments, the last for ever."""
    return tuple(_offsets(ZoneInfo(zone), begin, end))


def date_of(day: int) -> date:
    """Give the date of a day that is counted from 1970."""
    return _FIRST + timedelta(days=day)


def _offsets(zone: ZoneInfo, begin: int, end: int) -> Iterator[Offset]:
    at, end = max(begin, _LOWEST), min(end, _HIGHEST)
    added = _added(zone, at)
    while at < end:
        then = min(at + _STEP, end)
        new = _added(zone, then)
        if new != added:
            yield Offset(_changed(zone, at, then), added)
            added = new
        at = then
    yield Offset(end, added)


def _changed(zone: ZoneInfo, begin: int, end: int) -> int:
    """Find the moment at which the clocks are set."""
    before = _added(zone, begin)
    while end - begin > 1:
        middle = (begin + end) // 2
        if _added(zone, middle) == before:
            begin = middle
        else:
            end = middle
    return end


def _added(zone: ZoneInfo, at: int) -> int:
    moment = _EPOCH + timedelta(milliseconds=at)
    ahead = moment.astimezone(zone).utcoffset()
    assert ahead is not None  # noqa: S101 - a zone always knows it
    return ahead // timedelta(milliseconds=1)
