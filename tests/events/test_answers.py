"""What a stored answer settles, and how long "no row" counts."""

from __future__ import annotations

import pytest

from flask_abx.events.answers import FRESH, Answer, Run, Wanted

THEN = 1000.0
RUN: Run = ("headline", 1)
ONE: dict[Run, str] = {RUN: "bold"}
NONE: dict[Run, str] = {}
JUST, BOTH = frozenset({RUN}), frozenset({RUN, ("price", 1)})


@pytest.mark.parametrize(
    ("rows", "wanted", "later", "is_settled"),
    [
        pytest.param(ONE, Wanted(JUST), 1e6, True, id="a-row-for-ever"),
        pytest.param(NONE, Wanted(JUST), FRESH, True, id="no-row-a-minute"),
        pytest.param(NONE, Wanted(JUST), FRESH + 1, False, id="no-row-no-longer"),
        pytest.param(ONE, Wanted(BOTH), FRESH, True, id="one-of-two-a-minute"),
        pytest.param(ONE, Wanted(BOTH), FRESH + 1, False, id="one-of-two-no-longer"),
        pytest.param(NONE, Wanted(frozenset()), 1e6, True, id="nothing-wanted"),
        pytest.param(ONE, Wanted(JUST, JUST), 1e6, True, id="confirmed"),
        pytest.param(NONE, Wanted(JUST, JUST), 0.1, False, id="never-unconfirmed"),
        pytest.param(NONE, Wanted(JUST, JUST), 0.0, True, id="asked-for-it"),
        pytest.param(NONE, Wanted(JUST, JUST), -1.0, True, id="asked-later"),
    ],
)
def test_an_answer_settles(
    rows: dict[Run, str], wanted: Wanted, later: float, *, is_settled: bool
) -> None:
    answer = Answer(rows, asked_at=THEN, told_at=THEN)
    assert answer.settles(wanted, THEN + later) is is_settled


def test_news_of_a_unit_end_what_no_row_says() -> None:
    answer = Answer(NONE, asked_at=THEN, told_at=THEN + 0.1)
    assert not answer.settles(Wanted(JUST), THEN + 0.2)


def test_news_of_a_unit_change_no_row_that_is_known() -> None:
    answer = Answer(ONE, asked_at=THEN, told_at=THEN + 0.1)
    assert answer.settles(Wanted(JUST, JUST), THEN + 0.2)


def test_who_asked_before_the_news_is_answered() -> None:
    answer = Answer(NONE, asked_at=THEN, told_at=THEN + 0.1)
    assert answer.settles(Wanted(JUST), THEN - 0.1)
