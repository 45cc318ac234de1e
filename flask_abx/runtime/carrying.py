"""Somebody is carried: packed where they are, taken up in another process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from flask_abx.assignment.decision import USER, VISITOR, Unit
from flask_abx.errors import UsageError
from flask_abx.events.safe import shown
from flask_abx.experiments.lifecycle import Status
from flask_abx.runtime import making
from flask_abx.runtime.carried import (
    LEADING,
    NOBODY,
    ROOM,
    Carried,
    compose,
    entry_text,
    escaped,
    read,
    write,
)
from flask_abx.runtime.consent import MEASUREMENT
from flask_abx.runtime.cookie import Entry, Memory, tag_of
from flask_abx.runtime.scope import Scope
from flask_abx.runtime.sticky import Sticky
from flask_abx.runtime.unit import GivenIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask import Flask

    from flask_abx.assignment.ruleset import Rule, Ruleset
    from flask_abx.runtime.state import State


class CarriedScope(Scope):
    """The stay of somebody who was carried here.

    Args:
        carried: Who it is.
        attributes: What else is known about them here.
    """

    def __init__(
        self,
        app: Flask,
        state: State,
        ruleset: Ruleset,
        carried: Carried,
        attributes: Mapping[str, object],
    ) -> None:
        units = dict(carried.units)
        visitor, user = units.pop(VISITOR, None), units.pop(USER, None)
        identity = GivenIdentity(visitor, user, {**units, **attributes})
        super().__init__(app, state, None, ruleset, identity)
        self.carried = carried
        self._is_bot = carried.is_bot
        self._is_silent = carried.is_silent
        self._sticky = Sticky(_memory(carried))
        self.ahead = _ahead(carried, ruleset)

    def consents(self, purpose: str) -> bool:
        """Tell whether the person had agreed; nobody can be asked here."""
        return purpose in self.carried.purposes


def _memory(carried: Carried) -> Memory:
    own = carried.entries.get(VISITOR, {})
    others = {
        tag_of(Unit(kind, carried.units[kind])): entries
        for kind, entries in carried.entries.items()
        if kind != VISITOR
    }
    return Memory(carried.units.get(VISITOR, ""), own, others)


def _ahead(carried: Carried, ruleset: Ruleset) -> Mapping[str, str]:
    """Find the variants met in experiments that this process is yet to learn of."""
    if not _is_later(carried.version, ruleset.version):
        return {}
    return {
        key: entry.variant
        for entries in carried.entries.values()
        for key, entry in entries.items()
        if _is_to_come(ruleset.rules.get(key), entry)
    }


def _is_later(version: str, other: str) -> bool:
    """Tell whether one version follows another; a file's versions have no order."""
    if version.isdecimal() and other.isdecimal():
        return int(version) > int(other)
    return version not in ("", other)


def _is_to_come(rule: Rule | None, entry: Entry) -> bool:
    if rule is None or rule.status is Status.DRAFT or entry.iteration > rule.iteration:
        return True
    return entry.iteration == rule.iteration and entry.variant not in rule.variants


def carry(scope: Scope) -> str:
    """Write down who a scope is for, and what they met and agreed to.

    Raises:
        UsageError: If an id is too long to be carried, in debug and testing.
    """
    try:
        return write(packed(scope), scope.state.cookie.carrying_keys)
    except UsageError:
        raise
    except Exception:
        scope.state.tally.count("carry_failed")
        scope.app.logger.exception("Nobody is carried.")
        return write(NOBODY, scope.state.cookie.carrying_keys)


def packed(scope: Scope) -> Carried:
    """Collect what is carried of a scope, as much of it as there is room for.

    Ids stand first, then the attribute units, then what was met, the latest first.

    Raises:
        UsageError: If an id is too long to be carried, in debug and testing.
    """
    earlier = scope.carried if isinstance(scope, CarriedScope) else NOBODY
    purposes = set(earlier.purposes)
    if scope.consents(MEASUREMENT):
        purposes.add(MEASUREMENT)
    version = scope.ruleset.version
    is_late = _is_later(earlier.version, version)
    is_unseen = not scope.state.settings.enabled or bool(scope.preview.faults)
    frame = Carried(
        version=earlier.version if is_late else version,
        purposes=frozenset(purposes),
        is_bot=scope.is_bot,
        is_silent=scope.is_silent or is_unseen,
    )
    units = making.units_of(scope, mint=True)
    kept = _with_units(scope, frame, units)
    return _with_entries(scope, kept, _met(scope, units))


