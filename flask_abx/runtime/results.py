"""The results of an application: looked at on demand, read whenever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask_abx.errors import Missing, ResultsNotReady, SetupError, UnknownExperiment
from flask_abx.experiments.faults import suggestion
from flask_abx.experiments.metric import Kind
from flask_abx.results.health import check_reading
from flask_abx.results.judgement.remarks import BREAKDOWN
from flask_abx.results.looks.stored import all_looks, latest_look
from flask_abx.results.refresh import Metrics, refresh
from flask_abx.stores.config import ConfigStore
from flask_abx.stores.database import reading
from flask_abx.stores.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.experiments.metric import Metric
    from flask_abx.experiments.model import Document
    from flask_abx.results.shapes import HealthCheck, MetricResult, Results
    from flask_abx.runtime.state import State
    from flask_abx.stores.database import Database


def refreshed(
    state: State,
    key: str,
    *,
    iteration: int | None = None,
    with_chances: bool = False,
) -> Results:
    """Look at an experiment now, and store what was found.

    Args:
        state: The state of the application.
        key: The experiment.
        iteration: Which of its runs; None is the current one.
        with_chances: Whether to tell chances that are not safe against peeking.

    Raises:
        UnknownExperiment: If it is not defined.
        ResultsNotReady: If there is no such run.
        SetupError: If there is no database, or no tables in it.
        ChangeRefused: If another process looks at it all the while.
    """
    database, document = _database(state), _document(state, key)
    current = document.experiments[key].iteration
    if iteration is not None and not 1 <= iteration <= current:
        raise ResultsNotReady(
            f"Experiment {key!r} has no iteration {iteration}, the current one is "
            f"{current}."
        )
    engine = database.own
    with database.explained(engine):
        if isinstance(state.store, ConfigStore):
            # Its history is what the plan and the start are read from.
            Recording(database, state.store).record(engine, document)
        return refresh(
            engine,
            database.tables,
            document,
            metrics_of(state),
            key,
            iteration,
            with_chances=with_chances,
        )


def stored(
    state: State,
    key: str,
    *,
    metric: str | None = None,
    by: str | None = None,
    series: bool = False,
    iteration: int | None = None,
) -> Results:
    """Read the last look at an experiment; nothing is computed.

    Args:
        state: The state of the application.
        key: The experiment.
        metric: The one metric to tell; None is all.
        by: The dimension to break the metrics down by.
        series: True to tell how each day stood.
        iteration: Which of its runs; None is the last that was looked at.

    Raises:
        UnknownExperiment: If it is not defined and never was looked at.
        ResultsNotReady: If nobody has looked at it yet, or not by that.
        SetupError: If there is no database, or no tables in it.
    """
    database = _database(state)
    engine = database.own
    with database.explained(engine), reading(engine) as connection:
        look = latest_look(connection, database.tables, key, iteration)
    if look is None:
        _document(state, key)
        raise ResultsNotReady(
            f"Nobody has looked at {key!r} yet: run `flask abx refresh {key}`."
        )
    return selected(look.results, metric, by, series=series)


def looks(state: State, key: str) -> tuple[Results, ...]:
    """Read every look at an experiment, the first one first.

    Raises:
        UnknownExperiment: If it is not defined and never was looked at.
        SetupError: If there is no database, or no tables in it.
    """
    database = _database(state)
    engine = database.own
    with database.explained(engine), reading(engine) as connection:
        found = all_looks(connection, database.tables, key)
    if not found:
        _document(state, key)
    return found


def latest(state: State) -> Mapping[str, Results | None]:
    """Read the last look at each experiment that runs or has run, by key.

    Raises:
        SetupError: If there is no database, or no tables in it.
    """
    database = _database(state)
    engine, found = database.own, {}
    with database.explained(engine), reading(engine) as connection:
        for key, experiment in sorted(state.store.document().experiments.items()):
            look = latest_look(connection, database.tables, key)
            if look is not None or experiment.status.is_live:
                found[key] = None if look is None else look.results
    return found


def checks(state: State, key: str | None = None) -> tuple[HealthCheck, ...]:
    """Read the health checks of the last look, and those of this moment.

    Args:
        state: The state of the application.
        key: The experiment; None is all that were looked at.

    Raises:
        UnknownExperiment: If it is not defined and never was looked at.
        ResultsNotReady: If nobody has looked at it yet.
        SetupError: If there is no database, or no tables in it.
    """
    told = latest(state).values() if key is None else (stored(state, key),)
    now = datetime.now(UTC)
    return tuple(
        check
        for results in told
        if results is not None
        for check in (*results.health, *check_reading(results, now))
    )


def metrics_of(state: State) -> Metrics:
    """List the metrics that are declared, in the definitions and in the code.

    The fields of a definition count before those of the code, and the rows are those
    of the statement in the code, unless the definition names events.
    """
    declared = {key: each.metric for key, each in state.hooks.metrics.items()}
    selects = {
        key: each.select
        for key, each in state.hooks.metrics.items()
        if each.select is not None
    }
    overruled = set()
    for key, metric in state.store.document().metrics.items():
        if key not in selects:
            declared[key] = metric
        elif _names_events(metric):
            declared[key] = metric
            overruled.add(key)
        else:
            declared[key] = _over_rows(metric, declared[key])
    kept = {key: each for key, each in selects.items() if key not in overruled}
    return Metrics(declared, kept, frozenset(overruled))


def _names_events(metric: Metric) -> bool:
    return bool(metric.event or metric.where or metric.numerator or metric.denominator)


def _over_rows(metric: Metric, in_code: Metric) -> Metric:
    """Give the definition of a metric whose rows a statement in the code gives."""
    if "kind" in metric.model_fields_set or in_code.kind is not Kind.SUM:
        return metric
    return metric.model_copy(update={"kind": Kind.SUM})


def _database(state: State) -> Database:
    if state.database is None:
        raise SetupError(
            "There is no database to compute results in: write ABX(app, db=db), or "
            "read a log with `flask abx results KEY --log FILE`."
        )
    return state.database


def _document(state: State, key: str) -> Document:
    document = state.store.document()
    if key not in document.experiments:
        raise UnknownExperiment(
            f"Experiment {key!r} is not defined{suggestion(key, document.experiments)}"
        )
    return document


def selected(
    results: Results, metric: str | None, by: str | None, *, series: bool
) -> Results:
    """Leave in results what is asked for.

    Raises:
        ResultsNotReady: If they have no such metric, or no such dimension.
    """
    known = list(dict.fromkeys(each.metric for each in results.metrics))
    if metric is not None and metric not in known:
        raise ResultsNotReady(
            f"{results.experiment!r} has no metric {metric!r} in its last look"
            f"{suggestion(metric, known)}",
            missing=Missing.METRIC,
        )
    dimensions = {each.dimension for each in results.metrics} - {None}
    if by is not None and by not in dimensions:
        raise ResultsNotReady(
            f"{results.experiment!r} was not broken down by {by!r} in its last look"
            f"{suggestion(by, [each for each in dimensions if each])} Name it under "
            "`dimensions` before the experiment starts.",
            missing=Missing.DIMENSION,
        )

    def is_told(each: MetricResult) -> bool:
        is_asked = metric is None or each.metric == metric
        return is_asked and each.dimension in {None, by}

    points = results.series if series else ()
    notes = results.notes
    if by is None:
        # What is not shown needs no word of caution.
        notes = tuple(note for note in notes if note != BREAKDOWN)
    return replace(
        results,
        metrics=tuple(each for each in results.metrics if is_told(each)),
        series=tuple(
            each for each in points if metric is None or each.metric == metric
        ),
        notes=notes,
    )
