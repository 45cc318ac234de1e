"""How often tests find something where there is nothing: aa."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.database import current_database
from flask_abx.cli.events.progress import progress_bar
from flask_abx.cli.experiments import find
from flask_abx.cli.output import format_option, note, table, write
from flask_abx.errors import ResultsNotReady, UsageError
from flask_abx.results.replay.replaying import LEAST_DAYS, LEAST_SPLIT, replayed
from flask_abx.results.replay.slots import history_of
from flask_abx.results.showing.peeks import false_wins_svg
from flask_abx.results.telling import wording
from flask_abx.runtime.results import metrics_of
from flask_abx.stores.database import clock, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flask_abx.experiments.model import Experiment
    from flask_abx.results.replay.replaying import Replay
    from flask_abx.results.replay.slots import History
    from flask_abx.runtime.state import State

_WIDTH = 80


@click.command("aa")
@click.argument("key")
@click.option(
    "--splits",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    help="How many random splits.",
)
@click.option("--days", type=click.IntRange(2), help="Only the first days.")
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="The same seed is the same splits.",
)
@click.option(
    "--svg",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw both counts there, too.",
)
@format_option
@with_appcontext
def aa_command(
    key: str, splits: int, days: int | None, seed: int, svg: Path | None, form: str
) -> None:
    """Try the tests out on your own history, where there is nothing to find.

    The units of the control all had the same. They are split at random again and
    again, and both an ordinary test and ours look at the end of every day.
    """
    state = loaded_state()
    experiment, _ = find(key)
    history = _history(state, experiment, days)
    alpha = experiment.analysis.alpha
    replays: list[Replay] = []
    with progress_bar("Splitting") as tell:
        whole = splits * len(history.slots)

        def told(done: int, total: int) -> None:
            del total
            tell(done, whole)

        replays.extend(
            replayed(each, splits=splits, seed=seed, alpha=alpha, tell=told)
            for each in history.slots
        )
    if svg is not None:
        _draw(svg, replays, alpha)
    data = _data(experiment, history, replays, seed)
    write(form, data, lambda: "\n".join(_lines(experiment, replays)))


def _history(state: State, experiment: Experiment, days: int | None) -> History:
    key = experiment.key
    if not experiment.metrics.primary:
        raise UsageError(
            f"Experiment {key!r} has no primary metric to try the tests on: write "
            '`metrics = ["signup"]` in its definition.'
        )
    database = current_database()
    engine, document = database.own, state.store.document()
    with (
        database.explained(engine),
        reading(engine, is_steady=True) as connection,
    ):
        found = history_of(
            connection,
            database.tables,
            document,
            metrics_of(state),
            key,
            now=clock(connection),
            days=days,
        )
    if found is None:
        raise ResultsNotReady(
            f"Nobody was exposed to {key!r} yet, so that there is nothing to replay: "
            f"try `flask abx simulate {key}`."
        )
    return _enough(experiment, found)


def _enough(experiment: Experiment, found: History) -> History:
    """Leave out the metrics that are too thin, and tell them."""
    key, thin = experiment.key, []
    for metric, reason in found.failed.items():
        thin.append(f"{metric!r} could not be computed: {reason}")
    for each in found.slots:
        if not each.is_enough:
            units = wording.plural(each.units, _unit(experiment))
            days = wording.plural(len(each.days), "day")
            thin.append(
                f"{each.measure.key!r} has {units} of the control in {days}, and too "
                f"little happened to them: it takes {LEAST_SPLIT:,} in {LEAST_DAYS} "
                "days, and 50 with an event and 50 without"
            )
    kept = tuple(each for each in found.slots if each.is_enough)
    if not kept:
        raise ResultsNotReady(
            f"There is too little to replay. {'; '.join(thin)}. Wait for more, or try "
            f"`flask abx simulate {key}`."
        )
    for told in thin:
        note(f"Left out: {told}.")
    return type(found)(found.iteration, kept, found.failed)


def _draw(path: Path, replays: Sequence[Replay], alpha: float) -> None:
    try:
        path.write_text(false_wins_svg(replays, alpha), "utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}): name another file."
        ) from error


def _data(
    experiment: Experiment, history: History, replays: Sequence[Replay], seed: int
) -> dict[str, Any]:
    return {
        "experiment": experiment.key,
        "iteration": history.iteration,
        "alpha": experiment.analysis.alpha,
        "seed": seed,
        "metrics": [
            {
                **asdict(each),
                "days": [day.isoformat() for day in each.days],
                "ordinary_wins": each.ordinary_wins,
                "our_wins": each.our_wins,
            }
            for each in replays
        ],
    }


def _lines(experiment: Experiment, replays: Sequence[Replay]) -> Iterator[str]:
    first = replays[0]
    units = wording.plural(first.units, _unit(experiment))
    times, days = (
        wording.plural(count, what)
        for count, what in ((first.splits, "time"), (len(first.days), "day"))
    )
    yield _wrapped(
        f"{experiment.key}: the {units} of its control, split at random {times}, with "
        f"a look at the end of each of {days}."
    )
    yield ""
    rows = [["METRIC", "ORDINARY TEST", "FLASK-ABX"]]
    rows += [
        [each.name, _wins(each.ordinary_wins, each), _wins(each.our_wins, each)]
        for each in replays
    ]
    yield table(rows)
    yield ""
    yield _wrapped(_sentence(replays, experiment.analysis.alpha))


def _wins(wins: int, replay: Replay) -> str:
    share = wording.percent(wins / replay.splits, 1)
    return f"{wins:,} of {replay.splits:,} ({share})"


def _sentence(replays: Sequence[Replay], alpha: float) -> str:
    """Say what the counts mean to somebody who decides."""
    worst = max(replays, key=lambda each: each.ordinary_wins)
    allowed = wording.percent(alpha, None if alpha * 100 % 1 else 0)
    told = (
        "Everybody had the same, so every win is false. Whoever asks an ordinary test "
        "each day and believes its first win is wrong in "
        f"{worst.ordinary_wins:,} of {worst.splits:,} cases, whoever asks flask-abx in "
        f"{worst.our_wins:,}"
    )
    over = [each for each in replays if each.our_wins > alpha * each.splits]
    if not over:
        return f"{told}: at most {allowed} are allowed, so looking early is safe here."
    names = ", ".join(each.name for each in over)
    return (
        f"{told}. On {names} that is more than the {allowed} allowed: see with more "
        "--splits and another --seed whether it stays so."
    )


def _unit(experiment: Experiment) -> str:
    return experiment.unit[0] if len(experiment.unit) == 1 else "unit"


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, _WIDTH, break_on_hyphens=False)
