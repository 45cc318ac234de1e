"""Taking over a whole document without moving anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask_abx.errors import ChangeRefused, DefinitionError, Fault
from flask_abx.experiments.definition import canonical_json, parse
from flask_abx.experiments.edits import refusals
from flask_abx.experiments.faults import path_of
from flask_abx.experiments.lifecycle import MOVES, Action, Status
from flask_abx.experiments.model import Document
from flask_abx.experiments.moves import apply_move
from flask_abx.stores.change import Edit, content
from flask_abx.stores.reading import Name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flask_abx.experiments.model import Experiment

#: What an experiment keeps where the document does not say otherwise: how far it is,
_STANDING = ("status", "iteration")
#: what holds for one iteration,
_OF_ITERATION = ("salt", "start_at", "closed")
#: and how it ended.
_OF_ENDING = ("winner", "outcome", "keep_variants")
_OVER = tuple(status.value for status in Status if status.is_over)


@dataclass(frozen=True, slots=True)
class Step:
    """What brings an experiment from one definition to another.

    Attributes:
        action: What the audit calls it.
        experiment: What comes of it.
        reasons: Why it is refused; empty where it is not.
        is_urgent: True if it is to take effect at once.
    """

    action: Action
    experiment: Experiment
    reasons: tuple[str, ...] = ()
    is_urgent: bool = False


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
    wanted = merged(source, document)
    reasons: list[str] = []
    for section in Document.model_fields:
        kind = section.removesuffix("s")
        for key, entry in getattr(wanted, section).items():
            if kind == "experiment":
                step = _step_to(document.experiments.get(key), entry, now)
                reasons.extend(step.reasons)
                body = content(step.experiment)
                yield Edit(Name(kind, key), step.action, body, step.is_urgent)
                continue
            if kind == "layer":
                reasons.extend(layer_reasons(document, key, wanted.layer_salt(key)))
            yield Edit(Name(kind, key), Action.APPLY, content(entry))
    if reasons:
        raise ChangeRefused(*reasons)


def merged(source: Mapping[str, Any], document: Document) -> Document:
    """Read a document, and let its definitions keep what it does not say.

    Args:
        source: The document, with one section for each kind of definition.
        document: What they keep it from.

    Raises:
        DefinitionError: With every fault of the document.
    """
    try:
        wanted = parse({**source, **_filled(source, document)})
        faults = tuple(_unstorable(wanted))
    except RecursionError as error:
        why = f"cannot be read, simplify what it holds: {error}."
        raise DefinitionError([Fault("The document", why)]) from error
    if faults:
        raise DefinitionError(faults)
    experiments = {
        key: _still_closed(document.experiments.get(key), experiment)
        for key, experiment in wanted.experiments.items()
    }
    return wanted.model_copy(update={"experiments": experiments})


def _filled(source: Mapping[str, Any], document: Document) -> dict[str, Any]:
    """Write what is kept into the sections that have something to keep."""
    filled: dict[str, Any] = {}
    for section in ("experiments", "layers"):
        bodies, known = source.get(section), getattr(document, section)
        if isinstance(bodies, Mapping):
            filled[section] = {
                key: {**_kept(body, content(known[key])), **body}
                if isinstance(body, Mapping) and key in known
                else body
                for key, body in bodies.items()
            }
    return filled


def _kept(body: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what a definition keeps of its content of before."""
    names = set(_OF_ITERATION)
    if "status" in known:
        names.update(_STANDING, _OF_ENDING)
        if body.get("iteration", known["iteration"]) != known["iteration"]:
            names = {"status"}
        elif known["status"] in _OVER and body.get("status", _OVER[0]) not in _OVER:
            names.difference_update(_OF_ENDING)
    return {name: value for name, value in known.items() if name in names}


def _still_closed(before: Experiment | None, after: Experiment) -> Experiment:
    """Keep the variants closed of which the document does not say that they are open.

    Nothing opens them within an iteration.
    """
    if before is None or before.iteration != after.iteration:
        return after
    closed = {variant.key for variant in before.variants if variant.closed}
    variants = tuple(
        variant.model_copy(update={"closed": True})
        if variant.key in closed and "closed" not in variant.model_fields_set
        else variant
        for variant in after.variants
    )
    return after.model_copy(update={"variants": variants})


def _unstorable(document: Document) -> Iterator[Fault]:
    """Find what is no JSON, such as an infinite number that a file may hold."""
    for section in Document.model_fields:
        for key, entry in getattr(document, section).items():
            try:
                canonical_json(content(entry))
            except ValueError as error:
                yield Fault(path_of(section, key), f"cannot be stored: {error}.")


def layer_reasons(document: Document, key: str, salt: str) -> Iterator[str]:
    """Say why a layer cannot get a salt: units would land elsewhere in it.

    Args:
        document: What is in force.
        key: The layer.
        salt: What its salt would be.
    """
    known = document.layer_salt(key)
    inside = [
        repr(experiment.key)
        for experiment in document.experiments.values()
        if experiment.layer == key and experiment.status.is_live
    ]
    if salt != known and inside:
        yield (
            f"salt of layer {key!r} is {known!r} and cannot become {salt!r} while it "
            f"holds {', '.join(inside)}: units would fall out or meet another "
            "experiment; leave the salt as it is, or conclude them first."
        )


