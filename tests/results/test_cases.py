"""Published and recomputed figures of other packages, books and papers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from flask_abx.results.figures.normal import beyond
from flask_abx.results.inference import (
    CupedSums,
    Estimate,
    Interval,
    Moments,
    RatioSums,
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
    moments,
    ratio,
    srm_chi2,
)
from flask_abx.results.power import (
    Design,
    false_positive_risk,
    noninferiority_size,
    power,
    sample_size,
)
from flask_abx.results.sequential import (
    anytime_multiplier,
    anytime_p,
    log_e_value,
    srm_log_bayes_factor,
    srm_sequential,
)
from tests.results import oracles

if TYPE_CHECKING:
    from collections.abc import Callable

Inputs = dict[str, Any]
Figures = dict[str, Any]

CASES = json.loads(Path(__file__).with_name("stat_cases.json").read_text("utf-8"))


def ends(interval: Interval) -> list[float | None]:
    return [interval.low, interval.high]


def two(inputs: Inputs, key: str | None = None) -> tuple[Moments, Moments]:
    """Read the moments of both variants, of any spelling."""
    found = []
    for name in ("control", "treatment"):
        sums = inputs[name]
        if "successes" in sums:
            # These sources take p(1 - p), not the sample variance.
            rate = sums["successes"] / sums["n"]
            found.append(Moments(sums["n"], rate, rate * (1 - rate)))
        elif "var" in sums:
            found.append(Moments(sums["n"], sums["mean"], sums["var"]))
        elif key:
            squares = sums["sum_products"][f"{key}*{key}"]
            found.append(moments(sums["n"], sums["sum"][key], squares))
        else:
            found.append(moments(sums["n"], sums["sum"], sums["sum_sq"]))
    return found[0], found[1]


def by_delta(control: Moments, treatment: Moments) -> Estimate:
    """Estimate the relative effect by the delta method, which no report uses."""
    base = control.mean
    se = math.hypot(
        math.sqrt(treatment.variance / treatment.n) / base,
        math.sqrt(control.variance / control.n) * treatment.mean / base**2,
    )
    effect = (treatment.mean - control.mean) / base
    return Estimate(effect, se, control.n + treatment.n)


def degrees(control: Moments, treatment: Moments) -> float:
    first, second = (control.n, control.variance), (treatment.n, treatment.variance)
    return oracles.welch_df(first, second)


def welch(inputs: Inputs) -> Figures:
    control, treatment = two(inputs)
    estimate, df = difference(control, treatment), degrees(control, treatment)
    return {
        "effect": estimate.effect,
        "statistic": estimate.statistic(),
        "df": df,
    } | oracles.student(estimate.effect, estimate.se, df, inputs["alpha"])


def welch_relative(inputs: Inputs) -> Figures:
    control, treatment = two(inputs)
    estimate, df = by_delta(control, treatment), degrees(control, treatment)
    found = oracles.student(estimate.effect, estimate.se, df, inputs["alpha"])
    return found | {"effect": estimate.effect, "se": estimate.se}


def welch_log(inputs: Inputs) -> Figures:
    control, treatment = two(inputs, inputs["metric"])
    estimate, df = difference(control, treatment), degrees(control, treatment)
    logs = [
        Moments(m.n, math.log(m.mean), m.variance / m.mean**2)
        for m in (control, treatment)
    ]
    change = difference(*logs)
    change_df = degrees(*logs)
    log_ends = oracles.student(change.effect, change.se, change_df, inputs["alpha"])
    return {
        "control": control.mean,
        "treatment": treatment.mean,
        "effect": estimate.effect,
        "rel_effect": treatment.mean / control.mean - 1,
        "rel_ci_log": [math.expm1(end) for end in log_ends["ci"]],
        "statistic": estimate.statistic(),
    } | oracles.student(estimate.effect, estimate.se, df, inputs["alpha"])


def pooled_ratio(inputs: Inputs) -> Figures:
    control, treatment = (
        ratio(
            sums["n"],
            sums["sum"]["orders"],
            sums["sum"]["sessions"],
            sums["sum_products"]["orders*orders"],
            sums["sum_products"]["sessions*sessions"],
            sums["sum_products"]["sessions*orders"],
        )
        for sums in (inputs["control"], inputs["treatment"])
    )
    df = control.n + treatment.n - 2
    within = (control.n - 1) * control.variance + (treatment.n - 1) * treatment.variance
    se = math.sqrt(within / df * (1 / control.n + 1 / treatment.n))
    effect = difference(control, treatment).effect
    return {
        "control": control.mean,
        "treatment": treatment.mean,
        "effect": effect,
        "ci_lower": effect - stats.t.ppf(1 - inputs["alpha"], df) * se,
        "p": stats.t.sf(effect / se, df),
        "statistic": effect / se,
    }


def tea_sums(sums: Inputs) -> RatioSums:
    """Read the sums of tea-tasting, which names products in one order."""
    names = {
        "y": "orders",
        "d": "sessions",
        "x": "orders_covariate",
        "e": "sessions_covariate",
    }
    found = {short: sums["sum"][name] for short, name in names.items()}
    products = sums["sum_products"]
    for pair in ("yy", "yd", "yx", "ye", "dd", "dx", "de", "xx", "xe", "ee"):
        first, second = (names[short] for short in pair)
        found[pair] = products.get(
            f"{first}*{second}", products.get(f"{second}*{first}")
        )
    return RatioSums(n=sums["n"], **found)


def cuped_ratio(inputs: Inputs) -> Figures:
    control, treatment = cuped([tea_sums(inputs[k]) for k in ("control", "treatment")])
    estimate = difference(control, treatment)
    test = fixed_test(estimate, inputs["alpha"], side=inputs["alternative"])
    return {
        "control": control.mean,
        "treatment": treatment.mean,
        "effect": estimate.effect,
        "ci_upper": test.interval.high,
        "p": test.p_value,
        "statistic": test.statistic,
    }


def growthbook_sums(sums: Inputs) -> RatioSums:
    (y, yy), (d, dd) = sums["m_post"], sums["d_post"]
    (x, xx), (e, ee) = sums["m_pre"], sums["d_pre"]
    return RatioSums(
        n=sums["n"],
        y=y,
        d=d,
        x=x,
        e=e,
        yy=yy,
        yd=sums["m_post*d_post"],
        yx=sums["m_post*m_pre"],
        ye=sums["m_post*d_pre"],
        dd=dd,
        dx=sums["m_pre*d_post"],
        de=sums["d_post*d_pre"],
        xx=xx,
        xe=sums["m_pre*d_pre"],
        ee=ee,
    )


def spread_of(sums: RatioSums) -> oracles.Matrix:
    return oracles.covariances(
        int(sums.n),
        [sums.y, sums.d, sums.x, sums.e],
        [
            [sums.yy, sums.yd, sums.yx, sums.ye],
            [sums.dd, sums.dx, sums.de],
            [sums.xx, sums.xe],
            [sums.ee],
        ],
    )


def relative_by_raw_control(
    sums: list[RatioSums], theta: float | None = None, *, is_balanced: bool = False
) -> Figures:
    """Divide our adjusted difference by the raw control, as GrowthBook does."""
    found = adjustment(sums, theta=theta)
    effect = difference(*found.variants).effect / (sums[0].y / sums[0].d)
    ns, means = [int(s.n) for s in sums], [middle(s) for s in sums]
    spreads = [spread_of(s) for s in sums]
    se = oracles.relative_cuped(
        ns, means, spreads, found.theta, is_balanced=is_balanced
    )
    return {"effect": effect, "se": se, "df": degrees(*found.variants)}


def middle(sums: RatioSums) -> oracles.Matrix:
    return np.array([sums.y, sums.d, sums.x, sums.e]) / sums.n


def cuped_ratio_relative(inputs: Inputs) -> Figures:
    sums = [growthbook_sums(inputs[key]) for key in ("control", "treatment")]
    theta = oracles.theta_within(
        [middle(s) for s in sums], [spread_of(s) for s in sums]
    )
    found = relative_by_raw_control(sums, theta)
    return found | oracles.student(
        found["effect"], found["se"], found["df"], inputs["alpha"]
    )


def wald(inputs: Inputs) -> Figures:
    first, second = inputs["x1"] / inputs["n1"], inputs["x2"] / inputs["n2"]
    control = Moments(inputs["n2"], second, second * (1 - second))
    treatment = Moments(inputs["n1"], first, first * (1 - first))
    test = fixed_test(difference(control, treatment), inputs["alpha"])
    return {"ci": ends(test.interval)}


def srm(inputs: Inputs) -> Figures:
    test = srm_chi2(inputs["counts"], inputs["weights"])
    return {"statistic": test.statistic, "df": test.df, "p": test.p_value}


def srm_batches(inputs: Inputs) -> Figures:
    kappa, seen, p_values = inputs["concentration"], [0, 0, 0], [1.0]
    for batch in inputs["batches"]:
        seen = [old + new for old, new in zip(seen, batch, strict=True)]
        p_values.append(srm_sequential(seen, inputs["null"], (kappa,)))
    factor = math.exp(srm_log_bayes_factor(seen, inputs["null"], kappa))
    return {
        "bayes_factor": factor,
        "p_running_min": min(p_values),
        "posterior_prob": factor / (1 + factor),
    }


def anytime(estimate: Estimate, inputs: Inputs) -> Figures:
    n_star, alpha = inputs["n_star"], inputs["alpha"]
    reach = anytime_multiplier(estimate.n, n_star, alpha)
    return {
        "effect": estimate.effect,
        "se": estimate.se,
        "ci": ends(around(estimate, reach, level=1 - alpha)),
        "half_width": reach * estimate.se,
        "p": anytime_p(estimate, n_star, alpha),
        "log_evalue": log_e_value(estimate, n_star, alpha),
    }


def anytime_cuped(inputs: Inputs) -> Figures:
    """Read means as ratios to a denominator of 1 in every unit."""
    sums = []
    for one in (inputs["control"], inputs["treatment"]):
        (n, y, yy), (_, x, xx) = one["post"].values(), one["pre"].values()
        shared = one["sum_xy"]
        sums.append(RatioSums(n, y, n, x, n, yy, y, shared, y, n, x, n, xx, x, n))
    found = relative_by_raw_control(sums, is_balanced=True)
    plain = [CupedSums(s.n, s.y, s.yy, s.x, s.xx, s.yx) for s in sums]
    assert difference(*cuped(plain)).effect == pytest.approx(
        difference(*cuped(sums)).effect, rel=1e-12
    )
    units = sum(s.n for s in sums)
    return anytime(Estimate(found["effect"], found["se"], units), inputs)


def anytime_one_sided(inputs: Inputs) -> Figures:
    control, treatment = two(inputs)
    estimate = (by_delta if inputs["scale"] == "relative" else difference)(
        control, treatment
    )
    alpha, side = inputs["alpha"], inputs["side"]
    reach = anytime_multiplier(estimate.n, inputs["n_star"], alpha, side=side)
    return {"ci_lower": around(estimate, reach, level=1 - alpha, side=side).low}


def mixture_test(inputs: Inputs) -> Figures:
    """Choose n for the r that the source's tau means."""
    r = inputs["tau2"] / inputs["variance_of_estimate"]
    tail = -2 * math.log(0.05)
    se = math.sqrt(inputs["variance_of_estimate"])
    estimate = Estimate(inputs["estimate"], se, r / (tail + math.log1p(tail)))
    return {"p": anytime_p(estimate, 1, 0.05, null=inputs["null"])}


