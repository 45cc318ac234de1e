"""Values of any type, made safe for JSON and for a database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

MAX_DEPTH = 8
#: Beyond what a double can hold.
MAX_BITS = 1023


def json_safe(value: object, depth: int = 0) -> Json:
    """Turn any value into plain JSON; never raises, cycles end at a fixed depth."""
    try:
        return _convert(value, depth)
    except Exception:  # noqa: BLE001 - a stranger's object may do anything
        return f"<{type(value).__name__}>"


def _convert(value: object, depth: int) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return json_safe(value.value, depth)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= MAX_BITS else "<int>"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if depth >= MAX_DEPTH:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {str(key): json_safe(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _items(value, depth)
    return str(value)


def _items(values: Iterable[object], depth: int) -> list[Json]:
    items = [json_safe(item, depth + 1) for item in values]
    return sorted(items, key=repr) if isinstance(values, set | frozenset) else items


def _number(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and abs(value) < 2**63:
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None


def shown(value: object) -> str:
    """Write a value for a log line, whatever its own `repr` does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a stranger's object may do anything
        return f"<{type(value).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."


def finite(value: object) -> bool:
    """Tell whether a value is a finite int, float or Decimal within a double."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    try:
        return math.isfinite(value)
    except (OverflowError, ValueError):
        return False


def storable(text: object, length: int) -> bool:
    """Tell whether every database takes a text: not too long, no NUL, real Unicode."""
    if not isinstance(text, str) or not text or len(text) > length or "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
