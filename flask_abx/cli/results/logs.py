"""Results without a database: results --log."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from flask_abx.cli.events.loading import load_files
from flask_abx.cli.output import counted, note
from flask_abx.events.sql.loading import Loader
from flask_abx.results.logs import log_results
from flask_abx.runtime.results import metrics_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flask_abx.events.sql.loading import Refusal
    from flask_abx.results.shapes import Results, Verdict
    from flask_abx.runtime.state import State
    from flask_abx.stores.database import Database


def results_of_logs(
    state: State, key: str, files: Sequence[Path], iteration: int | None
) -> Results:
    """Compute what log files say of an experiment.

    Raises:
        UnknownExperiment: If it is not defined.
        UsageError: If a file cannot be read.
    """
    rules = state.store.ruleset().rules
    refused: list[Refusal] = []

    def kinds_of(name: str) -> tuple[str, ...]:
        return rules[name].unit if name in rules else ()

    def load(database: Database) -> None:
        loader = Loader(database, kinds_of, refused.append)
        load_files(files, loader)
        loaded = loader.loaded
        exposures, events = (
            counted(loaded.exposures, "exposure"),
            counted(loaded.events, "event"),
        )
        note(f"{exposures} and {events} are read.")

    metrics = metrics_of(state)
    found = log_results(state.store, metrics, key, load, iteration)
    if refused:
        records = counted(len(refused), "record")
        note(f"{records} cannot be read, the first is {refused[0]}")
    named = state.store.document().experiments[key].metrics.names
    left_out = [each for each in named if each in metrics.selects]
    if left_out:
        note(
            f"Left out: {', '.join(left_out)}, for no log has the tables of the "
            "application."
        )
    return replace(found, verdict=_again(found, files, iteration))


def _again(results: Results, files: Sequence[Path], iteration: int | None) -> Verdict:
    """Let the next step read logs too, where it is to ask for the results again."""
    verdict, command = results.verdict, f"flask abx results {results.experiment}"
    if not verdict.next_step.startswith(f"{command} "):
        return verdict
    parts = [verdict.next_step.removesuffix(" --refresh")]
    if iteration is not None:
        parts.append(f"--iteration {iteration}")
    parts += [f"--log {quote(str(file))}" for file in files]
    return replace(verdict, next_step=" ".join(parts))
