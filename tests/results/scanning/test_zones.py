"""The offsets of time zones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from flask_abx.results.scanning.zones import Offset, date_of, offsets

HOUR = 3_600_000


def ms(*told: int) -> int:
    """Write a moment in UTC in milliseconds."""
    return int(datetime(*told, tzinfo=UTC).timestamp() * 1_000)  # type: ignore[misc, arg-type] # numbers of a date


def test_a_zone_without_summer_has_one_offset() -> None:
    assert offsets("UTC", 0, 100) == (Offset(100, 0),)


def test_clocks_are_set_to_the_millisecond() -> None:
    found = offsets("Europe/Berlin", ms(2030, 3, 1), ms(2030, 11, 30))
    assert found == (
        Offset(ms(2030, 3, 31, 1), HOUR),
        Offset(ms(2030, 10, 27, 1), 2 * HOUR),
        Offset(ms(2030, 11, 30), HOUR),
    )


@pytest.mark.parametrize(
    "zone", ["Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
)
def test_every_hour_has_its_day(zone: str) -> None:
    begin, end = ms(2029, 1, 1), ms(2031, 1, 1)
    found = offsets(zone, begin, end)
    for at in range(begin, end, 7 * HOUR):
        added = next(each.added for each in found if at < each.until)
        moment = datetime.fromtimestamp(at / 1_000, ZoneInfo(zone))
        assert date_of((at + added) // (24 * HOUR)) == moment.date()


def test_moments_of_no_year_are_taken_too() -> None:
    assert offsets("UTC", -(2**62), 2**62)[-1].added == 0


def test_days_are_counted_from_1970() -> None:
    assert date_of(-1) == date(1969, 12, 31)
