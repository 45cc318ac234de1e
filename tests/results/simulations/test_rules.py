"""What the rules of judging are for: without them one errs too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flask_abx.results.figures.normal import beyond
from tests.results.simulations.formulas import (
    Means,
    means,
    multipliers,
    passed,
    standings,
)
from tests.results.simulations.streams import chance, error_of, revenue, share, walks

if TYPE_CHECKING:
    from flask_abx.results.inference import Side
    from tests.results.simulations.streams import Array, Chance, Found

ALPHA, ANY_TIME, FINAL = 0.05, 0.01, 0.04
LOOKS = 20


def at_any_time(alpha: float, family: int = 1, side: Side = "two") -> Array:
    """Give what an effect must exceed at each look up to the plan."""
    looks = np.arange(1, LOOKS + 1)
    return multipliers(looks, LOOKS, alpha / family, alpha, side)


def once(found: Found, look: int = -1) -> Found:
    """Keep only what is found at the final look."""
    kept = np.zeros_like(found)
    kept[:, look] = found[:, look]
    return kept


@pytest.mark.parametrize(("part", "least"), [(0.1, 0.5), (0.05, 0.01)])
def test_skewed_revenue_waits_where_the_split_is_uneven(
    part: float, least: float
) -> None:
    """sim-skew-gate: rules 7 and 8, 20,000 units in 40 looks, no effect."""
    rng, runs, looks, units = chance("sim-skew-gate"), 3_000, 40, round(500 * part)
    treatment = revenue(rng, runs, looks, units, rate=0.15)
    control = revenue(rng, runs, looks, 500 - units, rate=0.15)
    t = standings(means(control), means(treatment))
    k = multipliers(500 * np.arange(1, looks + 1), 20_000, ALPHA)
    is_passed = passed(control, treatment)
    assert share((t < -k) & is_passed) <= 0.05
    assert share((t > k) & is_passed) <= 0.05
    assert share(t < -k) > 0.05
    # Who lets nothing pass does not err either.
    assert share(is_passed) > least


def converted(rng: Chance, runs: int, days: int, delays: list[float]) -> Array:
    """Draw the conversions of each day's 1,000 units, by their age in days.

    One of ten converts within a week, whatever the delays; they are the shares of each
    day of that week.
    """
    shares = [0.1 * each for each in delays]
    drawn = rng.multinomial(1_000, [*shares, 0.9], (runs, days))[..., :-1]
    return np.cumsum(drawn, axis=2)


def looked(by_age: Array, *, is_matured: bool) -> Means:
    """Look every day at all units, or at those whose window has closed."""
    runs, days, ages = by_age.shape
    found = np.zeros((2, runs, days - ages))
    for look in range(ages, days):
        for entered in range(look + 1):
            age = look - entered
            if is_matured and age < ages:
                continue
            found[0, :, look - ages] += 1_000
            found[1, :, look - ages] += by_age[:, entered, min(age, ages - 1)]
    n, y = found
    return Means(n, y / n, (y - y * (y / n)) / (n - 1))


def test_who_only_buys_sooner_does_not_win() -> None:
    """sim-buys-sooner: rule 2, a window of 7 days in 28 daily looks."""
    rng, runs = chance("sim-buys-sooner"), 2_000
    slow = [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
    drawn = [converted(rng, runs, 28, each) for each in (slow, slow[::-1])]
    found = {}
    for is_matured in (True, False):
        control, treatment = (looked(each, is_matured=is_matured) for each in drawn)
        k = multipliers(2 * control.n[0], 56_000, ALPHA)
        found[is_matured] = share(standings(control, treatment) > k)
    assert found[True] <= 0.05
    assert found[False] > 0.5


@pytest.mark.parametrize("more", [5, 20, 80])
def test_the_final_look_is_made_once(more: int) -> None:
    """sim-final-look-once: rule 5, so many refreshes after the plan is met."""
    t = np.abs(walks(chance("sim-final-look-once"), 20_000, LOOKS + more))
    k = multipliers(np.arange(1, LOOKS + more + 1), LOOKS, ANY_TIME)
    final = t > beyond(FINAL / 2)
    assert share((t > k) | once(final, LOOKS - 1)) <= 0.05
    assert share((t > k) | (final & (np.arange(LOOKS + more) >= LOOKS - 1))) > 0.06


def test_a_family_of_metrics_errs_as_one() -> None:
    """sim-multiplicity: rule 4, ten metrics without an effect, correlated by 0.3."""
    rng, runs, family = chance("sim-multiplicity"), 10_000, 10
    same = walks(rng, runs, LOOKS)
    hybrid, any_time, uncorrected, naive = np.zeros((4, runs), dtype=bool)
    for _ in range(family):
        t = np.abs(0.3**0.5 * same + 0.7**0.5 * walks(rng, runs, LOOKS))
        last = once(t > beyond(FINAL / family / 2))
        hybrid |= ((t > at_any_time(ANY_TIME, family)) | last).any(axis=1)
        any_time |= (t > at_any_time(ALPHA, family)).any(axis=1)
        uncorrected |= (t > at_any_time(ALPHA)).any(axis=1)
        naive |= (t > beyond(ALPHA / 2)).any(axis=1)
    assert share(hybrid) <= 0.05
    assert share(any_time) <= 0.05
    assert share(uncorrected) > 0.05
    assert share(naive) > 0.5


def test_guardrails_err_as_one() -> None:
    """sim-guardrails: rule 10, eight of them where nothing became worse.

    They lie at their null: no effect without a margin, the margin itself with one.
    """
    rng, runs, guards = chance("sim-guardrails"), 10_000, 8
    hybrid, any_time, uncorrected, final = np.zeros((4, runs), dtype=bool)
    for _ in range(guards):
        t = walks(rng, runs, LOOKS)
        last = once(t > beyond(FINAL / guards))
        sequence = at_any_time(ANY_TIME, guards, "greater")
        hybrid |= ((t > sequence) | last).any(axis=1)
        any_time |= (t > at_any_time(ALPHA, guards, "greater")).any(axis=1)
        uncorrected |= (t > at_any_time(ALPHA, 1, "greater")).any(axis=1)
        final |= once(t > beyond(ALPHA)).any(axis=1)
    assert share(hybrid) <= 0.05
    assert share(any_time) <= 0.05
    assert share(uncorrected) > 0.05
    assert share(final) > 0.05


def mixed(rng: Chance, runs: int, *, is_first: bool) -> tuple[Means, Means]:
    """Draw units that may meet another variant the more often they come.

    Heavy users convert more, and draw anew more often, one of ten the treatment.
    """
    found = np.zeros((2, 2, runs))
    for visits in range(1, 41):
        units = rng.poisson(400_000 * 0.2 * 0.8 ** (visits - 1), runs)
        treated = rng.binomial(units, 0.1)
        again = 1 - np.exp(-0.0105 * visits)
        for variant, count, other in ((0, units - treated, 0.1), (1, treated, 0.9)):
            kept = count
            if not is_first:
                kept = count - rng.binomial(count, again * other)
            found[0, variant] += kept
            found[1, variant] += rng.binomial(kept, 0.02 * visits)
    n, y = found
    variance = (y - y * (y / n)) / (n - 1)
    control, treatment = (
        Means(n[each], y[each] / n[each], variance[each]) for each in (0, 1)
    )
    return control, treatment


def test_who_met_two_variants_counts_for_the_first() -> None:
    """sim-mixed-first: rule 1, one unit of ten in the treatment, no effect."""
    runs = 5_000
    found, bias = {}, {}
    for is_first in (True, False):
        rng = chance("sim-mixed-first")
        control, treatment = mixed(rng, runs, is_first=is_first)
        t = np.abs(standings(control, treatment))
        found[is_first] = share(t > beyond(ALPHA / 2))
        bias[is_first] = float(np.mean(treatment.mean / control.mean)) - 1
    assert abs(found[True] - ALPHA) <= 4 * error_of(ALPHA, runs)
    assert abs(bias[True]) < 0.001
    assert found[False] > 0.2
    assert bias[False] < -0.03
