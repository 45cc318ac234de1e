"""Counts and sums of one run of an experiment, added up by the database."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from flask_abx.results.scanning import asking, daily
from flask_abx.results.scanning.cohort import per_unit, steps
from flask_abx.results.scanning.crowd import Crowd, Reader, Source
from flask_abx.results.scanning.dialects import Words
from flask_abx.results.scanning.scans import OTHER, Found, Scanner, value_of
from flask_abx.results.scanning.selects import MetricFailed, kept_rows
from flask_abx.results.scanning.sums import Aggregates, Group, Sums
from flask_abx.results.scanning.temporary import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.daily import Calendar
    from flask_abx.results.scanning.sums import Cap, Day, Exposed
    from flask_abx.results.scanning.temporary import Scratch
    from flask_abx.schema import Tables

#: Later than any exposure.
_FOREVER = 2**62


def aggregate(
    connection: Connection,
    tables: Tables,
    iteration: Iteration,
    measures: Sequence[Measure],
    *,
    as_of: int,
    last: tuple[int, str] | None = None,
    end: int | None = None,
    dimensions: Sequence[str] = (),
    with_series: bool = True,
) -> Aggregates:
    """Add up what the units of a run did, each in its variant.

    Args:
        connection: In a transaction that sees one moment of the tables.
        tables: The tables.
        iteration: The run.
        measures: The metrics; none of them to learn which events there are.
        as_of: The moment of the scan, in milliseconds since 1970.
        last: The last unit that counts, by its first exposure; None for all.
        end: Up to where exposures and events count; None for the end of the run.
        dimensions: By whose values units are told apart besides.
        with_series: True to tell what each day added.
    """
    until = iteration.end(as_of) if end is None else end
    crowd = Crowd(Words(connection.dialect.name), tables, iteration, until, last)
    told = {each.key: each for each in measures}
    begin = asking.first_exposure(connection, crowd)
    if begin is None:
        nothing: dict[str, dict[Group, Sums]] = {key: {} for key in told}
        return Aggregates(as_of, until, exposed={}, sums=nothing)
    with scratch(connection, crowd.words) as room:
        dates = daily.calendar(crowd, begin) if with_series else None
        scan = _Scan(room, crowd, tuple(dimensions), dates, begin)
        scan.run([*told.values()])
    return Aggregates(
        as_of=as_of,
        end=until,
        exposed=scan.exposed,
        sums=scan.sums,
        caps=scan.caps,
        exposed_by=scan.exposed_by,
        sums_by=scan.sums_by,
        series=scan.series,
        days=scan.days,
        failed=scan.failed,
        event_names=scan.event_names,
        events_arrive=scan.events_arrive,
    )


def nth_unit(
    connection: Connection,
    tables: Tables,
    iteration: Iteration,
    count: int,
    *,
    as_of: int = _FOREVER,
) -> tuple[int, str] | None:
    """Find the so-manieth unit of a run, in the order of the first exposures.

    Args:
        connection: In a transaction that reads.
        tables: The tables.
        iteration: The run.
        count: From 1 on.
        as_of: The moment of the scan, in milliseconds since 1970.

    Returns:
        Its first exposure and the unit; None where there are fewer.
    """
    end = iteration.end(as_of)
    crowd = Crowd(Words(connection.dialect.name), tables, iteration, end)
    return asking.nth(connection, crowd, count)


@dataclass
class _Scan:
    """Runs one statement after the other, and gathers what they find."""

    room: Scratch
    crowd: Crowd
    dimensions: tuple[str, ...]
    dates: Calendar | None
    begin: int
    exposed: dict[Group, Exposed] = field(default_factory=dict)
    sums: dict[str, Mapping[Group, Sums]] = field(default_factory=dict)
    caps: dict[str, Cap] = field(default_factory=dict)
    exposed_by: dict[str, dict[Group, Exposed]] = field(default_factory=dict)
    sums_by: dict[str, dict[str, Mapping[Group, Sums]]] = field(default_factory=dict)
    series: dict[str, dict[Day, Sums]] = field(default_factory=dict)
    days: dict[Day, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    event_names: tuple[str, ...] = ()
    events_arrive: bool = True

    def run(self, measures: Sequence[Measure]) -> None:
        """Scan the events, then each statement of the application by itself."""
        events = [each for each in measures if each.select is None]
        source = Source(self.crowd.tables.event_units)
        reader = Reader.of(self.crowd, source, events)
        if not measures:
            reader = replace(reader, names=None)
            self.event_names = asking.event_names(self.room.connection, reader)
        self._events(self._cohort(reader, events))
        readers = [reader] if events or not measures else []
        for each in measures:
            if each.select is not None:
                readers += self._select(each, tells_events=not events)
        if asking.is_silent(self.exposed) and readers:
            self.events_arrive = any(
                asking.events_arrive(self.room.connection, reader, self.begin)
                for reader in readers
            )

    def _cohort(self, reader: Reader, measures: Sequence[Measure]) -> Scanner:
        known = {
            each.key: self.room.keep(steps(reader, each), "unit")
            for each in measures
            if self._is_known(each)
        }
        query = per_unit(reader, measures, self.dimensions, known)
        return Scanner(
            self.room.connection,
            reader,
            self.room.keep(query),
            measures,
            self.dimensions,
            known,
            is_kept=self.room.has_tables,
        )

    def _is_known(self, measure: Measure) -> bool:
        """Tell whether the events of a metric are looked up once, and kept.

        They are asked for twice, and to look at their properties takes long.
        """
        if self.dates is None or not self.room.has_tables or self.crowd.words.is_mysql:
            return False
        is_open = measure.window is None and not measure.is_indicator
        return is_open and any(part.where for part in measure.parts)

    def _events(self, scanner: Scanner) -> None:
        """Scan the events, and count the units."""
        if self.dates is not None:
            self.days = daily.days(scanner, self.dates)
        found, by = self._scanned(scanner)
        self.exposed = found.exposed
        self.exposed_by = {key: each.exposed for key, each in by.items()}
        self._link(scanner)

    def _select(self, measure: Measure, *, tells_events: bool) -> list[Reader]:
        """Scan one statement of the application, whose failure is its own."""
        connection = self.room.connection
        # Elsewhere a statement that fails leaves the transaction as it was.
        is_guarded = self.crowd.words.is_postgresql
        try:
            with connection.begin_nested() if is_guarded else nullcontext():
                source = kept_rows(self.room, self.crowd, measure)
                reader = Reader.of(self.crowd, source, [measure])
                found, by = self._scanned(self._cohort(reader, [measure]))
        except MetricFailed as error:
            self.failed[measure.key] = str(error)
        except SQLAlchemyError as error:
            self.failed[measure.key] = _sentence(measure, error)
        else:
            if tells_events:
                self._see(found, by)
            return [reader]
        return []

    def _scanned(self, scanner: Scanner) -> tuple[Found, dict[str, Found]]:
        """Add up all metrics of one cohort, and keep the sums once all are there."""
        caps = scanner.caps()
        found, by = scanner.scan(caps)
        for each in scanner.measures:
            if found.odd or scanner.reader.source.is_select:
                self._bad(scanner, each, found, by)
        if self.dates is not None:
            self.series |= daily.series(scanner, self.dates, caps, self.days)
        self.caps |= caps
        self.sums |= found.sums
        for dimension, each_found in by.items():
            self.sums_by.setdefault(dimension, {}).update(each_found.sums)
        return found, by

    def _bad(
        self, scanner: Scanner, measure: Measure, found: Found, by: Mapping[str, Found]
    ) -> None:
        """Tell how many rows were left out, in each group."""
        told: list[tuple[str | None, Found]] = [(None, found), *by.items()]
        for dimension, each in told:
            sums = each.sums[measure.key]
            place = _placed(scanner, sums)
            counts = asking.bad_rows(
                self.room.connection, scanner.reader, measure, dimension
            )
            for group, count in counts.items():
                where = place(group)
                if where in sums:
                    known = sums[where]
                    sums[where] = replace(known, bad=known.bad + count)

    def _see(self, found: Found, by: Mapping[str, Found]) -> None:
        """Take the rows of a statement for events, where there are no others."""
        self.exposed = _most_seen(self.exposed, found.exposed)
        for dimension, each in by.items():
            known = self.exposed_by[dimension]
            self.exposed_by[dimension] = _most_seen(known, each.exposed)

    def _link(self, scanner: Scanner) -> None:
        """Tell into how many units others were merged."""
        connection = self.room.connection
        counts = asking.linked(connection, self.crowd)
        self.exposed = asking.with_linked(self.exposed, counts)
        for dimension, exposed in self.exposed_by.items():
            if counts:
                by = asking.linked(connection, self.crowd, dimension)
                place = _placed(scanner, exposed)
                self.exposed_by[dimension] = asking.with_linked(exposed, by, place)


def _placed(
    scanner: Scanner, groups: Mapping[Group, object]
) -> Callable[[Group], Group]:
    """Find the group that a group with the JSON of a value is part of."""

    def place(group: Group) -> Group:
        own = group._replace(value=value_of(scanner, group.value))
        is_rare = own not in groups and own.value is not None
        return own._replace(value=OTHER) if is_rare else own

    return place


def _most_seen(
    known: Mapping[Group, Exposed], new: Mapping[Group, Exposed]
) -> dict[Group, Exposed]:
    """Take the larger counts of units with events."""
    found = dict(known)
    for group, each in new.items():
        own = found[group]
        if each.with_events > own.with_events:
            found[group] = replace(
                own, with_events=each.with_events, with_earlier=each.with_earlier
            )
    return found


def _sentence(measure: Measure, error: SQLAlchemyError) -> str:
    told = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    line = told.splitlines()[0].rstrip(".")
    return (
        f"The statement of metric {measure.key!r} failed ({line}): run it by itself, "
        "and mend it."
    )
