"""Units, effects and power before an experiment starts."""

from __future__ import annotations

import math
from typing import TypedDict

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower

from flask_abx.errors import UsageError
from flask_abx.results.power import (
    ANY_TIME_INFLATION,
    Design,
    false_positive_risk,
    mde,
    noninferiority_size,
    power,
    sample_size,
)


class Spread(TypedDict, total=False):
    """Either of the two ways to say how much units differ."""

    sd: float
    rate: float


spreads: st.SearchStrategy[Spread] = st.one_of(
    st.builds(lambda sd: Spread(sd=sd), st.floats(0.1, 1e3)),
    st.builds(lambda rate: Spread(rate=rate), st.floats(0.01, 0.6)),
)
designs = st.builds(
    Design,
    alpha=st.floats(1e-4, 0.2),
    power=st.floats(0.5, 0.99),
    share=st.floats(0.05, 0.95),
    side=st.sampled_from(["two", "greater", "less"]),
    family=st.integers(1, 12),
    correlation=st.floats(-0.9, 0.9),
    inflation=st.floats(1, 3),
)


@given(st.floats(0.005, 0.3), spreads, designs)
def test_the_units_asked_for_give_the_power_asked_for(
    effect: float, spread: Spread, design: Design
) -> None:
    size = sample_size(effect, **spread, design=design)
    found = power(effect, size.control + size.treatment, **spread, design=design)
    assert found == pytest.approx(design.power, rel=1e-9)


@given(st.floats(0.005, 0.3), spreads, designs)
def test_the_units_asked_for_find_the_effect_asked_for(
    effect: float, spread: Spread, design: Design
) -> None:
    size = sample_size(effect, **spread, design=design)
    found = mde(size.control + size.treatment, **spread, design=design)
    assert found == pytest.approx(effect, rel=1e-6)


@given(st.floats(0.01, 1), st.floats(0.05, 0.95), st.floats(0.6, 0.99))
def test_means_need_what_statsmodels_says(
    effect: float, share: float, wanted: float
) -> None:
    size = sample_size(effect, sd=1, design=Design(power=wanted, share=share))
    assume(size.control > 2 and size.treatment > 2)
    found = NormalIndPower().power(
        effect, size.control, 0.05, ratio=size.treatment / size.control
    )
    assert found == pytest.approx(wanted, abs=1e-3)


def test_units_are_shared_as_the_variants_share_them() -> None:
    size = sample_size(0.1, sd=1, design=Design(share=0.1))
    assert size.treatment / size.control == pytest.approx(1 / 9)
    assert size.units == math.ceil(size.control) + math.ceil(size.treatment)


def test_covariate_inflation_and_family_multiply_the_units() -> None:
    plain = sample_size(0.1, sd=1).control
    adjusted = sample_size(0.1, sd=1, design=Design(correlation=0.6)).control
    inflated = sample_size(
        0.1, sd=1, design=Design(inflation=ANY_TIME_INFLATION)
    ).control
    divided = sample_size(0.1, sd=1, design=Design(family=5)).control
    assert adjusted == pytest.approx(plain * 0.64)
    assert inflated == pytest.approx(plain * 1.8)
    assert divided == sample_size(0.1, sd=1, design=Design(alpha=0.01)).control


def test_a_loss_needs_as_many_units_as_a_gain() -> None:
    assert sample_size(-0.1, sd=1) == sample_size(0.1, sd=1)
    assert sample_size(-0.05, rate=0.55) == sample_size(0.05, rate=0.45)


def test_the_simulated_plan_is_the_one_that_was_made() -> None:
    size = sample_size(0.005, rate=0.10)
    assert math.ceil(size.control) == 57_763


def test_too_few_units_find_no_rate_at_all() -> None:
    assert mde(3, rate=0.5) is None


def test_overwhelming_power_is_one() -> None:
    assert power(1e3, 1e9, sd=1) == 1


def test_a_margin_of_a_relative_kind_weighs_the_control() -> None:
    whole = noninferiority_size(0.5, sd=2).control
    relative = noninferiority_size(0.5, sd=2, factor=0.95).control
    assert relative == pytest.approx(whole * (1 + 0.95**2) / 2)


def test_what_is_lost_already_has_no_size() -> None:
    with pytest.raises(UsageError, match="lost already"):
        noninferiority_size(0.1, sd=1, effect=-0.1)


@pytest.mark.parametrize(
    ("effect", "spread"),
    [
        (0.0, Spread(sd=1)),
        (math.nan, Spread(sd=1)),
        (0.1, Spread(sd=0)),
        (0.1, Spread(rate=0)),
        (0.6, Spread(rate=0.5)),
        (0.1, Spread()),
        (0.1, Spread(sd=1, rate=0.5)),
    ],
)
def test_impossible_plans_are_refused(effect: float, spread: Spread) -> None:
    with pytest.raises(UsageError, match=r"effect is|must|exactly one"):
        sample_size(effect, **spread)


@pytest.mark.parametrize(
    "bad",
    [
        {"alpha": 0.0},
        {"power": 1.0},
        {"power": 0.01},
        {"share": 1.0},
        {"family": 0},
        {"correlation": 1.0},
        {"inflation": 0.0},
    ],
    ids=str,
)
def test_an_impossible_design_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(bad))} is"):
        Design(**bad)  # type: ignore[arg-type] # one field each, of any type


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.2), st.floats(0.5, 1))
def test_rarer_effects_make_more_findings_false(
    rate: float, alpha: float, found: float
) -> None:
    risk = false_positive_risk(rate, alpha, found)
    assert 0 < risk < false_positive_risk(rate / 2, alpha, found) < 1
    assert false_positive_risk(0, alpha, found) == 1
    assert false_positive_risk(1, alpha, found) == 0


@pytest.mark.parametrize("bad", [(-0.1, 0.05, 0.8), (0.5, 0, 0.8), (0.5, 0.05, 0)])
def test_a_risk_needs_probabilities(bad: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="must"):
        false_positive_risk(*bad)