def _step_to(before: Experiment | None, after: Experiment, now: datetime) -> Step:
    if before is None:
        return Step(Action.APPLY, after)
    step = step_between(before, after, now)
    if step is not None:
        return step
    following = before.iteration + 1
    can_restart = before.status in MOVES[Action.RESTART].sources
    way = f', or write "running" and {following} to restart it' if can_restart else ""
    reason = (
        f"Experiment {before.key!r} is {before.status} in iteration "
        f"{before.iteration}, the document says {after.status} in iteration "
        f"{after.iteration}, which is no move it can make: leave status and "
        f"iteration out to keep them{way}."
    )
    return Step(Action.APPLY, after, (reason,))


def step_between(before: Experiment, after: Experiment, now: datetime) -> Step | None:
    """Find what brings an experiment from one definition to another.

    Args:
        before: The experiment as it is.
        after: The experiment as it is to be, in full.
        now: The present moment, aware.

    Returns:
        What it takes, with the reasons if it is refused; None where no move of an
        experiment leads there.
    """
    action = action_between(before, after, Action.APPLY)
    if action is None:
        return None
    closes = before.status.is_live and _closes(before, after)
    try:
        made = _made(before, after, action, now)
    except ChangeRefused as refusal:
        return Step(action, after, refusal.reasons)
    return Step(action, made, (), action.is_urgent or closes)


def action_between(
    before: Experiment, after: Experiment, usual: Action
) -> Action | None:
    """Name the action that leads from one state of an experiment to another.

    Returns:
        `usual` where the state stays as it is, None where no action leads there.
    """
    ahead = after.iteration - before.iteration
    if after.status is before.status and not ahead:
        closes = before.status.is_live and _closes(before, after)
        return Action.CLOSE if closes else usual
    for action, move in MOVES.items():
        is_next = action is Action.RESTART
        leads = before.status in move.sources and move.target is after.status
        if leads and ahead == int(is_next):
            return action
    return None


def _closes(before: Experiment, after: Experiment) -> bool:
    """Tell whether something stops to take new units within an iteration."""
    if before.iteration != after.iteration:
        return False
    return after.closed > before.closed or any(_newly_closed(before, after))


def _newly_closed(before: Experiment, after: Experiment) -> Iterator[str]:
    open_keys = {variant.key for variant in before.variants if not variant.closed}
    for variant in after.variants:
        if variant.closed and variant.key in open_keys:
            yield variant.key


def _made(
    before: Experiment, after: Experiment, action: Action, now: datetime
) -> Experiment:
    """Do the edits, the closing and the move that lead to an experiment.

    Raises:
        ChangeRefused: With every reason.
    """
    if action is Action.RESTART:
        return _restarted(before, after)
    origin = _reopened(before, after, now) if action is Action.REOPEN else before
    edited = _edited(origin, after, action)
    reasons = refusals(origin, edited, now)
    if reasons:
        raise ChangeRefused(*reasons)
    if origin.status.is_live:
        for key in _newly_closed(edited, after):
            edited = apply_move(edited, Action.CLOSE, now, variant=key)
        if after.closed and not edited.closed:
            edited = apply_move(edited, Action.CLOSE, now)
    if edited.status is after.status:
        return edited
    options: dict[str, Any] = {}
    if action is Action.CONCLUDE:
        options = {name: getattr(after, name) for name in _OF_ENDING}
    return apply_move(edited, action, now, **options)


def _reopened(before: Experiment, after: Experiment, now: datetime) -> Experiment:
    # What is said before the end about the variants of the exposed harms nobody.
    kept = {"keep_variants": after.keep_variants}
    return apply_move(before, Action.REOPEN, now).model_copy(update=kept)


def _restarted(before: Experiment, after: Experiment) -> Experiment:
    if after.effective_salt != before.effective_salt:
        return after
    raise ChangeRefused(
        f"salt of experiment {before.key!r} is {before.effective_salt!r} in iteration "
        f"{before.iteration} and cannot be so in iteration {after.iteration}: units "
        "would not be assigned anew; leave it out, or write another one."
    )


def _edited(origin: Experiment, after: Experiment, action: Action) -> Experiment:
    """Take over all but what a move does: the state, the end, what is closed."""
    names = ("status", *_OF_ENDING) if action is Action.CONCLUDE else ("status",)
    changes: dict[str, object] = {name: getattr(origin, name) for name in names}
    if origin.status.is_live:
        newly = {*_newly_closed(origin, after)}
        changes["closed"] = after.closed and origin.closed
        changes["variants"] = tuple(
            variant.model_copy(update={"closed": False})
            if variant.key in newly
            else variant
            for variant in after.variants
        )
    return after.model_copy(update=changes)