def false_discovery(inputs: Inputs) -> Figures:
    p_values, alpha = inputs["p_values"], inputs["alpha"]
    adjusted = benjamini_hochberg(p_values)
    return {
        "adjusted": list(adjusted),
        "adjusted_4th": adjusted[3],
        "rejected": sum(p <= alpha for p in adjusted),
        "bonferroni_rejected": sum(p <= alpha for p in bonferroni(p_values)),
    }


def bayes_flat(inputs: Inputs) -> Figures:
    estimate = by_delta(*two(inputs))
    reach = beyond(0.025)
    return {
        "effect": estimate.effect,
        "sd": estimate.se,
        "ci": ends(around(estimate, reach, level=0.95)),
        "chance_to_win": chance_to_beat(estimate),
    } | losses(estimate)


def bayes_prior(inputs: Inputs) -> Figures:
    estimate = by_delta(*two(inputs))
    prior = inputs["prior_mean"], inputs["prior_variance"]
    return oracles.posterior(estimate.effect, estimate.se, *prior)


def losses(estimate: Estimate) -> Figures:
    kept = expected_loss(estimate, is_shipped=False)
    return {"risk": [kept, expected_loss(estimate)]}


def noninferiority(inputs: Inputs) -> Figures:
    control, treatment = two(inputs)
    estimate = contrast(control, treatment, 1.0)
    test = fixed_test(estimate, 0.05, null=-inputs["margin"], side="greater")
    return {"statistic": test.statistic, "p": test.p_value}


