"""Working out what edits come to, and whether all of it holds together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.errors import ChangeRefused
from flask_abx.experiments.definition import canonical_json
from flask_abx.experiments.lifecycle import Status
from flask_abx.experiments.weights import open_weights
from flask_abx.stores.change import is_plain, milliseconds_of
from flask_abx.stores.writing import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flask_abx.experiments.model import Document
    from flask_abx.stores.change import Edit
    from flask_abx.stores.compiling import Parser
    from flask_abx.stores.reading import Name, Pending, Stored

#: The longest name of a definition, and the longest content, in characters.
_MOST_KEY = 100
_MOST_BODY = 1_000_000


def prepare(
    edits: Iterable[Edit],
    stored: Mapping[Name, Stored],
    document: Document,
    parser: Parser,
    pending: Iterable[Pending] = (),
) -> tuple[Prepared, ...]:
    """Work out edits against what is stored; those that change nothing are left out.

    Args:
        edits: At most one for each definition.
        stored: The latest definitions.
        document: The same, parsed.
        parser: Parses what comes of them.
        pending: The changes that are published and not in force yet.

    Raises:
        ChangeRefused: If something is too long to be stored.
        DefinitionError: With every fault of what would come of them.
    """
    bodies = {name: each.body for name, each in stored.items()}
    changed: list[tuple[Edit, str | None]] = []
    after = dict(bodies)
    for edit in edits:
        body = None if edit.body is None else canonical_json(edit.body)
        if bodies.get(edit.name) == body:
            continue
        changed.append((edit, _of_fitting_size(edit, body)))
        if body is None:
            after.pop(edit.name, None)
        else:
            after[edit.name] = body
    if not changed:
        return ()
    outcome = parser.parse(after)
    waiting = {each.name: each.effective_at for each in pending}
    return tuple(
        _prepared(edit, body, stored.get(edit.name), document, outcome)._replace(
            not_before=_not_before(edit, outcome, waiting)
        )
        for edit, body in changed
    )


def _not_before(edit: Edit, after: Document, waiting: Mapping[Name, int]) -> int:
    """Give the moment until which an urgent change has to wait, in milliseconds.

    What it builds upon would take effect with it, here earlier than there. Only the
    brake need not wait: with it nobody gets anything but the control.
    """
    experiment = after.experiments.get(edit.name.key)
    is_brake = experiment is not None and experiment.status is Status.PAUSED
    return 0 if is_brake else waiting.get(edit.name, 0)


def _of_fitting_size(edit: Edit, body: str | None) -> str | None:
    kind, key = edit.name
    if len(key) > _MOST_KEY:
        raise ChangeRefused(
            f"The {kind} {key[:40]!r}... has a name of {len(key):,} characters, must "
            f"have at most {_MOST_KEY}."
        )
    if not is_plain(key) or key != key.strip():
        raise ChangeRefused(
            f"The {kind} {key!r} has a name that not every database can tell apart, "
            "must be plain text without blanks at its ends."
        )
    if body is not None and len(body) > _MOST_BODY:
        raise ChangeRefused(
            f"The {kind} {key!r} is {len(body):,} characters long, must be at most "
            f"{_MOST_BODY:,}: move long lists into code with @abx.segment."
        )
    return body


def _prepared(
    edit: Edit,
    body: str | None,
    stored: Stored | None,
    before: Document,
    after: Document,
) -> Prepared:
    is_experiment = edit.name.kind == "experiment"
    old = before.experiments.get(edit.name.key) if is_experiment else None
    new = after.experiments.get(edit.name.key) if is_experiment else None
    told = new or old
    prepared = Prepared(
        edit=edit,
        before=None if stored is None else stored.body,
        after=body,
        previous=None if stored is None else stored.version,
        status="" if told is None else told.status.value,
        iteration=0 if told is None else told.iteration,
    )
    if new is None or not new.status.is_live:
        return prepared
    return prepared._replace(
        weights=open_weights(new),
        epoch_from=None if new.start_at is None else milliseconds_of(new.start_at),
    )
