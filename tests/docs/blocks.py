"""The fenced blocks of a Markdown page, with the notes that stand above them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FENCE = re.compile(r"(`{3,})(\S*)")
_NOTE = re.compile(r"<!-- ([a-z]+)(?:: (.*?))? -->")
_NOTES_OF_BLOCKS = frozenset(
    {"file", "line", "add", "log", "certain", "words", "error", "golden", "skip"}
)
_NOTES_ALONE = frozenset({"either", "fmt", "setup"})


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block, or a note that stands alone.

    Attributes:
        language: What stands behind the fence; empty for a note alone.
        note: The name of the note above the block, which readers do not see.
        argument: What the note says.
        line: Where it begins.
    """

    language: str
    note: str
    argument: str
    text: str
    line: int


def blocks_of(path: Path) -> Iterator[Block]:
    """Read the blocks of a page in their order.

    Raises:
        ValueError: For a note that is not known, or that no block follows.
    """
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    note, argument = "", ""
    for number, line in lines:
        if fence := _FENCE.match(line):
            text = "\n".join(_until(lines, fence.group(1)))
            if not fence.group(2).startswith("{"):
                yield Block(fence.group(2), note, argument, text, number)
            note, argument = "", ""
        elif line == "<!-- setup":
            text = "\n".join(_until(lines, "-->"))
            yield Block("", "setup", "", text, number)
        elif found := _NOTE.match(line):
            name, says = found.group(1), found.group(2) or ""
            if name in _NOTES_ALONE:
                yield Block("", name, says, "", number)
            elif name in _NOTES_OF_BLOCKS:
                note, argument = name, says
            else:
                raise ValueError(f"{path.name}:{number}: {name!r} is no note.")
        elif line.strip() and note:
            raise ValueError(f"{path.name}:{number}: no block follows {note!r}.")


def _until(lines: Iterator[tuple[int, str]], end: str) -> Iterator[str]:
    for _, line in lines:
        if line == end:
            return
        yield line


def prose_of(path: Path) -> str:
    """Give the text of a page without blocks, notes and what is set as code."""
    text = re.sub(
        r"^(`{3,}).*?^\1$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"`[^`]+`|\]\([^)]*\)", "", text)
