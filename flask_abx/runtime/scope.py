"""What one request resolves, exposes and records; or one block of `as_unit`."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask_abx.assignment.decide import decide
from flask_abx.assignment.decision import Assignment, Reason, Unit
from flask_abx.errors import UnknownExperiment
from flask_abx.events.safe import shown
from flask_abx.events.signals import emit, event_tracked, unit_exposed
from flask_abx.runtime import making
from flask_abx.runtime.consent import MEASUREMENT
from flask_abx.runtime.override import unknown_experiment
from flask_abx.runtime.strict import checked
from flask_abx.runtime.subject import RequestSubject
from flask_abx.runtime.unit import VISITOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from blinker import NamedSignal
    from flask import Flask

    from flask_abx.assignment.ruleset import Rule, Ruleset
    from flask_abx.events.records import Event, Exposure, Record
    from flask_abx.experiments.values import FlagValue
    from flask_abx.runtime.state import State
    from flask_abx.runtime.unit import Identity

_EMPTY: Mapping[str, FlagValue] = {}


class Scope(RequestSubject):
    """One unit's stay: a request, a command, or a block of `as_unit`.

    Whatever is resolved here is remembered until the end.

    Attributes:
        within: The request in which a block of `as_unit` stands.
        records: What was recorded and not yet delivered.
        is_resolved: True once a variant was resolved, so that the response is private.
        met: The variants that the unit was exposed to here.
        peeked: The experiments read through `g.abx`.
        is_bulk: True once all were read that way.
    """

    within: WSGIEnvironment | None = None
    is_resolved = False
    is_finished = False
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
        self.records: list[Record] = []
        self.met: dict[str, str] = {}
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
        if found is not None and not self.state.forced.variants:
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
        if not self.state.forced.variants:
            self._assignments[key] = assignment
        return assignment

    def _unknown(self, key: str) -> Assignment:
        if self.is_strict:
            raise UnknownExperiment(unknown_experiment(key, self.ruleset.rules))
        if self.state.tally.first(f"unknown_experiment:{shown(key)}"):
            message = unknown_experiment(key, self.ruleset.rules)
            self.app.logger.warning("%s The default is served.", message)
        return Assignment(key, 0, "control", False, Reason.UNKNOWN, _EMPTY)  # noqa: FBT003

    def variant(self, key: str, default: str) -> str:
        """Resolve one experiment and expose the unit."""
        assignment = self.assignment(key)
        if assignment.reason is Reason.UNKNOWN:
            return default
        if key not in self._exposed:
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

    def _first_read(self, assignment: Assignment) -> None:
        try:
            self.expose(assignment)
        except Exception:
            self.app.logger.exception("An exposure could not be recorded.")
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
        key = assignment.experiment
        is_held = key in self.state.forced.variants
        if key in self._exposed and not is_held:
            return
        self._exposed.add(key)
        if not (assignment.in_experiment or is_held):
            return
        if assignment.reason is Reason.STICKY or self._is_unseen():
            return
        rule = self.ruleset.rules[key]
        unit = self.unit(rule)
        if unit is None or not self.consents(MEASUREMENT):
            return
        if is_held:
            self._expose_held(rule, unit, assignment)
        elif self._is_seen(rule, unit) or self._record(rule, unit, assignment):
            self.met[key] = assignment.variant
            self.sticky.remember(rule, unit, assignment.variant)

    def _is_unseen(self) -> bool:
        return self.is_silent or self.is_bot or not self.state.settings.enabled

    def _expose_held(self, rule: Rule, unit: Unit, assignment: Assignment) -> None:
        place = (rule.key, unit)
        if place not in self.state.forced.exposed:
            self.state.forced.exposed.add(place)
            self._record(rule, unit, assignment)

    def _is_seen(self, rule: Rule, unit: Unit) -> bool:
        """Tell whether this process recorded it for a client without a cookie."""
        if self.has_cookie or (unit.type == VISITOR and self.environ is not None):
            return False
        return bool(self.state.seen.get((rule.key, rule.iteration, unit)))

    def _record(self, rule: Rule, unit: Unit, assignment: Assignment) -> bool:
        exposure = making.exposure(self, rule, unit, assignment)
        is_kept = self._keep(exposure, unit_exposed, exposure=exposure)
        if is_kept and not (unit.type == VISITOR and self.environ is not None):
            self.state.seen.put((rule.key, rule.iteration, unit), value=True)
        return is_kept

    def track(
        self,
        name: str,
        value: object,
        properties: Mapping[str, object] | None,
        id_: object,
    ) -> None:
        """Record that something happened, with the variants that the units met."""
        if self._is_unseen() or not self.consents(MEASUREMENT):
            return
        making.check_id(self, name, id_)
        try:
            event = making.event(self, name, value, properties, id_)
            self._keep(event, event_tracked, event=event)
        except Exception:
            self.state.tally.count("record_failed")
            self.app.logger.exception("The event %s was not recorded.", shown(name))

    def _keep(
        self, record: Exposure | Event, signal: NamedSignal, **payload: object
    ) -> bool:
        fault = record.fault()
        if fault is not None:
            if self.state.tally.count(f"record_dropped:{fault}"):
                self.app.logger.warning("%s", making.dropped(record, fault))
            return False
        self.records.append(record)
        emit(signal, self.app, self.state.tally, **payload)
        if self.is_finished:
            self.deliver()
        return True

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

    def deliver(self) -> None:
        """Hand over what was recorded so far."""
        batch, self.records = self.records, []
        if batch:
            self.state.recorder.deliver(tuple(batch), self.app.logger)
