"""Results as a table for other programs, and for pages that people write."""

from __future__ import annotations

import csv
import re
from io import StringIO
from typing import TYPE_CHECKING

from flask_abx.results.report import (
    health_text,
    progress,
    variant_of,
    verdict_word,
)
from flask_abx.results.shapes import Level, Reading
from flask_abx.results.showing.forest import rows_of
from flask_abx.results.telling import wording, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask_abx.results.shapes import Results
    from flask_abx.results.showing.forest import Row

COLUMNS = (
    *("experiment", "iteration", "metric", "role", "dimension", "dimension_value"),
    *("variant", "control_units", "control_value", "units", "value", "effect"),
    *("relative_effect", "low", "high", "level", "p_value", "p_adjusted", "basis"),
    *("reading", "as_of"),
)
#: A spreadsheet takes a text that begins so for a formula, and runs it.
_RUN = ("=", "+", "-", "@", "\t", "\r")
_MARKUP = re.compile(r"([\\`*_\[\]|<>&])")


def csv_text(told: Iterable[Results]) -> str:
    """Write results as CSV: a line for each metric, dimension value and treatment.

    The bounds are those of the relative effect. Everything is against the control;
    how two treatments compare with each other is left out.
    """
    file = StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for results in told:
        writer.writerows(
            _cells(results, row)
            for row in rows_of(results)
            if row.comparison.baseline == results.control
        )
    return file.getvalue()


def _cells(results: Results, row: Row) -> list[object]:
    metric, told = row.metric, row.comparison
    drawn, base, sample = told.relative_interval, row.baseline, row.sample
    cells: list[object] = [
        *(results.experiment, results.iteration, metric.metric, metric.role.value),
        *(metric.dimension, metric.dimension_value, told.variant),
        None if base is None else base.units,
        None if base is None else base.value,
        None if sample is None else sample.units,
        None if sample is None else sample.value,
        *(told.effect, told.relative_effect),
        None if drawn is None else drawn.low,
        None if drawn is None else drawn.high,
        None if drawn is None else drawn.level,
        *(told.p_value, told.p_adjusted, told.basis.value, told.reading.value),
        f"{results.as_of:%Y-%m-%dT%H:%M:%SZ}",
    ]
    return [_harmless(cell) if isinstance(cell, str) else cell for cell in cells]


def _harmless(told: str) -> str:
    return f"'{told}" if told.startswith(_RUN) else told


def markdown(results: Results) -> str:
    """Write results as Markdown, for a ticket or a page of a wiki."""
    verdict = results.verdict
    parts = [
        f"## {_escaped(results.name)}",
        f"**{verdict_word(verdict.code)}** {_escaped(verdict.sentence)}",
    ]
    if verdict.next_step:
        parts.append(f"Next:\n\n{_code(verdict.next_step)}")
    parts.append(f"`{results.experiment}`: {_escaped(' · '.join(progress(results)))}")
    rows = rows_of(results)
    if rows:
        parts.append("\n".join(_table(rows, results.control)))
    parts.append(_health(results))
    if results.notes:
        parts.append("\n".join(f"- {_escaped(note)}" for note in results.notes))
    return "\n\n".join(parts)


def _table(rows: Iterable[Row], control: str) -> Iterable[str]:
    heads = ["Metric", "Role", "Variant", "Control", "Value", "Effect", "Interval"]
    yield f"| {' | '.join([*heads, 'p', 'Reading'])} |"
    yield f"|{'---|' * (len(heads) + 2)}"
    for row in rows:
        metric, told = row.metric, row.comparison
        name = metric.metric
        if metric.dimension is not None:
            name = f"{name}, {metric.dimension} {metric.dimension_value or 'unknown'}"
        is_silent = told.reading is Reading.NONE
        cells = [
            *(name, metric.role.value, variant_of(row, control)),
            *(row.amount(row.baseline), row.amount(row.sample)),
            *(row.effect, row.interval, wording.p_value(told.p_adjusted)),
            "" if is_silent else words.READINGS[told.reading],
        ]
        yield f"| {' | '.join(map(_escaped, cells))} |"


def _health(results: Results) -> str:
    lines = [f"Health: {health_text(results.health)}"]
    for check in results.health:
        if check.level in {Level.ERROR, Level.WARN}:
            told = f"{words.CHECKS[check.id]}: {check.sentence} {check.way_out}"
            lines.append(f"- **{words.LEVELS[check.level]}** {_escaped(told)}")
    return "\n".join([lines[0], "", *lines[1:]]).rstrip()


def _escaped(told: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(told.split()))


def _code(told: str) -> str:
    return "\n".join(f"    {line}" for line in told.splitlines())
