"""Formulas of the package over arrays; `test_formulas` keeps both the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flask_abx.results.judgement.gates import LEAST_EVENTS, LEAST_UNITS, MOST_SKEWNESS
from flask_abx.results.sequential import anytime_multiplier

if TYPE_CHECKING:
    import numpy.typing as npt

    from flask_abx.results.inference import Side
    from tests.results.simulations.streams import Array, Found, Stream


class Means(NamedTuple):
    """Means of many runs, and the variances of one unit."""

    n: Array
    mean: Array
    variance: Array


def means(stream: Stream) -> Means:
    """Work out what `moments` does."""
    variance = (stream.yy - stream.y * (stream.y / stream.n)) / (stream.n - 1)
    return Means(stream.n, stream.y / stream.n, np.maximum(variance, 0.0))


def standings(control: Means, treatment: Means, factor: float = 1.0) -> Array:
    """Work out what `contrast` and `Estimate.statistic` do."""
    se = np.sqrt(
        treatment.variance / treatment.n + factor**2 * control.variance / control.n
    )
    effect = treatment.mean - factor * control.mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(effect == 0, 0.0, effect / se)


def multipliers(
    n: npt.ArrayLike,
    n_star: float,
    alpha: float,
    tuned_at: float | None = None,
    side: Side = "two",
) -> Array:
    """Ask `anytime_multiplier` for each look, where all runs have the same units."""
    return np.array(
        [
            anytime_multiplier(float(each), n_star, alpha, tuned_at, side)
            for each in np.ravel(n)
        ]
    )


def fieller_ends(control: Means, treatment: Means, k: Array) -> tuple[Array, Array]:
    """Work out what `fieller` does, over a control above zero; NaN where it is None."""
    base, error = control.mean, k * np.sqrt(control.variance / control.n)
    effect = treatment.mean - base
    reach = k * np.sqrt(treatment.variance / treatment.n + control.variance / control.n)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(error < base, (error / base) ** 2, np.nan)
        other = (k / base) * np.sqrt(treatment.variance / treatment.n)
        a, b = 1 - own, effect / base + own
        c = ((np.abs(effect) - reach) / base) * ((np.abs(effect) + reach) / base)
        root = np.hypot(other * np.sqrt(a), (error / base) * (treatment.mean / base))
        far = b + np.copysign(root, b)
        first, second = far / a, np.where(far == 0, 0.0, c / far)
    return np.minimum(first, second), np.maximum(first, second)


def skewnesses(control: Stream, treatment: Stream) -> Array:
    """Work out what `skewness` does."""
    n = control.n + treatment.n
    y, yy = control.y + treatment.y, control.yy + treatment.yy
    mean = y / n
    variance = (yy - y * mean) / (n - 1)
    third = (control.yyy + treatment.yyy) / n - 3 * mean * (yy / n) + 2 * mean**3
    spread = variance * (1 / treatment.n + 1 / control.n)
    with np.errstate(divide="ignore", invalid="ignore"):
        lean = third * (1 / treatment.n**2 - 1 / control.n**2) / spread**1.5
    return np.where(variance <= 1e-15 * yy / n, 0.0, np.abs(lean))


def passed(control: Stream, treatment: Stream) -> Found:
    """Tell what `gate` lets through of a sum."""
    smaller = np.minimum(control.n, treatment.n)
    rate = (control.nonzero + treatment.nonzero) / (control.n + treatment.n)
    is_enough = (smaller >= LEAST_UNITS) & (rate * smaller >= LEAST_EVENTS)
    return is_enough & (skewnesses(control, treatment) <= MOST_SKEWNESS)
