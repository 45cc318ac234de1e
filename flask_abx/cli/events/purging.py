"""Old records taken away: events purge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.changing import confirm
from flask_abx.cli.database import current_database
from flask_abx.cli.events.moments import moment_in
from flask_abx.cli.events.progress import progress_bar
from flask_abx.cli.output import counted, format_option, note, write
from flask_abx.events.records import stamp
from flask_abx.events.sql.purging import (
    Old,
    find_old,
    purge_events,
    purge_exposures,
)
from flask_abx.experiments.lifecycle import Status
from flask_abx.stores.change import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.stores.database import Database


@click.command("purge")
@click.option(
    "--before",
    required=True,
    metavar="MOMENT",
    help="A time such as 2030-01-31T09:00:00Z, a date, or an age such as 400d.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, do nothing.")
@format_option
@with_appcontext
def purge_command(before: str, *, yes: bool, dry_run: bool, form: str) -> None:
    """Take away old events, and the old exposures of archived experiments.

    Whatever results still need has to stay: choose a moment before the start of every
    experiment that you want to look at again.
    """
    database, state = current_database(), loaded_state()
    experiments = state.store.document().experiments.values()
    archived = {each.key for each in experiments if each.status is Status.ARCHIVED}
    engine, tables = database.own, database.tables
    with database.explained(engine):
        moment = moment_in(database, before, "--before")
        old = find_old(engine, tables, moment, archived)
        if old.count and not dry_run:
            confirm(f"Remove {_what(old)}, for good?", yes=yes)
            old = _purge(database, moment, old)
    told = stamp(moment_of(moment))
    data = {
        "before": told,
        "dry_run": dry_run,
        "events": old.events,
        "exposures": old.exposures,
        "kept": list(old.kept),
    }
    write(form, data, lambda: _text(old, told, dry_run=dry_run))
    if old.kept:
        note(
            f"Older exposures of {', '.join(old.kept)} stay: only those of archived "
            "experiments are removed."
        )


def _purge(database: Database, before: int, old: Old) -> Old:
    """Take it away, and give what really went."""
    engine, tables = database.own, database.tables
    with progress_bar("Purging") as tell:

        def summed(counts: Iterator[int]) -> int:
            total = 0
            for count in counts:
                tell(count, old.count)
                total += count
            return total

        events = summed(purge_events(engine, tables, before))
        exposures = {
            key: summed(purge_exposures(engine, tables, before, key))
            for key in old.exposures
        }
    return Old(events, exposures, old.kept)


def _text(old: Old, before: str, *, dry_run: bool) -> str:
    if not old.count:
        return f"There is nothing from before {before} to remove."
    if dry_run:
        return f"Would remove {_what(old)}, from before {before}; nothing is written."
    return f"Removed {_what(old)}, from before {before}."


def _what(old: Old) -> str:
    parts = [counted(old.events, "event")] if old.events else []
    parts += [f"{counted(n, 'exposure')} of {key}" for key, n in old.exposures.items()]
    return ", ".join(parts)
