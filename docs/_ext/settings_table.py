"""A directive that writes the table of settings from the settings themselves."""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from flask_abx import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils.nodes import Node  # type: ignore[import-untyped]  # ships no types
    from sphinx.application import Sphinx

_WORDS = {
    bool: "true or false",
    int: "whole number",
    str: "text",
    Path: "path",
    list: "list",
    NoneType: "None",
}


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Give for each setting its key, type, default and meaning, as Markdown."""
    for name, field in settings.Settings.model_fields.items():
        default = repr(field.get_default(call_default_factory=True))
        yield (
            f"`{settings.key_of(name)}`",
            _type(field.annotation),
            f"`{default}`",
            field.description or "",
        )


def table() -> str:
    """Write the rows as a Markdown table."""
    head = ("Key", "Type", "Default", "Meaning")
    lines = [head, ("---",) * len(head), *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _type(annotation: Any) -> str:  # noqa: ANN401 - an annotation may be anything
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return ", ".join(dict.fromkeys(_type(part) for part in parts))
    if origin is Literal:
        return ", ".join(f"`{part!r}`" for part in parts)
    if hasattr(annotation, "__metadata__"):
        return _type(parts[0])
    plain = origin or annotation
    return _WORDS.get(plain, "mapping")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive ``settings-table``."""
    # Here, so that the table can be read where Sphinx is not installed.
    from sphinx.util.docutils import SphinxDirective

    class SettingsTable(SphinxDirective):
        """The table of every ``ABX_*`` key."""

        def run(self) -> list[Node]:
            """Write the table as the page would write it by hand."""
            self.env.note_dependency(str(settings.__file__))
            return self.parse_text_to_nodes(table())

    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
