"""What is drained at a time: a file, or the queue in memory."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from flask_abx.events.spool.frames import Line, lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flask_abx.events.spool.keeper import Keeper
    from flask_abx.events.spool.segment import Segment


class Haul:
    """Records that wait for the database.

    Args:
        first: The first ticket in it, or None where another process took them.
        segment: The file they are in, locked.
        texts: The records themselves, where they are in memory only.
        keeper: Told when it is done or given back.

    Attributes:
        is_over: True once it is done or no more ours.
    """

    def __init__(
        self,
        first: int | None,
        segment: Segment | None,
        texts: Sequence[str],
        keeper: Keeper,
    ) -> None:
        self.first = first
        self.segment = segment
        self.texts = texts
        self.is_over = False
        self._keeper = keeper

    @property
    def is_adopted(self) -> bool:
        """True where another process wrote it."""
        return self.first is None

    @property
    def name(self) -> str:
        """How the log names it."""
        return "the queue in memory" if self.segment is None else self.segment.path.name

    @property
    def size(self) -> int:
        """How many bytes it takes on disk."""
        return 0 if self.segment is None else self.segment.size

    def chunks(self, size: int) -> Iterator[list[Line]]:
        """Read it from its beginning, so many lines at a time."""
        if self.segment is None:
            source: Iterator[Line] = (Line(text.encode(), text) for text in self.texts)
        else:
            source = lines(self.segment.read)
        while chunk := list(islice(source, size)):
            yield chunk

    def done(self) -> None:
        """Forget it for good: its rows are committed."""
        self._keeper.done(self)

    def release(self) -> None:
        """Give it back: an own one stays first, an adopted one loses its lock."""
        self._keeper.release(self)
