"""Taking over a whole document without moving anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask_abx.errors import ChangeRefused
from flask_abx.experiments.definition import parse
from flask_abx.experiments.edits import refusals
from flask_abx.experiments.lifecycle import MOVES, Action
from flask_abx.experiments.model import Document
from flask_abx.experiments.moves import apply_move
from flask_abx.stores.change import Edit, content
from flask_abx.stores.reading import Name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flask_abx.experiments.model import Experiment

#: What an experiment keeps where the document does not say otherwise.
_KEPT = (
    "status",
    "iteration",
    "salt",
    "start_at",
    "closed",
    "winner",
    "outcome",
    "keep_variants",
)


def edits_of(
    source: Mapping[str, Any], document: Document, now: datetime
) -> Iterator[Edit]:
    """Find what has to change for the database to hold a document.

    Args:
        source: The document, with one section for each kind of definition.
        document: What the database holds.
        now: The present moment, aware.

    Raises:
        ChangeRefused: With everything that is unsafe for a running experiment.
        DefinitionError: With every fault of the document.
    """
    wanted = parse({**source, **_filled(source, document)})
    reasons: list[str] = []
    for section in Document.model_fields:
        if section != "experiments":
            for key, entry in getattr(wanted, section).items():
                name = Name(section.removesuffix("s"), key)
                yield Edit(name, Action.APPLY, content(entry))
    for key, experiment in wanted.experiments.items():
        before, action, after = document.experiments.get(key), Action.APPLY, experiment
        if before is not None:
            after = _with_closed(before, experiment)
            action, found = _move(before, after, now)
            reasons.extend(found)
        yield Edit(Name("experiment", key), action, content(after), action.is_urgent)
    if reasons:
        raise ChangeRefused(*reasons)


def _filled(source: Mapping[str, Any], document: Document) -> dict[str, Any]:
    """Let experiments keep what the document does not say."""
    experiments = source.get("experiments")
    if not isinstance(experiments, Mapping):
        return {}
    filled = dict(experiments)
    for key, body in experiments.items():
        before = document.experiments.get(key)
        if before is not None and isinstance(body, Mapping):
            known = content(before)
            kept = {
                name: known[name]
                for name in _KEPT
                if name not in body and name in known
            }
            filled[key] = {"status": before.status.value, **body, **kept}
    return {"experiments": filled}


def _with_closed(before: Experiment, after: Experiment) -> Experiment:
    """Keep closed what was closed: nothing reopens a variant within an iteration."""
    closed = {variant.key for variant in before.variants if variant.closed}
    if not closed or before.iteration != after.iteration:
        return after
    variants = tuple(
        variant.model_copy(update={"closed": variant.closed or variant.key in closed})
        for variant in after.variants
    )
    return after.model_copy(update={"variants": variants})


def _move(
    before: Experiment, after: Experiment, now: datetime
) -> tuple[Action, tuple[str, ...]]:
    """Find the action that leads from one to the other, and what forbids the rest."""
    action, moved = Action.APPLY, before
    if after.status is not before.status or after.iteration != before.iteration:
        found = _action(before, after)
        if found is None:
            reason = (
                f"Experiment {before.key!r} is {before.status} in iteration "
                f"{before.iteration}, the document says {after.status} in iteration "
                f"{after.iteration}, which is no move it can make: leave status and "
                "iteration out to keep them."
            )
            return action, (reason,)
        action = found
        moved = apply_move(before, action, now, **_options(action, after))
    elif after.closed and not before.closed and before.status.is_live:
        action = Action.CLOSE
        moved = apply_move(before, action, now, variant=None)
    return action, refusals(moved, after, now)


def _action(before: Experiment, after: Experiment) -> Action | None:
    step = after.iteration - before.iteration
    for action, move in MOVES.items():
        is_restart = action is Action.RESTART
        if step != int(is_restart) or before.status not in move.sources:
            continue
        if move.target is after.status:
            return action
    return None


def _options(action: Action, after: Experiment) -> dict[str, Any]:
    if action is not Action.CONCLUDE:
        return {}
    return {
        "winner": after.winner,
        "outcome": after.outcome,
        "keep_variants": after.keep_variants,
    }
