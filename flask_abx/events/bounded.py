"""A mapping that forgets its oldest entries."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Remembers so many entries; the oldest makes room for the newest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Give what is remembered for a key, or None."""
        return self._entries.get(key)

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: K, value: V) -> None:
        """Remember an entry."""
        entries = self._entries
        entries[key] = value
        # One that is renewed is the newest.
        with suppress(KeyError):
            entries.move_to_end(key)
        if len(entries) > self._size:
            # Another thread may have made room meanwhile.
            with suppress(KeyError):
                entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget an entry, if it is there."""
        self._entries.pop(key, None)

    def swap(self, other: Bounded[K, V]) -> Bounded[K, V]:
        """Take over the entries of another, and give back one's own."""
        own: Bounded[K, V] = Bounded(self._size)
        own._entries, self._entries = self._entries, other._entries
        return own
