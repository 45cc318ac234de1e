"""Values of any type, made safe for JSON and for a database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any, TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

MAX_DEPTH = 8
MAX_ITEMS = 1_000
#: Beyond what a double can hold.
MAX_BITS = 1023
#: Marks what is no scalar.
UNKNOWN = object()


def json_safe(value: object) -> Json:
    """Turn any value into plain JSON; never raises, and ends on cycles.

    What lies deeper than eight levels, or beyond a thousand items, is named by type.
    """
    return _Converter().convert(value, 0)


class _Converter:
    """Converts one value, and counts how much of it there is."""

    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def convert(self, value: object, depth: int) -> Json:
        try:
            return self._convert(value, depth)
        except Exception:  # noqa: BLE001 - a stranger's object may do anything
            return f"<{type(value).__name__}>"

    def _convert(self, value: object, depth: int) -> Json:
        self._left -= 1
        plain: Json = _scalar(value)
        if plain is not UNKNOWN:
            return plain
        if isinstance(value, Enum):
            return self.convert(value.value, depth)
        if depth >= MAX_DEPTH or self._left < 0:
            return f"<{type(value).__name__}>"
        if isinstance(value, Mapping):
            return {
                str(key): self.convert(item, depth + 1)
                for key, item in islice(value.items(), MAX_ITEMS)
            }
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(value, depth)
        return str(value)

    def _items(self, values: Iterable[object], depth: int) -> list[Json]:
        items = [self.convert(item, depth + 1) for item in islice(values, MAX_ITEMS)]
        is_set = isinstance(values, set | frozenset)
        return sorted(items, key=repr) if is_set else items


def _scalar(value: object) -> Any:  # noqa: ANN401 - JSON, or the mark for something else
    if isinstance(value, Enum):
        return UNKNOWN
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # The methods of the type itself: a subclass may answer anything.
        return str.__str__(value)
    if isinstance(value, int):
        whole = int.__pos__(value)
        return whole if whole.bit_length() <= MAX_BITS else "<int>"
    if isinstance(value, float):
        number = float.__pos__(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return str(value.isoformat())
    return UNKNOWN


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
    """Tell whether every database takes a text, and tells it from all others.

    It is not too long, holds no NUL and real Unicode only, and ends in no blank, which
    some databases do not compare.
    """
    if not isinstance(text, str) or not text or len(text) > length or "\0" in text:
        return False
    if text[-1] == " ":
        return False
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