def noninferiority_units(inputs: Inputs) -> Figures:
    design = Design(alpha=inputs["alpha"], power=inputs["power"])
    size = noninferiority_size(
        inputs["margin"],
        rate=inputs["p_control"],
        effect=inputs["p_treatment"] - inputs["p_control"],
        design=design,
    )
    return {"n_per_arm": math.ceil(size.treatment)}


def power_of_rates(inputs: Inputs) -> Figures:
    found = power(
        inputs["p2"] - inputs["p1"],
        2 * inputs["n_per_arm"],
        rate=inputs["p1"],
        design=Design(alpha=inputs["alpha"]),
    )
    return {"power": found}


def size_of_rates(inputs: Inputs) -> Figures:
    design = Design(alpha=inputs["alpha"], power=inputs["power"])
    if "baseline" in inputs:
        rate, effect = inputs["baseline"], inputs["absolute_mde"]
        null = rate
    else:
        rate, effect, null = inputs["p1"], inputs["p2"] - inputs["p1"], None
    size = sample_size(effect, rate=rate, null_rate=null, design=design)
    return {"n_per_arm": size.control}


def size_of_means(inputs: Inputs) -> Figures:
    ratio_of_units = inputs["ratio"]
    design = Design(
        alpha=inputs["alpha"],
        power=inputs["power"],
        share=ratio_of_units / (1 + ratio_of_units),
    )
    size = sample_size(inputs["delta"], sd=inputs["sd"], design=design)
    return {"n_control": size.control}


