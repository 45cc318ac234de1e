"""The figures of a run: what was measured, the bar, and whether it is met."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class BenchmarkError(RuntimeError):
    """What is measured does not do what the measure is about."""


class VoidRunError(BenchmarkError):
    """Two equal applications differ, so no ratio of this run means anything."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        measure: What was measured.
        figure: The value.
        form: The unit of the value, ``x`` for a ratio.
        bar: The value to keep to, None where it is printed only.
        at_least: True where more is better.
        note: The absolute times behind a ratio.
    """

    measure: str
    figure: float
    form: str = "x"
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps to its bar; true where there is none."""
        if self.bar is None:
            return True
        return self.figure >= self.bar if self.at_least else self.figure <= self.bar

    @property
    def verdict(self) -> str:
        """``ok``, ``MISS``, or nothing where there is no bar."""
        if self.bar is None:
            return ""
        return "ok" if self.is_met else "MISS"

    def cells(self) -> tuple[str, ...]:
        """The row as the texts of a table."""
        sign = ">=" if self.at_least else "<="
        bar = "" if self.bar is None else f"{sign} {self.bar:g} {self.form}"
        figure = f"{self.figure:.3f} {self.form}"
        return (self.measure, figure, bar, self.verdict, self.note)


def table(rows: Sequence[Row]) -> str:
    """Draw the rows with a heading, figures to the right."""
    heading = ("measure", "figure", "bar", "", "note")
    body = [heading, *(row.cells() for row in rows)]
    widths = [max(len(cells[column]) for cells in body) for column in range(4)]

    def line(cells: tuple[str, ...]) -> str:
        measure, figure, bar, verdict, note = cells
        parts = (
            measure.ljust(widths[0]),
            figure.rjust(widths[1]),
            bar.rjust(widths[2]),
            verdict.ljust(widths[3]),
            note,
        )
        return "  ".join(parts).rstrip()

    return "\n".join(line(cells) for cells in body)


def json_lines(rows: Iterable[Row]) -> str:
    """Write the rows as one JSON object a line."""
    return "\n".join(json.dumps({**asdict(row), "is_met": row.is_met}) for row in rows)
