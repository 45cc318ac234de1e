"""Text with the colours of a terminal, which say nothing that no word says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from flask_abx.cli.output import harmless
from flask_abx.results.telling.words import Tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask_abx.results.report import Line, Span

_STYLES: dict[Tone, dict[str, Any]] = {
    Tone.GOOD: {"fg": "green", "bold": True},
    Tone.BAD: {"fg": "red", "bold": True},
    Tone.WARN: {"fg": "yellow", "bold": True},
    Tone.INFO: {"fg": "cyan", "bold": True},
    Tone.QUIET: {"dim": True},
}


def show(lines: Iterable[Line]) -> None:
    """Write lines on stdout, in colours where it is a terminal that wants them."""
    # Click itself leaves colours out where stdout is none.
    is_plain = bool(os.environ.get("NO_COLOR"))
    for line in lines:
        spans = [harmless(span.text) if is_plain else _painted(span) for span in line]
        click.echo("".join(spans).rstrip())


def _painted(span: Span) -> str:
    told = harmless(span.text)
    if span.tone is None or not told.strip():
        return told
    blank = told[len(told.rstrip()) :]
    return f"{click.style(told.rstrip(), **_STYLES[span.tone])}{blank}"
