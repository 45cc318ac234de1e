"""How the databases find what is added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.results.tilled import START, explained

if TYPE_CHECKING:
    from tests.results.tilled import Field

#: How each kind of database says that it reads a whole table.
WHOLE = (
    "SCAN abx_event",
    "Seq Scan on abx_event",
    "abx_events ALL",
    "abx_event_units ALL",
)
METRICS: dict[str, dict[str, Any]] = {
    "signup": {},
    "order": {
        "kind": "sum",
        "where": {"tea": "sencha"},
        "covariate": "1d",
        "cap": 0.9,
    },
    "week": {"kind": "sum", "event": "order", "window": "7d"},
    "ratio": {
        "kind": "ratio",
        "numerator": {"event": "order"},
        "denominator": {"event": "view"},
    },
}


@pytest.fixture
def crowded(ground: Field) -> Field:
    """Make a few units and many events of others, and let the database count them."""
    engine, tables = ground.database.own, ground.database.tables
    for number in range(5):
        ground.exposed(str(number))
    told = {"name": "order", "at": START}
    rest = dict.fromkeys(("units", "properties", "variants"), "{}")
    events = [
        {**told, **rest, "id": f"{n:032x}", "stored_at": START, "version": "1"}
        for n in range(5_000)
    ]
    belongs = [
        {**told, "unit": f"visitor:other{n}", "event_id": f"{n:032x}"}
        for n in range(5_000)
    ]
    with engine.begin() as connection:
        connection.execute(tables.events.insert(), events)
        connection.execute(tables.event_units.insert(), belongs)
        if engine.dialect.name != "sqlite":
            kind = "" if engine.dialect.name == "postgresql" else "TABLE "
            for table in (tables.exposures, tables.events, tables.event_units):
                connection.execute(text(f"ANALYZE {kind}{table.name}"))
    return ground


def test_events_are_looked_up_and_never_read_all(crowded: Field) -> None:
    with explained(crowded.database.own) as plans:
        crowded.found(METRICS, dimensions=["country"])
    assert plans
    assert not [plan for plan in plans if any(whole in plan for whole in WHOLE)]
