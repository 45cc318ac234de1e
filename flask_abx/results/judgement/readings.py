"""From what the tests say to what is read of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flask_abx.experiments.metric import Direction
from flask_abx.results.inference import Estimate, chance_to_beat, expected_loss
from flask_abx.results.judgement.comparing import (
    fixed_interval,
    is_judged,
    parts,
    units_needed,
    untested,
)
from flask_abx.results.shapes import HARM, Basis, Comparison, Reading, Role

if TYPE_CHECKING:
    from datetime import datetime

    from flask_abx.results.judgement.comparing import Evidence
    from flask_abx.results.judgement.planning import Yardstick
    from flask_abx.results.looks.kept import Row

#: What stays said once it was.
DECIDED = frozenset({*HARM, Reading.BETTER, Reading.WITHIN_MARGIN})
_PLAN = "plan"
_OPEN = frozenset({Reading.UNCLEAR, Reading.FLAT, Reading.TOO_EARLY})


@dataclass(frozen=True, slots=True)
class Bench:
    """What every comparison of one look is read by.

    Attributes:
        live: The test that each look makes; None where all wait for the plan.
        last: The test of the final look; None where none is planned.
        alpha: The whole of alpha.
        exposed: Units of all variants so far.
        to_come: Units of all variants that the plan still takes; None where no plan
            names any, or they are there.
        is_withheld: True where a health check forbids any reading.
        has_chances: True where chances that peeking breaks are asked for.
    """

    live: Yardstick | None
    last: Yardstick | None
    alpha: float
    exposed: int
    to_come: int | None = None
    is_withheld: bool = False
    has_chances: bool = False

    @property
    def basis(self) -> Basis:
        """The test that is still to say something."""
        test = self.live or self.last
        return Basis.ANY_TIME if test is None else test.basis


def read(
    bench: Bench,
    evidence: Evidence,
    live: Row | None,
    final: Row | None,
    *,
    family: float,
    decided_at: datetime | None = None,
) -> Comparison:
    """Read one comparison: of two tests the one that says more is drawn.

    Args:
        bench: What it is read by.
        evidence: The two variants.
        live: What the test of this look says; None where there is none.
        final: What the final look said; None before it.
        family: By how much alpha is divided where the test has two sides.
        decided_at: When it was first decided.
    """
    tested = [
        (row, test.basis)
        for row, test in ((final, bench.last), (live, bench.live))
        if row is not None and test is not None and row.p_adjusted is not None
    ]
    if tested:
        drawn, basis = min(tested, key=lambda each: _rank(evidence, each[0]))
        is_looked = tested[0][0] is final
        reading = _reading(bench, evidence, drawn, is_looked=is_looked)
        reason = drawn.reason if drawn is final else evidence.remark
    else:
        drawn, basis = live or final or untested(evidence), bench.basis
        reading, reason = drawn.reading, drawn.reason
        if reading is not Reading.FAILED:
            # Before its plan is met, a fixed test has not been made.
            reading, reason = Reading.TOO_EARLY, reason or _PLAN
    p_values = _p_values(evidence, drawn, [row for row, _ in tested])
    # A row of the final look stays what it was, whatever came since.
    once = None
    if drawn is not final:
        once = fixed_interval(evidence, bench.alpha / family)
    found = _comparison(
        bench, evidence, drawn, basis, p_values, reading, reason, family, decided_at
    )
    return replace(found, fixed_interval=once)


def _comparison(
    bench: Bench,
    evidence: Evidence,
    drawn: Row,
    basis: Basis,
    p_values: tuple[float | None, float | None],
    reading: Reading,
    reason: str,
    family: float,
    decided_at: datetime | None,
) -> Comparison:
    needed = None
    if reading in _OPEN:
        needed = _needed(bench, evidence, family)
    if bench.is_withheld and reading is not Reading.FAILED:
        reading = Reading.WITHHELD
    chance, loss = _chances(evidence) if bench.has_chances else (None, None)
    return Comparison(
        variant=evidence.variant,
        baseline=evidence.baseline,
        effect=drawn.effect,
        effect_interval=drawn.effect_interval,
        relative_effect=drawn.relative_effect,
        relative_interval=drawn.relative_interval,
        fixed_interval=None,
        p_value=p_values[0],
        p_adjusted=p_values[1],
        basis=basis,
        reading=reading,
        reason=reason,
        decided_at=decided_at,
        n_star=evidence.n_star,
        units_needed=needed,
        chance_to_beat=chance,
        expected_loss=loss,
    )


def rescaled(row: Row, factor: float) -> Row:
    """Measure p-values by the alpha of now, where it was another one then."""
    if factor == 1 or row.p_value is None or row.p_adjusted is None:
        return row
    return replace(
        row,
        p_value=min(1.0, row.p_value * factor),
        p_adjusted=min(1.0, row.p_adjusted * factor),
    )


def _rank(evidence: Evidence, row: Row) -> tuple[int, float, float]:
    """Put the harm of a guardrail first, and then what is closest to a decision."""
    order = 2
    if evidence.measure.role is Role.GUARDRAIL:
        # What one test calls harm, the other cannot call harmless.
        is_within = row.reading is Reading.WITHIN_MARGIN
        order = 0 if row.reading in HARM else 1 if is_within else 2
    return order, row.p_adjusted or 0.0, row.p_value or 0.0


def _reading(
    bench: Bench, evidence: Evidence, drawn: Row, *, is_looked: bool
) -> Reading:
    direction = evidence.measure.metric.direction
    if direction is Direction.NONE:
        return Reading.NONE
    if evidence.measure.role is Role.GUARDRAIL:
        return drawn.reading
    if drawn.p_adjusted is None or not drawn.p_adjusted < bench.alpha:
        return Reading.FLAT if is_looked else Reading.UNCLEAR
    is_up = (drawn.effect or 0.0) > 0
    is_better = is_up == (direction is Direction.HIGHER)
    return Reading.BETTER if is_better else Reading.WORSE


def _p_values(
    evidence: Evidence, drawn: Row, tested: list[Row]
) -> tuple[float | None, float | None]:
    """Give the smaller p-value of two tests, unless they test different claims."""
    if not tested or evidence.measure.role is Role.GUARDRAIL:
        return drawn.p_value, drawn.p_adjusted
    return (
        min(row.p_value for row in tested if row.p_value is not None),
        min(row.p_adjusted for row in tested if row.p_adjusted is not None),
    )


def _needed(bench: Bench, evidence: Evidence, family: float) -> int | None:
    if bench.to_come and is_judged(evidence):
        return bench.to_come
    if evidence.measure.role is Role.GUARDRAIL and is_judged(evidence):
        return None
    if evidence.wait is None and bench.live is None:
        return bench.to_come
    return units_needed(evidence, bench.live, family, bench.exposed)


def _chances(evidence: Evidence) -> tuple[float | None, float | None]:
    direction = evidence.measure.metric.direction
    if not is_judged(evidence) or direction is Direction.NONE:
        return None, None
    estimate = parts(evidence)[0]
    if direction is Direction.LOWER:
        estimate = Estimate(-estimate.effect, estimate.se, estimate.n)
    return chance_to_beat(estimate), expected_loss(estimate)
