"""Metrics by the values of a dimension."""

from __future__ import annotations

from dataclasses import replace

from flask_abx.results.scanning.sums import Group
from flask_abx.results.shapes import Reading
from tests.results.judged import conversions, look, run, signups


def test_values_of_a_dimension_have_intervals_and_no_reading() -> None:
    part = conversions(5_000, 500)
    groups = {
        Group(variant, 1, value): part
        for variant in ("control", "bold")
        for value in ("de", None)
    }
    data = replace(
        signups((10_000, 1_000), (10_000, 1_000)),
        sums_by={"country": {"signup": groups}},
    )
    told = [each for each in look(run(), data).metrics if each.dimension]
    assert [each.dimension_value for each in told] == ["de", None]
    assert told[0].comparisons[0].reading is Reading.NONE
    assert told[0].comparisons[0].relative_interval is not None
