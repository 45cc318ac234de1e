"""Moments of each variant, whatever the sums hold."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_abx.results.looks.kept import Kept
from flask_abx.results.scanning.sums import Sums
from tests.results.judged import found, look, run

COUNTS = ("n", "immature", "nonzero", "capped", "history", "bad")
anything = st.floats() | st.sampled_from([0.0, 1.0, 1e300, -1e300, 1e-300])
sums = st.builds(
    Sums,
    **{
        each.name: st.integers(0, 10_000) if each.name in COUNTS else anything
        for each in fields(Sums)
    },
)
PARTS = {"numerator": {"event": "a"}, "denominator": {"event": "b"}}
KINDS: dict[str, dict[str, Any]] = {
    "conversion": {},
    "sum": {"kind": "sum", "covariate": "7d", "cap": 0.99},
    "mean": {"kind": "mean", "direction": "lower", "covariate": "7d"},
    "ratio": {"kind": "ratio", "window": "7d", **PARTS},
}


def is_plain(told: object) -> bool:
    """Tell whether JSON can hold it, without any number that is none."""
    json.dumps(told, allow_nan=False)
    return True


@pytest.mark.parametrize("kind", KINDS)
@given(control=sums, bold=sums, is_planned=st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_sums_whatever_raise(
    kind: str, control: Sums, bold: Sums, *, is_planned: bool
) -> None:
    roles = {
        "primary": "a",
        "secondary": "b",
        "guardrail": [{"metric": "c", "margin": 0.1}, "d"],
    }
    data = found({name: {"control": control, "bold": bold} for name in "abcd"})
    plan = {"mde": 0.1} if is_planned else None
    told = look(
        run(metrics=roles, plan=plan),
        data,
        metrics=dict.fromkeys("abcd", KINDS[kind]),
        final=data if is_planned else None,
    )
    assert is_plain(told.kept.to_dict())
    assert Kept.from_dict(told.kept.to_dict()) == told.kept
    numbers = [
        number
        for metric in told.metrics
        for each in metric.comparisons
        for number in (each.effect, each.relative_effect, each.p_value)
        if number is not None
    ]
    assert all(math.isfinite(number) for number in numbers)
