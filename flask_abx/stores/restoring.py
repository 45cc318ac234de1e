"""Going back to an earlier version, by publishing its content anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask_abx.errors import ChangeRefused
from flask_abx.experiments.definition import parse_entry
from flask_abx.experiments.lifecycle import MOVES, Action, Status
from flask_abx.stores.change import Edit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

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
    """
    reasons: list[str] = []
    for name in sorted({*then, *snapshot.definitions}):
        body, stored = then.get(name), snapshot.definitions.get(name)
        is_same = stored is not None and stored.body == body
        if is_same or (keys and name.key not in keys):
            continue
        now = document.experiments.get(name.key) if name.kind == "experiment" else None
        earlier = _experiment(name, body)
        reason = _obstacle(name.key, now, earlier)
        if reason:
            reasons.append(reason)
        content = None if body is None else json.loads(body)
        is_urgent = earlier is not None and earlier.status is Status.PAUSED
        yield Edit(name, Action.ROLLBACK, content, is_urgent)
    if reasons:
        raise ChangeRefused(*reasons)


def _experiment(name: Name, body: str | None) -> Experiment | None:
    if body is None or name.kind != "experiment":
        return None
    experiment: Experiment = parse_entry("experiments", name.key, json.loads(body))
    return experiment


def _obstacle(key: str, now: Experiment | None, then: Experiment | None) -> str | None:
    """Say why an experiment cannot go back; None where it can."""
    if now is None:
        return None
    if then is None:
        if now.status is Status.DRAFT:
            return None
        return (
            f"Experiment {key!r} did not exist then and is {now.status} now: pause or "
            "conclude it, or name the definitions that go back."
        )
    if then.iteration != now.iteration:
        return (
            f"Experiment {key!r} is in iteration {now.iteration}, then it was in "
            f"{then.iteration}, whose salt is spent: restart it instead."
        )
    if then.status is now.status or _is_legal(now.status, then.status):
        return None
    return (
        f"Experiment {key!r} is {now.status} and was {then.status} then, which is no "
        "move it can make: name the definitions that go back, or use its commands."
    )


def _is_legal(source: Status, target: Status) -> bool:
    return any(
        source in move.sources and move.target is target
        for action, move in MOVES.items()
        if action is not Action.RESTART
    )
