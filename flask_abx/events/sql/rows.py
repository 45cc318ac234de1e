"""Records as rows: what every database takes, in the same form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, TypeAlias

from flask_abx.assignment.decision import VISITOR
from flask_abx.assignment.position import position
from flask_abx.errors import ABXError
from flask_abx.events.records import (
    KEY_LENGTH,
    NAME_LENGTH,
    RECORD_LENGTH,
    UNIT_TYPE_LENGTH,
    unit_length,
)
from flask_abx.events.safe import finite, shown, storable

Units: TypeAlias = Mapping[str, str]
#: Experiment, iteration, and the unit with its type.
ExposureKey: TypeAlias = tuple[str, int, str]

SLOTS = 200
_ID_LENGTH = 32
_REASON_LENGTH = 16
_VERSION_LENGTH = 20
_HIGHEST = 2**63

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Without sorted keys the same units would be another text.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False
).encode


class RecordRefused(ABXError, ValueError):  # noqa: N818 - named after what happened
    """A record cannot be stored, in whatever database."""


class Exposed(NamedTuple):
    """An exposure that was read.

    Attributes:
        units: Everybody it belongs to, the unit that was assigned included.
        unit: The unit that was assigned, with its type.
        slot: The part of its experiment in which the unit lies.
    """

    units: Units
    at: int
    experiment: str
    iteration: int
    unit: str
    slot: int
    variant: str
    reason: str
    dimensions: str
    version: str

    @property
    def key(self) -> ExposureKey:
        """What its row is found by."""
        return self.experiment, self.iteration, self.unit


class Happened(NamedTuple):
    """An event that was read."""

    units: Units
    at: int
    id: str
    name: str
    value: float | None
    properties: str
    variants: str
    version: str


def read(record: Mapping[str, Any]) -> Exposed | Happened:
    """Read a record.

    Raises:
        RecordRefused: If no database could store it.
    """
    if not isinstance(record, Mapping):
        raise RecordRefused(f"A record is {shown(record)}, must be an object.")
    kind = record.get("type")
    if kind == "event":
        return _read_event(record)
    if kind == "exposure":
        return _read_exposure(record)
    raise RecordRefused(
        f'A record is of the type {shown(kind)}, must be "event" or "exposure".'
    )


def unit_of(kind: str, unit_id: str) -> str:
    """Write a unit with its type, as the tables do."""
    return f"{kind}:{unit_id}"


def units_of(units: Units) -> list[str]:
    """Write each unit of a record with its type."""
    return [f"{kind}:{unit_id}" for kind, unit_id in units.items()]


def visitor_of(units: Units) -> str | None:
    """Find the visitor of a record, if the tables can name it."""
    return units.get(VISITOR)


def slot_of(experiment: str, iteration: int, unit_id: str) -> int:
    """Find the part of an experiment in which a unit lies."""
    return int(SLOTS * position(f"slot:{experiment}:{iteration}", unit_id))


def milliseconds(at: object) -> int:
    """Read a moment of a record, in milliseconds since 1970.

    Raises:
        RecordRefused: If it is none.
    """
    try:
        moment = datetime.fromisoformat(at)  # type: ignore[arg-type] # refused below
        if moment.tzinfo is not UTC:
            # Beyond the years 1 to 9999 nobody could write it in UTC any more.
            moment.astimezone(UTC)
        since = moment - _EPOCH
        seconds = since.days * 86_400 + since.seconds
        return seconds * 1_000 + since.microseconds // 1_000
    except (TypeError, ValueError, OverflowError):
        raise RecordRefused(
            f"The record's 'at' is {shown(at)}, must be a moment with its time zone: "
            "write '2026-01-31T09:00:00.000Z'."
        ) from None


def json_text(value: object, field: str) -> str:
    """Write a part of a record as canonical JSON.

    Raises:
        RecordRefused: If it is no object, or holds what JSON has no form for.
    """
    if type(value) is not dict and not isinstance(value, Mapping):
        raise RecordRefused(
            f"The record's {field!r} is {shown(value)}, must be an object."
        )
    if not value:
        return "{}"
    try:
        text = _canonical(value if type(value) is dict else dict(value))
    except (TypeError, ValueError, RecursionError):
        raise RecordRefused(
            f"The record's {field!r} is {shown(value)}, must be plain JSON."
        ) from None
    if len(text) > RECORD_LENGTH:
        raise RecordRefused(
            f"The record's {field!r} has {len(text)} characters, must have at most "
            f"{RECORD_LENGTH}."
        )
    return text


def _canonical(fields: dict[Any, Any]) -> str:
    """Write what `_encode` does, most of which are a few texts and numbers.

    Setting up the encoder of the standard library would cost more than writing them.
    """
    text = encode_basestring_ascii
    pairs = []
    for name in sorted(fields):
        value = fields[name]
        kind = type(value)
        if kind is str:
            told = text(value)
        elif kind is int or (kind is float and math.isfinite(value)):
            told = repr(value)
        else:
            return _encode(fields)
        if type(name) is not str:
            return _encode(fields)
        pairs.append(f"{text(name)}:{told}")
    return f"{{{','.join(pairs)}}}"


def _read_event(record: Mapping[str, Any]) -> Happened:
    value = record.get("value")
    if value is not None and not (type(value) is float and math.isfinite(value)):
        if not finite(value):
            raise RecordRefused(
                f"The record's 'value' is {shown(value)}, must be a finite number."
            )
        value = float(value)
    return Happened(
        _units(record),
        milliseconds(record.get("at")),
        _text(record, "id", _ID_LENGTH),
        _text(record, "name", NAME_LENGTH),
        value,
        json_text(record.get("properties"), "properties"),
        json_text(record.get("variants"), "variants"),
        _text(record, "version", _VERSION_LENGTH),
    )


def _read_exposure(record: Mapping[str, Any]) -> Exposed:
    experiment = _text(record, "experiment", KEY_LENGTH)
    iteration = record.get("iteration")
    if type(iteration) is not int or not 0 <= iteration < _HIGHEST:
        raise RecordRefused(
            f"The record's 'iteration' is {shown(iteration)}, must be a whole number."
        )
    units = _units(record)
    kind: Any = record.get("unit_type")
    unit_id: Any = record.get("unit")
    # What is among the units has been looked at.
    if type(kind) is not str or kind not in units or units[kind] != unit_id:
        kind = _text(record, "unit_type", UNIT_TYPE_LENGTH)
        unit_id = _text(record, "unit", unit_length(kind))
        units = {**units, kind: unit_id}
    return Exposed(
        units,
        milliseconds(record.get("at")),
        experiment,
        iteration,
        unit_of(kind, unit_id),
        slot_of(experiment, iteration, unit_id),
        _text(record, "variant", KEY_LENGTH),
        _text(record, "reason", _REASON_LENGTH),
        json_text(record.get("dimensions"), "dimensions"),
        _text(record, "version", _VERSION_LENGTH),
    )


def _units(record: Mapping[str, Any]) -> Units:
    units = record.get("units")
    is_object = type(units) is dict or isinstance(units, Mapping)
    if not is_object or not units:
        raise RecordRefused(
            f"The record's 'units' are {shown(units)}, must name at least one unit."
        )
    found: Units = units
    for kind, unit_id in found.items():
        is_kind = storable(kind, UNIT_TYPE_LENGTH)
        if not is_kind or not storable(unit_id, unit_length(kind)):
            raise RecordRefused(
                f"The record's unit {shown(kind)} is {shown(unit_id)}, "
                f"{_must(unit_length(kind))}"
            )
    return found


def _text(record: Mapping[str, Any], field: str, length: int) -> str:
    value = record.get(field)
    if not storable(value, length):
        raise RecordRefused(
            f"The record's {field!r} is {shown(value)}, {_must(length)}"
        )
    return value if type(value) is str else str(value)


def _must(length: int) -> str:
    return (
        f"must be a text of 1 to {length} characters without NUL, half of a surrogate "
        "pair or a blank at its end."
    )
