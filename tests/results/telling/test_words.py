"""The closed sets have words, all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.experiments.metric import Direction
from flask_abx.results.shapes import Basis, CheckId, Level, Reading, Role, VerdictCode
from flask_abx.results.telling import words

if TYPE_CHECKING:
    from enum import StrEnum


@pytest.mark.parametrize(
    ("members", "told"),
    [
        pytest.param(VerdictCode, words.VERDICTS, id="verdicts"),
        pytest.param(VerdictCode, words.VERDICT_TONES, id="verdict-tones"),
        pytest.param(Reading, words.READINGS, id="readings"),
        pytest.param(Role, words.ROLES, id="roles"),
        pytest.param(Direction, words.DIRECTIONS, id="directions"),
        pytest.param(Basis, words.BASES, id="bases"),
        pytest.param(Level, words.LEVELS, id="levels"),
        pytest.param(Level, words.LEVEL_TONES, id="level-tones"),
        pytest.param(CheckId, words.CHECKS, id="checks"),
    ],
)
def test_every_member_has_its_own_words(
    members: type[StrEnum], told: dict[Any, str]
) -> None:
    assert set(told) == set(members)


def test_a_metric_without_a_good_side_is_never_coloured() -> None:
    tones = {words.reading_tone(reading, Direction.NONE) for reading in Reading}
    assert tones == {words.Tone.QUIET}


@pytest.mark.parametrize("reading", [Reading.UNCLEAR, Reading.WITHHELD, Reading.FLAT])
def test_what_decides_nothing_is_not_coloured(reading: Reading) -> None:
    assert words.reading_tone(reading, Direction.HIGHER) is words.Tone.QUIET
