"""Tests that hold at any time."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from flask_abx.errors import UsageError
from flask_abx.results.inference import Estimate, Side, fixed_test
from flask_abx.results.sequential import (
    anytime_multiplier,
    anytime_p,
    log_e_value,
    srm_log_bayes_factor,
    srm_sequential,
)

SIDES: list[Side] = ["two", "greater", "less"]
alphas = st.floats(1e-6, 0.4)
units = st.floats(2, 1e9)
scores = st.floats(-50, 50)
splits = st.lists(
    st.tuples(st.integers(0, 5000), st.floats(0.1, 9)), min_size=2, max_size=6
)


@given(scores, units, units, alphas, alphas, st.sampled_from(SIDES))
def test_p_is_below_alpha_exactly_when_the_interval_excludes_zero(
    t: float, n: float, n_star: float, alpha: float, tuned_at: float, side: Side
) -> None:
    p_value = anytime_p(Estimate(t, 1.0, n), n_star, tuned_at, side=side)
    assume(not math.isclose(p_value, alpha, rel_tol=1e-6))
    reach = anytime_multiplier(n, n_star, alpha, tuned_at, side)
    distance = {"two": abs(t), "greater": t, "less": -t}[side]
    assert (p_value < alpha) == (distance > reach)


@given(units, units, alphas, alphas, st.sampled_from(SIDES))
def test_p_at_the_end_of_the_interval_is_alpha(
    n: float, n_star: float, alpha: float, tuned_at: float, side: Side
) -> None:
    reach = anytime_multiplier(n, n_star, alpha, tuned_at, side)
    effect = -reach if side == "less" else reach
    found = anytime_p(Estimate(effect, 1.0, n), n_star, tuned_at, side=side)
    assert found == pytest.approx(alpha, rel=1e-6)


@given(units, units, alphas, st.lists(st.floats(0, 1e3), min_size=2))
def test_p_falls_as_the_effect_grows(
    n: float, n_star: float, tuned_at: float, effects: list[float]
) -> None:
    for side in ("two", "greater"):
        found = [
            anytime_p(Estimate(t, 1.0, n), n_star, tuned_at, side=side)
            for t in sorted(effects)
        ]
        assert all(later <= p * (1 + 1e-12) for p, later in pairwise(found))


@given(units, units, alphas, st.sampled_from(SIDES))
def test_the_any_time_interval_contains_the_fixed_one(
    n: float, n_star: float, alpha: float, side: Side
) -> None:
    interval = fixed_test(Estimate(0.0, 1.0, n), alpha, side=side).interval
    fixed = interval.high if interval.high is not None else -(interval.low or 0.0)
    assert anytime_multiplier(n, n_star, alpha, side=side) > fixed


@given(scores, units, units, alphas, scores)
def test_swapped_variants_have_the_same_p(
    t: float, n: float, n_star: float, tuned_at: float, null: float
) -> None:
    there, back = Estimate(t, 1.0, n), Estimate(-t, 1.0, n)
    assert anytime_p(there, n_star, tuned_at, null=null) == anytime_p(
        back, n_star, tuned_at, null=-null
    )
    assert anytime_p(there, n_star, tuned_at, null=null, side="greater") == anytime_p(
        back, n_star, tuned_at, null=-null, side="less"
    )


@pytest.mark.parametrize(
    ("share", "wider"),
    [(1 / 16, 2.24), (0.25, 1.66), (0.5, 1.57), (1, 1.55), (2, 1.56), (4, 1.60)],
)
def test_the_interval_is_narrowest_near_the_plan(share: float, wider: float) -> None:
    found = anytime_multiplier(share * 10_000, 10_000, 0.05) / 1.959964
    assert found == pytest.approx(wider, abs=0.006)


def test_the_evidence_is_a_mixture_of_likelihood_ratios() -> None:
    t, n, n_star, alpha = 2.3, 400.0, 1000.0, 0.05
    tail = -2 * math.log(alpha)
    spread = math.sqrt(n * (tail + math.log1p(tail)) / n_star)
    mixed, _ = integrate.quad(
        lambda m: stats.norm.pdf(t, loc=m) * stats.norm.pdf(m, scale=spread), -40, 40
    )
    found = log_e_value(Estimate(t, 1.0, n), n_star, alpha)
    assert found == pytest.approx(math.log(mixed / stats.norm.pdf(t)), rel=1e-8)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("t", [1e3, 1e200])
def test_an_overwhelming_effect_breaks_nothing(side: Side, t: float) -> None:
    effect = -t if side == "less" else t
    assert anytime_p(Estimate(effect, 1.0, 1e15), 1e4, 0.01, side=side) == 0
    assert anytime_p(Estimate(-effect, 1.0, 1e15), 1e4, 0.01, side=side) in {0, 1}


@pytest.mark.parametrize("side", SIDES)
def test_without_variance_any_effect_is_certain(side: Side) -> None:
    effect = -1.0 if side == "less" else 1.0
    assert anytime_p(Estimate(effect, 0.0, 100), 1e4, 0.01, side=side) == 0
    assert anytime_p(Estimate(0.0, 0.0, 100), 1e4, 0.01, side=side) == 1


@pytest.mark.parametrize(
    ("n", "n_star", "alpha", "side"),
    [
        (0, 100, 0.05, "two"),
        (100, 0, 0.05, "two"),
        (math.nan, 100, 0.05, "two"),
        (100, math.inf, 0.05, "two"),
        (1e300, 1e-300, 0.05, "two"),
        (100, 100, 0, "two"),
        (100, 100, 0.5, "greater"),
    ],
)
def test_impossible_sequences_are_refused(
    n: float, n_star: float, alpha: float, side: Side
) -> None:
    with pytest.raises(UsageError, match=r"must|too far apart"):
        anytime_multiplier(n, n_star, alpha, side=side)


@given(splits, st.floats(0.5, 1e4))
def test_the_bayes_factor_is_that_of_scipy(
    rows: list[tuple[int, float]], kappa: float
) -> None:
    counts, weights = [row[0] for row in rows], [row[1] for row in rows]
    shares = [weight / math.fsum(weights) for weight in weights]
    prior = [kappa * share for share in shares]
    dirichlet = stats.dirichlet_multinomial.logpmf(counts, prior, sum(counts))
    plain = stats.multinomial.logpmf(counts, sum(counts), shares)
    found = srm_log_bayes_factor(counts, weights, kappa)
    assert found == pytest.approx(dirichlet - plain, rel=1e-8, abs=1e-6)


@given(splits)
def test_the_order_of_variants_changes_no_split(rows: list[tuple[int, float]]) -> None:
    there, back = (srm_sequential(*zip(*r, strict=True)) for r in (rows, rows[::-1]))
    assert there == pytest.approx(back, rel=1e-9, abs=1e-300)


def test_huge_counts_leave_no_rounding() -> None:
    def expected(n: int) -> float:
        # An even split has a closed form in the limit: half the log of kappa over n.
        return 0.5 * math.log(10_000 / n)

    for n in (10**12, 10**15):
        found = srm_log_bayes_factor([n // 2, n // 2], [1, 1], 10_000)
        assert found == pytest.approx(expected(n), abs=1e-4)


def test_the_mean_of_the_factors_decides() -> None:
    kappas = (10, 100, 1000, 10_000)
    factors = [
        math.exp(srm_log_bayes_factor([350, 250], [1, 1], kappa)) for kappa in kappas
    ]
    expected = 4 / math.fsum(factors)
    assert srm_sequential([350, 250], [1, 1]) == pytest.approx(expected)


def test_a_broken_redirect_is_seen_by_the_mixture_only() -> None:
    assert srm_sequential([350, 150], [1, 1]) < 0.01
    assert srm_sequential([350, 150], [1, 1], (10_000,)) > 0.01


def test_a_split_that_is_far_off_has_no_chance() -> None:
    assert srm_sequential([10**9, 10], [1, 1]) == 0


def test_nothing_to_compare_is_no_mismatch() -> None:
    assert srm_sequential([0, 0], [1, 1]) == 1
    assert srm_sequential([500, 7], [1, 0]) == 1
    assert srm_sequential([500, 500, 7], [1, 1, 0]) == srm_sequential(
        [500, 500], [3, 3]
    )


@pytest.mark.parametrize("kappas", [(), (0,), (math.nan,)])
def test_impossible_kappas_are_refused(kappas: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="kappa"):
        srm_sequential([1, 2], [1, 1], kappas)
