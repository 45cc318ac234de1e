"""Where a unit lands on the unit interval."""

from __future__ import annotations

from hashlib import blake2b


def position(salt: str, unit_id: str) -> float:
    """Place a unit on the unit interval, evenly and always at the same spot."""
    # The NUL keeps ("a", "bc") and ("ab", "c") apart.
    data = f"{salt}\0{unit_id}".encode("utf-8", "surrogatepass")
    digest = blake2b(data, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
