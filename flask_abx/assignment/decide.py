"""Which variant a unit gets: the whole precedence, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from flask_abx.assignment.decision import Reason, Unit
from flask_abx.experiments.lifecycle import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from flask_abx.assignment.decision import Assignment
    from flask_abx.assignment.ruleset import Rule


class Who(Protocol):
    """Who is decided about; asked only for what the decision needs."""

    @property
    def is_bot(self) -> bool:
        """True for a crawler, which is always served the control."""
        ...

    @property
    def is_overridden(self) -> bool:
        """True if a tester may have chosen a variant."""
        ...

    def consents(self, purpose: str) -> bool:
        """Tell whether the unit agreed to a purpose."""
        ...

    def forced(self, rule: Rule) -> str | None:
        """Give the variant that a tester chose, or None."""
        ...

    def unit(self, rule: Rule) -> Unit | None:
        """Give the first unit that the experiment names and that is known."""
        ...

    def remembered(self, rule: Rule, unit: Unit) -> str | None:
        """Give the variant that the unit was exposed to in this iteration, or None."""
        ...

    def attributes(self) -> Mapping[str, object]:
        """Give what is known about the unit."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of whom everything is known beforehand."""

    units: Mapping[str, str]
    facts: Mapping[str, object] = field(default_factory=dict)
    memory: Mapping[str, str] = field(default_factory=dict)
    purposes: frozenset[str] = frozenset()
    is_bot: bool = False
    is_overridden: bool = False
    _units: dict[str, Unit] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        units = {kind: Unit(kind, who) for kind, who in self.units.items()}
        object.__setattr__(self, "_units", units)

    def consents(self, purpose: str) -> bool:
        """Tell whether the purpose is among those agreed to."""
        return purpose in self.purposes

    def forced(self, rule: Rule) -> str | None:
        """Give the variant that the definition forces on this unit, or None."""
        unit = self.unit(rule) if rule.forced else None
        return None if unit is None else rule.forced.get(unit.id)

    def unit(self, rule: Rule) -> Unit | None:
        """Give the first unit that the experiment names and that is known."""
        for kind in rule.unit:
            if kind in self._units:
                return self._units[kind]
        return None

    def remembered(self, rule: Rule, unit: Unit) -> str | None:
        """Give the variant that the memory holds for the experiment, or None."""
        del unit
        return self.memory.get(rule.key)

    def attributes(self) -> Mapping[str, object]:
        """Give what is known about the person."""
        return self.facts


def decide(rule: Rule, who: Who, now: datetime, *, enabled: bool = True) -> Assignment:
    """Choose the variant of one experiment for one person.

    The reasons are asked in the order of `Reason`; the first that holds decides.

    Args:
        rule: The compiled experiment.
        who: Who it is, asked lazily.
        now: The present moment, aware.
        enabled: False serves everyone the control, or the winner.
    """
    if not (rule.is_open and enabled) or who.is_overridden:
        settled = _without_unit(rule, who, now, enabled=enabled)
        if settled is not None:
            return settled
    control = rule.control
    unit = who.unit(rule)
    if unit is None:
        return rule.assign(control, Reason.NO_UNIT)
    if who.is_bot:
        return rule.assign(control, Reason.BOT)
    remembered = who.remembered(rule, unit)
    if remembered is not None:
        return rule.assign(remembered, Reason.STICKY)
    if rule.closed:
        return rule.assign(control, Reason.CLOSED)
    if rule.layer is not None and not rule.layer.holds(unit.id):
        return rule.assign(control, Reason.LAYER)
    if rule.audience is not None and not rule.audience(who.attributes()):
        return rule.assign(control, Reason.AUDIENCE)
    # Outside the traffic, in a closed variant, or allocated.
    return rule.allocate(unit.id)


def _without_unit(
    rule: Rule, who: Who, now: datetime, *, enabled: bool
) -> Assignment | None:
    """Answer what the experiment decides before anybody asks who it is."""
    control, status = rule.control, rule.status
    if status is not Status.RUNNING and status.is_over:
        return rule.assign(_concluded(rule, who), Reason.CONCLUDED)
    if not enabled:
        return rule.assign(control, Reason.DISABLED)
    for purpose in rule.purposes:
        if not who.consents(purpose):
            return rule.assign(control, Reason.NO_CONSENT)
    forced = who.forced(rule)
    if forced is not None:
        return rule.assign(forced, Reason.FORCED)
    if status is not Status.RUNNING:
        reason = Reason.DRAFT if status is Status.DRAFT else Reason.PAUSED
        return rule.assign(control, reason)
    if rule.start_at is not None and now < rule.start_at:
        return rule.assign(control, Reason.NOT_STARTED)
    if rule.end_at is not None and now >= rule.end_at:
        return rule.assign(control, Reason.ENDED)
    return None


def _concluded(rule: Rule, who: Who) -> str:
    if not rule.keep_variants:
        return rule.served
    unit = who.unit(rule)
    remembered = None if unit is None else who.remembered(rule, unit)
    return rule.served if remembered is None else remembered
