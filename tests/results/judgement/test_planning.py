"""Tests, their shares of alpha, and the planned sample."""

from __future__ import annotations

import pytest

from flask_abx.results.shapes import Basis, Reading
from tests.results.judged import look, row, run, signups

PLAN = {"units": 20_000}


def test_the_test_is_hybrid_where_the_plan_came_in_time() -> None:
    method = look(run(plan=PLAN), signups((9, 0), (9, 0))).method
    assert (method.test, method.alpha_any_time, method.alpha_final) == (
        "hybrid",
        0.01,
        0.04,
    )


def test_a_plan_that_came_late_decides_nothing() -> None:
    told = look(
        run(plan=PLAN, is_plan_valid=False),
        signups((9_000, 900), (9_000, 900)),
        final=signups((9_000, 900), (9_000, 900)),
    )
    assert (told.method.test, told.method.alpha_any_time) == ("any_time", 0.05)
    assert told.kept.final is None


def test_n_star_is_the_planned_units_of_the_two_variants() -> None:
    experiment = run(variants={"control": 2, "bold": 1, "calm": 1}, plan=PLAN)
    told = look(experiment, signups((900, 90), (450, 45), (450, 45)))
    assert row(told).n_star == 15_000


def test_n_star_stays_where_it_was_first_tuned() -> None:
    data = signups((900, 90), (900, 90))
    first = look(run(), data)
    again = look(run(plan=PLAN), data, kept=first.kept)
    assert row(again).n_star == row(first).n_star == 10_000


def test_a_planned_effect_is_worked_out_in_units_once() -> None:
    experiment = run(plan={"mde": 0.1, "power": 0.8})
    first = look(experiment, signups((5_000, 500), (5_000, 500)))
    again = look(experiment, signups((9_000, 1_900), (9_000, 1_900)), kept=first.kept)
    assert first.plan is not None
    assert again.plan is not None
    assert first.plan.units == again.plan.units
    assert first.plan.units == pytest.approx(1.07 * 2 * 14_750, rel=0.01)


def test_a_planned_effect_waits_for_the_gate() -> None:
    told = look(run(plan={"mde": 0.1}), signups((50, 5), (50, 5)))
    assert told.plan is not None
    assert told.plan.units is None


def test_a_fixed_test_waits_for_its_plan() -> None:
    told = row(
        look(
            run(plan=PLAN, analysis={"test": "fixed"}),
            signups((5_000, 500), (5_000, 900)),
        )
    )
    assert (told.reading, told.reason, told.p_value) == (
        Reading.TOO_EARLY,
        "plan",
        None,
    )
    assert told.units_needed == 10_000


def test_a_fixed_test_reads_its_planned_sample() -> None:
    data = signups((10_000, 1_000), (10_000, 1_120))
    told = row(look(run(plan=PLAN, analysis={"test": "fixed"}), data, final=data))
    assert (told.reading, told.basis) == (Reading.BETTER, Basis.FIXED)


def test_a_fixed_test_without_plan_is_read_with_a_warning() -> None:
    told = look(
        run(analysis={"test": "fixed"}), signups((10_000, 1_000), (10_000, 1_120))
    )
    assert row(told).reading is Reading.BETTER
    assert any("each look" in note for note in told.notes)
