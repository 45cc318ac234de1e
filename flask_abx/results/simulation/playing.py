"""Simulated guests on the real parts: they are assigned, exposed and tracked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.decision import USER, VISITOR, Reason
from flask_abx.assignment.position import position
from flask_abx.events.records import Event, Exposure, digest_of
from flask_abx.results.simulation.behaviour import deeds
from flask_abx.results.simulation.clearing import SIMULATED
from flask_abx.results.simulation.traffic import visitor_id
from flask_abx.stores.change import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.assignment.decision import Unit
    from flask_abx.assignment.ruleset import Rule
    from flask_abx.results.simulation.behaviour import Deed
    from flask_abx.results.simulation.streams import Stream
    from flask_abx.results.simulation.traffic import Guest, Season, Visit


@dataclass(slots=True)
class Score:
    """What has happened so far.

    Attributes:
        exposed: How many units met their variant, by experiment.
        lost: How many were assigned one and got lost on the way to it.
        reasons: Why others met none.
    """

    units: int = 0
    visits: int = 0
    returning: int = 0
    bots: int = 0
    logins: int = 0
    late: int = 0
    lost: int = 0
    exposed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Part:
    """One experiment, as it is simulated.

    Attributes:
        rule: The experiment.
        effects: How much more than in the control, by variant.
        lost: The share of a variant's units that never meet it, by variant.
    """

    rule: Rule
    effects: Mapping[str, float]
    lost: Mapping[str, float]


class Play:
    """Lets guests visit, and gives what is recorded of them.

    Args:
        parts: The experiments, all on the same types of unit.
        streams: What there is to do.
        season: When they come.
        score: Counts what happens.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        streams: Sequence[Stream],
        season: Season,
        score: Score,
    ) -> None:
        self._parts = parts
        self._streams = streams
        self._season = season
        self._score = score

    def records(self, guest: Guest) -> Iterator[dict[str, Any]]:
        """Let a guest visit."""
        stay = _Stay(guest, self._score)
        self._score.units += 1
        self._score.visits += len(guest.visits)
        self._score.returning += len(guest.visits) > 1
        self._score.logins += any(USER in visit.units for visit in guest.visits)
        for visit in guest.visits:
            for part in self._parts:
                exposure = stay.meet(part, visit)
                if exposure is not None:
                    yield exposure.to_dict()
        if not stay.variants:
            return
        effects = {
            part.rule.key: part.effects.get(stay.variants[part.rule.key], 0.0)
            for part in self._parts
            if part.rule.key in stay.variants
        }
        for stream in self._streams:
            done = deeds(guest, stream, effects, self._season.ended)
            for number, deed in enumerate(done):
                self._score.late += deed.is_late
                yield _event(guest, deed, number, stay).to_dict()

    def serve_bot(self, name: str) -> None:
        """Let a bot visit: it is served the control, and nothing is recorded."""
        units = {VISITOR: visitor_id(name)}
        now = moment_of(self._season.ended - 1)
        for part in self._parts:
            bot = Person(units, purposes=frozenset(part.rule.purposes), is_bot=True)
            self._score.reasons[decide(part.rule, bot, now).reason] += 1
        self._score.bots += 1


class _Stay:
    """All visits of one guest, and what its browsers remember.

    Attributes:
        variants: The variant of each experiment that it met first.
    """

    def __init__(self, guest: Guest, score: Score) -> None:
        self._guest = guest
        self._score = score
        self.variants: dict[str, str] = {}
        self.since: dict[str, int] = {}
        self._known: dict[tuple[str, Unit], str] = {}
        self._told: set[tuple[str, str | None, Unit | None]] = set()

    def meet(self, part: Part, visit: Visit) -> Exposure | None:
        """Meet an experiment; None where nothing is recorded of it."""
        rule, now = part.rule, moment_of(visit.at)
        plain = Person(visit.units, self._guest.facts)
        unit = plain.unit(rule)
        seen = rule.key, visit.units.get(VISITOR), unit
        if seen in self._told:
            return None
        self._told.add(seen)
        remembered = self._remembered(rule, visit, unit)
        memory = {} if remembered is None else {rule.key: remembered}
        purposes = frozenset(rule.purposes)
        person = Person(visit.units, self._guest.facts, memory, purposes)
        assignment = decide(rule, person, now)
        if unit is None or not assignment.in_experiment:
            self._score.reasons[assignment.reason] += 1
            return None
        variant = assignment.variant
        share = part.lost.get(variant, 0.0)
        if share and position(f"simulate:lost:{rule.key}", unit.id) < share:
            self._score.lost += 1
            return None
        if (rule.key, unit) not in self._known:
            self._known[rule.key, unit] = variant
            self._score.exposed[rule.key] += rule.key not in self.variants
        self.variants.setdefault(rule.key, variant)
        self.since.setdefault(rule.key, visit.at)
        return Exposure(
            id=digest_of("exposure", rule.key, str(rule.iteration), *unit),
            at=now,
            units=visit.units,
            version=SIMULATED,
            experiment=rule.key,
            iteration=rule.iteration,
            variant=variant,
            reason=assignment.reason.value,
            unit_type=unit.type,
            unit=unit.id,
            dimensions=_dimensions(rule, self._guest.facts),
        )

    def _remembered(self, rule: Rule, visit: Visit, unit: Unit | None) -> str | None:
        if unit is None:
            return None
        known = self._known.get((rule.key, unit))
        if known is None and unit.type == USER and VISITOR in rule.unit:
            # Whoever logs in takes over what the browser has met.
            alone = {VISITOR: visit.units[VISITOR]}
            browser = Person(alone).unit(rule)
            return None if browser is None else self._known.get((rule.key, browser))
        return known


def _event(guest: Guest, deed: Deed, number: int, stay: _Stay) -> Event:
    return Event(
        id=digest_of("event", deed.event, f"{guest.name}:{number}"),
        at=moment_of(deed.at),
        units=deed.units,
        version=SIMULATED,
        name=deed.event,
        value=deed.value,
        properties=deed.properties,
        variants={
            key: variant
            for key, variant in stay.variants.items()
            if stay.since[key] <= deed.at
        },
    )


def _dimensions(rule: Rule, facts: Mapping[str, object]) -> Mapping[str, str]:
    if not rule.dimensions:
        return {}
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name in rule.dimensions
        if (value := facts.get(name)) is not None
    }
