"""Intervals drawn with the characters of a terminal, all on one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.results.showing.forest import scale_of
from flask_abx.results.showing.scales import ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.showing.forest import Row
    from flask_abx.results.showing.scales import Scale

_ZERO, _MARGIN, _EFFECT, _BAR = "|", ":", "o", "="
#: So many characters lie between the numbers of an axis, more or less.
_APART = 8


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of relative effects that the rows of a table share.

    Attributes:
        scale: Gives the column of an effect.
        width: In characters.
    """

    scale: Scale
    width: int

    @classmethod
    def of(cls, rows: Sequence[Row], width: int) -> Axis:
        """Choose the axis of some rows."""
        return cls(scale_of(rows, 0, width - 1), width)

    def numbers(self) -> str:
        """Write the numbers that stand above it, zero before all others."""
        cells = [" "] * self.width
        found = ticks(self.scale.low, self.scale.high, max(2, self.width // _APART))
        for at in sorted(found, key=abs):
            words = f"{at * 100:+,.6g} %" if at else "0"
            start = round(self.scale(at)) - len(words) // 2
            start = min(max(start, 0), self.width - len(words))
            around = cells[max(start - 1, 0) : start + len(words) + 1]
            if start >= 0 and not "".join(around).strip():
                cells[start : start + len(words)] = words
        return "".join(cells).rstrip()

    def bar(self, row: Row) -> str | None:
        """Draw one interval; None where there is none to draw.

        An end keeps its side of zero and of the margin, however coarse the columns.
        """
        drawn = row.comparison.relative_interval
        if drawn is None or (drawn.low is None and drawn.high is None):
            return None
        cells = [" "] * self.width
        left = 0 if drawn.low is None else self._column(drawn.low, row.margin)
        right = (
            self.width - 1
            if drawn.high is None
            else self._column(drawn.high, row.margin)
        )
        is_cut_low = drawn.low is None or drawn.low < self.scale.low
        is_cut_high = drawn.high is None or drawn.high > self.scale.high
        cells[left : right + 1] = _BAR * (right + 1 - left)
        cells[round(self.scale(0))] = _ZERO
        if row.margin is not None and self.scale.holds(row.margin):
            cells[self._column(row.margin, None)] = _MARGIN
        cells[left] = "<" if is_cut_low else "["
        if right > left or not is_cut_low:
            cells[right] = ">" if is_cut_high else "]"
        effect = row.comparison.relative_effect
        if effect is not None and self.scale.holds(effect):
            at = min(max(self._column(effect, row.margin), left), right)
            if right - left > 1:
                at = min(max(at, left + 1), right - 1)
            cells[at] = _EFFECT
        return "".join(cells).rstrip()

    def _column(self, value: float, margin: float | None) -> int:
        at = round(self.scale(value))
        for mark in (0.0, margin):
            # A margin that shares the column of zero stands beside it.
            if mark is None or (mark and not self.scale.holds(mark)):
                continue
            column = round(self.scale(mark)) if mark == 0 else self._column(mark, None)
            if value > mark and at <= column:
                at = column + 1
            elif value < mark and at >= column:
                at = column - 1
        return min(max(at, 0), self.width - 1)
