"""Makes records out of what a request knows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from flask_abx.assignment.decision import USER, VISITOR, Unit
from flask_abx.errors import UsageError
from flask_abx.events.records import Event, Exposure, digest_of, fresh_id
from flask_abx.events.safe import json_safe, shown
from flask_abx.runtime.unit import first_unit, unit_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.assignment.decision import Assignment
    from flask_abx.assignment.ruleset import Rule
    from flask_abx.events.records import Number
    from flask_abx.runtime.scope import Scope

#: Marks an id that was not given, as None is a mistake.
UNSET: Any = object()


def exposure(scope: Scope, rule: Rule, unit: Unit, assignment: Assignment) -> Exposure:
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


def _dimensions(scope: Scope, rule: Rule) -> dict[str, str]:
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
    scope: Scope,
    name: str,
    value: object,
    properties: Mapping[str, object] | None,
    id_: object,
) -> Event:
    """Make the record of something that happened."""
    now = datetime.now(UTC)
    units = units_of(scope, mint=True)
    plain = json_safe({} if properties is None else properties)
    told = plain if isinstance(plain, dict) else {"properties": plain}
    return Event(
        id=_event_id(name, id_, now),
        at=now,
        units=MappingProxyType(units),
        version=scope.ruleset.version,
        name=name,
        value=_number(value),
        properties=MappingProxyType(told),
        variants=MappingProxyType(labels(scope, units)),
    )


def _number(value: object) -> Number | None:
    # A subclass may print itself as something that is no number in JSON.
    for plain in (int, float, Decimal):
        if isinstance(value, plain) and not isinstance(value, bool):
            return plain(value)
    # What is no number is found when the record is checked.
    return cast("Number | None", value)


def _event_id(name: object, id_: object, now: datetime) -> str:
    if id_ is UNSET:
        return fresh_id(now)
    given = unit_id(id_)
    return fresh_id(now) if given is None else digest_of("event", str(name), given)


def check_id(scope: Scope, name: object, id_: object) -> None:
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


def units_of(scope: Scope, *, mint: bool) -> dict[str, str]:
    """Give everybody it belongs to: the ids that are known, by unit type."""
    identity = scope.identity
    found: dict[str, str] = {}
    visitor = identity.visitor() if mint else scope.known_visitor
    if visitor is not None:
        found[VISITOR] = visitor
    for kind in (USER, *scope.ruleset.attribute_units):
        try:
            unit = first_unit((kind,), identity)
        except Exception:
            scope.app.logger.exception("The %s of a record is not known.", kind)
            continue
        if unit is not None:
            found[kind] = unit.id
    return found


def labels(scope: Scope, units: Mapping[str, str]) -> dict[str, str]:
    """Collect the variants that the units were exposed to, by experiment."""
    now = datetime.now(UTC)
    found: dict[str, tuple[int, str]] = {}
    for kind, who in units.items():
        for key, entry in scope.sticky.entries_of(Unit(kind, who)).items():
            rule = scope.ruleset.rules.get(key)
            if rule is None or entry.iteration != rule.iteration:
                continue
            if kind not in rule.unit or entry.variant not in rule.variants:
                continue
            rank = rule.unit.index(kind)
            if key not in found or rank < found[key][0]:
                found[key] = (rank, entry.variant)
    everything = {**{key: variant for key, (_, variant) in found.items()}, **scope.met}
    held = scope.state.forced
    for key in held.variants:
        everything.pop(key, None)
        if any((key, Unit(*unit)) in held.exposed for unit in units.items()):
            everything[key] = held.variants[key]
    rules = scope.ruleset.rules
    return {
        key: variant
        for key, variant in sorted(everything.items())
        if key in held.variants or _counts(scope, rules[key], now)
    }


def _counts(scope: Scope, rule: Rule, now: datetime) -> bool:
    """Tell whether the unit is still served what it was exposed to."""
    if not rule.counted or (rule.end_at is not None and now >= rule.end_at):
        return False
    if not all(scope.consents(purpose) for purpose in rule.purposes):
        return False
    return not (rule.forced or scope.is_overridden) or scope.forced(rule) is None


_WAYS_OUT = {
    "name": "its name must be 1 to 100 characters of plain text",
    "no_unit": "nobody is known here, as there is neither a cookie nor a user; in a "
    "job or a command wrap the code in `with abx.as_unit(...)`",
    "unit": "the id of its unit is too long, or holds NUL or a lone surrogate",
}


def dropped(record: Exposure | Event, fault: str) -> str:
    """Say why a record was dropped, and the way out."""
    what = record.experiment if isinstance(record, Exposure) else record.name
    way_out = _WAYS_OUT.get(fault, f"its {fault} cannot be stored")
    if fault == "value" and isinstance(record, Event):
        value = shown(record.value)
        way_out = f"its value is {value}, must be a finite int, float or Decimal"
    return f"The {record.type} {shown(what)} is not recorded: {way_out}."
