"""Who changed what: audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.changing import change_data, to_the_second
from flask_abx.cli.output import NotFound, format_option, table, write
from flask_abx.errors import SetupError
from flask_abx.experiments.faults import suggestion
from flask_abx.experiments.model import Document
from flask_abx.runtime.state import state_of
from flask_abx.stores.history import read_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.stores.change import Change
    from flask_abx.stores.database import Database

_HEADS = ["VERSION", "WHEN", "WHO", "CHANNEL", "ACTION", "KEY", "NOTE"]


@click.command("audit")
@click.argument("key", required=False)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many changes at most, the latest first.",
)
@format_option
@with_appcontext
def audit_command(key: str | None, limit: int, form: str) -> None:
    """Tell who changed what and why, of one experiment or of all."""
    database = state_of(current_app).database
    if database is None:
        raise SetupError(
            "There is no database that keeps changes: write ABX(app, db=db)."
        )
    changes = _changes(database, key, limit)
    if key is not None and not changes:
        _check_defined(key)
    data = [change_data(change) for change in changes]
    write(form, data, lambda: changes_text(changes))


def changes_text(changes: Sequence[Change]) -> str:
    """Write a change a line."""
    if not changes:
        return "No change is recorded yet."
    return table([_HEADS, *(_row(change) for change in changes)])


def _row(change: Change) -> list[str]:
    is_experiment = change.kind == "experiment"
    return [
        str(change.version),
        to_the_second(change.at),
        change.actor or "-",
        change.channel,
        change.action.value,
        change.key if is_experiment else f"{change.kind} {change.key}",
        change.note,
    ]


def _changes(database: Database, key: str | None, limit: int) -> tuple[Change, ...]:
    engine = database.own
    with database.explained(engine):
        return read_changes(engine, database.tables, key=key, limit=limit)


def _check_defined(key: str) -> None:
    """Tell a key that nothing has from one of which nothing is recorded yet."""
    document = loaded_state().store.document()
    known = {name for part in Document.model_fields for name in getattr(document, part)}
    if key not in known:
        raise NotFound(f"Nothing is recorded of {key!r}{suggestion(key, known)}")
