"""What happened as files for others to read: events export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from flask_abx.cli.application import loaded_state
from flask_abx.cli.database import current_database
from flask_abx.cli.events.moments import moment_in
from flask_abx.cli.events.progress import is_watched, progress_bar
from flask_abx.cli.output import counted, table, write
from flask_abx.errors import UnknownExperiment
from flask_abx.events.export.datasets import day_text, time_text
from flask_abx.events.export.folder import Folder
from flask_abx.events.export.parquet import ParquetWriter, check_installed
from flask_abx.events.export.text import CsvWriter, JsonLinesWriter
from flask_abx.events.sql.exporting import Wanted, export, run_name
from flask_abx.experiments.faults import suggestion
from flask_abx.stores.database import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.events.export.datasets import Dataset, Writer
    from flask_abx.events.sql.exporting import Done
    from flask_abx.stores.database import Database

_PARQUET = "parquet"


@click.command("export")
@click.option("--experiment", metavar="KEY", help="What concerns its exposed units.")
@click.option(
    "--since",
    metavar="MOMENT",
    help="What arrived since then: a time, a date, or an age such as 2d or 6h.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", _PARQUET]),
    required=True,
    help="How it is written.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="The folder for it, which holds nothing else.",
)
@click.option(
    "--summary",
    type=click.Choice(["auto", "table", "json"]),
    default="auto",
    show_default=True,
    help="auto: a table on a terminal, JSON in a pipe.",
)
@with_appcontext
def export_command(
    experiment: str | None, since: str | None, form: str, path: Path, summary: str
) -> None:
    """Write exposures, events and what belongs to them into a folder of files."""
    if form == _PARQUET:
        check_installed()
    database = current_database()
    moment = None if since is None else moment_in(database, since, "--since")
    if experiment is not None:
        _check_known(database, experiment)
    wanted = Wanted(experiment, moment, is_counted=is_watched())
    about = {"format": form, "experiment": experiment}
    with (
        Folder(path, about, adds=since is not None).opened() as folder,
        progress_bar("Exporting") as progress,
    ):
        making = _writers(form, folder, is_part=since is not None)
        done = export(database, wanted, folder, making, progress)
    told = {
        "path": str(path),
        "format": form,
        "experiment": experiment,
        "since": None if moment is None else time_text(moment),
        "next": done.next,
        "files": done.files,
        "rows": dict(done.rows),
    }
    write(summary, told, lambda: _text(path, done))


def _writers(
    form: str, folder: Folder, *, is_part: bool
) -> Callable[[Dataset, int], Writer]:
    """Give what makes the writer of a dataset."""

    def make(dataset: Dataset, now: int) -> Writer:
        run = run_name(now)
        if form == _PARQUET:
            empty_day = None if folder.holds(dataset.name) else day_text(now)
            return ParquetWriter(folder.create, dataset, run, empty_day)
        # Epochs are few, always whole, and take the place of the earlier ones.
        suffix = f"-{run}" if is_part and dataset.day is not None else ""
        file = folder.create(f"{dataset.name}{suffix}.{form}")
        return (CsvWriter if form == "csv" else JsonLinesWriter)(file, dataset)

    return make


def _check_known(database: Database, key: str) -> None:
    """Refuse a key that nothing is or was called by.

    Raises:
        UnknownExperiment: If it is defined nowhere and has no rows.
    """
    known = set(loaded_state().store.document().experiments)
    if key in known:
        return
    engine, tables = database.own, database.tables
    epochs, exposures = tables.epochs.c, tables.exposures.c
    with database.explained(engine), reading(engine) as connection:
        known.update(connection.execute(select(epochs.experiment).distinct()).scalars())
        found = select(exposures.variant).where(exposures.experiment == key).limit(1)
        if key in known or connection.execute(found).first() is not None:
            return
    raise UnknownExperiment(
        f"There is no experiment {key!r}, and no row of one{suggestion(key, known)}"
    )


def _text(path: Path, done: Done) -> str:
    rows: list[list[Any]] = [["DATASET", "ROWS"]]
    rows += [[name, f"{count:,}"] for name, count in done.rows.items()]
    last = f"{counted(done.files, 'file')} in {path}. What is new next time:"
    return f"{table(rows)}\n{last} --since {done.next}"
