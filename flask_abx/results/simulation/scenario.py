"""What is simulated, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask_abx.errors import UnknownVariant, UsageError
from flask_abx.results.simulation.playing import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from flask_abx.assignment.ruleset import Rule
    from flask_abx.results.refresh import Metrics
    from flask_abx.results.simulation.clearing import Cleared

_MOST_DAYS = 400
_MOST_EFFECT = 10.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens in one experiment.

    Attributes:
        key: The experiment.
        effect: How much more the first treatment has of the primary metrics than the
            control, 0.05 for 5 %; further treatments have half of that.
        effects: The same by variant, in place of `effect`; one left out has none.
        lost: The share of a variant's units that get lost before they meet it, as on
            a redirect, by variant.

    Raises:
        UsageError: If a number is none that can be simulated.
    """

    key: str
    effect: float = 0.0
    effects: Mapping[str, float] | None = None
    lost: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for effect in (self.effect, *(self.effects or {}).values()):
            if not -1 < effect <= _MOST_EFFECT:
                raise UsageError(
                    f"The effect is {effect!r}, must be above -1, at most "
                    f"{_MOST_EFFECT}: 0.05 is 5 % more."
                )
        for share in self.lost.values():
            if not 0 <= share <= 1:
                raise UsageError(f"The lost share is {share!r}, must be 0 to 1.")

    def part(self, rule: Rule) -> Part:
        """Lay out what each variant does.

        Raises:
            UnknownVariant: If a variant is named that there is not.
        """
        for variant in (*(self.effects or {}), *self.lost):
            if variant not in rule.variants:
                named = ", ".join(repr(each) for each in rule.variants)
                raise UnknownVariant(
                    f"Experiment {self.key!r} has no variant {variant!r}, its variants "
                    f"are {named}."
                )
        if self.effects is not None:
            return Part(rule, self.effects, self.lost)
        treatments = [variant for variant in rule.variants if variant != rule.control]
        first, *further = treatments
        effects = {first: self.effect, **dict.fromkeys(further, self.effect / 2)}
        return Part(rule, effects, self.lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Which traffic is simulated.

    Attributes:
        scenarios: The experiments, with what happens in them.
        now: When the traffic ends.
        days: How long it lasts.
        units: How many units come.
        seed: Another one is another crowd.
        base_rates: The share of units of a control that have an event at all, by its
            name or that of a metric; others have a usual one.
        metrics: The metrics that are declared, in code too; None where they all are in
            the definitions.
        force: True to add to exposures that were not simulated.

    Raises:
        UsageError: If a number is none that can be simulated.
    """

    scenarios: Sequence[Scenario]
    now: datetime
    days: float = 14
    units: int = 20_000
    seed: int = 1
    base_rates: Mapping[str, float] = field(default_factory=dict)
    metrics: Metrics | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.days <= _MOST_DAYS:
            raise UsageError(
                f"The days are {self.days!r}, must be above 0, at most {_MOST_DAYS}."
            )
        if self.units < 1:
            raise UsageError(f"The units are {self.units!r}, must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What was simulated.

    Attributes:
        began: When the first could come.
        ended: When the last could.
        units: How many came of what the experiments divide.
        visits: How often they came.
        returning: How many came more than once.
        logins: How many logged in.
        bots: How many bots came, of which nothing is recorded.
        exposed: How many units met their variant, by experiment.
        outside: How many meetings of a unit and an experiment were none, by reason.
        lost: How many were assigned a variant and got lost on the way to it.
        exposures: How many exposures were recorded.
        events: How many events were.
        late: How many of these were told hours after the visit.
        cleared: What of an earlier simulation was taken away before.
        moved: The experiments that are told to have begun with the traffic now.
    """

    began: datetime
    ended: datetime
    units: int
    visits: int
    returning: int
    logins: int
    bots: int
    exposed: Mapping[str, int]
    outside: Mapping[str, int]
    lost: int
    exposures: int
    events: int
    late: int
    cleared: Cleared
    moved: tuple[str, ...]
