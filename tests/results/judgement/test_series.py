"""The effect at the end of each day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from flask_abx.results.scanning.sums import Day, Sums
from tests.results.judged import look, run, signups


def test_the_series_adds_up_day_by_day() -> None:
    days = [date(2026, 11, 20), date(2026, 11, 21)]
    data = replace(
        signups((2_000, 200), (2_000, 240)),
        series={
            "signup": {
                Day(variant, 1, day): Sums(n=1_000, y=hits, yy=hits)
                for variant, hits in (("control", 100.0), ("bold", 120.0))
                for day in days
            }
        },
        days={Day(v, 1, day): 1_000 for v in ("control", "bold") for day in days},
    )
    last = look(run(), data).series[-1]
    assert (last.variant, last.day, last.units) == ("bold", days[1], 2_000)
    assert last.relative_effect == pytest.approx(0.2)
    assert last.interval is not None
    assert last.interval.level == 0.95


def test_the_control_has_no_effect_in_the_series() -> None:
    day = Day("control", 1, date(2026, 11, 20))
    data = replace(
        signups((10, 1), (10, 1)), series={"signup": {day: Sums(n=10, y=1.0, yy=1.0)}}
    )
    first = look(run(), data).series[0]
    assert (first.value, first.relative_effect, first.interval) == (0.1, None, None)
