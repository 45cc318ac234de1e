"""Whether the numbers can be trusted: health."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.output import fail, format_option, is_json, note, write
from flask_abx.cli.results.overview import running
from flask_abx.cli.results.painting import show
from flask_abx.errors import ResultsNotReady
from flask_abx.results.report import Span, check_lines, health_text
from flask_abx.results.shapes import Level
from flask_abx.runtime.results import checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.results.report import Line
    from flask_abx.results.shapes import HealthCheck
    from flask_abx.runtime.state import State

_LABEL = 9
#: What each level of --fail-on stands for.
_REACHED = {
    "warn": frozenset({Level.WARN, Level.ERROR}),
    "error": frozenset({Level.ERROR}),
}


@click.command("health")
@click.argument("key", required=False)
@click.option(
    "--fail-on",
    type=click.Choice(list(_REACHED)),
    help="Exit with 1 where a check is at this level or worse.",
)
@format_option
@with_appcontext
def health_command(key: str | None, fail_on: str | None, form: str) -> None:
    """Tell every check of the last look, with its number and the way out.

    Without KEY these are the checks of all experiments that run.
    """
    state = loaded_state()
    told = {key: checks(state, key)} if key is not None else _all(state)
    data = {
        "checks": [
            {"experiment": name, **asdict(check)}
            for name, found in told.items()
            for check in found
        ]
    }
    if is_json(form):
        write("json", data, str)
    else:
        show(_lines(told))
    reached = _REACHED[fail_on] if fail_on is not None else frozenset()
    if any(check.level in reached for found in told.values() for check in found):
        fail()


def _all(state: State) -> dict[str, Sequence[HealthCheck]]:
    looks = running(state)
    if looks and not any(looks.values()):
        raise ResultsNotReady(
            "Nobody has looked at any experiment yet: run `flask abx refresh`."
        )
    for name, results in looks.items():
        if results is None:
            note(f"Nobody has looked at {name!r} yet: run `flask abx refresh {name}`.")
    return {name: checks(state, name) for name, results in looks.items() if results}


def _lines(told: Mapping[str, Sequence[HealthCheck]]) -> Iterator[Line]:
    if not told:
        yield (Span("No experiment runs: begin one with `flask abx start KEY`."),)
    order = (Level.ERROR, Level.WARN, Level.OK, Level.SKIPPED)
    for place, (name, found) in enumerate(told.items()):
        if place:
            yield ()
        yield (Span(f"{name}  {health_text(found)}"),)
        for check in sorted(found, key=lambda each: order.index(each.level)):
            yield from check_lines(check, _LABEL)
