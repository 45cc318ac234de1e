"""What a sink is, and how settings name one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask_abx.events.records import Record


@runtime_checkable
class Sink(Protocol):
    """Takes the records of one request at its end."""

    def write(self, batch: Sequence[Record]) -> None:
        """Take a batch; what is raised is logged and counted, and changes no page."""
        ...


class CallableSink:
    """A plain function as a sink."""

    def __init__(self, function: Callable[[Sequence[Record]], object]) -> None:
        self._function = function

    def write(self, batch: Sequence[Record]) -> None:
        """Call the function with the batch."""
        self._function(batch)
