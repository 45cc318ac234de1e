"""Computing results: one look at an experiment, stored for everyone to read."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from flask_abx.experiments.metric import AnalysisTest
from flask_abx.results import health
from flask_abx.results.aggregate import aggregate, nth_unit
from flask_abx.results.judgement.judging import judge
from flask_abx.results.judgement.planning import DAY, revision_of
from flask_abx.results.looks.history import read_iteration
from flask_abx.results.looks.kept import Kept
from flask_abx.results.looks.locking import locked
from flask_abx.results.looks.stored import Look, count_looks, latest_look, store_look
from flask_abx.results.metrics import measures
from flask_abx.results.shapes import SCHEMA_VERSION, Level, Results
from flask_abx.stores.change import moment_of
from flask_abx.stores.database import clock, reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from flask_abx.experiments.metric import Metric, Plan
    from flask_abx.experiments.model import Document
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.schema import Tables


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is declared, wherever that is.

    Attributes:
        declared: The metrics by key, of the definitions and of the code.
        selects: Those that are statements over tables of the application.
        overruled: Those whose statement is not used, as their definition names events.
    """

    declared: Mapping[str, Metric] = field(default_factory=dict)
    selects: Mapping[str, Any] = field(default_factory=dict)
    overruled: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Scan:
    """What was read of an experiment, all of one moment."""

    now: int
    iteration: Iteration
    measures: Sequence[Measure]
    found: Aggregates
    final: Aggregates | None
    kept: Kept
    looks: int
    erased: int
    overruled: frozenset[str]


def refresh(
    engine: Engine,
    tables: Tables,
    document: Document,
    metrics: Metrics,
    key: str,
    iteration: int | None = None,
    *,
    with_chances: bool = False,
) -> Results:
    """Look at an experiment, and store what was found.

    One process at a time looks at an experiment. Where anything fails nothing is
    stored, and the last look stays.

    Args:
        engine: Whose connections are used.
        tables: The tables.
        document: The definitions of now.
        metrics: What is measured.
        key: The experiment, which is among them.
        iteration: Which of its runs; None is the current one.
        with_chances: Whether to tell chances that are not safe against peeking.

    Raises:
        ChangeRefused: If another process looks at it all the while.
    """
    number = iteration or document.experiments[key].iteration
    with locked(engine, key):
        began = time.perf_counter()
        with reading(engine, is_steady=True) as connection:
            now = clock(connection)
            scan = _scan(connection, tables, document, metrics, key, number, now)
        results, kept = _told(scan, began, with_chances=with_chances)
        with writing(engine) as connection:
            store_look(connection, tables, Look(results, kept))
    return results


def look(
    connection: Connection,
    tables: Tables,
    document: Document,
    metrics: Metrics,
    key: str,
    *,
    now: int,
    number: int | None = None,
    run: Iteration | None = None,
) -> Results:
    """Look at an experiment, and store nothing.

    Args:
        connection: Where the tables are read.
        tables: The tables.
        document: The definitions of now.
        metrics: What is measured.
        key: The experiment, which is among them.
        now: The moment of the look, in milliseconds since 1970.
        number: Which of its runs; None is the current one.
        run: What is known of that run; None to read it from the tables.
    """
    began = time.perf_counter()
    wanted = number or document.experiments[key].iteration
    scan = _scan(connection, tables, document, metrics, key, wanted, now, run)
    return _told(scan, began)[0]


def _scan(
    connection: Connection,
    tables: Tables,
    document: Document,
    metrics: Metrics,
    key: str,
    number: int,
    now: int,
    run: Iteration | None = None,
) -> _Scan:
    last = latest_look(connection, tables, key, number)
    if run is None:
        run = read_iteration(connection, tables, document, key, number)
    asked = _asked(connection, tables, run, metrics, now)
    earlier = Kept() if last is None else last.kept
    kept = earlier.for_revision(revision_of(run, asked))
    return _Scan(
        now=now,
        iteration=run,
        measures=asked,
        found=aggregate(
            connection,
            tables,
            run,
            asked,
            as_of=now,
            dimensions=run.experiment.dimensions,
        ),
        final=_final(connection, tables, run, asked, kept, now),
        kept=kept,
        looks=count_looks(connection, tables, key, number) + 1,
        erased=_erased_since(connection, tables, run.concluded_at),
        overruled=metrics.overruled,
    )


