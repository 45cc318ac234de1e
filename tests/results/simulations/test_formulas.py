"""The formulas over arrays are those of the package."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flask_abx.experiments.metric import Kind, Metric, PartOf
from flask_abx.results import inference
from flask_abx.results.judgement.gates import gate
from flask_abx.results.metrics import Measure, Part
from flask_abx.results.scanning.sums import Sums
from flask_abx.results.sequential import anytime_multiplier
from flask_abx.results.shapes import Role
from tests.results.simulations.formulas import (
    Means,
    fieller_ends,
    means,
    multipliers,
    passed,
    skewnesses,
    standings,
)
from tests.results.simulations.streams import Stream, chance, conversions, revenue

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS, LOOKS = 20, 10
EXACT = 1e-12
MEASURE = Measure(
    key="revenue",
    role=Role.PRIMARY,
    metric=Metric(kind=Kind.SUM),
    upper=Part("revenue", {}, PartOf.SUM),
    lower=None,
)


def pairs() -> Iterator[tuple[Stream, Stream]]:
    """Draw both kinds of metric, split evenly and not."""
    rng = chance("formulas")
    for treatment in (450, 50):
        for draw in (revenue, conversions):
            yield draw(rng, RUNS, LOOKS, 450), draw(rng, RUNS, LOOKS, treatment)


def places() -> Iterator[tuple[int, int]]:
    return ((run, look) for run in range(RUNS) for look in range(LOOKS))


def moments_at(found: Means, place: tuple[int, int]) -> inference.Moments:
    return inference.Moments(*(float(each[place]) for each in found))


@pytest.mark.parametrize("factor", [1.0, 0.95])
def test_standings_are_those_of_contrast(factor: float) -> None:
    for control, treatment in pairs():
        t = standings(means(control), means(treatment), factor)
        for place in places():
            first, second = (
                inference.moments(
                    float(each.n[place]), float(each.y[place]), float(each.yy[place])
                )
                for each in (control, treatment)
            )
            told = inference.contrast(first, second, factor).statistic()
            assert float(t[place]) == pytest.approx(told, rel=EXACT, abs=EXACT)


def test_multipliers_are_those_of_the_package() -> None:
    found = multipliers([10, 1000, 1e6], 5000, 0.005, 0.01, "greater")
    assert found.tolist() == [
        anytime_multiplier(n, 5000, 0.005, 0.01, "greater") for n in (10, 1000, 1e6)
    ]


def test_relative_intervals_are_those_of_fieller() -> None:
    for control, treatment in pairs():
        first, second = means(control), means(treatment)
        k = np.full(LOOKS, 3.0)
        low, high = fieller_ends(first, second, k)
        for place in places():
            told = inference.fieller(
                moments_at(first, place), moments_at(second, place), 3.0
            )
            ends = (math.nan, math.nan) if told is None else (told.low, told.high)
            assert (float(low[place]), float(high[place])) == pytest.approx(
                ends, rel=EXACT, abs=EXACT, nan_ok=True
            )


def sums_at(stream: Stream, place: tuple[int, int]) -> Sums:
    return Sums(
        n=int(stream.n[place]),
        nonzero=int(stream.nonzero[place]),
        y=float(stream.y[place]),
        yy=float(stream.yy[place]),
        yyy=float(stream.yyy[place]),
    )


def test_skewnesses_are_those_of_the_package() -> None:
    for control, treatment in pairs():
        found = skewnesses(control, treatment)
        for place in places():
            told = inference.skewness(
                *(
                    inference.CubeSums(each.n, each.y, each.yy, each.yyy)
                    for each in (sums_at(control, place), sums_at(treatment, place))
                )
            )
            assert float(found[place]) == pytest.approx(told, rel=EXACT, abs=EXACT)


def test_what_passes_is_what_the_gate_lets_through() -> None:
    for control, treatment in pairs():
        found = passed(control, treatment)
        told = [
            gate(MEASURE, sums_at(control, place), sums_at(treatment, place)) is None
            for place in places()
        ]
        assert found.ravel().tolist() == told
