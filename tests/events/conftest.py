"""Records and sinks for the tests of events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask_abx.events.records import Event, Exposure, fresh_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.events.records import Number, Record

NOW = datetime(2030, 1, 7, 9, 0, 0, 1999, tzinfo=UTC)


def an_event(
    name: str = "order", value: Number | None = None, **fields: object
) -> Event:
    """Make an event of a user."""
    given: dict[str, object] = {
        "id": fresh_id(NOW),
        "at": NOW,
        "units": {"user": "7"},
        "version": "c0",
        "properties": {},
        "variants": {},
        **fields,
    }
    return Event(name=name, value=value, **given)  # type: ignore[arg-type]


def an_exposure(**fields: object) -> Exposure:
    """Make an exposure of a user."""
    given: dict[str, object] = {
        "id": "0" * 32,
        "at": NOW,
        "units": {"user": "7"},
        "version": "c0",
        "experiment": "headline",
        "iteration": 1,
        "variant": "bold",
        "reason": "allocated",
        "unit_type": "user",
        "unit": "7",
        "dimensions": {},
        **fields,
    }
    return Exposure(**given)  # type: ignore[arg-type]


class Keeping:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, batch: Sequence[Record]) -> None:
        self.records.extend(batch)


class Raising:
    """A sink that never works."""

    def write(self, batch: Sequence[Record]) -> None:
        raise OSError("the disk is full")
