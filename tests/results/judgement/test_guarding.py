"""Guardrails: within the margin, over it, or worse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.results.shapes import Comparison, Reading
from tests.results.judged import conversions, found, look, row, run


def guard(
    control: int,
    bold: int,
    *,
    n: int = 20_000,
    margin: float | None = 0.1,
    direction: str = "higher",
    alpha: float = 0.05,
    is_absolute: bool = False,
    is_final: bool = False,
) -> Comparison:
    """Read a guardrail on a conversion."""
    told = {} if margin is None else {"margin_abs" if is_absolute else "margin": margin}
    data = found(
        {"kept": {"control": conversions(n, control), "bold": conversions(n, bold)}}
    )
    experiment = run(
        metrics={"guardrail": [{"metric": "kept", **told}]},
        analysis={"alpha": alpha},
        plan={"units": 40_000} if is_final else None,
    )
    metrics = {"kept": {"direction": direction}}
    final = data if is_final else None
    return row(look(experiment, data, metrics=metrics, final=final), "kept")


@pytest.mark.parametrize(
    ("bold", "margin", "direction", "reading"),
    [
        pytest.param(2_000, 0.1, "higher", Reading.WITHIN_MARGIN, id="as before"),
        pytest.param(1_500, 0.1, "higher", Reading.OVER_MARGIN, id="far below"),
        pytest.param(1_850, 0.1, "higher", Reading.UNCLEAR, id="near the margin"),
        pytest.param(2_500, 0.1, "lower", Reading.OVER_MARGIN, id="far above"),
        pytest.param(1_500, 0.1, "lower", Reading.WITHIN_MARGIN, id="lower is good"),
        pytest.param(1_500, None, "higher", Reading.WORSE, id="worse"),
        pytest.param(2_000, None, "higher", Reading.UNCLEAR, id="never passed"),
        pytest.param(2_500, None, "higher", Reading.UNCLEAR, id="better is not told"),
        pytest.param(2_500, None, "lower", Reading.WORSE, id="worse as it is higher"),
        pytest.param(2_500, 0.1, "none", Reading.NONE, id="no direction"),
    ],
)
def test_a_guardrail_is_read_by_its_margin(
    bold: int, margin: float | None, direction: str, reading: Reading
) -> None:
    told = guard(2_000, bold, margin=margin, direction=direction)
    assert told.reading is reading


@given(
    control=st.integers(1_600, 2_400),
    bold=st.integers(1_400, 2_600),
    margin=st.sampled_from([0.05, 0.1, 0.2]),
    direction=st.sampled_from(["higher", "lower"]),
    is_absolute=st.booleans(),
    is_final=st.booleans(),
)
def test_a_guardrail_agrees_with_its_interval(
    control: int,
    bold: int,
    margin: float,
    direction: str,
    *,
    is_absolute: bool,
    is_final: bool,
) -> None:
    told = guard(
        control,
        bold,
        margin=margin / 10 if is_absolute else margin,
        direction=direction,
        is_absolute=is_absolute,
        is_final=is_final,
    )
    drawn = told.effect_interval if is_absolute else told.relative_interval
    assert drawn is not None
    assert drawn.low is not None
    assert drawn.high is not None
    limit = (margin / 10 if is_absolute else margin) * (
        -1 if direction == "higher" else 1
    )
    is_above, is_below = drawn.low > limit, drawn.high < limit
    within, over = (is_above, is_below)[:: 1 if direction == "higher" else -1]
    assert (told.reading is Reading.WITHIN_MARGIN) is within
    assert (told.reading is Reading.OVER_MARGIN) is over
    assert told.p_adjusted is not None
    assert (told.p_adjusted < 0.05) is (within or over)


@given(
    control=st.integers(1_600, 2_400),
    bold=st.integers(1_400, 2_600),
    is_final=st.booleans(),
)
def test_a_guardrail_without_margin_is_worse_exactly_on_the_bad_side(
    control: int, bold: int, *, is_final: bool
) -> None:
    told = guard(control, bold, margin=None, is_final=is_final)
    assert told.relative_interval is not None
    assert told.relative_interval.high is not None
    assert (told.reading is Reading.WORSE) is (told.relative_interval.high < 0)


def test_a_guardrail_on_a_baseline_of_zero_is_read_all_the_same() -> None:
    told = guard(0, 600, direction="lower")
    assert told.reading is Reading.OVER_MARGIN
    assert told.relative_interval is None


def test_harm_is_divided_among_guardrails_and_safety_is_not() -> None:
    def first(count: int) -> tuple[float | None, float | None]:
        names = [f"g{place}" for place in range(count)]
        data = found(
            {
                name: {
                    "control": conversions(20_000, 2_000),
                    "bold": conversions(20_000, 1_850),
                }
                for name in names
            }
        )
        guards = [{"metric": name, "margin": 0.1} for name in names]
        told = row(look(run(metrics={"guardrail": guards}), data), "g0")
        assert told.relative_interval is not None
        return told.relative_interval.low, told.relative_interval.high

    one, five = first(1), first(5)
    assert one[0] == five[0]
    assert (one[1] or 0) < (five[1] or 0)