def _with_units(scope: Scope, frame: Carried, units: Mapping[str, str]) -> Carried:
    kept = frame
    for kind, who in units.items():
        more = replace(kept, units={**kept.units, kind: who})
        if len(compose(more)) <= ROOM:
            kept = more
        elif kind in LEADING:
            _tell_left_out(scope, kind, who)
        else:
            scope.state.tally.count("carry_shortened")
    return kept


def _tell_left_out(scope: Scope, kind: str, who: str) -> None:
    message = (
        f"carry() has no room for the {kind} {shown(who)}, {len(who)} characters long: "
        f"give the task the id itself, for `abx.as_unit({kind}=...)`."
    )
    if scope.is_dev:
        raise UsageError(message)
    if scope.state.tally.first("carry_left_out"):
        scope.app.logger.warning("%s It is left out.", message)


class _Met(NamedTuple):
    """What a unit was exposed to, and the purposes that this needs."""

    kind: str
    key: str
    entry: Entry
    purposes: frozenset[str]
    is_running: bool


def _met(scope: Scope, units: Mapping[str, str]) -> list[_Met]:
    """List what an event would be labelled with, the oldest of each unit first.

    Variants that outlive their experiment are among them, as they are served still.
    """
    held = scope.state.forced.variants
    labels = making.labels(scope, units)
    labels = {key: variant for key, variant in labels.items() if key not in held}
    found = [
        _found(scope, kind, key, entry)
        for kind, who in units.items()
        for key, entry in scope.sticky.entries_of(Unit(kind, who)).items()
        if (entry.variant == labels.get(key) and _is_of_now(scope, kind, key, entry))
        or _is_kept(scope, kind, key, entry)
    ]
    remembered = {each.key for each in found}
    for key in labels.keys() & scope.met.keys() - remembered:
        # The browser remembers two units besides the visitor, a request all.
        rule = scope.ruleset.rules[key]
        unit = scope.unit(rule)
        if unit is not None:
            entry = Entry(rule.iteration, labels[key], confirmed=True)
            found.append(_found(scope, unit.type, key, entry))
    return found


def _is_of_now(scope: Scope, kind: str, key: str, entry: Entry) -> bool:
    rule = scope.ruleset.rules.get(key)
    if key in scope.ahead and _is_to_come(rule, entry):
        return True
    return rule is not None and entry.iteration == rule.iteration and kind in rule.unit


def _is_kept(scope: Scope, kind: str, key: str, entry: Entry) -> bool:
    rule = scope.ruleset.rules.get(key)
    if rule is None or not rule.keep_variants or not rule.status.is_over:
        return False
    return entry.iteration == rule.iteration and kind in rule.unit


def _found(scope: Scope, kind: str, key: str, entry: Entry) -> _Met:
    rule = scope.ruleset.rules.get(key)
    if rule is None or key in scope.ahead:
        return _Met(kind, key, entry, frozenset(), is_running=True)
    is_running = rule.status is Status.RUNNING
    return _Met(kind, key, entry, frozenset(rule.purposes), is_running)


def _with_entries(scope: Scope, frame: Carried, met: Sequence[_Met]) -> Carried:
    room = ROOM - len(compose(frame))
    purposes, kept = set(frame.purposes), []
    latest = [
        each
        for is_running in (True, False)
        for each in reversed(met)
        if each.is_running is is_running
    ]
    for each in latest:
        if each.kind not in frame.units:
            continue
        new = each.purposes - purposes
        cost = len(entry_text(each.key, each.entry)) + 1
        cost += sum(len(escaped(purpose)) + 2 for purpose in new)
        if cost > room:
            scope.state.tally.count("carry_shortened")
            continue
        room -= cost
        purposes |= new
        kept.append(each)
    entries: dict[str, dict[str, Entry]] = {}
    for each in reversed(kept):
        entries.setdefault(each.kind, {})[each.key] = each.entry
    return replace(frame, purposes=frozenset(purposes), entries=entries)


def verified(text: str, app: Flask, state: State, *, is_strict: bool) -> Carried:
    """Read a carried text; one that is forged or damaged names nobody.

    Raises:
        UsageError: If it is forged or damaged, where that is asked for.
    """
    carried = read(text, state.cookie.carrying_keys)
    if carried is not None:
        return carried
    message = (
        f"{shown(text)} is damaged, or was signed with another SECRET_KEY: pass on "
        "what `abx.carry()` gave as it is, or write `user=` where it is a user's id."
    )
    if is_strict:
        raise UsageError(message)
    if state.tally.count("carried_refused"):
        app.logger.warning("%s Nobody is known.", message)
    return NOBODY
