"""Where a unit stands between 0 and 1, and which variant owns that place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx import Reason
from flask_abx.assignment.position import position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx import Assignment
    from flask_abx.assignment.ruleset import Rule


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of the ruler that one variant owns."""

    variant: str
    start: float
    end: float
    colour: int


@dataclass(frozen=True, slots=True)
class Ruler:
    """One experiment as this visitor meets it.

    Attributes:
        unit: Type and id of who is assigned, or None where nobody is.
        position: The place of the unit, or None where there is none.
    """

    key: str
    name: str
    served: str
    forced: bool
    unit: tuple[str, str] | None
    position: float | None
    stretches: tuple[Stretch, ...]
    sentence: str


def colours(rule: Rule) -> dict[str, int]:
    """Number the variants for their colours: the control is 1, wherever it stands."""
    treatments = (key for key in rule.variants if key != rule.control)
    return {key: number for number, key in enumerate((rule.control, *treatments), 1)}


def draw(rule: Rule, assignment: Assignment, units: Mapping[str, str]) -> Ruler:
    """Lay a unit onto the ruler of an experiment."""
    unit = next(((kind, units[kind]) for kind in rule.unit if kind in units), None)
    place = position(rule.salt, unit[1]) if unit else None
    colour_of = colours(rule)
    return Ruler(
        key=rule.key,
        name=rule.name,
        served=assignment.variant,
        forced=assignment.reason is Reason.FORCED,
        unit=unit,
        position=place,
        stretches=tuple(
            Stretch(key, start, end, colour_of[key]) for start, end, key in rule.ranges
        ),
        sentence=_sentence(rule, assignment, unit, place),
    )


def _sentence(
    rule: Rule,
    assignment: Assignment,
    unit: tuple[str, str] | None,
    place: float | None,
) -> str:
    variant = assignment.variant
    if assignment.reason is Reason.FORCED:
        return f"You chose {variant} by hand with ?abx=, so nothing of it is recorded."
    if unit is None or place is None:
        kinds = " or ".join(rule.unit)
        return (
            f"This experiment divides by {kinds}, and you have none: you get {variant} "
            "and are not counted."
        )
    who = f"{unit[0]} {unit[1][:8]}"
    match assignment.reason:
        case Reason.ALLOCATED:
            return (
                f"The {who} lands at {place:.4f}, which {variant} owns. It is not "
                "exposed yet: that happens when a page uses the variant."
            )
        case Reason.STICKY:
            return (
                f"The {who} has met {variant} already and keeps it, "
                f"whatever is changed later; its place is {place:.4f}."
            )
        case Reason.AUDIENCE:
            return f"The {who} is not in the audience: it gets {variant}, uncounted."
        case reason:
            return f"The {who} gets {variant}, for the reason “{reason}”."
