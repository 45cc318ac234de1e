"""What a comparison waits for."""

from __future__ import annotations

import pytest

from flask_abx.experiments.metric import Kind, Metric
from flask_abx.results.judgement.gates import skews
from flask_abx.results.metrics import measures
from flask_abx.results.shapes import Reading
from tests.results.judged import conversions, found, look, row, run, signups, values


@pytest.mark.parametrize(
    ("control", "bold", "reason"),
    [
        pytest.param((99, 50), (900, 450), "units", id="99 units"),
        pytest.param((1_000, 0), (1_000, 0), "rate", id="no event"),
        pytest.param((1_000, 24), (1_000, 25), "rate", id="just too rare"),
        pytest.param((1_000, 976), (1_000, 975), "rate", id="too few without"),
    ],
)
def test_a_comparison_waits_for_its_gate(
    control: tuple[int, int], bold: tuple[int, int], reason: str
) -> None:
    told = row(look(run(), signups(control, bold)))
    assert (told.reading, told.reason) == (Reading.TOO_EARLY, reason)
    assert (told.effect_interval, told.p_value) == (None, None)


@pytest.mark.parametrize(
    ("control", "bold"),
    [
        pytest.param((100, 50), (900, 450), id="100 units"),
        pytest.param((1_000, 25), (1_000, 25), id="25 expected in each"),
    ],
)
def test_a_comparison_passes_its_gate_at_the_limit(
    control: tuple[int, int], bold: tuple[int, int]
) -> None:
    assert row(look(run(), signups(control, bold))).reading is Reading.UNCLEAR


def test_skewed_sums_of_an_uneven_split_wait() -> None:
    data = found(
        {
            "signup": {
                "control": values(9_000, 5, 40, third=40**3 * 60),
                "bold": values(500, 5, 40, third=40**3 * 60),
            }
        }
    )
    told = row(look(run(), data, metrics={"signup": {"kind": "sum"}}))
    assert (told.reading, told.reason) == (Reading.TOO_EARLY, "skew")


def test_skewed_sums_of_an_even_split_are_read() -> None:
    each = values(9_000, 5, 40, third=40**3 * 60)
    data = found({"signup": {"control": each, "bold": each}})
    told = row(look(run(), data, metrics={"signup": {"kind": "sum"}}))
    assert told.reading is Reading.UNCLEAR


def test_an_empty_variant_waits() -> None:
    told = row(look(run(), found({"signup": {"control": conversions(900, 90)}})))
    assert (told.reading, told.effect) == (Reading.TOO_EARLY, None)


def test_skewed_comparisons_are_listed_for_the_checks() -> None:
    data = found(
        {
            "signup": {
                "control": values(9_000, 5, 40, third=40**3 * 60),
                "bold": values(500, 5, 40, third=40**3 * 60),
            }
        }
    )
    asked = measures(run().experiment, {"signup": Metric(kind=Kind.SUM)}, {})
    assert [*skews(run(), asked, data)] == [("signup", "bold")]
    assert skews(run(), asked, data)["signup", "bold"] > 0.3