def _asked(
    connection: Connection, tables: Tables, run: Iteration, metrics: Metrics, now: int
) -> tuple[Measure, ...]:
    """List what is measured; without metrics whatever the units have done."""
    seen: tuple[str, ...] = ()
    if not run.experiment.metrics.names:
        found = aggregate(connection, tables, run, (), as_of=now, with_series=False)
        seen = found.event_names
    return measures(
        run.experiment,
        metrics.declared,
        metrics.selects,
        seen=seen,
        late=run.late_metrics,
    )


def _final(
    connection: Connection,
    tables: Tables,
    run: Iteration,
    asked: Sequence[Measure],
    kept: Kept,
    now: int,
) -> Aggregates | None:
    """Scan what the plan asked for, once it is there and was never judged."""
    has_final = run.experiment.analysis.test is not AnalysisTest.ANY_TIME
    if kept.final or not (has_final and run.is_plan_valid) or run.plan is None:
        return None
    last = _last_planned(connection, tables, run, run.plan, kept)
    if last is None:
        return None
    # Who came last is given the whole window of each metric.
    end = (
        last[0]
        + 1
        + max((each.delay + (each.window or 0) for each in asked), default=0)
    )
    if end > run.end(now):
        return None
    return aggregate(
        connection,
        tables,
        run,
        asked,
        as_of=now,
        last=last,
        end=end,
        with_series=False,
    )


def _last_planned(
    connection: Connection, tables: Tables, run: Iteration, plan: Plan, kept: Kept
) -> tuple[int, str] | None:
    """Find the last unit of the plan, in the order of the first exposures."""
    if plan.days is not None:
        if run.started_at is None:
            return None
        return run.started_at + plan.days * DAY, ""
    units = plan.units or kept.plan_units
    return None if units is None else nth_unit(connection, tables, run, units)


def _erased_since(connection: Connection, tables: Tables, moment: int | None) -> int:
    """Count whom the figures of a concluded experiment have lost."""
    if moment is None:
        return 0
    table = tables.erasures
    query = select(func.count()).where(table.c.erased_at >= moment)
    return int(connection.execute(query).scalar_one())


def _told(
    scan: _Scan, began: float, *, with_chances: bool = False
) -> tuple[Results, Kept]:
    run, now = scan.iteration, moment_of(scan.now)
    kept = scan.kept
    checks = health.check(
        run, scan.measures, scan.found, now=now, plan_units=kept.plan_units
    )
    errors = [each.id for each in checks if each.level is Level.ERROR]
    judged = judge(
        run,
        scan.measures,
        scan.found,
        now=now,
        kept=kept,
        errors=errors,
        final=scan.final,
        revision=kept.revision,
        with_chances=with_chances,
    )
    ended = run.end(scan.now)
    results = Results(
        schema_version=SCHEMA_VERSION,
        experiment=run.experiment.key,
        name=run.experiment.name or run.experiment.key,
        iteration=run.number,
        status=run.experiment.status.value,
        unit_type=" or ".join(run.experiment.unit),
        control=run.control,
        started_at=None if run.started_at is None else moment_of(run.started_at),
        ended_at=None if ended >= scan.now else moment_of(ended),
        as_of=now,
        computed_at=now,
        looks=scan.looks,
        seconds=time.perf_counter() - began,
        method=judged.method,
        plan=judged.plan,
        verdict=judged.verdict,
        health=checks,
        variants=judged.variants,
        metrics=judged.metrics,
        series=judged.series,
        notes=(*judged.notes, *_notes(scan)),
    )
    return results, judged.kept


def _notes(scan: _Scan) -> Iterator[str]:
    if scan.erased:
        yield (f"{scan.erased:,} erasures since the end took units out of the figures.")
    overruled = [each.key for each in scan.measures if each.key in scan.overruled]
    if overruled:
        yield (
            f"{', '.join(overruled)} counts events, as its definition says; the "
            "statement that the code gives it is not used."
        )
    if scan.iteration.concluded_at is not None:
        corrected = [each.key for each in scan.measures if each.select is not None]
        if corrected:
            yield (
                f"{', '.join(corrected)} read the tables of the application, whose "
                "corrections count after the end too."
            )
