"""The clock of the database as one process reads it."""

from __future__ import annotations

import pytest

from flask_abx.stores.serving import Offset

#: A moment of the database's clock, which is the moment 0 of the own one.
ZERO = 1_000_000


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([(0.0, 0.4)], 0.0, id="the first, however slow"),
        pytest.param([(0.0, 0.4), (2.0, 2.002)], 0.0, id="a quicker one"),
        pytest.param([(2.0, 2.002), (4.0, 4.4)], 0.0, id="not a slower one"),
    ],
)
def test_the_quickest_reading_tells_the_offset(
    readings: list[tuple[float, float]], expected: float
) -> None:
    offset = Offset()
    for asked, answered in readings:
        # The database looks at its clock as late as it can.
        offset.note(ZERO + round(answered * 1000), asked, answered)
    quickest = min(answered - asked for asked, answered in readings)
    assert offset.here(ZERO) == pytest.approx(expected - quickest / 2, abs=1e-6)


def test_a_clock_that_was_set_is_believed_at_once() -> None:
    offset = Offset()
    offset.note(ZERO, 0.0, 0.002)
    offset.note(ZERO + 60_000, 2.0, 2.1)
    assert offset.here(ZERO + 60_000) == pytest.approx(2.05)


def test_an_old_reading_gives_way_to_a_slower_one() -> None:
    offset = Offset()
    offset.note(ZERO, 0.0, 0.002)
    offset.note(ZERO + 1_000_000, 999.98, 1000.0)
    assert offset.here(ZERO) == pytest.approx(-0.01)
