"""Families, tests and the final look, from one look to the next."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_abx.results.inference import difference, fixed_test, moments
from flask_abx.results.looks.iteration import Epoch
from flask_abx.results.looks.kept import Kept
from flask_abx.results.scanning.sums import Aggregates, Cap, Group
from flask_abx.results.sequential import anytime_p
from flask_abx.results.shapes import Basis, CheckId, Comparison, Reading, Role
from tests.results.judged import (
    DAY,
    NOW,
    conversions,
    found,
    look,
    milliseconds,
    row,
    run,
    signups,
    values,
)

if TYPE_CHECKING:
    from datetime import datetime

PLAN = {"units": 20_000}
SAVED = {"primary/signup": 0.25}
DECIDED = {Reading.BETTER, Reading.WORSE}

hits = st.integers(700, 1_300)
alphas = st.sampled_from([0.01, 0.05, 0.1, 0.2])


def is_consistent(told: Comparison, alpha: float) -> bool:
    """Tell whether interval, p-value and reading say the same."""
    if told.p_adjusted is None or told.effect_interval is None:
        return False
    is_decided = told.p_adjusted < alpha
    relative = told.relative_interval
    return (
        told.effect_interval.excludes() == is_decided
        and (relative is None or relative.excludes() == is_decided)
        and (told.reading in DECIDED) == is_decided
    )


@given(hits, hits, hits, alphas)
def test_an_any_time_row_is_decided_exactly_when_its_interval_leaves_zero(
    control: int, bold: int, calm: int, alpha: float
) -> None:
    told = look(
        run(variants=["control", "bold", "calm"], analysis={"alpha": alpha}),
        signups((10_000, control), (10_000, bold), (9_000, calm)),
    )
    assert all(is_consistent(row(told, variant=v), alpha) for v in ("bold", "calm"))


@given(hits, hits, hits, hits, alphas)
def test_a_row_of_the_final_look_is_decided_exactly_when_its_interval_leaves_zero(
    control: int, bold: int, control_then: int, bold_then: int, alpha: float
) -> None:
    told = look(
        run(plan=PLAN, analysis={"alpha": alpha}),
        signups((10_000, control), (10_000, bold)),
        final=signups((9_500, control_then), (9_500, bold_then)),
    )
    assert is_consistent(row(told), alpha)


@given(
    counts=st.lists(hits, min_size=5, max_size=5),
    alpha=alphas,
    is_planned=st.booleans(),
)
def test_a_secondary_row_agrees_with_its_bar(
    counts: list[int], alpha: float, *, is_planned: bool
) -> None:
    names = [f"m{place}" for place in range(5)]
    data = found(
        {
            name: {
                "control": conversions(10_000, 1_000),
                "bold": conversions(10_000, count),
            }
            for name, count in zip(names, counts, strict=True)
        }
    )
    experiment = run(
        metrics={"secondary": names},
        plan=PLAN if is_planned else None,
        analysis={"alpha": alpha},
    )
    told = look(experiment, data, final=data if is_planned else None)
    assert all(is_consistent(row(told, name), alpha) for name in names)


@given(st.floats(-5, 5), st.floats(0.1, 20), st.floats(-3, 3))
def test_a_mean_is_decided_exactly_when_its_interval_leaves_zero(
    mean: float, sd: float, shift: float
) -> None:
    told = look(
        run(),
        found(
            {
                "signup": {
                    "control": values(900, mean, 1),
                    "bold": values(500, shift, sd),
                }
            }
        ),
        metrics={"signup": {"kind": "sum"}},
    )
    assert is_consistent(row(told), 0.05)


@given(hits, hits)
def test_turning_the_direction_turns_the_reading_and_no_sign(
    control: int, bold: int
) -> None:
    data = signups((10_000, control), (10_000, bold))
    higher = row(look(run(), data))
    lower = row(look(run(), data, metrics={"signup": {"direction": "lower"}}))
    turned = {Reading.BETTER: Reading.WORSE, Reading.WORSE: Reading.BETTER}
    assert lower.reading is turned.get(higher.reading, higher.reading)
    assert lower.effect_interval == higher.effect_interval


def test_a_metric_without_direction_has_no_reading() -> None:
    told = row(
        look(
            run(),
            signups((10_000, 1_000), (10_000, 1_500)),
            metrics={"signup": {"direction": "none"}},
        )
    )
    assert (told.reading, told.p_adjusted is not None) == (Reading.NONE, True)


def test_an_effect_of_six_percent_among_many_units_is_better() -> None:
    told = row(look(run(), signups((110_000, 10_120), (110_000, 10_727))))
    assert told.reading is Reading.BETTER


def test_losing_all_conversions_is_worse_at_the_first_look() -> None:
    told = row(look(run(), signups((6_000, 300), (6_000, 0))))
    assert told.reading is Reading.WORSE


def test_p_values_are_scaled_by_the_share_of_their_test() -> None:
    data = signups((10_000, 1_000), (10_000, 1_100))
    told = row(look(run(plan=PLAN), data, final=data))
    effect = difference(moments(10_000, 1_000, 1_000), moments(10_000, 1_100, 1_100))
    assert told.p_value == pytest.approx(fixed_test(effect, 0.04).p_value * 5 / 4)
    assert told.basis is Basis.FINAL


def test_any_time_p_values_are_scaled_by_the_share_of_their_test() -> None:
    told = row(look(run(plan=PLAN), signups((10_000, 1_000), (10_000, 1_150))))
    effect = difference(moments(10_000, 1_000, 1_000), moments(10_000, 1_150, 1_150))
    assert told.p_value == pytest.approx(5 * anytime_p(effect, 20_000, 0.01))
    assert told.basis is Basis.ANY_TIME


def test_the_final_rows_stay_bit_for_bit_over_fifty_looks() -> None:
    experiment = run(plan=PLAN)
    planned = signups((10_000, 1_000), (10_000, 1_120))
    kept, rows = Kept(), set()
    for more in range(50):
        data = signups((10_000 + more, 1_000), (10_000 + more, 1_120 - more))
        told = look(experiment, data, kept=kept, final=planned)
        kept = Kept.from_dict(json.loads(json.dumps(told.kept.to_dict())))
        assert told.kept == kept
        rows.add(repr(replace(row(told), fixed_interval=None)))
    assert len(rows) == 1


def test_a_second_final_look_is_not_made_under_another_revision() -> None:
    planned = signups((10_000, 1_000), (10_000, 1_120))
    first = look(run(plan=PLAN), planned, final=planned)
    other = signups((10_000, 1_000), (10_000, 900))
    again = look(
        run(plan=PLAN, analysis={"min_days": 1}), other, kept=first.kept, final=other
    )
    assert again.method.revision != first.method.revision
    assert row(again).effect_interval == row(first).effect_interval


def test_the_samples_are_those_of_the_final_look_beside_its_rows() -> None:
    told = look(
        run(plan=PLAN),
        signups((11_000, 1_000), (11_000, 1_120)),
        final=signups((10_000, 1_000), (10_000, 1_120)),
    )
    assert [each.units for each in told.metrics[0].samples] == [10_000, 10_000]


def test_nothing_found_in_the_final_look_is_flat() -> None:
    data = signups((10_000, 1_000), (10_000, 1_004))
    assert row(look(run(plan=PLAN), data, final=data)).reading is Reading.FLAT


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6))
@settings(max_examples=30)
def test_the_family_never_falls(sizes: list[int]) -> None:
    kept, families = Kept(), []
    for size in sizes:
        told = look(
            run(metrics=[f"m{place}" for place in range(size)]), found({}), kept=kept
        )
        kept = told.kept
        families.append(told.method.family)
    assert families == [max(sizes[: place + 1]) for place in range(len(sizes))]


def test_a_health_error_withholds_readings_and_leaves_numbers() -> None:
    data = signups((110_000, 10_120), (110_000, 10_727))
    told = look(run(), data, errors=[CheckId.SRM])
    assert row(told).reading is Reading.WITHHELD
    assert row(told).effect_interval == row(look(run(), data)).effect_interval
    assert not told.kept.decided


def test_the_time_of_the_first_decision_is_kept() -> None:
    data = signups((110_000, 10_120), (110_000, 10_727))
    first = look(run(), data)
    later = look(run(), data, kept=first.kept, now=NOW + timedelta(days=1))
    assert row(later).decided_at == NOW


def test_another_revision_forgets_when_it_was_decided() -> None:
    data = signups((110_000, 10_120), (110_000, 10_727))
    first = look(run(), data)
    later = NOW + timedelta(days=1)
    other = run(analysis={"min_days": 1})
    assert row(look(other, data, kept=first.kept, now=later)).decided_at == later


def test_only_epochs_in_which_both_were_open_are_compared() -> None:
    began = milliseconds(NOW) - 14 * DAY
    epochs = (
        Epoch(1, {"control": 1, "bold": 1}, began, began + DAY),
        Epoch(2, {"control": 1}, began + DAY),
    )
    both = conversions(5_000, 500)
    data = Aggregates(
        as_of=0,
        end=0,
        exposed=found({"signup": {"control": both, "bold": both}}).exposed,
        sums={
            "signup": {
                Group("control", 1): both,
                Group("bold", 1): both,
                Group("control", 2): conversions(90_000, 20),
            }
        },
    )
    told = look(run(epochs=epochs), data)
    assert row(told).effect == 0
    assert told.metrics[0].samples[0].units == 95_000


def test_a_cap_is_told_with_the_effect_it_hides() -> None:
    pair = values(9_000, 10, 20), values(9_000, 10, 20)
    cut = replace(pair[1], capped=12, raw=9_000 * 11.0)
    data = found(
        {"signup": {"control": pair[0], "bold": cut}}, caps={"signup": Cap(250.0)}
    )
    told = look(run(), data, metrics={"signup": {"kind": "sum", "cap": 0.999}})
    assert (
        "12 units are capped; without the cap the effect is +1, +10.0 %"
        in row(told).reason
    )
    assert told.metrics[0].cap == 250
    assert "signup is capped at 250, which cuts 12 units." in told.notes


def test_chances_are_told_only_when_asked_for() -> None:
    data = signups((10_000, 1_000), (10_000, 1_100))
    asked = look(run(), data, with_chances=True)
    assert row(look(run(), data)).chance_to_beat is None
    assert row(asked).chance_to_beat == pytest.approx(0.9895, abs=1e-3)
    assert any("not safe against peeking" in note for note in asked.notes)


def test_a_metric_that_could_not_be_computed_says_why() -> None:
    data = replace(found({}, units={"control": 9}), failed={"signup": "No such table."})
    told = row(look(run(), data))
    assert (told.reading, told.reason) == (Reading.FAILED, "No such table.")


def test_an_experiment_without_metrics_is_judged_without_a_family() -> None:
    told = look(run(metrics={}), found({}, units={"control": 9, "bold": 9}))
    assert (told.method.family, told.metrics) == (0, ())


def test_roles_are_told_in_their_order() -> None:
    experiment = run(metrics={"guardrail": "c", "secondary": "b", "primary": "a"})
    told = look(experiment, found({})).metrics
    assert [each.role for each in told] == [
        Role.PRIMARY,
        Role.SECONDARY,
        Role.GUARDRAIL,
    ]


def capped(highest: float, cut: int) -> Aggregates:
    """Sum values of which some were cut."""
    sums = values(20_000, 10, 5)
    return found(
        {"revenue": {each: replace(sums, capped=cut) for each in ("control", "bold")}},
        caps={"revenue": Cap(highest)},
    )


def test_a_final_row_keeps_the_cap_and_the_remark_of_its_day() -> None:
    experiment = run(metrics="revenue", plan=PLAN)
    metrics = {"revenue": {"kind": "sum", "cap": 0.99}}
    first = look(experiment, capped(60, 6), metrics=metrics, final=capped(50, 5))
    told = look(experiment, capped(70, 7), metrics=metrics, kept=first.kept)
    assert told.metrics[0].cap == 50
    assert row(told, "revenue") == row(first, "revenue")
    assert row(told, "revenue").reason.startswith("10 units are capped")


def test_a_final_row_keeps_what_its_covariate_saved() -> None:
    experiment = run(plan=PLAN)
    data = signups((10_000, 1_000), (10_000, 1_100))
    first = look(experiment, data, final=data).kept
    assert first.final is not None
    stored = replace(first, final=replace(first.final, reductions=SAVED))
    assert look(experiment, data, kept=stored).metrics[0].variance_reduction == 0.25


def test_a_row_of_the_planned_fixed_test_has_no_fixed_interval_of_now() -> None:
    then = signups((10_000, 1_000), (10_000, 1_120))
    experiment = run(plan=PLAN, analysis={"test": "fixed"})
    told = look(experiment, signups((20_000, 2_000), (20_000, 2_300)), final=then)
    assert (row(told).basis, row(told).fixed_interval) == (Basis.FIXED, None)


def test_winners_under_a_fixed_test_are_compared_at_any_time() -> None:
    experiment = run(
        variants=["control", "bold", "calm"], analysis={"test": "fixed"}, days=14
    )
    told = look(
        experiment, signups((110_000, 10_120), (110_000, 10_927), (110_000, 11_827))
    )
    pair = told.metrics[0].comparisons[-1]
    assert (pair.variant, pair.baseline) == ("calm", "bold")
    assert (row(told).basis, pair.basis) == (Basis.FIXED, Basis.ANY_TIME)


@pytest.mark.parametrize(
    ("first_exposed_at", "at"),
    [
        pytest.param(milliseconds(NOW) - 3 * DAY, NOW - timedelta(days=3), id="seen"),
        pytest.param(None, NOW - timedelta(days=14), id="unseen"),
    ],
)
def test_a_plan_of_unknown_age_is_as_old_as_the_run(
    first_exposed_at: int | None, at: datetime
) -> None:
    experiment = replace(
        run(plan=PLAN), plan_saved_at=None, first_exposed_at=first_exposed_at
    )
    plan = look(experiment, signups((900, 90), (900, 90))).plan
    assert plan is not None
    assert plan.saved_at == at