def risk(inputs: Inputs) -> Figures:
    return {"fpr": false_positive_risk(**inputs)}


def uneven(inputs: Inputs) -> Figures:
    interval = fieller(*two(inputs), beyond(inputs["alpha"] / 2))
    assert interval is not None
    return {"ci": ends(interval)}


def given(inputs: Inputs) -> Estimate:
    return Estimate(inputs["estimate"], inputs["se"], inputs["n"])


METHODS: dict[str, Callable[[Inputs], Figures]] = {
    "anytime_valid_linear_model_t": oracles.anytime_regression,
    "asymptotic_confidence_sequence": lambda i: anytime(given(i), i),
    "asymptotic_confidence_sequence_one_sided": anytime_one_sided,
    "asymptotic_confidence_sequence_relative": lambda i: anytime(by_delta(*two(i)), i),
    "asymptotic_confidence_sequence_relative_cuped": anytime_cuped,
    "bayes_expected_loss": lambda i: losses(Estimate(i["mean"], i["sd"], 1)),
    "bayes_gaussian_effect_flat": bayes_flat,
    "bayes_gaussian_effect_prior": bayes_prior,
    "benjamini_hochberg": false_discovery,
    "benjamini_yekutieli": lambda i: oracles.adjusted(i, "fdr_by"),
    "false_positive_risk": risk,
    "fieller_interval": uneven,
    "fisher_exact": oracles.fisher,
    "holm_sidak": lambda i: oracles.adjusted(i, "holm-sidak"),
    "k_proportions_chi2": oracles.proportions_of_many,
    "lan_demets_obrien_fleming": oracles.spending_bounds,
    "mde_mean_t": oracles.student_mde,
    "mixture_sprt_normal": mixture_test,
    "noninferiority_sample_size_proportions": noninferiority_units,
    "noninferiority_z": noninferiority,
    "order_statistic_ci_coverage": oracles.median_coverage,
    "power_two_proportions": power_of_rates,
    "ratio_delta_cuped_normal_one_sided": cuped_ratio,
    "ratio_delta_cuped_relative": cuped_ratio_relative,
    "ratio_delta_pooled_t_one_sided": pooled_ratio,
    "sample_size_evan_miller": size_of_rates,
    "sample_size_t_two_sample": oracles.student_size,
    "sample_size_two_proportions": size_of_rates,
    "sample_size_z_unequal": size_of_means,
    "srm_chi2": srm,
    "srm_sequential_dirichlet_multinomial": srm_batches,
    "srm_two_arm_exact_binomial": oracles.exact_split,
    "two_proportion_newcombe_hybrid_score_ci": oracles.newcombe,
    "two_proportion_wald_ci": wald,
    "welch_t": welch,
    "welch_t_relative_delta": welch_relative,
    "welch_t_with_log_relative_ci": welch_log,
    "winsorize_upper": oracles.capped,
}


def numbers(figure: float | list[float]) -> list[float]:
    return list(figure) if isinstance(figure, list) else [figure]


def faults(case: Inputs, found: Figures) -> list[str]:
    """List the figures that are further off than their case allows."""
    wrong = []
    for key, expected in case["expected"].items():
        allowed = case["tolerance"] | case["tolerance"].get("per_key", {}).get(key, {})
        for want, have in zip(numbers(expected), numbers(found[key]), strict=True):
            limit = allowed.get("abs", 0) + allowed.get("rel", 0) * abs(want)
            if not abs(have - want) <= limit:
                wrong.append(f"{case['id']}: {key} is {have!r}, not {want!r}")
    return wrong


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: str(case["id"]))
def test_a_reference_case_comes_out_as_published(case: Inputs) -> None:
    found = METHODS[case["method"]](case["inputs"])
    assert not faults(case, found)


def test_a_figure_that_is_off_is_named() -> None:
    case = {"id": "one", "expected": {"p": 0.5}, "tolerance": {"abs": 0.01}}
    assert faults(case, {"p": 0.52}) == ["one: p is 0.52, not 0.5"]


def test_no_case_is_missing() -> None:
    assert len(CASES["cases"]) == CASES["count"] == 43
