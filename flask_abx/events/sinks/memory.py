"""A sink that keeps the last records in memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.events.records import Record


class MemorySink:
    """Keeps the newest records of this process, for tests and for looking.

    Args:
        size: How many records are kept; older ones make room.
    """

    def __init__(self, size: int = 10_000) -> None:
        self.records: deque[Record] = deque(maxlen=size)

    def write(self, batch: Sequence[Record]) -> None:
        """Keep the batch."""
        self.records.extend(batch)
