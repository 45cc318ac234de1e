"""What one request resolves, exposes and records; or one block of `as_unit`."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask_abx.assignment.decide import decide
from flask_abx.assignment.decision import VISITOR, Assignment, Reason, Unit
from flask_abx.errors import UnknownExperiment
from flask_abx.events.safe import shown
from flask_abx.events.signals import unit_exposed
from flask_abx.experiments.faults import suggestion
from flask_abx.runtime import making
from flask_abx.runtime.consent import MEASUREMENT
from flask_abx.runtime.override import unknown_experiment
from flask_abx.runtime.strict import checked
from flask_abx.runtime.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from flask_abx.assignment.ruleset import Rule, Ruleset
    from flask_abx.experiments.values import FlagValue
    from flask_abx.runtime.state import State
    from flask_abx.runtime.unit import Identity

_EMPTY: Mapping[str, FlagValue] = MappingProxyType({})
#: Nothing of such an experiment is known, so the default is served.
_NOWHERE = (Reason.UNKNOWN, Reason.NOT_READY)


class Scope(Witness):
    """One unit's stay: a request, a command, or a block of `as_unit`.

    Whatever is resolved here is remembered until the end.

    Attributes:
        within: The request in which a block of `as_unit` stands.
        is_resolved: True once a variant was resolved, so that the response is private.
        peeked: The experiments read through `g.abx`.
        is_bulk: True once all were read that way.
    """

    within: WSGIEnvironment | None = None
    is_resolved = False
    peeked: set[str] | None = None
    is_bulk = False

    def __init__(
        self,
        app: Flask,
        state: State,
        environ: WSGIEnvironment | None,
        ruleset: Ruleset,
        identity: Identity | None = None,
    ) -> None:
        super().__init__(app, state, environ, ruleset, identity)
        self._assignments: dict[str, Assignment] = {}
        self._exposed: set[str] = set()

    def forget(self) -> None:
        """Ask again who it is, as somebody logged in or out."""
        super().forget()
        self._assignments.clear()
        self._exposed.clear()
        self.met.clear()

    def assignment(self, key: str) -> Assignment:
        """Resolve one experiment, and expose nobody.

        Raises:
            UnknownExperiment: If it is not defined, in debug and testing.
        """
        found = self._assignments.get(key)
        is_held = key in self.state.forced.variants
        if found is not None and not is_held:
            return found
        rule = self.ruleset.rules.get(key)
        if rule is None:
            return self._unknown(key)
        self.is_resolved = True
        try:
            enabled = self.state.settings.enabled
            assignment = decide(rule, self, datetime.now(UTC), enabled=enabled)
        except Exception:
            self.app.logger.exception("Experiment %r: the control is served.", key)
            return rule.assign(rule.control, Reason.NO_UNIT)
        if not is_held:
            self._assignments[key] = assignment
        return assignment

    def _unknown(self, key: str) -> Assignment:
        if not self.ruleset.is_ready:
            return self._not_ready(key)
        if self.is_strict:
            raise UnknownExperiment(unknown_experiment(key, self.ruleset.rules))
        if self.state.tally.first(f"unknown_experiment:{shown(key)}"):
            message = unknown_experiment(key, self.ruleset.rules)
            self.app.logger.warning("%s The default is served.", message)
        return Assignment(key, 0, "control", False, Reason.UNKNOWN, _EMPTY)  # noqa: FBT003

    def _not_ready(self, key: str) -> Assignment:
        # What is served instead of a variant must not be kept for others either.
        self.is_resolved = True
        self.tell_not_ready()
        return Assignment(key, 0, "control", False, Reason.NOT_READY, _EMPTY)  # noqa: FBT003

    def variant(self, key: str, default: str) -> str:
        """Resolve one experiment and expose the unit."""
        assignment = self.assignment(key)
        if assignment.reason in _NOWHERE:
            return default
        if key not in self._exposed or key in self.state.forced.variants:
            self._first_read(assignment)
        if self.is_dev:
            return checked(self.ruleset.rules[key], assignment.variant)
        return assignment.variant

    def flag(self, name: str, default: Any, *, expose: bool) -> Any:  # noqa: ANN401
        """Give a flag's value, and expose the experiment that the unit is in."""
        value = self._flag(name, expose=expose)
        if value is None:
            return default
        return copy.deepcopy(value) if isinstance(value, list | dict) else value

    def _flag(self, name: str, *, expose: bool) -> FlagValue | None:
        flag = self.ruleset.flags.get(name)
        if flag is None:
            self._tell_unknown_flag(name)
            return None
        served: Assignment | None = None
        for rule in flag.running:
            assignment = self.assignment(rule.key)
            if assignment.in_experiment or assignment.reason is Reason.FORCED:
                served = assignment
                break
            served = served or assignment
        if served is not None:
            if expose and served.experiment not in self._exposed:
                self._first_read(served)
            if name in served.flags:
                return served.flags[name]
        for rule in flag.concluded:
            value = self.assignment(rule.key).flags.get(name)
            if value is not None:
                return value
        return flag.default

    def _tell_unknown_flag(self, name: str) -> None:
        if not self.ruleset.is_ready:
            self._not_ready(name)
            return
        if self.is_dev and self.state.tally.first(f"unknown_flag:{shown(name)}"):
            end = suggestion(name, self.ruleset.flags)
            self.app.logger.warning(
                "Flag %s is not defined, the default is served%s", shown(name), end
            )

    def _first_read(self, assignment: Assignment) -> None:
        self.expose(assignment)
        if self.is_dev:
            others = self.ruleset.rules[assignment.experiment].variants
            other = next(key for key in others if key != assignment.variant)
            self.app.logger.info(
                "abx %s -> %s (%s)  ?abx=%s:%s shows the other",
                assignment.experiment,
                assignment.variant,
                assignment.reason,
                assignment.experiment,
                other,
            )

    def expose(self, assignment: Assignment) -> None:
        """Mark that the unit met its variant, and record it the first time."""
        try:
            self._expose(assignment)
        except Exception:
            self.state.tally.count("record_failed")
            self.app.logger.exception("An exposure could not be recorded.")

    def _expose(self, assignment: Assignment) -> None:
        key = assignment.experiment
        is_held = key in self.state.forced.variants
        if key in self._exposed and not is_held:
            return
        # One that could not be resolved is not kept, and is exposed when it can.
        if self._assignments.get(key) is assignment and not is_held:
            self._exposed.add(key)
        is_forced = is_held and assignment.reason is Reason.FORCED
        if not (assignment.in_experiment or is_forced):
            return
        if self.is_unseen():
            return
        # What the browser remembers and nobody has stored is recorded again.
        is_known = assignment.reason is Reason.STICKY and key not in self.lost
        if is_known and not self._is_in_new_company():
            return
        rule = self.ruleset.rules[key]
        unit = self.unit(rule)
        if unit is None or not self.consents(MEASUREMENT):
            return
        if is_known:
            self._tell_again(rule, unit, assignment)
            return
        if is_forced:
            self._expose_held(rule, unit, assignment)
        elif self._is_seen(rule, unit):
            self._remember(rule, unit, assignment)
        else:
            self._record(rule, unit, assignment)

    def _is_in_new_company(self) -> bool:
        """Tell whether an exposed visitor is seen with a user for the first time."""
        visitor, company = self.known_visitor, self.state.company
        if self.state.delivery is None or not visitor or not company.is_due(visitor):
            return False
        return company.is_new(visitor, self.identity.user())

    def _tell_again(self, rule: Rule, unit: Unit, assignment: Assignment) -> None:
        """Record a known exposure once more, as it names both visitor and user."""
        exposure = making.exposure(self, rule, unit, assignment)
        if self.is_storable(exposure):
            self.keep(exposure, unit_exposed, exposure=exposure)

    def _expose_held(self, rule: Rule, unit: Unit, assignment: Assignment) -> None:
        place = (rule.key, unit)
        if place not in self.state.forced.exposed:
            self.state.forced.exposed.add(place)
            self._record(rule, unit, assignment)

    def _is_seen(self, rule: Rule, unit: Unit) -> bool:
        """Tell whether this process recorded it for a client without a cookie."""
        if self.has_cookie or (unit.type == VISITOR and self.environ is not None):
            return False
        return self.state.seen.get((rule.key, rule.iteration, unit)) is not None

    def _record(self, rule: Rule, unit: Unit, assignment: Assignment) -> None:
        exposure = making.exposure(self, rule, unit, assignment)
        if not self.is_storable(exposure):
            return
        # Before the signal: what a receiver tracks is labelled with it already.
        self._remember(rule, unit, assignment)
        if not (unit.type == VISITOR and self.environ is not None):
            is_forced = assignment.reason is Reason.FORCED
            variant = "" if is_forced else assignment.variant
            self.state.seen.put((rule.key, rule.iteration, unit), variant)
        if self.stored is not None and unit.type != VISITOR:
            self.stored.forget(unit)
        self.keep(exposure, unit_exposed, exposure=exposure)

    def _remember(self, rule: Rule, unit: Unit, assignment: Assignment) -> None:
        if assignment.reason is not Reason.FORCED:
            self.met[rule.key] = assignment.variant
            self.sticky.remember(rule, unit, assignment.variant)

    def finish(self) -> None:
        """Hand over what was recorded; what still comes is handed over at once."""
        self.is_finished = True
        if self.peeked:
            self._tell_peeked(self.peeked)
        if self.records:
            self.deliver()

    def _tell_peeked(self, keys: set[str]) -> None:
        for key in sorted(keys - self._exposed):
            if self.state.tally.first(f"peeked:{key}"):
                self.app.logger.warning(
                    "g.abx[%r] was read but nobody was exposed: branch on "
                    "abx.variant(%r), or call abx.expose(%r).",
                    key,
                    key,
                    key,
                )
