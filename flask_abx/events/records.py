"""The two records: an exposure and an event."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Literal, TypeAlias

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.events.safe import finite, storable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.events.safe import Json

Number: TypeAlias = int | float | Decimal
#: What `track` promises: see `ABX.track`.
Durability: TypeAlias = Literal["spool", "request", "atomic"]

KEY_LENGTH = 64
UNIT_TYPE_LENGTH = 40
UNIT_LENGTH = 320
VISITOR_LENGTH = 32
NAME_LENGTH = 100
#: How long the JSON of a record may be: a database takes no statement of any length.
RECORD_LENGTH = 1_048_576

_PEOPLE = frozenset({VISITOR, USER})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC, to the millisecond."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def digest_of(*parts: str) -> str:
    """Derive an id from what it names: 32 lower-case hexadecimal digits."""
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=16).hexdigest()


def fresh_id(moment: datetime) -> str:
    """Make an id that sorts by time: 12 digits of milliseconds, 20 random ones."""
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    milliseconds = seconds * 1_000 + since.microseconds // 1_000
    return f"{milliseconds:012x}{os.urandom(10).hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """The first moment in which a unit met its variant.

    Attributes:
        id: The same for a unit, an experiment and an iteration, whoever records it.
        at: When, aware.
        units: Everybody it belongs to: unit type to id.
        version: The version of the definitions that decided.
        unit_type: The type of the unit that was assigned.
        unit: The id of the unit that was assigned.
        dimensions: The attributes that the experiment asks to keep, as text.
    """

    id: str
    at: datetime
    units: Mapping[str, str]
    version: str
    experiment: str
    iteration: int
    variant: str
    reason: str
    unit_type: str
    unit: str
    dimensions: Mapping[str, str]
    type: str = field(default="exposure", init=False)
    _json: list[str] = field(default_factory=list, repr=False, compare=False)

    def to_dict(self) -> dict[str, object]:
        """Give the public fields as plain values."""
        return {
            "type": self.type,
            "id": self.id,
            "at": stamp(self.at),
            "experiment": self.experiment,
            "iteration": self.iteration,
            "variant": self.variant,
            "reason": self.reason,
            "unit_type": self.unit_type,
            "unit": self.unit,
            "units": dict(self.units),
            "dimensions": dict(self.dimensions),
            "version": self.version,
        }

    def to_json(self) -> str:
        """Give the record as one line of JSON, encoded once for all sinks."""
        if not self._json:
            self._json.append(self._line())
        return self._json[0]

    def _line(self) -> str:
        # What `encoded(self.to_dict())` writes: each new visitor pays for this one.
        text = encode_basestring_ascii
        return (
            f'{{"type": "exposure", "id": {text(self.id)}, "at": "{stamp(self.at)}", '
            f'"experiment": {text(self.experiment)}, "iteration": {self.iteration}, '
            f'"variant": {text(self.variant)}, "reason": {text(self.reason)}, '
            f'"unit_type": {text(self.unit_type)}, "unit": {text(self.unit)}, '
            f'"units": {encoded(self.units)}, '
            f'"dimensions": {encoded(self.dimensions)}, '
            f'"version": {text(self.version)}}}'
        )

    def fault(self) -> str | None:
        """Name what no database would store, or None."""
        if not storable(self.experiment, KEY_LENGTH):
            return "experiment"
        fault = _unit_fault({**self.units, self.unit_type: self.unit})
        is_long = bool(self.dimensions) and len(self.to_json()) > RECORD_LENGTH
        return fault or ("size" if is_long else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, with the variants that its units had been exposed to.

    Attributes:
        value: A finite number, or None.
        properties: Whatever else the code told, made safe for JSON.
        variants: Experiment key to variant key.
    """

    id: str
    at: datetime
    units: Mapping[str, str]
    version: str
    name: str
    value: Number | None
    properties: Mapping[str, Json]
    variants: Mapping[str, str]
    type: str = field(default="event", init=False)
    _json: list[str] = field(default_factory=list, repr=False, compare=False)

    def to_dict(self) -> dict[str, object]:
        """Give the public fields as plain values."""
        return {
            "type": self.type,
            "id": self.id,
            "at": stamp(self.at),
            "name": self.name,
            "value": self.value,
            "variants": dict(self.variants),
            "units": dict(self.units),
            "properties": dict(self.properties),
            "version": self.version,
        }

    def to_json(self) -> str:
        """Give the record as one line of JSON, encoded once for all sinks."""
        if not self._json:
            self._json.append(self._line())
        return self._json[0]

    def _line(self) -> str:
        # What `encoded(self.to_dict())` writes: a request pays for each one.
        text = encode_basestring_ascii
        return (
            f'{{"type": "event", "id": {text(self.id)}, "at": "{stamp(self.at)}", '
            f'"name": {text(self.name)}, "value": {_encoded(self.value)}, '
            f'"variants": {encoded(self.variants)}, "units": {encoded(self.units)}, '
            f'"properties": {encoded(self.properties)}, '
            f'"version": {text(self.version)}}}'
        )

    def fault(self) -> str | None:
        """Name what no database would store, or None."""
        if not storable(self.name, NAME_LENGTH):
            return "name"
        if self.value is not None and not finite(self.value):
            return "value"
        return _unit_fault(self.units) or self._size_fault()

    def _size_fault(self) -> str | None:
        is_long = bool(self.properties) and len(self.to_json()) > RECORD_LENGTH
        return "size" if is_long else None


Record: TypeAlias = Exposure | Event


def encoded(fields: Mapping[str, object]) -> str:
    """Write the fields of a record as one line of JSON, as `json.dumps` does.

    Most of them are texts; setting up the encoder of the standard library for each
    record would cost more than writing it. A Decimal keeps its digits.
    """
    text = encode_basestring_ascii
    pairs = ""
    for name, value in fields.items():
        told = text(value) if type(value) is str else _encoded(value)
        pairs += f", {text(name)}: {told}"
    return f"{{{pairs[2:]}}}"


def _encoded(value: object) -> str:
    if type(value) is str:
        return encode_basestring_ascii(value)
    if value is None:
        return "null"
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return repr(value)
    if isinstance(value, Decimal):
        return str(value)
    return encoded(value) if type(value) is dict else json.dumps(value)


def unit_length(kind: str) -> int:
    """Tell how long the id of a unit may be."""
    return VISITOR_LENGTH if kind == VISITOR else UNIT_LENGTH


def _unit_fault(units: Mapping[str, str]) -> str | None:
    if not units:
        return "no_unit"
    for kind, unit in units.items():
        if kind not in _PEOPLE and not storable(kind, UNIT_TYPE_LENGTH):
            return "unit_type"
        if not storable(unit, unit_length(kind)):
            return "unit"
    return None
