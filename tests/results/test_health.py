"""Every check at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flask_abx.results.checks.checkup import length_of, told_p
from flask_abx.results.health import check_reading
from flask_abx.results.shapes import CheckId, Level
from tests.results.checked import AT, HOUR, every, halves, hits, units
from tests.results.judged import run
from tests.results.shown import winner

READING = [CheckId.DECIDED_RUNNING, CheckId.STALE]


def test_a_sound_experiment_has_no_warning() -> None:
    told = every(hits(9_000, 800))
    assert [each for each in told if each.level in {Level.WARN, Level.ERROR}] == []


def test_every_check_is_told_once_and_in_order() -> None:
    told = [each.id for each in every(hits(9_000, 800))]
    told += [each.id for each in check_reading(winner(), winner().as_of)]
    assert told == list(CheckId)
    assert told[-2:] == READING


def test_only_five_checks_are_ever_errors() -> None:
    broken = replace(
        run(variants=("control", "bold", "calm")), changed_midrun=("salt",)
    )
    told = every(units({"control": 900, "bold": 90}, mixed=500, with_events=0), broken)
    assert {each.id for each in told if each.level is Level.ERROR} == {
        CheckId.SRM,
        CheckId.EMPTY_VARIANT,
        CheckId.MIXED_UNITS,
        CheckId.CHANGED_MIDRUN,
    }


def test_what_is_not_fine_has_number_limit_and_way_out() -> None:
    broken = replace(
        run(), changed_midrun=("salt",), deleted_metrics=frozenset({"signup"})
    )
    told = every(units({"control": 900}, mixed=500, with_events=0), broken)
    bad = [each for each in told if each.level in {Level.WARN, Level.ERROR}]
    assert len(bad) > 3
    assert all(each.value is not None and each.limit is not None for each in bad)
    assert all(each.way_out for each in bad)


@pytest.mark.parametrize("each", [0, 1], ids=["nobody", "two"])
def test_next_to_no_data_breaks_no_check(each: int) -> None:
    told = every(halves(each, last_at=AT - 900 * HOUR))
    assert [one.id for one in told if one.level is Level.ERROR] == []


def test_sentences_are_sentences() -> None:
    for each in every(halves(9_000, mixed=800), run(metrics=[])):
        assert each.sentence.endswith(".")
        assert each.sentence[0].isupper() or each.sentence[0].isdigit()


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.86, "p = 0.86"),
        (0.00999, "p = 0.009"),
        (0.0009999, "p = 9e-4"),
        (3e-12, "p = 3e-12"),
        (1.0, "p > 0.99"),
        (0.0, "p < 1e-300"),
    ],
)
def test_tiny_p_values_keep_their_size(p: float, text: str) -> None:
    assert told_p(p) == text


@pytest.mark.parametrize(
    ("hours", "text"), [(36, "1.5 days"), (5, "5.0 hours"), (0.25, "15.0 minutes")]
)
def test_lengths_take_the_unit_that_fits(hours: float, text: str) -> None:
    assert length_of(hours * HOUR) == text
