"""One treatment against one baseline: gates, faults, guardrails and covariates."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from flask_abx.results.scanning.sums import Sums
from flask_abx.results.shapes import Reading
from tests.results.judged import conversions, found, look, row, run, signups, values


def test_what_waits_for_units_says_how_many() -> None:
    assert row(look(run(), signups((50, 25), (50, 25)))).units_needed == 100


def test_what_is_unclear_says_how_many_units_its_effect_takes() -> None:
    data = signups((10_000, 1_000), (10_000, 1_080))
    needed = row(look(run(), data)).units_needed
    assert needed is not None
    grown = 1 + needed / 20_000
    sizes = [(round(10_000 * grown), round(hits * grown)) for hits in (1_000, 1_080)]
    later = row(look(run(), signups(*sizes)))
    assert later.p_adjusted == pytest.approx(0.05, rel=0.2)


def test_no_effect_needs_no_number_of_units() -> None:
    assert row(look(run(), signups((900, 90), (900, 90)))).units_needed is None


def test_equal_values_everywhere_cannot_be_read() -> None:
    each = values(900, 5, 0)
    data = found({"signup": {"control": each, "bold": each}})
    told = row(look(run(), data, metrics={"signup": {"kind": "sum"}}))
    assert told.reading is Reading.FAILED
    assert "same value" in told.reason


def test_equal_values_in_one_variant_can_be_read() -> None:
    told = row(look(run(), signups((900, 450), (900, 900))))
    assert told.reading is Reading.BETTER


def test_a_baseline_of_zero_has_no_relative_effect() -> None:
    told = row(look(run(), signups((6_000, 0), (6_000, 300))))
    assert told.reading is Reading.BETTER
    assert (told.relative_effect, told.relative_interval) == (None, None)
    assert told.effect_interval is not None


def test_a_negative_baseline_is_divided_by_its_size() -> None:
    data = found(
        {"signup": {"control": values(9_000, -10, 5), "bold": values(9_000, -8, 5)}}
    )
    told = row(look(run(), data, metrics={"signup": {"kind": "sum"}}))
    assert told.reading is Reading.BETTER
    assert told.relative_effect == pytest.approx(0.2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_sums_that_are_no_numbers_are_a_sentence(bad: float) -> None:
    broken = replace(values(900, 5, 3), y=bad, yy=bad)
    data = found({"signup": {"control": values(900, 5, 3), "bold": broken}})
    judged = look(run(), data, metrics={"signup": {"kind": "sum"}})
    assert row(judged).reading is Reading.FAILED
    assert "bold" in row(judged).reason
    assert judged.metrics[0].samples[1].value is None


def ratio_sums(n: int, ratio: float, *, below: float = 4.0) -> Sums:
    """Sum units with a ratio whose lower part varies around a mean."""
    dd = n * (below * below + 1)
    yy = ratio * ratio * dd + n * 0.5
    cubes = n * (below**3 + 3 * below)
    return Sums(
        n=n,
        nonzero=n,
        y=ratio * below * n,
        d=below * n,
        yy=yy,
        yd=ratio * dd,
        dd=dd,
        yyy=ratio**3 * cubes,
        yyd=ratio**2 * cubes,
        ydd=ratio * cubes,
        ddd=cubes,
    )


RATIO = {
    "signup": {
        "kind": "ratio",
        "numerator": {"event": "click"},
        "denominator": {"event": "session"},
    }
}


def test_a_ratio_is_compared_as_a_ratio() -> None:
    data = found(
        {"signup": {"control": ratio_sums(9_000, 0.5), "bold": ratio_sums(9_000, 0.6)}}
    )
    judged = look(run(), data, metrics=RATIO)
    assert row(judged).relative_effect == pytest.approx(0.2)
    assert judged.metrics[0].samples[1].denominator == 36_000


def shifted(sums: Sums, y: float, d: float) -> Sums:
    """Take the same off every unit before it is summed."""
    return replace(
        sums,
        y=sums.y - sums.n * y,
        d=sums.d - sums.n * d,
        yy=sums.yy - 2 * y * sums.y + sums.n * y * y,
        dd=sums.dd - 2 * d * sums.d + sums.n * d * d,
        yd=sums.yd - y * sums.d - d * sums.y + sums.n * y * d,
        shift_y=y,
        shift_d=d,
        # Cubes weigh the gate alone, and only where the split is uneven.
        yyy=0.0,
        yyd=0.0,
        ydd=0.0,
        ddd=0.0,
    )


def test_a_shifted_ratio_is_the_same_ratio() -> None:
    pair = ratio_sums(9_000, 0.5), ratio_sums(9_000, 0.6)
    plain = found({"signup": dict(zip(("control", "bold"), pair, strict=True))})
    moved = found(
        {
            "signup": {
                name: shifted(each, 2.0, 4.0)
                for name, each in zip(("control", "bold"), pair, strict=True)
            }
        }
    )
    first, second = (row(look(run(), each, metrics=RATIO)) for each in (plain, moved))
    assert second.effect == pytest.approx(first.effect)
    assert second.p_value == pytest.approx(first.p_value)


def test_a_ratio_without_denominator_is_a_sentence() -> None:
    nothing = replace(ratio_sums(9_000, 0.5), d=0.0, yd=0.0, dd=0.0)
    data = found({"signup": {"control": ratio_sums(9_000, 0.5), "bold": nothing}})
    told = row(look(run(), data, metrics=RATIO))
    assert told.reading is Reading.FAILED
    assert "nothing to divide by" in told.reason


def with_history(sums: Sums, *, x: float = 5.0, share: float = 1.0) -> Sums:
    """Give units a past that explains most of what they do."""
    n, variance = sums.n, (sums.yy - sums.y**2 / sums.n) / sums.n
    return replace(
        sums,
        history=round(n * share),
        x=n * x,
        xx=n * (x * x + variance),
        yx=sums.y * x + n * 0.9 * variance,
    )


COVARIED = {"signup": {"kind": "sum", "covariate": "14d"}}


def test_a_covariate_narrows_the_interval_and_leaves_the_samples() -> None:
    pair = {"control": values(9_000, 10, 8), "bold": values(9_000, 10.2, 8)}
    past = {name: with_history(each) for name, each in pair.items()}
    judged = look(run(), found({"signup": past}), metrics=COVARIED)
    plain = look(run(), found({"signup": pair}), metrics={"signup": {"kind": "sum"}})
    drawn = [row(each).effect_interval for each in (judged, plain)]
    widths = [(each.high or 0) - (each.low or 0) for each in drawn if each]
    assert widths[0] == pytest.approx(widths[1] * math.sqrt(0.19), rel=0.01)
    assert judged.metrics[0].variance_reduction == pytest.approx(0.81, abs=1e-3)
    assert judged.metrics[0].samples == plain.metrics[0].samples


def test_a_covariate_moves_what_its_units_had_before() -> None:
    data = {
        "control": with_history(values(9_000, 10, 8), x=5.0),
        "bold": with_history(values(9_000, 10, 8), x=5.5),
    }
    told = row(look(run(), found({"signup": data}), metrics=COVARIED))
    assert told.effect == pytest.approx(-0.45, abs=0.01)


@pytest.mark.parametrize(
    ("share", "is_used"),
    [pytest.param(0.049, False, id="4.9 %"), pytest.param(0.05, True, id="5 %")],
)
def test_a_covariate_of_few_units_is_skipped(share: float, *, is_used: bool) -> None:
    pair = {
        name: with_history(values(10_000, 10, 8), share=share)
        for name in ("control", "bold")
    }
    told = look(run(), found({"signup": pair}), metrics=COVARIED)
    assert (told.metrics[0].variance_reduction is not None) is is_used
    assert any("without its covariate" in note for note in told.notes) is not is_used


def test_old_units_of_an_open_metric_carry_more_information() -> None:
    young = signups((9_000, 900), (9_000, 970))
    old = found(
        {
            "signup": {
                "control": conversions(9_000, 900, days=112),
                "bold": conversions(9_000, 970, days=112),
            }
        }
    )
    assert row(look(run(), young)).p_value != row(look(run(), old)).p_value
    window = {"signup": {"window": "7d"}}
    closed = [row(look(run(), each, metrics=window)) for each in (young, old)]
    assert closed[0].p_value == closed[1].p_value
