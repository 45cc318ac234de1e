"""Reference values for methods that no report uses, from scipy and statsmodels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import confint_proportions_2indep

Inputs = dict[str, Any]
Figures = dict[str, Any]
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def student(effect: float, se: float, df: float, alpha: float) -> Figures:
    """Test an effect by Student's distribution."""
    reach = stats.t.ppf(1 - alpha / 2, df) * se
    return {
        "p": 2 * stats.t.sf(abs(effect / se), df),
        "ci": [effect - reach, effect + reach],
    }


def welch_df(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Give the degrees of freedom of two pairs of n and variance."""
    parts = [variance / n for n, variance in (first, second)]
    below = parts[0] ** 2 / (first[0] - 1) + parts[1] ** 2 / (second[0] - 1)
    return math.fsum(parts) ** 2 / below


def covariances(n: int, sums: list[float], products: list[list[float]]) -> Matrix:
    """Give the covariances of one unit from sums and a triangle of sums of products."""
    upper = np.array([[0.0] * (len(sums) - len(row)) + row for row in products])
    full = upper + upper.T - np.diag(np.diag(upper))
    return np.asarray((full - np.outer(sums, sums) / n) / (n - 1))


def theta_within(means: list[Matrix], spreads: list[Matrix]) -> float:
    """Give the theta of two ratios from what varies within variants."""
    shared = spread = 0.0
    for (y, d, x, e), covariance in zip(means, spreads, strict=True):
        metric = np.array([1 / d, -y / d**2, 0, 0])
        history = np.array([0, 0, 1 / e, -x / e**2])
        shared += metric @ covariance @ history
        spread += history @ covariance @ history
    return float(shared / spread)


def relative_cuped(
    ns: list[int],
    means: list[Matrix],
    spreads: list[Matrix],
    theta: float,
    *,
    is_balanced: bool,
) -> float:
    """Give the error of adjusted difference over raw control, by a numeric gradient.

    For means, the source takes the gradient as if the covariates were balanced.
    """
    point = np.concatenate(means)
    apart = point[6] / point[7] - point[2] / point[3] if is_balanced else 0.0

    def relative(both: Matrix) -> float:
        y0, d0, x0, e0, y1, d1, x1, e1 = both
        adjusted = y1 / d1 - y0 / d0 - theta * (x1 / e1 - x0 / e0 - apart)
        return float(adjusted / (y0 / d0))

    steps = np.diag(1e-6 * np.abs(point))
    gradient = np.array(
        [(relative(point + s) - relative(point - s)) / (2 * s.sum()) for s in steps]
    )
    parts = [
        gradient[place : place + 4] @ spread @ gradient[place : place + 4]
        for place, spread in zip((0, 4), spreads, strict=True)
    ]
    variances = [part / n for part, n in zip(parts, ns, strict=True)]
    return math.sqrt(math.fsum(variances))


def newcombe(inputs: Inputs) -> Figures:
    ends = confint_proportions_2indep(
        inputs["x1"],
        inputs["n1"],
        inputs["x2"],
        inputs["n2"],
        method="newcomb",
        alpha=inputs["alpha"],
    )
    return {"ci": list(ends)}


def proportions_of_many(inputs: Inputs) -> Figures:
    successes = np.array(inputs["successes"])
    table = [successes, np.array(inputs["nobs"]) - successes]
    statistic, p_value, df, _ = stats.chi2_contingency(table, correction=False)
    return {"statistic": statistic, "df": df, "p": p_value}


def fisher(inputs: Inputs) -> Figures:
    table = [
        [inputs[name]["successes"], inputs[name]["n"] - inputs[name]["successes"]]
        for name in ("control", "treatment")
    ]
    return {"p": stats.fisher_exact(table)[1]}


def exact_split(inputs: Inputs) -> Figures:
    first, second = inputs["weights"]
    share = first / (first + second)
    counts = inputs["counts"]
    return {"p": stats.binomtest(counts[0], sum(counts), share).pvalue}


def anytime_regression(inputs: Inputs) -> Figures:
    """Solve the t mixture for the narrowest interval, over g."""
    n: int = inputs["n"]
    df: int = n - inputs["n_coefficients"]

    def log_evidence(t: float, g: float) -> float:
        q = g / (g + n)
        grown = math.log1p(t * t / df) - math.log1p(q * t * t / df)
        return 0.5 * math.log(q) + 0.5 * (df + 1) * grown

    def radius(g: float) -> float:
        goal = -math.log(inputs["alpha"])
        found = optimize.brentq(lambda t: log_evidence(t, g) - goal, 1, 50)
        return float(found)

    best = optimize.minimize_scalar(radius, bounds=(1, 100), method="bounded")
    reach = best.fun * inputs["se"]
    return {"ci": [inputs["estimate"] - reach, inputs["estimate"] + reach]}


def median_coverage(inputs: Inputs) -> Figures:
    low, high = inputs["ranks"]
    below = stats.binom(inputs["n"], inputs["level"])
    return {"coverage": below.cdf(high - 1) - below.cdf(low - 1)}


def adjusted(inputs: Inputs, method: str) -> Figures:
    return {"adjusted": list(multipletests(inputs["p_values"], method=method)[1])}


def posterior(effect: float, se: float, mean: float, variance: float) -> Figures:
    """Weigh an effect with a normal prior."""
    precision = 1 / se**2 + 1 / variance
    found = stats.norm((effect / se**2 + mean / variance) / precision, precision**-0.5)
    return {
        "effect": found.mean(),
        "sd": found.std(),
        "ci": list(found.interval(0.95)),
        "chance_to_win": found.sf(0),
    }


def student_size(inputs: Inputs) -> Figures:
    size = TTestIndPower().solve_power(
        effect_size=inputs["delta"] / inputs["sd"],
        alpha=inputs["alpha"],
        power=inputs["power"],
    )
    return {"n_per_arm": size}


def student_mde(inputs: Inputs) -> Figures:
    """Solve the noncentral t distribution; statsmodels stops at four digits here."""
    n = inputs["n_total"] / (1 + inputs["ratio"])
    df, sd = inputs["n_total"] - 2, math.sqrt(inputs["sample_var"])
    se = sd * math.sqrt(1 / n + 1 / (n * inputs["ratio"]))
    edge = stats.t.ppf(1 - inputs["alpha"] / 2, df)

    def missing(effect: float) -> float:
        # The far tail is too small for scipy to tell, then it is NaN.
        far = np.nan_to_num(stats.nct.cdf(-edge, df, effect / se))
        return float(stats.nct.sf(edge, df, effect / se) + far - inputs["power"])

    effect = optimize.brentq(missing, se, 10 * se, xtol=1e-14)
    return {"effect": effect, "rel_effect": effect / inputs["sample_mean"]}


def capped(inputs: Inputs) -> Figures:
    values = np.concatenate([np.zeros(900), np.arange(1.0, 101.0)])
    cap = np.quantile(values, inputs["quantile"], method="inverted_cdf")
    left = np.minimum(values, cap)
    return {"cap": cap, "mean": left.mean(), "sum_sq": (left**2).sum()}


def spending_bounds(inputs: Inputs) -> Figures:
    """Spend alpha as O'Brien and Fleming would, by recursive integration."""
    times, side = inputs["information"], inputs["alpha_two_sided"] / 2
    edge_of_all = stats.norm.isf(side / 2)
    spent = [float(2 * stats.norm.sf(edge_of_all / t**0.5)) for t in times]
    bounds, grid, density = [], np.zeros(1), np.ones(1)
    for t, last, goal in zip(
        times, [0.0, *times], np.diff([0.0, *spent]), strict=False
    ):
        step = (t - last) ** 0.5
        edge = crossing(grid, density, step, goal)
        bounds.append(edge / t**0.5)
        finer = np.linspace(-edge, edge, 801)
        moved = stats.norm.pdf(finer[:, None], loc=grid[None, :], scale=step)
        grid, density = finer, weighed(moved * density, grid)
    return {"bounds": bounds}


def weighed(values: Matrix, grid: Matrix) -> Matrix:
    """Integrate over the grid, or take the one point that it has."""
    if len(grid) == 1:
        return np.asarray(values[..., 0])
    return np.asarray(np.trapezoid(values, grid, axis=-1))


def crossing(grid: Matrix, density: Matrix, step: float, goal: float) -> float:
    """Find the edge that is first crossed with the probability that is wanted."""

    def missing(edge: float) -> float:
        beyond = stats.norm.sf(edge, loc=grid, scale=step)
        return float(weighed(density * beyond, grid) - goal)

    return float(optimize.brentq(missing, 0, 10))
