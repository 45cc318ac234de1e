"""Results on a terminal, compared with the files in `golden/`.

After a change of the wording, write the files anew with
`ABX_WRITE_GOLDEN=1 python -m pytest tests/results/test_report.py`, and read the
difference.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flask_abx.results.report import WIDTH, cut, day_of, lines, text
from flask_abx.results.shapes import Reading, VerdictCode
from flask_abx.results.telling.words import Tone
from tests.results.shown import (
    SHOWN,
    crowded,
    hostile,
    measureless,
    no_data,
    too_early,
    undecided,
    untrusted,
    winner,
)
from tests.results.told import TOLD

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.results.shapes import Results

GOLDEN = Path(__file__).parent / "golden"
ALL = {
    f"{make.__module__}.{make.__name__}": make
    for make in (
        *SHOWN.values(),
        *TOLD.values(),
        *(hostile, crowded, measureless),
    )
}


def by_country(results: Results) -> Results:
    """Break the first metric down by a dimension."""
    whole = results.metrics[0]
    parts = tuple(
        replace(
            whole,
            dimension="country",
            dimension_value=value,
            comparisons=tuple(
                replace(each, reading=Reading.NONE) for each in whole.comparisons
            ),
        )
        for value in ("DE", None)
    )
    return replace(results, metrics=(*results.metrics, *parts))


@pytest.mark.parametrize("code", VerdictCode)
def test_each_verdict_is_told_as_it_was(code: VerdictCode) -> None:
    results = TOLD[code]()
    written = f"{text(results)}\n"
    path = GOLDEN / f"{code}.txt"
    if os.environ.get("ABX_WRITE_GOLDEN"):
        path.write_text(written, "utf-8")
    assert results.verdict.code is code
    assert written == path.read_text("utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {*VerdictCode}


@pytest.mark.parametrize("is_detailed", [False, True])
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_no_line_is_too_long(make: Callable[[], Results], is_detailed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    results = by_country(make()) if make().metrics else make()
    written = text(results, is_detailed=is_detailed)
    assert max(map(len, written.splitlines())) <= WIDTH


@pytest.mark.parametrize("code", VerdictCode)
def test_each_next_step_can_be_copied(code: VerdictCode) -> None:
    results = TOLD[code]()
    assert f"next: {results.verdict.next_step}" in text(results)


def test_a_command_for_which_a_line_is_too_short_is_pasted_as_one() -> None:
    step = f"flask abx conclude headline --winner bold --note {'word ' * 20}end"
    verdict = replace(winner().verdict, next_step=step)
    written = text(replace(winner(), verdict=verdict))
    command = written.partition("next: ")[2].partition("\nHealth")[0]
    assert " ".join(command.replace("\\\n", "").split()) == step


def test_an_earlier_verdict_is_told_with_its_day() -> None:
    verdict = replace(
        winner().verdict, code=VerdictCode.REVIEW, first_code=VerdictCode.WINNER
    )
    assert "was WINNER on 20 Nov" in text(replace(winner(), verdict=verdict))


def test_a_long_key_has_a_line_of_its_own() -> None:
    key = "a" * 60
    first, second, *_ = text(replace(winner(), experiment=key)).splitlines()
    assert first == key
    assert second.startswith("         running, day")


def test_a_later_run_is_told_by_its_number() -> None:
    assert " · iteration 3 · " in text(replace(winner(), iteration=3))


def test_an_end_is_told_with_the_days_that_it_took() -> None:
    results = winner()
    assert results.started_at is not None
    ended = replace(
        results, status="concluded", ended_at=results.started_at + timedelta(days=20)
    )
    assert "concluded after 20 days" in text(ended)


@pytest.mark.parametrize(
    ("hours", "is_over", "day"),
    [
        *((0, False, 1), (24, False, 2), (335, False, 14)),
        *((0, True, 1), (336, True, 14), (337, True, 15)),
    ],
)
def test_a_length_is_not_a_day_longer_than_it_was(
    hours: int,
    is_over: bool,  # noqa: FBT001 - a parameter of the test
    day: int,
) -> None:
    results = winner()
    assert results.started_at is not None
    at = results.started_at + timedelta(hours=hours)
    ended = replace(results, as_of=at, ended_at=at if is_over else None)
    assert day_of(ended) == day


def test_which_look_it_is_stands_beside_its_time() -> None:
    results = replace(winner(), looks=14)
    assert "UTC, look 14" in " ".join(text(results).splitlines()[:2])


def test_a_chance_is_told_with_what_it_is_worth() -> None:
    metric = winner().metrics[0]
    told = replace(metric.comparisons[0], chance_to_beat=0.983, expected_loss=0.0002)
    results = replace(winner(), metrics=(replace(metric, comparisons=(told,)),))
    written = " ".join(text(results, is_detailed=True).split())
    assert "chance to beat 98.3 %, expected loss" in written
    assert "neither safe against peeking" in written
    assert "chance to beat" not in text(results)


def test_days_that_are_planned_are_told() -> None:
    results = winner()
    assert results.plan is not None
    plan = replace(results.plan, days=21, units=None)
    assert "running, day 14 of 21 · 218,800 visitors" in text(
        replace(results, plan=plan)
    )


def test_without_a_start_no_day_is_told() -> None:
    assert text(replace(winner(), started_at=None)).startswith("headline  running · ")


def test_with_one_role_it_stands_in_the_row() -> None:
    only = replace(winner(), metrics=winner().metrics[:1])
    assert "\nsignup    primary  bold  9.19 %   9.74 %  " in text(only)


def test_values_of_a_dimension_are_told_apart_and_as_exploratory() -> None:
    written = text(by_country(winner()))
    part = written.partition("signup by country (exploratory: decide nothing on it)")[2]
    assert [line.split()[0] for line in part.splitlines()[1:3]] == ["DE", "(unknown)"]


def test_a_reason_to_wait_is_told_in_words() -> None:
    metric = too_early().metrics[0]
    waiting = replace(metric.comparisons[0], reason="skew")
    results = replace(too_early(), metrics=(replace(metric, comparisons=(waiting,)),))
    assert "signup bold: too early, a few large values still" in text(results)


def test_a_bad_check_is_told_with_its_way_out() -> None:
    written = text(untrusted())
    assert "error            Sample ratio: express has 30.25 % of" in written
    assert "-> Find what loses visitors before" in written


def test_before_the_first_unit_there_is_no_table() -> None:
    assert "signup" not in text(no_data())


def test_where_there_is_no_number_a_dash_stands() -> None:
    metric = replace(winner().metrics[0], samples=())
    row = text(replace(winner(), metrics=(metric,))).splitlines()[-2]
    assert row.split()[:5] == ["signup", "primary", "bold", "-", "-"]


def test_a_number_and_its_percent_sign_stay_together() -> None:
    for width in range(20):
        verdict = replace(winner().verdict, sentence=f"{'x' * width} {'6.8 % ' * 40}.")
        written = text(replace(winner(), verdict=verdict))
        assert not any(line.lstrip().startswith("%") for line in written.splitlines())


def test_what_waits_for_the_same_is_told_once() -> None:
    written = text(TOLD[VerdictCode.TOO_EARLY]())
    assert written.count("too early, fewer than 100") == 1


def test_only_a_reading_that_is_decided_has_a_colour() -> None:
    coloured = {
        span.text
        for line in lines(winner())
        for span in line
        if span.tone not in {None, Tone.QUIET}
    }
    assert coloured == {"WINNER", "better", "within margin"}


def test_what_is_withheld_has_none() -> None:
    spans = [span for line in lines(untrusted()) for span in line]
    assert {span.tone for span in spans if span.text == "withheld"} == {Tone.QUIET}


def test_the_figures_of_a_comparison_are_told_on_request() -> None:
    metric = undecided().metrics[1]
    told = " ".join(
        text(replace(undecided(), metrics=(metric,)), is_detailed=True).split()
    )
    assert "free against control: +1.2 % (" in told
    assert "any-time test at 99 %; absolute +€0.08; p " in told
    assert "more whose window is open" in told


def test_two_treatments_are_compared_with_each_other_by_name() -> None:
    metric = winner().metrics[0]
    pair = replace(metric.comparisons[0], variant="control", baseline="bold")
    results = replace(winner(), metrics=(replace(metric, comparisons=(pair,)),))
    assert "control/bold" in text(results)


def test_a_text_that_is_too_long_is_cut() -> None:
    assert (cut("a\nb", 5), cut("abcdef", 5)) == ("a b", "abcd…")


def test_what_a_cap_cut_is_told_with_the_figures() -> None:
    first, *others = winner().metrics
    told = tuple(
        replace(each, reason="5 units are capped") for each in first.comparisons
    )
    results = replace(winner(), metrics=(replace(first, comparisons=told), *others))
    written = " ".join(text(results, is_detailed=True).split())
    assert "; 5 units are capped." in written
    assert "5 units are capped" not in text(results)


def test_where_nothing_was_tested_the_effect_stands_alone() -> None:
    written = text(TOLD[VerdictCode.TOO_EARLY]())
    assert "+8.5 %" in written
    assert "finite" not in written
