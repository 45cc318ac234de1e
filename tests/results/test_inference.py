"""Moments, effects, intervals and tests at one time."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

import flask_abx
from flask_abx.errors import UsageError
from flask_abx.results.inference import (
    CubeSums,
    CupedSums,
    Estimate,
    Interval,
    Moments,
    RatioCubeSums,
    RatioSums,
    Side,
    adjustment,
    around,
    benjamini_hochberg,
    bonferroni,
    chance_to_beat,
    contrast,
    cuped,
    difference,
    expected_loss,
    fieller,
    fixed_test,
    holm,
    linearised,
    merge,
    moments,
    ratio,
    skewness,
    srm_chi2,
)

SIDES: list[Side] = ["two", "greater", "less"]
means = st.floats(-1e3, 1e3).filter(lambda value: abs(value) > 1e-3)
variances = st.floats(1e-3, 1e4)
sizes = st.integers(2, 10**7)
some_moments = st.builds(Moments, sizes, means, variances)
multipliers = st.floats(0.5, 6)
alphas = st.floats(1e-6, 0.4)
p_values = st.lists(st.floats(0, 1), max_size=12)
values = st.lists(st.integers(-100, 100), min_size=2, max_size=20)
pairs = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=2, max_size=20
)

# The packages around the engine bring along what reports need, so they are left out.
BARE_IMPORT = f"""
import sys, types
for name, place in {{"flask_abx": ".", "flask_abx.results": "results"}}.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [f"{Path(flask_abx.__path__[0])}/{{place}}"]
import flask_abx.results.inference
import flask_abx.results.power
import flask_abx.results.sequential
print(*{{name.partition(".")[0] for name in sys.modules}})
"""


def sums_of(values: list[int]) -> tuple[int, float, float]:
    return len(values), float(sum(values)), float(sum(y * y for y in values))


def cuped_sums(rows: list[tuple[int, int]]) -> CupedSums:
    n, y, yy = sums_of([row[0] for row in rows])
    _, x, xx = sums_of([row[1] for row in rows])
    return CupedSums(n=n, y=y, yy=yy, x=x, xx=xx, yx=sum(a * b for a, b in rows))


def cubes_of(values: list[float]) -> CubeSums:
    return CubeSums(
        len(values),
        math.fsum(values),
        math.fsum(y**2 for y in values),
        math.fsum(y**3 for y in values),
    )


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def test_the_engine_imports_nothing_that_is_heavy() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", BARE_IMPORT], capture_output=True, text=True, check=True
    )
    heavy = {"flask", "pydantic", "sqlalchemy", "statistics", "random", "asyncio"}
    assert not heavy & set(done.stdout.split())


@given(values, st.integers(-1000, 1000))
def test_a_shift_changes_no_moments(values: list[int], shift: int) -> None:
    plain = moments(*sums_of(values))
    shifted = moments(*sums_of([value - shift for value in values]), shift=shift)
    assert shifted.mean == pytest.approx(plain.mean, abs=1e-9)
    assert shifted.variance == pytest.approx(plain.variance, rel=1e-6, abs=1e-6)


@given(values, values)
def test_merged_parts_are_the_whole(first: list[int], second: list[int]) -> None:
    merged = merge(moments(*sums_of(first)), moments(*sums_of(second)))
    whole = moments(*sums_of(first + second))
    assert merged.n == whole.n
    assert merged.mean == pytest.approx(whole.mean, abs=1e-9)
    assert merged.variance == pytest.approx(whole.variance, rel=1e-9, abs=1e-9)


def test_rounding_makes_no_negative_variance() -> None:
    assert moments(3, 0.3, 0.03 - 1e-15).variance == 0


@pytest.mark.parametrize(
    ("n", "total", "squares"),
    [(1, 1, 1), (0, 0, 0), (10, 10, 5), (10, math.nan, 1), (10, 1, math.inf)],
    ids=["one unit", "none", "impossible", "nan", "infinite"],
)
def test_impossible_sums_are_refused(n: int, total: float, squares: float) -> None:
    with pytest.raises(UsageError, match=r"must be|no values have such sums"):
        moments(n, total, squares)


@pytest.mark.parametrize(
    "given", [(1, 0.0, 1.0), (9, math.nan, 1.0), (9, 0.0, -1.0), (9, 0.0, math.inf)]
)
def test_impossible_moments_are_refused(given: tuple[int, float, float]) -> None:
    with pytest.raises(UsageError, match="must be a finite number"):
        Moments(*given)


@given(pairs)
def test_a_ratio_has_the_variance_of_its_residuals(rows: list[tuple[int, int]]) -> None:
    sums = cuped_sums(rows)
    found = ratio(sums.n, sums.y, sums.x, sums.yy, sums.xx, sums.yx)
    scale = sums.x / sums.n
    residuals = [(y - found.mean * d) / scale for y, d in rows]
    variance = math.fsum(r * r for r in residuals) / (sums.n - 1)
    assert found.mean == sums.y / sums.x
    assert found.variance == pytest.approx(variance, rel=1e-6, abs=1e-6)


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="denominator's sum is 0"):
        ratio(10, 5, 0, 5, 0, 0)


@given(pairs, pairs)
def test_cuped_gives_the_moments_of_adjusted_units(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    found = adjustment([cuped_sums(first), cuped_sums(second)])
    history = [x for _, x in first + second]
    middle = math.fsum(history) / len(history)
    for rows, have in zip((first, second), found.variants, strict=True):
        adjusted = [y - found.theta * (x - middle) for y, x in rows]
        mean = math.fsum(adjusted) / len(rows)
        squares = math.fsum((y - mean) ** 2 for y in adjusted)
        assert have.mean == pytest.approx(mean, rel=1e-9, abs=1e-9)
        assert have.variance == pytest.approx(
            squares / (len(rows) - 1), rel=1e-6, abs=1e-6
        )


@given(pairs, pairs)
def test_theta_is_the_slope_over_all_units(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    rows = first + second
    assume(len({x for _, x in rows}) > 1)
    slope = stats.linregress([x for _, x in rows], [y for y, _ in rows]).slope
    found = adjustment([cuped_sums(first), cuped_sums(second)])
    assert found.theta == pytest.approx(slope, rel=1e-9, abs=1e-9)


def test_a_covariate_that_tells_all_takes_all_variance() -> None:
    found = adjustment([cuped_sums([(2 * x, x) for x in range(1, 20)])])
    assert found.theta == pytest.approx(2)
    assert found.variance_reduction == pytest.approx(1)


def test_a_covariate_that_never_varies_changes_nothing() -> None:
    sums = [cuped_sums([(1, 3), (4, 3)]), cuped_sums([(2, 3), (9, 3)])]
    found = adjustment(sums)
    plain = tuple(moments(one.n, one.y, one.yy) for one in sums)
    assert (found.theta, found.variance_reduction) == (0, 0)
    assert found.variants == plain


def test_a_given_theta_is_used() -> None:
    sums = [cuped_sums([(1, 3), (4, 5)]), cuped_sums([(2, 4), (9, 1)])]
    assert adjustment(sums, theta=0.25).theta == 0.25
    assert cuped(sums, theta=0.0) == tuple(moments(s.n, s.y, s.yy) for s in sums)


def test_a_ratio_to_one_is_adjusted_as_a_mean() -> None:
    plain = [cuped_sums([(1, 3), (4, 5), (3, 3)]), cuped_sums([(2, 4), (9, 1)])]
    as_ratios = [
        RatioSums(
            s.n, s.y, s.n, s.x, s.n, s.yy, s.y, s.yx, s.y, s.n, s.x, s.n, s.xx, s.x, s.n
        )
        for s in plain
    ]
    for one, other in zip(cuped(plain), cuped(as_ratios), strict=True):
        assert one.mean == pytest.approx(other.mean, rel=1e-12)
        assert one.variance == pytest.approx(other.variance, rel=1e-9)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=9), st.floats(0.01, 9))
def test_a_ratio_that_never_varies_keeps_no_variance(
    sizes: list[int], share: float
) -> None:
    d, dd = float(sum(sizes)), float(sum(size**2 for size in sizes))
    y, yy, yd = share * d, share * share * dd, share * dd
    sums = RatioSums(len(sizes), y, d, d, y, yy, yd, yd, yy, dd, dd, yd, dd, yd, yy)
    (found,) = cuped([sums])
    assert found.variance == pytest.approx(0, abs=1e-12)
    assert ratio(len(sizes), y, d, yy, dd, yd).variance == pytest.approx(0, abs=1e-12)


def test_without_variants_there_is_nothing_to_adjust() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        adjustment([])


@given(some_moments, some_moments)
def test_swapped_variants_have_the_opposite_effect(a: Moments, b: Moments) -> None:
    there, back = difference(a, b), difference(b, a)
    assert there.effect == -back.effect
    assert there.se == pytest.approx(back.se, rel=1e-12)
    assert there.n == a.n + b.n


@given(some_moments, some_moments, st.sampled_from([2.0**-40, 0.5, 2.0**40]))
def test_another_currency_changes_no_relative_figure(
    a: Moments, b: Moments, scale: float
) -> None:
    x, y = (Moments(m.n, m.mean * scale, m.variance * scale**2) for m in (a, b))
    assert difference(x, y).statistic() == pytest.approx(difference(a, b).statistic())
    one, other = fieller(a, b, 2.0), fieller(x, y, 2.0)
    assert (one is None) == (other is None)
    if one is not None:
        assert ends(one) == pytest.approx(ends(other))


@given(some_moments, some_moments, multipliers)
@example(Moments(100, -2.0, 1.0), Moments(100, -3.0, 1.0), 2.0)
@example(Moments(100, 1.0, 0.0), Moments(100, 1.0, 0.0), 2.0)
def test_fieller_excludes_zero_exactly_when_the_effect_is_far(
    control: Moments, treatment: Moments, multiplier: float
) -> None:
    interval = fieller(control, treatment, multiplier)
    assume(interval is not None)
    assert interval is not None
    estimate = difference(control, treatment)
    is_far = abs(estimate.effect) > multiplier * estimate.se
    assert interval.excludes(0) == is_far
    if is_far:
        low, _ = ends(interval)
        assert (low > 0) == (estimate.effect > 0)


@given(some_moments, some_moments, multipliers)
def test_fieller_ends_where_the_contrast_is_a_multiplier_away(
    control: Moments, treatment: Moments, multiplier: float
) -> None:
    interval = fieller(control, treatment, multiplier)
    error = multiplier * math.sqrt(control.variance / control.n)
    assume(interval is not None and error < 0.99 * abs(control.mean))
    sign = math.copysign(1, control.mean)
    for end in ends(interval):
        found = contrast(control, treatment, 1 + sign * end)
        scale = abs(treatment.mean) + abs((1 + sign * end) * control.mean)
        gap = abs(found.effect) - multiplier * found.se
        assert abs(gap) <= 1e-9 * scale


def test_a_negative_baseline_keeps_the_sign_of_the_effect() -> None:
    low, high = ends(fieller(Moments(900, -10, 1), Moments(900, -9, 1), 2.0))
    assert 0 < low < 0.1 < high


@pytest.mark.parametrize("mean", [0.0, 0.1, -0.1])
def test_an_uncertain_baseline_has_no_relative_interval(mean: float) -> None:
    assert fieller(Moments(100, mean, 1.0), Moments(100, 1.0, 1.0), 2.0) is None


def test_a_one_sided_relative_interval_is_open() -> None:
    pair = Moments(500, 10, 40), Moments(520, 10.8, 45)
    low, high = ends(fieller(*pair, 1.6, level=0.9))
    assert fieller(*pair, 1.6, level=0.9, side="greater") == Interval(low, None, 0.9)
    assert fieller(*pair, 1.6, level=0.9, side="less") == Interval(None, high, 0.9)


def test_an_unknown_level_is_that_of_a_fixed_test() -> None:
    pair, z = (Moments(500, 10, 40), Moments(520, 10.8, 45)), 1.959963984540054
    two, one = fieller(*pair, z), fieller(*pair, z, side="greater")
    assert two is not None
    assert one is not None
    assert (two.level, one.level) == pytest.approx((0.95, 0.975))


@given(means, variances, alphas, means, st.sampled_from(SIDES))
def test_a_fixed_test_rejects_exactly_what_its_interval_excludes(
    effect: float, se: float, alpha: float, null: float, side: Side
) -> None:
    test = fixed_test(Estimate(effect, se, 100), alpha, null, side)
    assume(not math.isclose(test.p_value, alpha, rel_tol=1e-6))
    assert (test.p_value < alpha) == test.interval.excludes(null)


@pytest.mark.parametrize("t", [-1e3, -40.0, -3.0, 0.0, 1.0, 8.0, 38.0, 1e3, 1e300])
def test_p_values_are_those_of_scipy_far_out(t: float) -> None:
    estimate = Estimate(t, 1.0, 100)
    two, greater, less = (fixed_test(estimate, 0.05, 0, s).p_value for s in SIDES)
    assert two == pytest.approx(2 * stats.norm.sf(abs(t)), rel=1e-10, abs=1e-300)
    assert greater == pytest.approx(stats.norm.sf(t), rel=1e-10, abs=1e-300)
    assert less == pytest.approx(stats.norm.cdf(t), rel=1e-10, abs=1e-300)


def test_without_variance_any_effect_is_certain() -> None:
    found = fixed_test(Estimate(0.1, 0.0, 100), 0.05)
    assert (found.statistic, found.p_value) == (math.inf, 0.0)
    assert fixed_test(Estimate(0.0, 0.0, 100), 0.05).p_value == 1


@pytest.mark.parametrize(
    ("alpha", "side"), [(0.0, "two"), (1.0, "two"), (math.nan, "two"), (0.6, "less")]
)
def test_an_impossible_alpha_is_refused(alpha: float, side: Side) -> None:
    with pytest.raises(UsageError, match="alpha is"):
        fixed_test(Estimate(0.1, 0.1, 100), alpha, side=side)


def test_an_unknown_side_is_refused() -> None:
    side: Side = "up"  # type: ignore[assignment] # what is refused
    with pytest.raises(UsageError, match="side is 'up'"):
        fixed_test(Estimate(0.1, 0.1, 100), 0.05, side=side)


@pytest.mark.parametrize("bad", [(math.nan, 1, 9), (0, -1, 9), (0, 1, 0)])
def test_an_impossible_estimate_is_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="must be a finite number"):
        Estimate(*bad)


def test_a_margin_is_tested_on_a_contrast() -> None:
    control, treatment = Moments(200, 10.0, 4.0), Moments(300, 9.6, 5.0)
    found = contrast(control, treatment, 0.95)
    assert found.effect == pytest.approx(0.1)
    assert found.se == pytest.approx(math.sqrt(5 / 300 + 0.95**2 * 4 / 200))
    assert around(found, 2.0, level=0.9, side="greater").high is None


@given(st.floats(0, 500), st.integers(1, 40))
def test_the_chi_square_tail_is_that_of_scipy(spread: float, df: int) -> None:
    counts = [1_000_000 + round(spread * 100), *[1_000_000] * df]
    found = srm_chi2(counts, [1.0] * (df + 1))
    oracle = stats.chisquare(counts)
    assert found.df == df
    assert found.statistic == pytest.approx(oracle.statistic, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(
        stats.chi2.sf(found.statistic, df), rel=1e-9, abs=1e-300
    )


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.1, 9)), min_size=2))
def test_the_order_of_variants_changes_no_split(rows: list[tuple[int, float]]) -> None:
    there, back = (srm_chi2(*zip(*r, strict=True)) for r in (rows, rows[::-1]))
    assert there.p_value == pytest.approx(back.p_value, rel=1e-6, abs=1e-300)


def test_a_variant_without_weight_is_left_out_of_the_split() -> None:
    assert srm_chi2([500, 520, 7], [1, 1, 0]) == srm_chi2([500, 520], [2, 2])
    assert srm_chi2([500, 7], [1, 0]).p_value == 1
    assert srm_chi2([0, 0], [1, 1]).p_value == 1


def test_a_split_that_is_far_off_has_no_chance() -> None:
    assert srm_chi2([10**9, 10], [1, 1]).p_value == 0


@pytest.mark.parametrize(
    ("counts", "weights"),
    [([1], [1, 1]), ([1, 1], [0, 0]), ([1, -1], [1, 1]), ([1, 1], [1, math.nan])],
    ids=["unmatched", "no weight", "negative", "nan"],
)
def test_an_impossible_split_is_refused(
    counts: list[int], weights: list[float]
) -> None:
    with pytest.raises(UsageError, match=r"give one weight|must be"):
        srm_chi2(counts, weights)


@settings(max_examples=20)
@given(p_values)
def test_adjusted_p_values_are_those_of_statsmodels(p_values: list[float]) -> None:
    for ours, theirs in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        expected = list(multipletests(p_values, method=theirs)[1]) if p_values else []
        assert list(ours(p_values)) == pytest.approx(expected)


@given(p_values)
def test_an_adjusted_p_value_is_never_smaller(p_values: list[float]) -> None:
    rows = zip(
        p_values,
        benjamini_hochberg(p_values),
        holm(p_values),
        bonferroni(p_values),
        strict=True,
    )
    for p, shared, stepped, divided in rows:
        assert p <= shared <= stepped * (1 + 1e-12)
        assert stepped <= divided


def test_a_family_may_be_larger_than_what_is_asked() -> None:
    assert bonferroni([0.01, 0.3], family=4) == (0.04, 1.0)
    with pytest.raises(UsageError, match="family is 1"):
        bonferroni([0.01, 0.3], family=1)


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_not_adjusted(bad: float) -> None:
    with pytest.raises(UsageError, match="p-value is"):
        holm([0.5, bad])


def test_the_skewness_is_that_of_the_rule() -> None:
    control, treatment = [0.0] * 95 + [1.0, 2.0, 3.0, 50.0, 8.0], [0.0, 0.0, 40.0]
    whole = [*control, *treatment]
    third, variance = stats.moment(whole, 3), stats.tvar(whole)
    lean = abs(third * (1 / 3**2 - 1 / 100**2))
    found = skewness(cubes_of(control), cubes_of(treatment))
    assert found == pytest.approx(lean / (variance * (1 / 3 + 1 / 100)) ** 1.5)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [([1.0, 0.0, 9.0], [2.0, 0.0, 0.0]), ([7.1] * 90, [7.1] * 10)],
    ids=["even split", "no variance"],
)
def test_there_is_no_skewness(control: list[float], treatment: list[float]) -> None:
    assert skewness(cubes_of(control), cubes_of(treatment)) == 0


def test_a_ratio_is_as_skewed_as_its_linearised_values() -> None:
    rows = [[(3, 1), (0, 2), (1, 4), (9, 1)], [(0, 1), (7, 3)]]
    total = [sum(row[side] for part in rows for row in part) for side in (0, 1)]
    r, middle = total[0] / total[1], total[1] / 6
    plain = [cubes_of([(y - r * d) / middle for y, d in part]) for part in rows]
    found = linearised(*(ratio_cubes(part) for part in rows))
    assert skewness(*found) == pytest.approx(skewness(*plain))


def ratio_cubes(rows: list[tuple[int, int]]) -> RatioCubeSums:
    names = ("y", "d", "yy", "yd", "dd", "yyy", "yyd", "ydd", "ddd")
    sums = {
        name: sum(y ** name.count("y") * d ** name.count("d") for y, d in rows)
        for name in names
    }
    return RatioCubeSums(n=len(rows), **sums)


@given(means, variances)
def test_chance_and_loss_belong_to_a_normal_posterior(effect: float, se: float) -> None:
    estimate = Estimate(effect, se, 100)
    assert chance_to_beat(estimate) == pytest.approx(stats.norm.cdf(effect / se))
    gain = expected_loss(estimate, is_shipped=False) - expected_loss(estimate)
    assert gain == pytest.approx(effect, rel=1e-9, abs=1e-9)


def test_without_variance_the_loss_is_certain() -> None:
    lost = Estimate(-2.0, 0.0, 100)
    assert (expected_loss(lost), chance_to_beat(lost)) == (2.0, 0.0)
    assert expected_loss(lost, is_shipped=False) == 0
