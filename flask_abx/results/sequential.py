"""Tests that stay valid however often, and whenever, somebody looks at them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from flask_abx.errors import UsageError
from flask_abx.results.figures.inputs import (
    Side,
    expected_shares,
    level_of_side,
    positive,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.inference import Estimate

KAPPAS = (10.0, 100.0, 1_000.0, 10_000.0)

# Below this, the asymptotic series of the gamma function is not exact to the last bit.
LEAST_FOR_SERIES = 12.0


def anytime_multiplier(
    n: float,
    n_star: float,
    alpha: float,
    tuned_at: float | None = None,
    side: Side = "two",
) -> float:
    """Give the standard errors on each side of an effect that hold at any time.

    The asymptotic confidence sequence of a normal mixture, narrowest near `n_star`.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, arXiv:2103.06476, equations 9,
    155 and 161, one-sided 134; Howard, Ramdas, McAuliffe, Sekhon 2021,
    arXiv:1810.08240, proposition 5.

    Args:
        n: Units of both variants, above 0; or the information that stands for them.
        n_star: The n at which the sequence is to be narrowest, fixed in advance.
        alpha: Error probability of the sequence; below 0.5 where it has one side.
        tuned_at: The error probability for which it is narrowest there; None takes
            alpha. It stays the same where alpha is divided in a family.
        side: "two"; "greater" and "less" bound the effect from one side.

    Raises:
        UsageError: If an argument is none of that.
    """
    level_of_side("alpha", alpha, side)
    r = _mixture(n, n_star, alpha if tuned_at is None else tuned_at, side)
    wider = 1 + 1 / r
    if side == "two":
        return math.sqrt(wider * (math.log1p(r) - 2 * math.log(alpha)))
    odds = 0.5 * math.log1p(r) - math.log(2 * alpha)
    return math.sqrt(2 * wider * (odds + math.log1p(math.exp(-odds))))


def anytime_p(
    estimate: Estimate,
    n_star: float,
    tuned_at: float,
    *,
    null: float = 0.0,
    side: Side = "two",
) -> float:
    """Give a p-value that holds at any time.

    It is below alpha exactly when the estimate is more than
    ``anytime_multiplier(estimate.n, n_star, alpha, tuned_at, side)`` standard errors
    away from the null, on the side asked for. Where nothing varies, it is 1 at the null
    and 0 elsewhere.

    Source: as for `anytime_multiplier`, solved for alpha; the mixture of Johari,
    Koomen, Pekelis, Walsh 2022, Always valid inference, is the same.

    Args:
        estimate: The estimate, its n being units or information.
        n_star: The n at which the sequence is narrowest, fixed in advance.
        tuned_at: The error probability for which it is narrowest there.
        null: The effect to test against.
        side: "two"; "greater" looks for an effect above the null, "less" for one below.

    Raises:
        UsageError: If an argument is none of that.
    """
    if side == "two":
        gain = log_e_value(estimate, n_star, tuned_at, null=null)
        return min(1.0, math.exp(-max(gain, 0.0)))
    r = _mixture(estimate.n, n_star, tuned_at, side)
    t = estimate.statistic(null) if side == "greater" else -estimate.statistic(null)
    if t <= 0:
        return 1.0
    h = 0.5 * t * t * (r / (1 + r))
    if h == 0:
        return 1.0
    # The logarithm of exp(h) - 1, where exp(h) may be beyond any float.
    grown = h + math.log1p(-math.exp(-h)) if h > 1 else math.log(math.expm1(h))
    return math.exp(min(0.5 * math.log1p(r) - math.log(2) - grown, 0.0))


def log_e_value(
    estimate: Estimate, n_star: float, tuned_at: float, *, null: float = 0.0
) -> float:
    """Give the logarithm of the evidence against a null, which holds at any time.

    Source: as for `anytime_multiplier`; its mixture likelihood ratio.

    Args:
        estimate: The estimate, its n being units or information.
        n_star: The n at which the sequence is narrowest, fixed in advance.
        tuned_at: The error probability for which it is narrowest there.
        null: The effect to test against.

    Returns:
        The logarithm; infinite where nothing varies and the effect is not the null.

    Raises:
        UsageError: If an argument is none of that.
    """
    r = _mixture(estimate.n, n_star, tuned_at, "two")
    t = estimate.statistic(null)
    return 0.5 * t * t * (r / (1 + r)) - 0.5 * math.log1p(r)


def srm_sequential(
    counts: Sequence[int],
    weights: Sequence[float],
    kappas: Sequence[float] = KAPPAS,
) -> float:
    """Give a p-value for the split of units that holds at any time.

    The mean of the Bayes factors of `srm_log_bayes_factor` is one over it. It depends
    on the counts so far alone, not on their order. Variants of weight 0 are left out.

    Source: Lindon, Malek 2022, Anytime-valid inference for multinomial count data,
    arXiv:2011.03567; a mean of such factors is one, too.

    Args:
        counts: Units of each variant.
        weights: Their weights, relative to each other.
        kappas: How closely each prior keeps to the weights, in units; at least one.

    Raises:
        UsageError: If counts and weights do not match, one is negative or no number,
            all weights are zero, or a kappa is missing or not above 0.
    """
    if not kappas:
        raise UsageError("There are no kappas, give at least one.")
    factors = [srm_log_bayes_factor(counts, weights, kappa) for kappa in kappas]
    largest = max(factors)
    total = math.fsum(math.exp(factor - largest) for factor in factors)
    return math.exp(min(math.log(len(factors)) - math.log(total) - largest, 0.0))


def srm_log_bayes_factor(
    counts: Sequence[int], weights: Sequence[float], kappa: float
) -> float:
    """Give the logarithm of the evidence that units are not split as the weights say.

    A multinomial whose shares have a Dirichlet prior around the weights, against one
    with the weights themselves.

    Source: Lindon, Malek 2022, arXiv:2011.03567. The gamma functions are written by
    Stirling's formula, of which all that is large cancels, so that counts of any size
    leave nothing but rounding.

    Args:
        counts: Units of each variant.
        weights: Their weights, relative to each other.
        kappa: How closely the prior keeps to the weights, in units, above 0.

    Raises:
        UsageError: As for `srm_sequential`.
    """
    positive("kappa", kappa)
    kept, shares = expected_shares(counts, weights)
    n = math.fsum(kept)
    after = kappa + n
    terms = [0.5 * math.log1p(n / kappa), _stirling(kappa), -_stirling(after)]
    for count, share in zip(kept, shares, strict=True):
        prior = kappa * share
        posterior = prior + count
        off = (count - n * share) / (after * share)
        surplus = math.log1p(off) if off > -0.5 else math.log(posterior / after / share)
        terms += [
            posterior * surplus,
            -0.5 * math.log1p(count / prior),
            _stirling(posterior),
            -_stirling(prior),
        ]
    return math.fsum(terms)


@lru_cache(maxsize=256)
def _tuning(tuned_at: float, side: Side) -> float:
    """Give r at the n for which a sequence is narrowest."""
    level_of_side("tuned_at", tuned_at, side)
    tail = -2 * math.log(tuned_at if side == "two" else 2 * tuned_at)
    return tail + math.log1p(tail)


def _mixture(n: float, n_star: float, tuned_at: float, side: Side) -> float:
    """Give r, the variance of the mixture in squared standard errors."""
    r = _tuning(tuned_at, side) * (positive("n", n) / positive("n_star", n_star))
    if not (0 < r < math.inf and 1 / r < math.inf):
        raise UsageError(f"n is {n!r} and n_star {n_star!r}, which is too far apart.")
    return r


def _stirling(x: float) -> float:
    """Give what Stirling's formula leaves out of the logarithm of the gamma function.

    Source: Abramowitz, Stegun 1964, 6.1.41.
    """
    if x < LEAST_FOR_SERIES:
        plain = (x - 0.5) * math.log(x) - x + 0.5 * math.log(2 * math.pi)
        return math.lgamma(x) - plain
    inverse = 1 / (x * x)
    series = 1 / 1188
    for coefficient in (-1 / 1680, 1 / 1260, -1 / 360, 1 / 12):
        series = series * inverse + coefficient
    return series / x
