"""Where a unit lands on the unit interval."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Place: TypeAlias = "Callable[[str], float]"


def position(salt: str, unit_id: str) -> float:
    """Place a unit on the unit interval, evenly and always at the same spot."""
    return places(salt)(unit_id)


def places(salt: str) -> Place:
    """Prepare a salt, so that each unit costs only its own part of the hash."""
    # The NUL keeps ("a", "bc") and ("ab", "c") apart.
    start = f"{salt}\0".encode("utf-8", "surrogatepass")
    copy = blake2b(start, digest_size=8).copy

    def place(unit_id: str) -> float:
        state = copy()
        state.update(unit_id.encode("utf-8", "surrogatepass"))
        return (int.from_bytes(state.digest(), "big") >> 11) / 2**53

    return place
