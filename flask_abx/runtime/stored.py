"""What the database knows of whoever sends a request, asked at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.events.answers import Wanted
from flask_abx.runtime.unit import first_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask_abx.assignment.decision import Unit
    from flask_abx.events.answers import Rows
    from flask_abx.events.lookups import Lookups
    from flask_abx.runtime.requester import Requester
    from flask_abx.runtime.sticky import Sticky


class Stored:
    """The exposures that are stored of the units of one request."""

    __slots__ = ("_found", "_lookups", "_requester")

    def __init__(self, lookups: Lookups, requester: Requester) -> None:
        self._lookups = lookups
        self._requester = requester
        self._found: Mapping[str, Rows] | None = None

    def rows_of(self, unit: Unit) -> Rows | None:
        """Give what a unit was exposed to; None where that could not be found out.

        Args:
            unit: A user or an attribute unit.
        """
        if self._found is None:
            # A loader that reads a variant itself is answered, not asked for ever.
            self._found = {}
            self._found = self._lookups.find(dict(self._wanted(unit)))
        return self._found.get(name_of(unit))

    def forget(self, unit: Unit) -> None:
        """Note that the unit is being exposed."""
        self._lookups.forget(name_of(unit))

    def _wanted(self, unit: Unit) -> Iterator[tuple[str, Wanted]]:
        """Name the units of the request, and what must be known of each."""
        requester = self._requester
        for kind, runs in requester.ruleset.stored_units.items():
            try:
                found = unit if kind == unit.type else _unit(kind, requester)
            except Exception:  # noqa: BLE001, S112 - told where it is read itself
                continue
            if found is not None:
                unconfirmed = frozenset(_unconfirmed(requester.sticky, found))
                yield name_of(found), Wanted(runs, unconfirmed & runs)


def name_of(unit: Unit) -> str:
    """Write a unit as the tables do."""
    return f"{unit.type}:{unit.id}"


def _unit(kind: str, requester: Requester) -> Unit | None:
    return first_unit((kind,), requester.identity)


def _unconfirmed(sticky: Sticky, unit: Unit) -> Iterator[tuple[str, int]]:
    for key, entry in sticky.entries_of(unit).items():
        if not entry.confirmed:
            yield key, entry.iteration
