"""Comparing what a page shows with what happened, but for ids, times and luck."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MASKS = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\bc[0-9a-f]{12}\b"), "VERSION"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z"), "TIME"),
)
_PROGRESS = re.compile(r"\x1b\[\S+?[a-zA-Z]|\w+ +\[[#-]+\] +\d+%")
_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_WORD = re.compile(rf"(?<![^\W\d_])(?!(?:{_MONTH})\b)[^\W\d_]{{2,}}")


def masked(text: str) -> str:
    """Put the same word for every id, version and time."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text.strip()


class Luck:
    """What may have turned out either way, but the same way on the whole page.

    Args:
        coins: For each coin the words of one side, such as ``bold/control``: where it
            fell the other way, each stands for the one behind the slash.
    """

    def __init__(self, coins: Sequence[str] = ()) -> None:
        self._coins = [
            [tuple(pair.split("/")) for pair in coin.split(", ")] for coin in coins
        ]
        self._left = list(product((False, True), repeat=len(self._coins)))

    def agrees(self, shown: str, holds: Callable[[str], bool]) -> bool:
        """Tell whether what is shown holds, with the luck that is still possible."""
        fitting = [sides for sides in self._left if holds(self._turned(shown, sides))]
        self._left = fitting or self._left
        return bool(fitting)

    def _turned(self, text: str, sides: tuple[bool, ...]) -> str:
        for coin, is_turned in zip(self._coins, sides, strict=True):
            for one, other in coin if is_turned else ():
                text = text.replace(one, other)
        return text


def fits(shown: str, found: str) -> bool:
    """Compare two texts; ``...`` in the shown one stands for anything."""
    parts = [re.escape(part) for part in masked(shown).split("...")]
    return re.fullmatch(".*?".join(parts), masked(found), re.DOTALL) is not None


def says(shown: str, found: str) -> bool:
    """Compare the words of two texts: figures, days and what is drawn may differ.

    ``...`` in the shown one stands for anything.
    """
    parts = [" ".join(_words(part)) for part in shown.split("...")]
    pattern = " ?.*? ?".join(map(re.escape, parts))
    return re.fullmatch(pattern, " ".join(_words(found))) is not None


def _words(text: str) -> list[str]:
    return _WORD.findall(_PROGRESS.sub("", text))


def records_in(text: str) -> Iterator[object]:
    """Read the JSON values that stand in a text, one after the other."""
    decoder, rest = json.JSONDecoder(), masked(text)
    while rest:
        value, end = decoder.raw_decode(rest)
        yield value
        rest = rest[end:].strip()


def is_part_of(shown: object, found: object) -> bool:
    """Tell whether every field that is shown is found, with the same value."""
    if isinstance(shown, dict) and isinstance(found, dict):
        return all(
            key in found and is_part_of(value, found[key])
            for key, value in shown.items()
        )
    return shown == found
