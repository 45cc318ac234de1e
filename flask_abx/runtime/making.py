"""Makes records out of what a request knows."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast, get_args

from flask_abx.assignment.decision import USER, VISITOR, Unit
from flask_abx.errors import UsageError
from flask_abx.events.records import (
    Durability,
    Event,
    Exposure,
    digest_of,
    fresh_id,
)
from flask_abx.events.safe import MAX_BITS, MAX_ITEMS, json_safe, shown
from flask_abx.runtime.unit import unit_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.assignment.decision import Assignment
    from flask_abx.assignment.ruleset import Rule
    from flask_abx.events.records import Number
    from flask_abx.events.safe import Json
    from flask_abx.runtime.witness import Witness

#: Marks an id that was not given, as None is a mistake.
UNSET: Any = object()


def exposure(
    scope: Witness, rule: Rule, unit: Unit, assignment: Assignment
) -> Exposure:
    """Make the record of a unit that meets its variant."""
    return Exposure(
        id=digest_of("exposure", rule.key, str(rule.iteration), unit.type, unit.id),
        at=datetime.now(UTC),
        units=MappingProxyType(units_of(scope, mint=False)),
        version=scope.ruleset.version,
        experiment=rule.key,
        iteration=rule.iteration,
        variant=assignment.variant,
        reason=assignment.reason.value,
        unit_type=unit.type,
        unit=unit.id,
        dimensions=MappingProxyType(_dimensions(scope, rule)),
    )


def _dimensions(scope: Witness, rule: Rule) -> dict[str, str]:
    if not rule.dimensions:
        return {}
    try:
        attributes = scope.attributes()
    except Exception:
        scope.app.logger.exception("The dimensions of %r are not known.", rule.key)
        return {}
    found = {name: attributes.get(name) for name in rule.dimensions}
    return {name: _text(value) for name, value in found.items() if value is not None}


def _text(value: object) -> str:
    plain = json_safe(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def event(
    scope: Witness,
    name: str,
    value: object,
    properties: Mapping[str, object] | None,
    id_: object,
) -> Event:
    """Make the record of something that happened."""
    now = datetime.now(UTC)
    units = units_of(scope, mint=True)
    return Event(
        id=fresh_id(now) if id_ is UNSET else _event_id(name, id_, now),
        at=now,
        units=MappingProxyType(units),
        version=scope.ruleset.version,
        name=name,
        value=value if type(value) is float else _number(value),
        properties=MappingProxyType(_properties(properties)),
        variants=MappingProxyType(labels(scope, units)),
    )


def _properties(told: Mapping[str, object] | None) -> dict[str, Json]:
    if told is None:
        return {}
    if type(told) is dict and len(told) < MAX_ITEMS:
        # One step, as another thread may change it.
        copied = told.copy()
        if _are_plain(copied):
            return copied
    plain = json_safe(told)
    return plain if isinstance(plain, dict) else {"properties": plain}


def _are_plain(properties: dict[str, object]) -> bool:
    """Tell whether JSON takes properties as they are, as most are."""
    for name, value in properties.items():
        if type(name) is not str:
            return False
        if type(value) is str or value is None or type(value) is bool:
            continue
        if type(value) is int and value.bit_length() <= MAX_BITS:
            continue
        if not (type(value) is float and math.isfinite(value)):
            return False
    return True


def _number(value: object) -> Number | None:
    # A subclass may print itself as something that is no number in JSON.
    for plain in (int, float, Decimal):
        if isinstance(value, plain) and not isinstance(value, bool):
            return plain(value)
    # What is no number is found when the record is checked.
    return cast("Number | None", value)


def _event_id(name: object, id_: object, now: datetime) -> str:
    given = unit_id(id_)
    return fresh_id(now) if given is None else digest_of("event", str(name), given)


def check_id(scope: Witness, name: object, id_: object) -> None:
    """Refuse what is no id in debug and testing, and tell it elsewhere.

    Raises:
        UsageError: If an id is given that is none.
    """
    if id_ is UNSET or unit_id(id_) is not None:
        return
    message = (
        f"track({shown(name)}, id={shown(id_)}) must have a text, a whole number or "
        "a UUID as id: leave id out, or give the key of what happened."
    )
    if scope.is_dev:
        raise UsageError(message)
    if scope.state.tally.count("event_id"):
        scope.app.logger.warning("%s", message)


def units_of(scope: Witness, *, mint: bool) -> dict[str, str]:
    """Give everybody it belongs to: the ids that are known, by unit type."""
    identity = scope.identity
    found: dict[str, str] = {}
    visitor = identity.visitor() if mint else scope.known_visitor
    if visitor is not None:
        found[VISITOR] = visitor
    for kind in (USER, *scope.ruleset.attribute_units):
        try:
            if kind == USER:
                who = identity.user()
            else:
                who = unit_id(identity.attributes().get(kind))
        except Exception:
            scope.app.logger.exception("The %s of a record is not known.", kind)
            continue
        if who is not None:
            found[kind] = who
    return found


def labels(scope: Witness, units: Mapping[str, str]) -> dict[str, str]:
    """Collect the variants that the units were exposed to, by experiment."""
    rules, stored = scope.ruleset.rules, scope.ruleset.stored_units
    found: dict[str, str] = {}
    ranks: dict[str, int] = {}
    for kind, who in units.items():
        unit = Unit(kind, who)
        if kind in stored:
            scope.recall(unit)
        for key, (iteration, variant, _) in scope.sticky.entries_of(unit).items():
            rule = rules.get(key)
            if rule is None or iteration != rule.iteration:
                continue
            if kind not in rule.unit or variant not in rule.variants:
                continue
            rank = rule.unit.index(kind)
            if rank < ranks.get(key, len(rule.unit)):
                found[key], ranks[key] = variant, rank
    found.update(scope.met)
    held = scope.state.forced
    for key in held.variants:
        found.pop(key, None)
        if any((key, Unit(*unit)) in held.exposed for unit in units.items()):
            found[key] = held.variants[key]
    told, is_overridden = dict(scope.ahead), scope.is_overridden
    for key, variant in found.items():
        is_held = key in held.variants
        if is_held or _counts(scope, rules[key], is_overridden=is_overridden):
            told[key] = variant
    return dict(sorted(told.items())) if len(told) > 1 else told


def _counts(scope: Witness, rule: Rule, *, is_overridden: bool) -> bool:
    """Tell whether the unit is still served what it was exposed to."""
    if not rule.counted:
        return False
    if rule.end_at is not None and datetime.now(UTC) >= rule.end_at:
        return False
    if rule.purposes and not all(scope.consents(each) for each in rule.purposes):
        return False
    return not (rule.forced or is_overridden) or scope.forced(rule) is None


def durability(scope: Witness, name: object, told: object) -> Durability:
    """Read what is to be promised for an event.

    Raises:
        UsageError: If it is no such promise, in debug and testing.
    """
    default = scope.state.settings.track_durability
    if told is None:
        return default
    if told in get_args(Durability):
        return cast("Durability", told)
    message = (
        f"track({shown(name)}, durability={shown(told)}) must be 'spool', 'request' or "
        "'atomic': leave it out for what ABX_TRACK_DURABILITY says."
    )
    if scope.is_dev:
        raise UsageError(message)
    if scope.state.tally.count("durability"):
        scope.app.logger.warning("%s", message)
    return default


_WAYS_OUT = {
    "name": "its name must be 1 to 100 characters of plain text, the last no blank",
    "no_unit": "nobody is known here, as there is neither a cookie nor a user; in a "
    "job or a command wrap the code in `with abx.as_unit(...)`",
    "unit": "the id of its unit is too long, ends in a blank, or holds NUL or a lone "
    "surrogate",
    "size": "it takes more than a million characters as JSON; keep in its properties "
    "what is worth comparing, and the rest elsewhere",
}


def dropped(record: Exposure | Event, fault: str) -> str:
    """Say why a record was dropped, and the way out."""
    what = record.experiment if isinstance(record, Exposure) else record.name
    way_out = _WAYS_OUT.get(fault, f"its {fault} cannot be stored")
    if fault == "value" and isinstance(record, Event):
        value = shown(record.value)
        way_out = f"its value is {value}, must be a finite int, float or Decimal"
    return f"The {record.type} {shown(what)} is not recorded: {way_out}."
