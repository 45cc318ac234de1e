"""What the records of an application tell of an experiment that is being planned."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import func, literal, null, or_, select

from flask_abx.experiments.weights import open_weights
from flask_abx.results.aggregate import aggregate
from flask_abx.results.inference import merge
from flask_abx.results.judgement.gates import LEAST_EVENTS, LEAST_UNITS
from flask_abx.results.judgement.sampling import pooled
from flask_abx.results.looks.history import read_iteration
from flask_abx.results.looks.iteration import Epoch, Iteration
from flask_abx.results.plans.sizing import Baseline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection, Table

    from flask_abx.experiments.model import Document, Experiment
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Group, Sums
    from flask_abx.schema import Tables

_DAY = 86_400_000
#: Traffic is that of so many days.
RECENT = 28
#: So many other experiments are asked, the busiest first.
_ASKED = 3


class Source(StrEnum):
    """Whose units are looked at."""

    OWN = "own"
    OTHER = "other"
    EVENTS = "events"
    HAND = "hand"


class Known(NamedTuple):
    """What is known of a metric.

    Attributes:
        baseline: Mean and spread; None where there are too few units to tell.
        units: From how many units.
        reason: Why there is no baseline; empty otherwise.
    """

    baseline: Baseline | None
    units: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found of traffic and metric.

    Attributes:
        source: Whose units they are.
        experiment: The key of their experiment; empty where there is none.
        days: The days in which they were counted.
        daily: Exposed units a day, at the traffic of the planned experiment.
        known: What is known of the metric.
    """

    source: Source
    experiment: str
    days: float
    daily: float | None
    known: Known


class _Traffic(NamedTuple):
    units: int
    days: float


def survey(
    connection: Connection,
    tables: Tables,
    document: Document,
    key: str,
    measure: Measure,
    *,
    now: int,
) -> Survey | None:
    """Look for units that tell how many come, and what the metric is for them.

    The units of the experiment itself are asked first, of all variants together, so
    that nothing is learned of an effect; then those of its run before; then those of
    the busiest experiments that divide the same units; then whoever left an event.

    Args:
        connection: Where to read.
        tables: The tables.
        document: The definitions of now.
        key: The experiment, which is among them.
        measure: The metric to plan for.
        now: In milliseconds since 1970.

    Returns:
        The first that tells enough, or else the first that tells anything; None where
        nobody left anything.
    """
    best: Survey | None = None
    for found in _surveys(connection, tables, document, key, measure, now):
        if found.known.baseline is not None:
            return found
        best = best or found
    return best


def _surveys(
    connection: Connection,
    tables: Tables,
    document: Document,
    key: str,
    measure: Measure,
    now: int,
) -> Iterator[Survey]:
    own = document.experiments[key]
    for other, number in _candidates(connection, tables, document, key, now):
        run = read_iteration(connection, tables, document, other, number)
        came = _traffic(connection, tables, run, now)
        if came is None:
            continue
        scale = own.traffic / run.experiment.traffic if run.experiment.traffic else 1.0
        yield Survey(
            source=Source.OWN if other == key else Source.OTHER,
            experiment=other,
            days=came.days,
            daily=came.units / came.days * scale or None,
            known=_known(connection, tables, run, measure, now),
        )
    seen = as_exposures(tables, own, now - RECENT * _DAY, now)
    run = Iteration(own, own.iteration, epochs=(Epoch(1, open_weights(own), 0),))
    came = _traffic(connection, seen, run, now)
    if came is not None:
        yield Survey(
            source=Source.EVENTS,
            experiment="",
            days=came.days,
            daily=came.units / came.days * own.traffic or None,
            known=_known(connection, seen, run, measure, now),
        )


