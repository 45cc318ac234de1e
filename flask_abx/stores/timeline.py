"""Which definitions are in force when: now, and at each moment that is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.stores.reading import Name, Pending, Snapshot


@dataclass(frozen=True, slots=True)
class Era:
    """A stretch of time with one set of definitions.

    Attributes:
        since: When it begins, in milliseconds of the database's clock; 0 where it is
            in force already.
        version: The highest version that is in force.
        bodies: The canonical JSON of every definition.
    """

    since: int
    version: int
    bodies: Mapping[Name, str]


def eras(snapshot: Snapshot) -> tuple[Era, ...]:
    """Lay out what a snapshot says about now and later.

    A change counts from its own moment on, whatever was published after it; but the
    later version of one definition never gives way to an earlier one.
    """
    bodies = snapshot.bodies
    settled = {name: stored.version for name, stored in snapshot.definitions.items()}
    for change in _first_to_come(snapshot):
        settled[change.name] = change.previous or 0
        _put(bodies, change.name, change.before)
    version = _in_force(snapshot)
    found = [Era(0, version, dict(bodies))]
    for moment in sorted({change.effective_at for change in snapshot.pending}):
        for change in snapshot.pending:
            if change.effective_at != moment:
                continue
            version = max(version, change.version)
            if change.version > settled[change.name]:
                settled[change.name] = change.version
                _put(bodies, change.name, change.body)
        found.append(Era(moment, version, dict(bodies)))
    return tuple(found)


def _in_force(snapshot: Snapshot) -> int:
    """Give the highest version of which nothing is pending."""
    waiting = {change.version for change in snapshot.pending}
    version = snapshot.mark.version
    while version in waiting:
        version -= 1
    return version


def _first_to_come(snapshot: Snapshot) -> list[Pending]:
    """Find for each definition the change that follows the one in force."""
    found: dict[Name, Pending] = {}
    waiting = {(change.name, change.version) for change in snapshot.pending}
    for change in snapshot.pending:
        # By version: the last that follows no pending one follows the one in force.
        # One that makes anew what an earlier one takes away follows that.
        is_anew = change.previous is None and change.name in found
        if (change.name, change.previous) not in waiting and not is_anew:
            found[change.name] = change
    latest = snapshot.definitions
    return [
        change
        for name, change in found.items()
        if name not in latest or (name, latest[name].version) in waiting
    ]


def _put(bodies: dict[Name, str], name: Name, body: str | None) -> None:
    if body is None:
        bodies.pop(name, None)
    else:
        bodies[name] = body
