"""What each day added adds up to what was found."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.results.scanning.sums import Day, Sums
from tests.results.tilled import DAY, HOUR

if TYPE_CHECKING:
    from tests.results.tilled import Field

FIRST = date(2030, 3, 18)
SUM = {"kind": "sum", "event": "order"}
RATIO = {
    "kind": "ratio",
    "numerator": {"event": "order", "of": "sum"},
    "denominator": {"event": "view"},
}


def on(offset: int) -> Day:
    """Give a day of the control, so many after the first."""
    return Day("control", 1, date.fromordinal(FIRST.toordinal() + offset))


def test_units_come_on_the_day_of_their_first_exposure(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b", at=DAY - 1)
    ground.exposed("c", at=DAY, mixed=1)
    assert ground.found({"signup": {}}).days == {on(0): 2, on(1): 1}


def test_a_conversion_comes_on_the_day_of_the_first_event(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "signup", 2 * DAY)
    ground.did("a", "signup", 3 * DAY)
    series = ground.found({"signup": {}}).series["signup"]
    assert series == {on(0): Sums(n=1), on(2): Sums(y=1, yy=1)}


def test_a_total_grows_by_day(ground: Field) -> None:
    ground.exposed("a")
    for day, value in ((0, 1), (0, 2), (2, 4)):
        ground.did("a", "order", day * DAY + HOUR, value)
    series = ground.found({"order": SUM}).series["order"]
    assert series == {on(0): Sums(n=1, y=3, yy=9), on(2): Sums(y=4, yy=40)}


def test_a_total_grows_up_to_the_cap(ground: Field) -> None:
    for number in range(40):
        ground.exposed(str(number))
        ground.did(str(number), "order", HOUR, 2)
    ground.did("0", "order", DAY, 5)
    series = ground.found({"order": {**SUM, "cap": 0.95}}).series["order"]
    assert series == {on(0): Sums(n=40, y=80, yy=160), on(1): Sums()}


def test_a_ratio_grows_in_both_parts(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "view", HOUR)
    ground.did("a", "order", HOUR, 3)
    ground.did("a", "view", DAY)
    series = ground.found({"ratio": RATIO}).series["ratio"]
    assert series[on(0)] == Sums(n=1, y=3, yy=9, d=1, dd=1, yd=3)
    assert series[on(1)] == Sums(d=1, dd=3, yd=3)


def test_a_unit_with_a_window_comes_when_that_closes(ground: Field) -> None:
    ground.exposed("a", at=HOUR)
    ground.exposed("b", at=29 * DAY)
    ground.did("a", "order", 2 * HOUR, 3)
    series = ground.found({"order": {**SUM, "window": "2d"}}).series["order"]
    assert series == {on(2): Sums(n=1, y=3, yy=9)}


def test_a_unit_with_a_delay_comes_after_it(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "order", 3 * DAY, 3)
    series = ground.found({"order": {**SUM, "delay": "2d"}}).series["order"]
    assert series == {on(2): Sums(n=1), on(3): Sums(y=3, yy=9)}


def test_an_event_of_the_last_seconds_before_comes_with_its_unit(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "signup", -1_000)
    ground.did("a", "order", -1_000, 2)
    found = ground.found({"signup": {}, "order": SUM}).series
    assert {*found["signup"], *found["order"]} == {on(0)}


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        pytest.param("Europe/Berlin", 23 * HOUR - 1, 0, id="before midnight"),
        pytest.param("Europe/Berlin", 23 * HOUR, 1, id="midnight in winter"),
        pytest.param(
            "Europe/Berlin", 15 * DAY + 22 * HOUR - 1, 15, id="before, summer"
        ),
        pytest.param(
            "Europe/Berlin", 15 * DAY + 22 * HOUR, 16, id="midnight in summer"
        ),
        pytest.param("America/New_York", 4 * HOUR - 1, -1, id="west"),
        pytest.param("Asia/Kolkata", 18 * HOUR + 30 * HOUR // 60, 1, id="half an hour"),
    ],
)
def test_days_are_those_of_the_time_zone(
    ground: Field, zone: str, at: int, day: int
) -> None:
    ground.experiment["analysis"] = {"time_zone": zone}
    ground.exposed("a", at=at)
    ground.did("a", "signup", at)
    found = ground.found({"signup": {}})
    assert found.days == {on(day): 1}
    assert found.series["signup"] == {on(day): Sums(n=1, y=1, yy=1)}


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param({"event": "order"}, id="conversion"),
        pytest.param(SUM, id="sum"),
        pytest.param({**SUM, "cap": 0.9}, id="capped"),
        pytest.param({**SUM, "window": "1d"}, id="windowed"),
        pytest.param({**SUM, "where": {"odd": True}}, id="where"),
        pytest.param(RATIO, id="ratio"),
        pytest.param({"kind": "mean", "event": "order"}, id="mean"),
    ],
)
def test_all_days_together_are_the_whole(ground: Field, metric: dict[str, Any]) -> None:
    for number in range(30):
        ground.exposed(str(number), at=number % 5 * DAY)
        for times in range(number % 4):
            at = (number % 5 + times) * DAY + number * HOUR
            # Some totals fall again.
            value = number % 7 * (-1 if times == 2 else 1)
            ground.did(str(number), "order", at, value, odd=bool(times % 2))
            ground.did(str(number), "view", at)
    found = ground.found({"metric": metric})
    (sums,) = found.sums["metric"].values()
    days = found.series["metric"].values()
    for name in ("n", "y", "yy", "d", "dd", "yd"):
        total = sum(getattr(day, name) for day in days)
        assert total == pytest.approx(getattr(sums, name)), name
