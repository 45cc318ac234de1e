"""The history of a control, slot by slot, as if each slot were a variant of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import String, select
from sqlalchemy import cast as sql_cast

from flask_abx.results.aggregate import aggregate
from flask_abx.results.looks.history import read_iteration
from flask_abx.results.metrics import measures
from flask_abx.results.replay.replaying import slots_of
from flask_abx.results.shapes import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table

    from flask_abx.experiments.model import Document
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.refresh import Metrics
    from flask_abx.results.replay.replaying import Slots
    from flask_abx.schema import Tables

#: Digits of a slot.
_LONGEST = 3


@dataclass(frozen=True, slots=True)
class History:
    """What the units of a control did.

    Attributes:
        iteration: In which run they were exposed.
        slots: One for each primary metric.
        failed: Why a metric could not be computed.
    """

    iteration: int
    slots: tuple[Slots, ...]
    failed: Mapping[str, str]


def history_of(
    connection: Connection,
    tables: Tables,
    document: Document,
    metrics: Metrics,
    key: str,
    *,
    now: int,
    days: int | None = None,
) -> History | None:
    """Read what the control's units of each slot added to the primary metrics each day.

    They all had the same, so that no effect is among them; and slots are drawn apart
    from the variants, so that any of them are as good as a random half.

    Args:
        connection: Where to read.
        tables: The tables.
        document: The definitions of now.
        metrics: What is measured.
        key: The experiment, which is among them.
        now: In milliseconds since 1970.
        days: Only the first days; None is all.

    Returns:
        The history of the latest run in which anybody was exposed; None without one.
    """
    run = _latest(connection, tables, document, key)
    if run is None:
        return None
    asked = [
        each
        for each in measures(run.experiment, metrics.declared, metrics.selects)
        if each.role is Role.PRIMARY
    ]
    found = aggregate(
        connection, with_slots(tables, run.control), run, asked, as_of=now
    )
    return History(
        iteration=run.number,
        slots=tuple(
            slots_of(each, found.series.get(each.key, {}), days)
            for each in asked
            if each.key not in found.failed
        ),
        failed=found.failed,
    )


def _latest(
    connection: Connection, tables: Tables, document: Document, key: str
) -> Iteration | None:
    """Find the run of now, or the one before, in which anybody was exposed."""
    number = document.experiments[key].iteration
    for told in range(number, max(number - 2, 0), -1):
        run = read_iteration(connection, tables, document, key, told)
        if run.first_exposed_at is not None:
            return run
    return None


def with_slots(tables: Tables, control: str) -> Tables:
    """Put the slot of each unit where its variant stood, and leave treatments out."""
    table = tables.exposures
    slot = sql_cast(table.c.slot, String(_LONGEST)).label("variant")
    columns: list[Any] = [
        slot if column.name == "variant" else column for column in table.c
    ]
    told = select(*columns).where(table.c.variant == control).subquery()
    # What reads exposures asks for columns alone, which a subquery has as well.
    return replace(tables, exposures=cast("Table", told))
