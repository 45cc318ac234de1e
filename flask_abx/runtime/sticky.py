"""The exposures that this browser remembers, as one request changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.runtime.cookie import MAX_UNITS, Entries, Entry, Memory, tag_of

if TYPE_CHECKING:
    from flask_abx.assignment.decision import Unit
    from flask_abx.assignment.ruleset import Rule


class Sticky:
    """What the cookie holds, copied only when it changes."""

    __slots__ = ("is_changed", "memory")

    def __init__(self, memory: Memory, is_changed: bool = False) -> None:  # noqa: FBT001, FBT002 - the fields of a Reading
        self.memory = memory
        self.is_changed = is_changed

    def name_visitor(self, visitor: str) -> None:
        """Remember a newly minted visitor."""
        self._replace(Memory(visitor, self.memory.entries, self.memory.units))

    def entries_of(self, unit: Unit) -> Entries:
        """Give what a unit was exposed to, by experiment."""
        if unit.type == VISITOR:
            return self.memory.entries if unit.id == self.memory.visitor else {}
        units = self.memory.units
        return units.get(tag_of(unit), {}) if units else {}

    def entry_of(self, rule: Rule, unit: Unit) -> Entry | None:
        """Give what a unit was exposed to in this iteration, or None."""
        return _current(self.entries_of(unit), rule)

    def variant_of(self, rule: Rule, unit: Unit) -> str | None:
        """Give the variant that a unit met in this iteration, or None.

        The first user seen in a browser takes over the visitor's variant, where the
        experiment knows both.
        """
        entry = self.entry_of(rule, unit)
        if entry is None and unit.type == USER and VISITOR in rule.unit:
            entry = self._take_over(rule, unit)
        return None if entry is None else entry.variant

    def remember(
        self, rule: Rule, unit: Unit, variant: str, *, is_confirmed: bool = False
    ) -> None:
        """Remember an exposure.

        Args:
            rule: The experiment.
            unit: Who met the variant.
            variant: Its key.
            is_confirmed: True where the database has it; a visitor's cookie is enough.
        """
        is_confirmed = is_confirmed or unit.type == VISITOR
        entry = Entry(rule.iteration, variant, confirmed=is_confirmed)
        memory = self.memory
        if unit.type == VISITOR:
            entries = _without(memory.entries, rule.key)
            entries[rule.key] = entry
            self._replace(Memory(memory.visitor, entries, memory.units))
            return
        tag = tag_of(unit)
        own = _without(memory.units.get(tag, {}), rule.key)
        own[rule.key] = entry
        others = [(name, group) for name, group in memory.units.items() if name != tag]
        kept = dict(others[max(0, len(others) - MAX_UNITS + 1) :])
        self._replace(Memory(memory.visitor, memory.entries, {**kept, tag: own}))

    def _take_over(self, rule: Rule, unit: Unit) -> Entry | None:
        found = _current(self.memory.entries, rule)
        if found is None:
            return None
        if any(_current(entries, rule) for entries in self.memory.units.values()):
            # Somebody else took it over before; a second user is hashed.
            return None
        memory = self.memory
        remaining = _without(memory.entries, rule.key)
        self._replace(Memory(memory.visitor, remaining, memory.units))
        self.remember(rule, unit, found.variant)
        return found

    def _replace(self, memory: Memory) -> None:
        self.memory = memory
        self.is_changed = True


def _current(entries: Entries, rule: Rule) -> Entry | None:
    """Give the entry of an experiment, if it is of this iteration."""
    entry = entries.get(rule.key)
    if entry is None or entry.iteration != rule.iteration:
        return None
    return entry if entry.variant in rule.variants else None


def _without(entries: Entries, key: str) -> dict[str, Entry]:
    return {name: entry for name, entry in entries.items() if name != key}
