"""What the values of attributes count as when an audience reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import TypeAlias
from uuid import UUID

Test: TypeAlias = Callable[[object], bool]

_PLAIN = frozenset({NoneType, bool, int, float, str, list, dict})
_ARRAYS = (list, tuple, set, frozenset)
_NUMBER = re.compile(
    r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*", re.IGNORECASE | re.ASCII
)
_EXACT_DIGITS = 40
#: No number that anybody writes is longer.
_LONGEST = 400
_TYPES = {
    NoneType: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
TYPE_NAMES = tuple(dict.fromkeys(_TYPES.values()))


def plain(value: object) -> object:
    """Turn a value into the JSON value it stands for; others stay as they are."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    # The type is asked, not the value: proxies lie about their class.
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)  # type: ignore[arg-type]
    if issubclass(kind, float):
        return float.__float__(value)  # type: ignore[arg-type]
    return _converted(value, kind)


def _converted(value: object, kind: type) -> object:
    if issubclass(kind, Enum):
        return plain(value._value_)  # type: ignore[attr-defined]
    if issubclass(kind, UUID):
        return str(value)
    if issubclass(kind, Decimal):
        return _number_of_decimal(value)  # type: ignore[arg-type]
    if issubclass(kind, _ARRAYS):
        return list(value)  # type: ignore[call-overload]
    if issubclass(kind, Mapping):
        return dict(value)  # type: ignore[call-overload]
    return value


def _number_of_decimal(value: Decimal) -> int | float:
    if value.is_nan():
        return float("nan")
    whole = value.is_finite() and value.adjusted() < _EXACT_DIGITS
    if whole and value == value.to_integral_value():
        return int(value)
    return float(value)


def type_name(value: object) -> str | None:
    """Name the JSON type of a value; None for what JSON cannot hold."""
    return _TYPES.get(type(plain(value)))


def number_of(value: object) -> int | float | None:
    """Read a number, a text that holds one, or 0 where nothing is known."""
    if value is None:
        return 0
    value = plain(value)
    if type(value) is int or type(value) is float:
        return value
    if type(value) is str and len(value) <= _LONGEST and _NUMBER.fullmatch(value):
        return float(value)
    return None


def moment_of(value: object) -> datetime | None:
    """Read an instant; one without a time zone counts as UTC."""
    kind = type(value)
    if issubclass(kind, datetime):
        return _aware(value)  # type: ignore[arg-type]
    if issubclass(kind, date):
        return datetime.combine(value, time(), UTC)  # type: ignore[arg-type]
    text = plain(value)
    if type(text) is not str:
        return None
    try:
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        return None


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment


def is_same(wanted: object, value: object) -> bool:
    """Compare a plain JSON value with any value, as JSON does, never raising."""
    value = plain(value)
    kind = type(wanted)
    if wanted is None or kind is bool:
        return value is wanted
    if kind is str:
        return type(value) is str and value == wanted
    if kind is list:
        return type(value) is list and _are_same_items(wanted, value)  # type: ignore[arg-type]
    if kind is dict:
        return type(value) is dict and _are_same_fields(wanted, value)  # type: ignore[arg-type]
    return (type(value) is int or type(value) is float) and value == wanted


def _are_same_items(wanted: list[object], value: list[object]) -> bool:
    if len(wanted) != len(value):
        return False
    return all(is_same(*pair) for pair in zip(wanted, value, strict=True))


def _are_same_fields(wanted: dict[str, object], value: dict[str, object]) -> bool:
    if len(wanted) != len(value):
        return False
    return all(key in value and is_same(wanted[key], value[key]) for key in wanted)
