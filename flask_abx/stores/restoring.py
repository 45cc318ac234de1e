"""Going back to an earlier version, by publishing its content anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask_abx.errors import ChangeRefused, UnknownExperiment
from flask_abx.experiments.definition import parse_entry
from flask_abx.experiments.faults import suggestion
from flask_abx.experiments.lifecycle import Action, Status
from flask_abx.stores.change import Edit, content, moment_of
from flask_abx.stores.importing import Step, layer_reasons, step_between

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from flask_abx.experiments.model import Document, Experiment
    from flask_abx.stores.reading import Name, Snapshot


def edits_back(
    then: Mapping[Name, str],
    snapshot: Snapshot,
    document: Document,
    keys: Collection[str],
) -> Iterator[Edit]:
    """Find what has to change for definitions to be as they were.

    Args:
        then: The definitions of the earlier version.
        snapshot: Those of now.
        document: The same, parsed.
        keys: The definitions that go back; all where none is named.

    Raises:
        ChangeRefused: If an experiment cannot go back, with every reason.
        UnknownExperiment: If nothing has one of the keys, then or now.
    """
    names = sorted({*then, *snapshot.definitions})
    _check_keys(keys, names)
    reasons: list[str] = []
    for name in names:
        body, stored = then.get(name), snapshot.definitions.get(name)
        is_same = stored is not None and stored.body == body
        if is_same or (keys and name.key not in keys):
            continue
        if name.kind == "experiment":
            edit, found = _experiment_back(name, body, document, snapshot)
            reasons.extend(found)
            yield edit
            continue
        if name.kind == "layer":
            salt = json.loads(body or "{}").get("salt") or f"layer:{name.key}"
            reasons.extend(layer_reasons(document, name.key, salt))
        yield Edit(name, Action.ROLLBACK, None if body is None else json.loads(body))
    if reasons:
        raise ChangeRefused(*reasons)


def _check_keys(keys: Collection[str], names: list[Name]) -> None:
    known = {name.key for name in names}
    for key in keys:
        if key not in known:
            raise UnknownExperiment(
                f"{key!r} is no definition of then or now{suggestion(key, known)}"
            )


def _experiment_back(
    name: Name, body: str | None, document: Document, snapshot: Snapshot
) -> tuple[Edit, tuple[str, ...]]:
    now = document.experiments.get(name.key)
    if body is None:
        reason = _not_then(name, now, snapshot)
        return Edit(name, Action.ROLLBACK, None), (reason,) if reason else ()
    then: Experiment = parse_entry("experiments", name.key, json.loads(body))
    if now is None:
        return Edit(name, Action.ROLLBACK, json.loads(body)), ()
    step = _step_back(now, then, moment_of(snapshot.now))
    edit = Edit(name, step.action, content(step.experiment), step.is_urgent)
    return edit, step.reasons


def _not_then(name: Name, now: Experiment | None, snapshot: Snapshot) -> str | None:
    """Say why an experiment that did not exist cannot be taken away."""
    if now is None and name in snapshot.definitions:
        version = snapshot.definitions[name].version
        return (
            f"Experiment {name.key!r} did not exist then and cannot be read now: put "
            f"it back with `flask abx rollback {version} {name.key}`."
        )
    if now is None or now.status is Status.DRAFT:
        return None
    return (
        f"Experiment {now.key!r} did not exist then and is {now.status} now, and what "
        "has run is never deleted: name the definitions that go back, and end this one "
        "by its commands."
    )


def _step_back(now: Experiment, then: Experiment, moment: datetime) -> Step:
    if then.iteration != now.iteration:
        reason = (
            f"Experiment {now.key!r} is in iteration {now.iteration}, then it was in "
            f"{then.iteration}, whose salt is spent: restart it instead."
        )
        return Step(Action.ROLLBACK, then, (reason,))
    step = step_between(now, then, moment)
    if step is None:
        reason = (
            f"Experiment {now.key!r} is {now.status} and was {then.status} then, which "
            "is no move it can make: name the definitions that go back, or use its "
            "commands."
        )
        return Step(Action.ROLLBACK, then, (reason,))
    return Step(Action.ROLLBACK, step.experiment, step.reasons, step.is_urgent)
