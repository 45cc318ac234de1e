"""Families of comparisons: those that answer for each other's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments.metric import Direction
from flask_abx.results.inference import benjamini_hochberg
from flask_abx.results.judgement.comparing import is_judged, parts, two_sided, untested
from flask_abx.results.judgement.guarding import guarded
from flask_abx.results.looks.kept import Row
from flask_abx.results.shapes import Reading, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.judgement.comparing import Evidence
    from flask_abx.results.judgement.planning import Yardstick

#: What one test says of every comparison, by metric and variant.
Rows = dict[tuple[str, str], Row]


def rows_of(
    evidences: Sequence[Evidence], test: Yardstick, *, family: int, guards: int
) -> Rows:
    """Judge every comparison by one test.

    Primary comparisons share alpha by Bonferroni, so do guardrails among themselves;
    secondary ones are judged by Benjamini and Hochberg.

    Args:
        evidences: All comparisons.
        test: The test.
        family: How many primary comparisons there are.
        guards: How many guardrail comparisons there are.
    """
    rows: Rows = {}
    explored: list[tuple[Evidence, float]] = []
    secondary = 0
    for evidence in evidences:
        role = evidence.measure.role
        secondary += role is Role.SECONDARY
        try:
            if not is_judged(evidence):
                row = untested(evidence)
            elif role is Role.GUARDRAIL:
                row = _guardrail(evidence, test, guards)
            else:
                p = test.p_value(parts(evidence)[0], evidence.n_star)
                if role is Role.SECONDARY:
                    explored.append((evidence, p))
                    continue
                row = two_sided(evidence, test, family, p, family * p)
        except (ValueError, ArithmeticError) as error:
            row = _failed(evidence, error)
        rows[evidence.spot, evidence.variant] = row
    if explored:
        rows |= _explored(explored, test, secondary)
    return rows


def secondary_family(rows: Rows, alpha: float) -> float:
    """Tell by how much alpha is divided for the bars of secondary comparisons."""
    found = [row for (spot, _), row in rows.items() if spot.startswith(Role.SECONDARY)]
    rejected = sum(
        row.p_adjusted is not None and row.p_adjusted < alpha for row in found
    )
    return len(found) / max(rejected, 1)


def _guardrail(evidence: Evidence, test: Yardstick, guards: int) -> Row:
    if evidence.measure.metric.direction is not Direction.NONE:
        return guarded(evidence, test, guards)
    p = test.p_value(parts(evidence)[0], evidence.n_star)
    return two_sided(evidence, test, 1, p, p)


def _explored(
    explored: Sequence[tuple[Evidence, float]], test: Yardstick, count: int
) -> Rows:
    """Judge secondary comparisons, those that wait counted as finding nothing."""
    known = [min(1.0, p) for _, p in explored]
    adjusted = benjamini_hochberg([*known, *[1.0] * (count - len(known))])
    rejected = sum(p < test.whole for p in adjusted)
    family = count / max(rejected, 1)
    rows: Rows = {}
    for (evidence, p), p_adjusted in zip(explored, adjusted, strict=False):
        try:
            row = two_sided(evidence, test, family, p, p_adjusted)
        except (ValueError, ArithmeticError) as error:
            row = _failed(evidence, error)
        rows[evidence.spot, evidence.variant] = row
    return rows


def _failed(evidence: Evidence, error: Exception) -> Row:
    return Row(
        effect=None,
        se=None,
        n=evidence.units,
        effect_interval=None,
        relative_effect=None,
        relative_interval=None,
        p_value=None,
        p_adjusted=None,
        reading=Reading.FAILED,
        reason=f"The figures cannot be used: {error}",
    )
