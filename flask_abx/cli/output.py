"""How every command writes: data on stdout, as a table or as JSON."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from flask_abx.errors import ABXError, ChangeRefused, UnknownExperiment, UnknownVariant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The exit code of a check that failed; click's own is 2 for wrong usage.
FAILED = 1
_NOT_FOUND = 3
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: The state of what is there does not allow it.
_REFUSED = 4
_EXIT_CODES: dict[type[ABXError], int] = {
    UnknownExperiment: _NOT_FOUND,
    UnknownVariant: _NOT_FOUND,
    ChangeRefused: _REFUSED,
}

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "table", "json"]),
    default="auto",
    show_default=True,
    help="auto: a table on a terminal, JSON in a pipe.",
)


class NotFound(click.ClickException):
    """What the command was asked about is not there."""

    exit_code = _NOT_FOUND


class _Ended(click.ClickException):
    """What the command was to do cannot be done."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # each command has its own


def write(form: str, data: Any, text: Callable[[], str]) -> None:  # noqa: ANN401
    """Write data as JSON, or as the text that people read.

    Args:
        form: What ``--format`` said.
        data: Plain JSON values.
        text: Makes the text, called only where it is wanted.
    """
    click.echo(json.dumps(data, indent=2) if is_json(form) else harmless(text()))


def is_json(form: str) -> bool:
    """Tell whether data is written as JSON."""
    return form == "json" or (form == "auto" and not sys.stdout.isatty())


def note(message: str) -> None:
    """Tell something beside the data, on stderr."""
    click.echo(harmless(message), err=True)


def harmless(text: str) -> str:
    """Write out the characters that a terminal would obey."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def fail() -> None:
    """End the command as a check that failed."""
    click.get_current_context().exit(FAILED)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows in columns, two blanks apart; the first row holds the heads."""
    cells = [[" ".join(cell.splitlines()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def counted(count: int, what: str) -> str:
    """Write a number and what there is of it."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def told(error: Exception) -> click.ClickException | None:
    """Turn an error that says enough by itself into what ends a command.

    Returns:
        None where the traceback is needed.
    """
    if isinstance(error, ABXError):
        codes = [code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)]
        return _Ended(str(error), codes[0] if codes else FAILED)
    # Who has no database never loads SQLAlchemy.
    errors = sys.modules.get("sqlalchemy.exc")
    if errors is None or not isinstance(error, errors.DBAPIError):
        return None
    message = (
        f"The database cannot be used ({reason(error)}): see that it runs, and that "
        "its URL in the configuration is right."
    )
    return _Ended(message, FAILED)


def reason(error: Exception) -> str:
    """Say in one line what a database driver, or anything else, complains about."""
    return " ".join(str(getattr(error, "orig", error)).split())
