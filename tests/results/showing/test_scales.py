"""Axes that hold what matters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.results.showing.scales import Scale, latest, spread, ticks

ends = st.tuples(
    st.floats(-1e9, 1e9, allow_nan=False), st.floats(-1e9, 1e9, allow_nan=False)
).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(ends, max_size=12))
def test_an_axis_of_effects_has_zero_inside(extents: list[tuple[float, float]]) -> None:
    low, high = spread(extents)
    assert low < 0 < high
    assert math.isfinite(high - low)


@given(st.lists(ends, min_size=1, max_size=12))
def test_an_axis_over_time_has_zero_inside(bands: list[tuple[float, float]]) -> None:
    low, high = latest(bands, 1)
    assert low < high
    assert low <= 0 <= high


@given(ends.filter(lambda pair: pair[1] - pair[0] > 1e-6 * abs(pair[1]) + 1e-6))
def test_ticks_are_few_and_lie_on_the_axis(pair: tuple[float, float]) -> None:
    low, high = pair
    room = (high - low) * 1e-6
    placed = ticks(low, high)
    assert len(placed) <= 7
    assert all(low - room <= at <= high + room for at in placed)


def test_ticks_are_round() -> None:
    assert ticks(-0.049, 0.119) == pytest.approx([0, 0.05, 0.1])
    assert ticks(1, 1) == [1]


def test_one_interval_that_is_far_wider_than_the_others_is_cut() -> None:
    _, high = spread([(-0.02, 0.03), (-0.01, 0.04), (-0.02, 0.02), (-9, 9)])
    assert high < 0.2


def test_an_effect_is_seen_though_it_is_larger_than_the_others() -> None:
    _, high = spread([(-0.1, 0.1), (-0.1, 0.1), (0.2, 0.4)], [0.01, 0.02, 0.3])
    assert high > 0.3


def test_the_first_days_do_not_flatten_the_last() -> None:
    low, high = latest([(-8.0, 9.0), (-0.3, 0.4), (0.01, 0.11)], 1)
    assert -0.2 < low < high < 0.3


def test_a_place_outside_is_that_of_the_nearer_end() -> None:
    scale = Scale(-1, 1, 0, 100)
    assert (scale(-5), scale(0), scale(5)) == (0, 50, 100)
    assert scale.free(2) == 150
    assert not scale.holds(1.1)
