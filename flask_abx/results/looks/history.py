"""Reading the history of an experiment: when it ran, and what was planned before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from flask_abx.errors import DefinitionError
from flask_abx.experiments.definition import parse_entry
from flask_abx.experiments.lifecycle import Status
from flask_abx.experiments.metric import SHOWN
from flask_abx.experiments.model import Experiment
from flask_abx.results.looks.iteration import Epoch, Iteration, Pause
from flask_abx.stores.change import milliseconds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from flask_abx.experiments.metric import Plan
    from flask_abx.experiments.model import Document
    from flask_abx.schema import Tables


@dataclass(frozen=True, slots=True)
class _Step:
    """One change of an experiment.

    Attributes:
        at: When it took effect, in milliseconds since 1970.
        saved_at: When it was published, likewise.
        experiment: What it was from then on.
    """

    at: int
    saved_at: int
    experiment: Experiment


def read_iteration(
    connection: Connection, tables: Tables, document: Document, key: str, number: int
) -> Iteration:
    """Read what is known of one run of an experiment.

    Args:
        connection: Where to read.
        tables: The tables.
        document: The definitions of now.
        key: The experiment, which is among them.
        number: Which of its runs.
    """
    exposed_at = _first_exposed_at(connection, tables, key, number)
    steps = _steps(connection, tables, key, number)
    current = document.experiments[key]
    is_current = current.iteration == number or not steps
    experiment = current if is_current else steps[-1].experiment
    before, after = _around(steps, exposed_at)
    experiment, weakened = _as_promised(before, experiment)
    concluded_at, pauses = _interruptions(steps)
    if concluded_at is None and current.iteration > number:
        # A restart ends what it restarts.
        concluded_at = _next_began_at(connection, tables, key, number)
    plan, saved_at = _plan(before, after, experiment)
    changed, deleted = _touched(connection, tables, document, experiment, exposed_at)
    return Iteration(
        experiment=experiment,
        number=number,
        started_at=_started_at(steps, experiment, exposed_at),
        concluded_at=concluded_at,
        first_exposed_at=exposed_at,
        epochs=_epochs(connection, tables, key, number, concluded_at),
        pauses=pauses,
        plan=plan,
        plan_saved_at=saved_at,
        is_plan_valid=bool(before) and before[-1].experiment.plan is not None,
        is_plan_changed=_is_plan_changed(before, current, plan),
        late_metrics=_late_metrics(before, experiment),
        changed_metrics=changed | weakened,
        deleted_metrics=deleted,
        changed_midrun=tuple(_changed(before, after)),
    )


def _next_began_at(
    connection: Connection, tables: Tables, key: str, number: int
) -> int | None:
    table = tables.changes
    query = select(func.min(table.c.effective_at)).where(
        table.c.kind == "experiment",
        table.c.key == key,
        table.c.iteration > number,
    )
    found: int | None = connection.execute(query).scalar_one()
    return found


def _first_exposed_at(
    connection: Connection, tables: Tables, key: str, number: int
) -> int | None:
    table = tables.exposures
    query = select(func.min(table.c.first_at)).where(
        table.c.experiment == key, table.c.iteration == number
    )
    found: int | None = connection.execute(query).scalar_one()
    return found


def _steps(
    connection: Connection, tables: Tables, key: str, number: int
) -> tuple[_Step, ...]:
    table = tables.changes
    query = (
        select(table.c.effective_at, table.c.at, table.c.body)
        .where(
            table.c.kind == "experiment",
            table.c.key == key,
            table.c.iteration == number,
        )
        .order_by(table.c.version)
    )
    return tuple(
        _Step(row.effective_at, row.at, experiment)
        for row in connection.execute(query)
        if (experiment := _experiment(key, row.body)) is not None
    )


def _experiment(key: str, body: str | None) -> Experiment | None:
    """Read a stored experiment; None where it was taken away or broken by hand."""
    try:
        content = None if body is None else json.loads(body)
        if not isinstance(content, dict):
            return None
        found = parse_entry("experiments", key, {**content, "key": key})
    except (DefinitionError, ValueError):
        return None
    return found if isinstance(found, Experiment) else None


def _around(
    steps: Sequence[_Step], exposed_at: int | None
) -> tuple[Sequence[_Step], Sequence[_Step]]:
    """Part the steps at the first exposure."""
    if exposed_at is None:
        return steps, ()
    before = [step for step in steps if step.saved_at < exposed_at]
    return before, steps[len(before) :]


def _started_at(
    steps: Sequence[_Step], experiment: Experiment, exposed_at: int | None
) -> int | None:
    began = [step.at for step in steps if step.experiment.status is Status.RUNNING]
    if not began:
        return exposed_at
    told = experiment.start_at
    first = min(began)
    planned = first if told is None else max(first, milliseconds_of(told))
    # A log that was loaded may know of earlier units.
    return planned if exposed_at is None else min(planned, exposed_at)


def _interruptions(steps: Sequence[_Step]) -> tuple[int | None, tuple[Pause, ...]]:
    """Find when the question was answered, and when everyone got the control."""
    concluded_at: int | None = None
    paused_at: int | None = None
    pauses: list[Pause] = []
    for step in sorted(steps, key=lambda step: step.at):
        status = step.experiment.status
        if paused_at is not None and status is not Status.PAUSED:
            pauses.append(Pause(paused_at, step.at))
            paused_at = None
        if status is Status.PAUSED:
            paused_at = step.at if paused_at is None else paused_at
        elif status is Status.RUNNING:
            concluded_at = None
        elif status.is_over and concluded_at is None:
            concluded_at = step.at
    if paused_at is not None:
        pauses.append(Pause(paused_at))
    return concluded_at, tuple(pauses)


def _epochs(
    connection: Connection,
    tables: Tables,
    key: str,
    number: int,
    concluded_at: int | None,
) -> tuple[Epoch, ...]:
    table = tables.epochs
    rows = connection.execute(
        select(table.c.epoch, table.c.weights, table.c.started_at)
        .where(table.c.experiment == key, table.c.iteration == number)
        .order_by(table.c.epoch)
    ).all()
    ends = [*(row.started_at for row in rows[1:]), concluded_at]
    return tuple(
        Epoch(row.epoch, json.loads(row.weights), row.started_at, end)
        for row, end in zip(rows, ends, strict=False)
    )


def _plan(
    before: Sequence[_Step], after: Sequence[_Step], experiment: Experiment
) -> tuple[Plan | None, int | None]:
    """Find the plan that counts, and since when it was there.

    Only what was planned before the first exposure can; a later one is told, but the
    looks at the data may have made it.
    """
    plan = before[-1].experiment.plan if before else None
    if plan is not None:
        since = before[-1].saved_at
        for step in reversed(before):
            if step.experiment.plan != plan:
                break
            since = step.saved_at
        return plan, since
    plan = experiment.plan
    found = [step.saved_at for step in after if step.experiment.plan == plan]
    return plan, min(found) if plan is not None and found else None


def _as_promised(
    before: Sequence[_Step], experiment: Experiment
) -> tuple[Experiment, frozenset[str]]:
    """Hold on to what was promised before anybody could see the figures.

    Returns:
        The experiment with the analysis and the guardrails of then, and the guardrails
        that were changed or left out since.
    """
    if not before:
        return experiment, frozenset()
    then, now = before[-1].experiment, experiment.metrics
    promised = {each.metric: each for each in then.metrics.guardrail}
    kept = set(now.guardrail)
    weakened = {key for key, each in promised.items() if each not in kept}
    added = (each for each in now.guardrail if each.metric not in promised)
    roles = now.model_copy(
        update={
            "guardrail": (*promised.values(), *added),
            "secondary": tuple(key for key in now.secondary if key not in promised),
            "primary": tuple(key for key in now.primary if key not in promised),
        }
    )
    held = {"analysis": then.analysis, "metrics": roles}
    return experiment.model_copy(update=held), frozenset(weakened)


def _is_plan_changed(
    before: Sequence[_Step], current: Experiment, plan: Plan | None
) -> bool:
    """Tell whether plan or analysis are others than before the first exposure."""
    if plan is not None and current.plan != plan:
        return True
    return bool(before) and before[-1].experiment.analysis != current.analysis


def _late_metrics(before: Sequence[_Step], experiment: Experiment) -> frozenset[str]:
    """Find what is named now, and was not in that role before the first exposure."""
    if not before:
        return frozenset()
    then, now = before[-1].experiment.metrics, experiment.metrics
    late = set(now.names) - set(then.names)
    # Who has seen the figures must not choose what decides.
    late |= set(now.primary) - set(then.primary)
    return frozenset(late)


def _changed(before: Sequence[_Step], after: Sequence[_Step]) -> Iterator[str]:
    """Name what moves units about, and was changed after the first exposure."""
    told = [step.experiment for step in (*before[-1:], *after)]
    if len({each.unit for each in told}) > 1:
        yield "unit"
    if len({each.effective_salt for each in told}) > 1:
        yield "salt"
    if len({_weights(each) for each in told}) > 1:
        yield "weights"


def _weights(experiment: Experiment) -> tuple[tuple[str, float], ...]:
    total = sum(variant.weight for variant in experiment.variants)
    return tuple(
        (variant.key, variant.weight / total if total else 0.0)
        for variant in experiment.variants
    )


def _touched(
    connection: Connection,
    tables: Tables,
    document: Document,
    experiment: Experiment,
    exposed_at: int | None,
) -> tuple[frozenset[str], frozenset[str]]:
    """Find the metrics that were changed or taken away after the first exposure."""
    names = experiment.metrics.names
    if exposed_at is None or not names:
        return frozenset(), frozenset()
    table = tables.changes
    rows = connection.execute(
        select(table.c.key, table.c.at, table.c.body)
        .where(table.c.kind == "metric", table.c.key.in_(names))
        .order_by(table.c.version)
    )
    earlier: dict[str, Any] = {}
    changed: set[str] = set()
    for row in rows:
        meaning = _meaning(row.body)
        is_other = row.key in earlier and earlier[row.key] != meaning
        if is_other and row.at >= exposed_at:
            changed.add(row.key)
        earlier[row.key] = meaning
    deleted = {key for key in changed if key not in document.metrics}
    return frozenset(changed - deleted), frozenset(deleted)


def _meaning(body: str | None) -> Any:  # noqa: ANN401 - JSON
    """Give what a metric computes, without how people read it."""
    try:
        content = None if body is None else json.loads(body)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return content
    return {name: value for name, value in content.items() if name not in SHOWN}
