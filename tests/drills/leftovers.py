"""Records that gone processes have left, written as the spool writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flask_abx.assignment.decision import Reason
from flask_abx.events.records import Event, Exposure, digest_of, fresh_id
from flask_abx.events.spool.folder import prepare
from flask_abx.events.spool.frames import frame
from tests.drills.market import SOLD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flask_abx.events.records import Record
    from flask_abx.runtime.state import State


def sale(number: int, at: datetime, *, name: str = SOLD, **units: str) -> Event:
    """Make the event of a sale, with the id that its number gives it."""
    return Event(
        id=digest_of("event", SOLD, str(number)),
        at=at,
        units=units,
        version="1",
        name=name,
        value=1,
        properties={},
        variants={},
    )


def exposure(at: datetime, variant: str, kind: str, **units: str) -> Exposure:
    """Make the exposure of the unit of one kind, with all that it was known as."""
    unit = units[kind]
    return Exposure(
        id=digest_of("exposure", "headline", "1", kind, unit),
        at=at,
        units=units,
        version="1",
        experiment="headline",
        iteration=1,
        variant=variant,
        reason=Reason.ALLOCATED,
        unit_type=kind,
        unit=unit,
        dimensions={},
    )


def leave(spool: Path, records: Sequence[Record], order: int = 0) -> Path:
    """Leave a file of records that nobody owns.

    Args:
        spool: The folder of one database.
        records: What is in it.
        order: What is later in the order of files has a higher number.
    """
    moment = datetime.now(UTC) + timedelta(milliseconds=order)
    new = spool / f"{fresh_id(moment)}.new"
    new.write_bytes(b"".join(frame(record.to_json()) for record in records))
    new.chmod(0o600)
    return new.rename(new.with_suffix(".spool"))


def folder_of(state: State) -> Path:
    """Give the folder where records wait for the database of an application."""
    assert state.delivery is not None
    folder = state.delivery.spool.state.folder
    assert folder is not None
    prepare(folder)
    return folder
