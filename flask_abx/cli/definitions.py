"""Checking definitions, and describing them: validate and schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.output import NotFound, fail, format_option, note, write
from flask_abx.errors import DefinitionError, Fault
from flask_abx.experiments.checks import unknown_segments
from flask_abx.experiments.definition import json_schema, read, version_of
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Container

    from flask_abx.experiments.model import Document

_PATH = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a document of definitions.

    Attributes:
        version: The name of its content, or None where it has faults.
        experiments: How many it defines.
        notes: What may be right, but cannot be told from the document alone.
    """

    source: str
    version: str | None
    experiments: int
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Give it as plain values."""
        faults = [{"path": each.path, "message": each.message} for each in self.faults]
        return {
            "ok": not self.faults,
            "source": self.source,
            "version": self.version,
            "experiments": self.experiments,
            "faults": faults,
        }

    def as_text(self) -> str:
        """Write it for people, a fault a line."""
        if self.faults:
            return "\n".join(f"{self.source}: {fault}" for fault in self.faults)
        plural = "" if self.experiments == 1 else "s"
        return (
            f"{self.source}: {self.experiments} experiment{plural} "
            f"without a fault, version {self.version}."
        )


@click.command("validate")
@click.argument("file", type=_PATH, required=False)
@format_option
@with_appcontext
def validate_command(file: Path | None, form: str) -> None:
    """Check the definitions of the application, or a TOML or JSON file."""
    registered = state_of(current_app).hooks.segments
    if file is None:
        document = loaded_state().store.document()
        verdict = judge(document, "The definitions", registered)
    else:
        verdict = judge_file(file, registered)
    tell(verdict, form)


@click.command("validate")
@click.argument("file", type=_PATH)
@format_option
def validate_file_command(file: Path, form: str) -> None:
    """Check a TOML or JSON file of definitions."""
    tell(judge_file(file, None), form)


@click.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of definition files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


def tell(verdict: Verdict, form: str) -> None:
    """Write a verdict, and end the command accordingly."""
    write(form, verdict.as_data(), verdict.as_text)
    for message in verdict.notes:
        note(message)
    if verdict.faults:
        fail()


def judge_file(path: Path, registered: Container[str] | None) -> Verdict:
    """Check a file of definitions.

    Args:
        path: The file.
        registered: The segments that code registers, or None where that is not known.

    Raises:
        NotFound: If there is no such file.
    """
    if not path.exists():
        raise NotFound(f"There is no file {str(path)!r}.")
    try:
        document = read(path)
    except DefinitionError as error:
        return Verdict(str(path), None, 0, error.faults)
    return judge(document, str(path), registered)


def judge(
    document: Document, source: str, registered: Container[str] | None
) -> Verdict:
    """Check what a document alone cannot tell: that its segments are defined."""
    version, count = version_of(document), len(document.experiments)
    unknown = list(unknown_segments(document, {}))
    if registered is None:
        notes = tuple(
            f"{place} names the segment {name!r}: register it with "
            f"@abx.segment({name!r})."
            for name, place in unknown
        )
        return Verdict(source, version, count, (), notes)
    faults = tuple(
        Fault(
            place,
            f"names the segment {name!r}, which nothing defines; "
            f"register it with @abx.segment({name!r}).",
        )
        for name, place in unknown
        if name not in registered
    )
    return Verdict(source, version, count, faults)
