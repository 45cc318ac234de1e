"""People who see a headline, of whom more sign up with one than with the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask_abx.events.records import stamp
from tests.events.sql.exports import event, exposure

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGAN = datetime.now(UTC) - timedelta(days=20)
#: Of ten people of each variant so many sign up.
SIGNED = {"control": 2, "bold": 5}


def records(people: int = 400) -> Iterator[dict[str, Any]]:
    """Record so many people of three weeks ago, each of whom met a variant."""
    for number in range(people):
        unit, variant = f"{number:032x}", ("control", "bold")[number % 2]
        at = BEGAN + timedelta(minutes=number)
        yield exposure(unit, variant=variant, at=stamp(at))
        if number // 2 % 10 < SIGNED[variant]:
            later = stamp(at + timedelta(minutes=5))
            yield event("signup", at=later, units={"visitor": unit}, value=None)
