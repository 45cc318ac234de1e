"""What a store of definitions is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flask_abx.assignment.ruleset import Ruleset
    from flask_abx.experiments.model import Document


class Store(Protocol):
    """Knows the definitions and keeps them compiled."""

    def ruleset(self) -> Ruleset:
        """Give the compiled definitions of this moment; called once a request."""
        ...

    def document(self) -> Document:
        """Give the definitions that the ruleset was compiled from."""
        ...

    def refresh(self) -> None:
        """Take up what changed, where that can happen between two requests.

        Raises:
            DefinitionError: If what is there now has faults; the old stays in force.
        """
        ...

    def load(self) -> None:
        """Read the latest definitions now: for commands, which cannot wait.

        Raises:
            SetupError: If the tables are not there.
            DefinitionError: If what is there has faults.
        """
        ...
