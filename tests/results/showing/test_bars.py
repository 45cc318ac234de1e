from __future__ import annotations

from dataclasses import replace

import pytest

from flask_abx.results.inference import Interval
from flask_abx.results.showing.bars import Axis
from flask_abx.results.showing.forest import Row, rows_of
from flask_abx.results.showing.scales import Scale
from tests.results.shown import untrusted, winner

ROW = rows_of(winner())[0]
#: A column is a percent, and zero is the eleventh.
AXIS = Axis(Scale(-0.1, 0.1, 0, 20), 21)


def drawn(
    low: float | None,
    high: float | None,
    effect: float | None = None,
    *,
    row: Row = ROW,
) -> str | None:
    interval = Interval(low, high, 0.99)
    comparison = replace(
        row.comparison, relative_interval=interval, relative_effect=effect
    )
    return AXIS.bar(replace(row, comparison=comparison))


def guarded(margin: float) -> Row:
    return replace(ROW, metric=replace(ROW.metric, margin=margin))


def test_an_interval_lies_around_its_effect() -> None:
    assert drawn(0.02, 0.08, 0.05) == "          | [==o==]"


def test_zero_is_seen_within_an_interval() -> None:
    assert drawn(-0.05, 0.05, 0.03) == "     [====|==o=]"


@pytest.mark.parametrize("low", [0.0001, 0.004, 0.01])
def test_an_interval_that_leaves_zero_never_touches_it(low: float) -> None:
    assert drawn(low, 0.05, 0.03) == "          |[=o=]"


@pytest.mark.parametrize("high", [0.0001, 0.004, 0.01])
def test_an_interval_that_holds_zero_always_does(high: float) -> None:
    assert drawn(-0.05, high, -0.03) == "     [=o==|]"


def test_what_is_within_its_margin_never_touches_it() -> None:
    assert drawn(-0.0499, 0.05, 0.0, row=guarded(0.05)) == "     :[===o====]"


def test_a_side_that_is_open_or_too_far_goes_on() -> None:
    assert drawn(None, 0.05, 0.0) == "<=========o====]"
    assert drawn(-0.05, 0.5, 0.0) == "     [====o=========>"


def test_an_interval_beyond_the_axis_is_only_pointed_at() -> None:
    assert drawn(0.5, 0.9, 0.7) == "          |         >"


def test_an_interval_below_the_axis_is_pointed_at_too() -> None:
    assert drawn(-0.9, -0.5, -0.7) == "<         |"


@pytest.mark.parametrize("interval", [None, Interval(None, None, 0.99)])
def test_where_no_interval_is_finite_nothing_is_drawn(
    interval: Interval | None,
) -> None:
    comparison = replace(ROW.comparison, relative_interval=interval)
    assert AXIS.bar(replace(ROW, comparison=comparison)) is None


def test_the_numbers_stand_above_their_columns() -> None:
    assert AXIS.numbers() == "-10 %     0     +10 %"


@pytest.mark.parametrize("width", range(4, 60))
def test_nothing_is_wider_than_the_axis(width: int) -> None:
    rows = rows_of(untrusted())
    axis = Axis.of(rows, width)
    written = [axis.numbers(), *(axis.bar(row) or "" for row in rows)]
    assert max(map(len, written)) <= width