def as_exposures(
    tables: Tables, experiment: Experiment, since: int, now: int
) -> Tables:
    """Take every unit that left an event for exposed, from its first event on.

    Args:
        tables: The tables.
        experiment: Whose units they are to be.
        since: Only events from then on, in milliseconds since 1970.
        now: Only events before then, likewise.
    """
    table = tables.event_units
    first_at = func.min(table.c.at)
    known: dict[str, ColumnElement[Any]] = {
        "experiment": literal(experiment.key),
        "iteration": literal(experiment.iteration),
        "unit": table.c.unit,
        "variant": literal(experiment.control.key),
        "epoch": literal(1),
        "first_at": first_at,
        "mixed": literal(0),
        "merged_into": null(),
        "visitor": null(),
        "dimensions": literal("{}"),
        "stored_at": first_at,
    }
    columns = [
        known.get(column.name, null()).label(column.name)
        for column in tables.exposures.c
    ]
    kinds = [
        table.c.unit.startswith(f"{kind}:", autoescape=True) for kind in experiment.unit
    ]
    told = (
        select(*columns)
        .where(or_(*kinds), table.c.at >= since, table.c.at < now)
        .group_by(table.c.unit)
        .subquery()
    )
    # What reads exposures asks for columns alone, which a subquery has as well.
    return replace(tables, exposures=cast("Table", told))


def _known(
    connection: Connection, tables: Tables, run: Iteration, measure: Measure, now: int
) -> Known:
    found = aggregate(connection, tables, run, (measure,), as_of=now, with_series=False)
    if measure.key in found.failed:
        return Known(None, 0, found.failed[measure.key])
    return known_of(measure, found.sums.get(measure.key, {}))


def known_of(measure: Measure, groups: Mapping[Group, Sums]) -> Known:
    """Tell what a metric is for all variants together.

    Args:
        measure: The metric.
        groups: What was summed.
    """
    pool = pooled(measure, groups)
    n = sum(each.n for each in pool.sums.values())
    nonzero = sum(each.nonzero for each in pool.sums.values())
    rarer = min(nonzero, n - nonzero) if measure.is_indicator else nonzero
    if n < LEAST_UNITS or not pool.plain:
        immature = sum(each.immature for each in pool.sums.values())
        wait = f", and the window of {immature:,} is still open" if immature else ""
        return Known(None, n, f"only {n:,} units can be judged on it{wait}")
    if rarer < LEAST_EVENTS:
        other = "lack it" if measure.is_indicator and nonzero > rarer else "have any"
        return Known(None, n, f"only {rarer:,} of {n:,} units {other}")
    whole = reduce(merge, pool.plain.values())
    if not whole.mean or not whole.variance:
        return Known(None, n, f"its mean is {whole.mean:g}, of which nothing varies")
    saved = min(max(pool.variance_reduction or 0.0, 0.0), 1 - 1e-9)
    sd = None if measure.is_indicator else math.sqrt(whole.variance)
    return Known(Baseline(whole.mean, sd, saved), n)


def _candidates(
    connection: Connection, tables: Tables, document: Document, key: str, now: int
) -> Iterator[tuple[str, int]]:
    own = document.experiments[key]
    yield key, own.iteration
    if own.iteration > 1:
        yield key, own.iteration - 1
    alike = [
        each
        for each, experiment in document.experiments.items()
        if each != key and experiment.unit == own.unit
    ]
    if not alike:
        return
    table = tables.exposures
    units = func.count()
    query = (
        select(table.c.experiment, table.c.iteration)
        .where(
            table.c.experiment.in_(alike),
            table.c.first_at >= now - RECENT * _DAY,
            table.c.first_at < now,
        )
        .group_by(table.c.experiment, table.c.iteration)
        .order_by(units.desc(), table.c.experiment)
        .limit(_ASKED)
    )
    for row in connection.execute(query).all():
        yield row.experiment, row.iteration


def _traffic(
    connection: Connection, tables: Tables, run: Iteration, now: int
) -> _Traffic | None:
    """Count the units of the last days in which any came; None where none ever did."""
    table = tables.exposures
    is_own = (
        table.c.experiment == run.experiment.key,
        table.c.iteration == run.number,
        table.c.first_at < run.end(now),
    )
    bounds = select(func.min(table.c.first_at), func.max(table.c.first_at))
    first, last = connection.execute(bounds.where(*is_own)).one()
    if first is None:
        return None
    # What has stopped long ago says how many came, not that nobody comes.
    end = min(run.end(now), last + _DAY)
    since = max(first, end - RECENT * _DAY)
    count = select(func.count()).where(
        *is_own,
        table.c.merged_into.is_(None),
        table.c.first_at >= since,
        table.c.first_at < end,
    )
    units = int(connection.execute(count).scalar_one())
    return _Traffic(units, max((end - since) / _DAY, 1.0))
