"""What must hold before an experiment starts."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from flask_abx.assignment.audience import segment_names
from flask_abx.errors import UnknownExperiment
from flask_abx.experiments.checks import check_condition, check_rivals, reachable
from flask_abx.experiments.faults import suggestion
from flask_abx.experiments.lifecycle import Status
from flask_abx.experiments.weights import open_weights

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime

    from flask_abx.experiments.model import Document, Experiment

_MET = MappingProxyType(
    {
        "primary_metric": "A primary metric decides.",
        "open_variants": "Two variants or more are open.",
        "audience": "The audience can be asked, and every segment in it is defined.",
        "rivals": "No live experiment drives its flags or overlaps it in its layer.",
        "schedule": "No end is set that is past or before the start.",
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist.

    Attributes:
        name: What is looked at, such as ``audience``.
        message: What was found, or what is missing and the way out.
    """

    name: str
    is_met: bool
    message: str


def checklist(
    document: Document, key: str, now: datetime, registered: Container[str] = ()
) -> tuple[Item, ...]:
    """Look at everything that must hold before an experiment starts.

    Args:
        document: All definitions, since experiments may get into each other's way.
        key: The experiment that is to start.
        now: The present moment, aware.
        registered: The segments that are defined in code.

    Raises:
        UnknownExperiment: The document has no such experiment.
    """
    experiment = document.experiments.get(key)
    if experiment is None:
        end = suggestion(key, document.experiments)
        raise UnknownExperiment(f"Experiment {key!r} is not defined{end}")
    problems = {
        "primary_metric": _primary(experiment),
        "open_variants": _variants(experiment),
        "audience": _audience(document, experiment, registered),
        "rivals": _rivals(document, experiment),
        "schedule": _schedule(experiment, now),
    }
    return tuple(
        Item(name, is_met=problem is None, message=problem or _MET[name])
        for name, problem in problems.items()
    )


def unmet(
    document: Document, key: str, now: datetime, registered: Container[str] = ()
) -> tuple[str, ...]:
    """Say why an experiment cannot start yet; empty where it can."""
    items = checklist(document, key, now, registered)
    return tuple(item.message for item in items if not item.is_met)


def _primary(experiment: Experiment) -> str | None:
    if experiment.metrics.primary:
        return None
    return (
        f"Experiment {experiment.key!r} has no primary metric, "
        'name the one that decides, such as metrics = ["signup"].'
    )


def _variants(experiment: Experiment) -> str | None:
    if experiment.closed:
        return (
            f"Experiment {experiment.key!r} is closed to new units, so nobody could "
            "enter: take closed back."
        )
    found = [repr(key) for key in open_weights(experiment)]
    if len(found) >= 2:
        return None
    has = f"has only {found[0]}" if found else "has none"
    return (
        f"Experiment {experiment.key!r} needs two open variants and {has}, "
        "leave another open and give it a positive weight."
    )


def _audience(
    document: Document, experiment: Experiment, registered: Container[str]
) -> str | None:
    problems = [
        str(fault) for fault in check_condition(experiment.audience, "audience")
    ]
    problems.extend(
        f"audience: names the segment {name!r}, which nothing defines; add it to "
        "[segments] or register it with @abx.segment."
        for name in sorted(_segments_of(document, experiment))
        if name not in document.segments and name not in registered
    )
    if not problems:
        return None
    return f"The audience of {experiment.key!r} cannot be asked: {' '.join(problems)}"


def _segments_of(document: Document, experiment: Experiment) -> set[str]:
    """Collect the segments that an audience names, through others too."""
    named = {
        key: segment_names(segment)
        for key, segment in document.segments.items()
        if isinstance(segment, dict)
    }
    found = set(segment_names(experiment.audience))
    for key in found & named.keys():
        found |= reachable(key, named)
    return found


def _rivals(document: Document, experiment: Experiment) -> str | None:
    """Find the faults that are there only if the experiment runs."""
    idle = set(check_rivals(_with(document, experiment, Status.DRAFT)))
    running = check_rivals(_with(document, experiment, Status.RUNNING))
    problems = [str(fault) for fault in running if fault not in idle]
    if not problems:
        return None
    key = experiment.key
    return f"Experiment {key!r} would meet a live one: {' '.join(problems)}"


def _with(document: Document, experiment: Experiment, status: Status) -> Document:
    changed = experiment.model_copy(update={"status": status})
    experiments = {**document.experiments, experiment.key: changed}
    return document.model_copy(update={"experiments": experiments})


def _schedule(experiment: Experiment, now: datetime) -> str | None:
    start, end = experiment.start_at, experiment.end_at
    if end is None:
        return None
    if start is not None and end <= start:
        problem = f"not later than start_at {start.isoformat()}"
    elif end <= now:
        problem = "past"
    else:
        return None
    return (
        f"Experiment {experiment.key!r} has end_at {end.isoformat()}, which is "
        f"{problem}; set a later one or leave it out."
    )
