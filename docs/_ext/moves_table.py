"""A directive that writes the table of moves from the moves themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils.nodes import Node  # type: ignore[import-untyped]  # ships no types
    from sphinx.application import Sphinx


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Give for each move its command, its states and what comes of it, as Markdown."""
    for action, move in lifecycle.MOVES.items():
        yield (
            f"`{action}`",
            ", ".join(move.sources),
            "as it was" if move.target is None else move.target.value,
            move.summary,
        )


def table() -> str:
    """Write the rows as a Markdown table."""
    head = ("Command", "From", "To", "What it means for visitors")
    lines = [head, ("---",) * len(head), *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive ``moves-table``."""
    # Here, so that the table can be read where Sphinx is not installed.
    from sphinx.util.docutils import SphinxDirective

    class MovesTable(SphinxDirective):
        """The table of every move that an experiment can make."""

        def run(self) -> list[Node]:
            """Write the table as the page would write it by hand."""
            self.env.note_dependency(str(lifecycle.__file__))
            return self.parse_text_to_nodes(table())

    app.add_directive("moves-table", MovesTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
