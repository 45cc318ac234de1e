"""Which stored rows an export consists of, and how they are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, literal, or_, select

from flask_abx.events.export.datasets import (
    EPOCHS,
    EVENT_UNITS,
    EVENTS,
    EXPOSURES,
    LINKS,
)
from flask_abx.events.records import digest_of, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection, Select

    from flask_abx.events.export.datasets import Dataset, Row
    from flask_abx.schema import Tables

_VISITOR = "visitor"


@dataclass(frozen=True, slots=True)
class Source:
    """A query, and what makes a row of a dataset of what it finds."""

    query: Select[Any]
    row: Callable[[Any], Row]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected.

    Attributes:
        experiment: The one whose units are wanted, or None for everything.
        since: From which moment of arrival on, or None.
        linked: Links that are no older may be new: with one, rows that came long ago
            begin to count for somebody else.
    """

    experiment: str | None = None
    since: int | None = None
    linked: int = 0

    @classmethod
    def of(
        cls,
        connection: Connection,
        tables: Tables,
        experiment: str | None,
        since: int | None,
    ) -> Selection:
        """Complete what was asked for with what it means in this database."""
        if since is None:
            return cls(experiment)
        events, exposures = tables.events.c, tables.exposures.c
        # A link has the time of the record that made it, which came since then.
        queries = (
            select(func.min(events.at)).where(events.stored_at >= since),
            select(func.min(exposures.first_at)).where(exposures.stored_at >= since),
        )
        found = (connection.execute(query).scalar_one() for query in queries)
        return cls(experiment, since, min([since, *filter(None, found)]))


def sources(tables: Tables, selection: Selection) -> Mapping[Dataset, list[Source]]:
    """Give the queries of every dataset."""
    maker = _Maker(tables, selection)
    return {
        EVENTS: maker.events(),
        EXPOSURES: maker.exposures(),
        EVENT_UNITS: maker.event_units(),
        LINKS: maker.links(),
        EPOCHS: maker.epochs(),
    }


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes queries; in the order of arrival, which days nearly have, too."""

    tables: Tables
    selection: Selection

    def events(self) -> list[Source]:
        table, wanted = self.tables.events, self.selection
        each = table.c
        query = select(
            *(each.id, each.at, each.name, each.value, each.variants),
            *(each.units, each.properties, each.version),
        ).order_by(each.stored_at)
        if wanted.since is not None:
            query = query.where(each.stored_at >= wanted.since)
        if wanted.experiment is not None:
            unit = self.tables.event_units.c
            query = query.where(
                exists().where(unit.event_id == each.id, self._is_exposed(unit.unit))
            )
        return [Source(query, _event)]

    def exposures(self) -> list[Source]:
        wanted = self.selection
        each = self.tables.exposures.c
        query = select(
            *(each.first_at, each.experiment, each.iteration, each.variant),
            *(each.reason, each.unit, each.visitor, each.dimensions, each.version),
            *(each.epoch, each.mixed, each.merged_into, each.slot),
        ).order_by(each.stored_at)
        if wanted.experiment is not None:
            query = query.where(each.experiment == wanted.experiment)
        # A row is stamped when it is made, and may be found to be mixed at any time.
        return self._since(query, each.stored_at, each.unit, _exposure, each.mixed == 1)

    def event_units(self) -> list[Source]:
        wanted = self.selection
        each, event = self.tables.event_units.c, self.tables.events.c
        query = (
            select(each.unit, each.name, each.at, each.event_id, each.value)
            .select_from(self.tables.events)
            .join(self.tables.event_units, each.event_id == event.id)
            .order_by(event.stored_at)
        )
        if wanted.experiment is not None:
            query = query.where(self._is_exposed(each.unit))
        return self._since(query, event.stored_at, each.unit, _event_unit)

    def links(self) -> list[Source]:
        wanted = self.selection
        each = self.tables.links.c
        query = select(each.visitor, each.unit, each.first, each.at)
        if wanted.experiment is not None:
            visitor = literal(f"{_VISITOR}:") + each.visitor
            query = query.where(
                or_(self._is_exposed(visitor), self._is_exposed(each.unit))
            )
        if wanted.since is not None:
            # With a new link, another may have lost its place as the first.
            other = self.tables.links.alias("newer")
            is_new = other.c.at >= wanted.linked
            query = query.where(each.visitor.in_(select(other.c.visitor).where(is_new)))
        return [Source(query.order_by(each.visitor, each.unit), _link)]

    def epochs(self) -> list[Source]:
        each = self.tables.epochs.c
        query = select(
            *(each.experiment, each.iteration, each.epoch),
            *(each.weights, each.started_at),
        ).order_by(each.experiment, each.iteration, each.epoch)
        if self.selection.experiment is not None:
            query = query.where(each.experiment == self.selection.experiment)
        return [Source(query, tuple)]

    def _since(
        self,
        query: Select[Any],
        stored_at: ColumnElement[int],
        unit: ColumnElement[str],
        row: Callable[[Any], Row],
        *others: ColumnElement[bool],
    ) -> list[Source]:
        """Select what came since then, what a new link has changed, and others."""
        since = self.selection.since
        if since is None:
            return [Source(query, row)]
        link = self.tables.links.c
        is_new = link.at >= self.selection.linked
        visitors = select(literal(f"{_VISITOR}:") + link.visitor).where(is_new)
        changed = or_(
            unit.in_(visitors.distinct()),
            unit.in_(select(link.unit).where(is_new).distinct()),
            *others,
        )
        return [
            Source(query.where(stored_at >= since), row),
            Source(query.where(stored_at < since, changed), row),
        ]

    def _is_exposed(self, unit: ColumnElement[str]) -> ColumnElement[bool]:
        exposed = self.tables.exposures.alias("exposed")
        return exists().where(
            exposed.c.unit == unit, exposed.c.experiment == self.selection.experiment
        )


def _event(found: Any) -> Row:  # noqa: ANN401 - a row of the driver
    id_, at, name, value, variants, units, properties, version = found
    return ("event", id_, at, name, value, variants, units, properties, version)


def _exposure(found: Any) -> Row:  # noqa: ANN401 - a row of the driver
    first_at, experiment, iteration, variant, reason, unit, visitor, *others = found
    dimensions, version, epoch, mixed, merged_into, slot = others
    unit_type, _, unit_id = unit.partition(":")
    return (
        "exposure",
        digest_of("exposure", experiment, str(iteration), unit_type, unit_id),
        first_at,
        experiment,
        iteration,
        variant,
        reason,
        unit_type,
        unit_id,
        encoded(
            {**({} if visitor is None else {_VISITOR: visitor}), unit_type: unit_id}
        ),
        dimensions,
        version,
        epoch,
        first_at,
        mixed,
        merged_into,
        slot,
    )


def _event_unit(found: Any) -> Row:  # noqa: ANN401 - a row of the driver
    unit, name, at, event_id, value = found
    unit_type, _, unit_id = unit.partition(":")
    return (unit_type, unit_id, name, at, event_id, value)


def _link(found: Any) -> Row:  # noqa: ANN401 - a row of the driver
    visitor, unit, first, at = found
    unit_type, _, unit_id = unit.partition(":")
    return (visitor, unit_type, unit_id, first, at)
