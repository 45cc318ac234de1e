"""Looking at experiments now: refresh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.output import fail, format_option, note, told, write
from flask_abx.experiments.lifecycle import Status
from flask_abx.results.report import cut, verdict_word
from flask_abx.results.telling import wording
from flask_abx.runtime.results import latest, refreshed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask_abx.results.shapes import Results
    from flask_abx.runtime.state import State

_WIDTH = 80
chances_option = click.option(
    "--chances",
    is_flag=True,
    help="Tell the chance to beat the control, too: not safe against peeking.",
)


@dataclass(frozen=True, slots=True)
class Failed:
    """A look that could not be made, and why."""

    key: str
    reason: str


@click.command("refresh")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@chances_option
@format_option
@with_appcontext
def refresh_command(keys: tuple[str, ...], *, chances: bool, form: str) -> None:
    """Compute the results of experiments, and keep them for everyone to read.

    Without KEY these are all that run or are paused, and those that have ended since
    the last time. Let cron do it, once an hour or once a day: looking often does no
    harm.
    """
    state = loaded_state()
    # Without a database the first question ends it, rather than each experiment.
    due = tuple(_due(state))
    asked = dict.fromkeys(keys or due)
    done = tuple(refresh_each(state, asked, with_chances=chances))
    made = [each for each in done if not isinstance(each, Failed)]
    failed = [each for each in done if isinstance(each, Failed)]
    data = {
        "refreshed": [_data(each) for each in made],
        "failed": [{"experiment": each.key, "reason": each.reason} for each in failed],
    }
    write(form, data, lambda: _text(made) if done else _nothing(state))
    for each in failed:
        note(f"{each.key}: {each.reason} The last numbers stay.")
    if failed:
        fail()


def refresh_each(
    state: State, keys: Iterable[str], *, with_chances: bool = False
) -> Iterator[Results | Failed]:
    """Look at experiments one after the other; one that fails stops no other."""
    for key in keys:
        try:
            yield refreshed(state, key, with_chances=with_chances)
        except Exception as error:
            ended = told(error)
            if ended is None:
                current_app.logger.exception("Experiment %r is not refreshed.", key)
            kind = f"It is not refreshed ({type(error).__name__}: {error})."
            yield Failed(key, kind if ended is None else ended.message)


def _due(state: State) -> Iterator[str]:
    """Name the experiments whose numbers may still change."""
    looks = latest(state)
    for key, experiment in sorted(state.store.document().experiments.items()):
        last = looks.get(key)
        was_open = last is None or not Status(last.status).is_over
        is_new = last is not None and last.iteration < experiment.iteration
        has_ended = experiment.status is Status.CONCLUDED and (was_open or is_new)
        if experiment.status.is_live or has_ended:
            yield key


def _nothing(state: State) -> str:
    if not state.store.document().experiments:
        return "No experiment is defined."
    return "No experiment runs: begin one with `flask abx start KEY`."


def _text(made: list[Results]) -> str:
    width = max((len(each.experiment) for each in made), default=0)
    return "\n".join(
        cut(
            f"{each.experiment:<{width}}  {verdict_word(each.verdict.code):<10}  "
            f"{wording.plural(units_of(each), each.unit_type)}, "
            f"look {each.looks}, {each.seconds:.1f} s",
            _WIDTH,
        )
        for each in made
    )


def _data(results: Results) -> dict[str, Any]:
    return {
        "experiment": results.experiment,
        "iteration": results.iteration,
        "units": units_of(results),
        "verdict": results.verdict.code.value,
        "looks": results.looks,
        "seconds": results.seconds,
    }


def units_of(results: Results) -> int:
    """Count the exposed units of all variants."""
    return sum(each.units for each in results.variants)
