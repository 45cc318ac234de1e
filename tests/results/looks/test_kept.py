"""What is handed on from look to look, through JSON and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flask_abx.results.inference import Interval
from flask_abx.results.looks.kept import FinalLook, Kept, Row
from flask_abx.results.shapes import Reading, Sample, VerdictCode

AT = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def kept(effect: float = 0.5) -> Kept:
    drawn = Interval(None, effect, 0.96)
    stored = Row(effect, 0.1, 90, drawn, None, None, 0.5, 1.0, Reading.UNCLEAR)
    return Kept(
        revision="a1",
        family=4,
        guards=2,
        plan_units=40_000,
        n_star={"primary/signup": {"bold": 40_000}},
        final=FinalLook(
            at=AT,
            met_at=None,
            alpha=0.05,
            rows={"primary/signup": {"bold": stored}},
            samples={
                "primary/signup": (Sample("bold", 90, 1, effect, None, 0.1, None, 0),)
            },
            caps={"primary/signup": effect},
            reductions={"primary/signup": None},
        ),
        decided={"primary/signup": {"bold": AT}},
        first_code=VerdictCode.WINNER,
        first_at=AT,
        first_variants=("bold",),
    )


@given(numbers)
def test_it_comes_back_from_json_bit_for_bit(effect: float) -> None:
    told = json.loads(json.dumps(kept(effect).to_dict(), allow_nan=False))
    assert Kept.from_dict(told) == kept(effect)


def test_nothing_comes_back_as_nothing() -> None:
    assert Kept.from_dict(Kept().to_dict()) == Kept()


def test_keys_of_a_later_release_may_be_missing() -> None:
    assert Kept.from_dict({}) == Kept()


def test_another_revision_forgets_what_was_said_and_no_more() -> None:
    other = kept().for_revision("b2")
    assert (other.decided, other.first_code, other.first_variants) == ({}, None, ())
    assert (other.final, other.family, other.n_star, other.plan_units) == (
        kept().final,
        4,
        kept().n_star,
        40_000,
    )


def test_the_same_revision_keeps_everything() -> None:
    assert kept().for_revision("a1") == kept()


def test_a_final_look_of_an_earlier_release_has_no_caps() -> None:
    told = kept().to_dict()
    del told["final"]["caps"], told["final"]["reductions"]
    final = Kept.from_dict(told).final
    assert final is not None
    assert (final.caps, final.reductions) == ({}, {})
