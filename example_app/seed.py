"""What the database begins with: tables, experiments, and a fortnight of traffic."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import current_app
from flask.cli import with_appcontext

from example_app import fortnight
from example_app.experiments import db
from flask_abx.errors import ABXError
from flask_abx.results.report import verdict_word
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import Author

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.simulation.scenario import Simulated
    from flask_abx.runtime.state import State

DEFINITIONS = Path(__file__).with_name("experiments.toml")


@click.command("seed")
@click.option(
    "--visitors",
    type=click.IntRange(min=0),
    default=6_000,
    show_default=True,
    help="How many have come each day of the last fortnight; 0 is nobody.",
)
@with_appcontext
def seed_command(visitors: int) -> None:
    """Make tables, experiments and two weeks of visitors, each where there is none."""
    defined = seed()
    place = _place()
    told = (
        f"Seeded {place} with {', '.join(defined)}."
        if defined
        else f"There are definitions in {place}, they stay as they are."
    )
    click.echo(f"{told} Try: {_flask()} --app example_app abx list")
    if visitors:
        fill(visitors)


def fill(visitors: int) -> None:
    """Let a fortnight pass where none has, and look at what nobody has looked at."""
    state = state_of(current_app)
    state.store.load()
    if fortnight.is_open(state):
        try:
            done = _let_pass(state, visitors)
        except ABXError as error:
            click.echo(f"Nobody is made up. {error}")
            return
        click.echo(
            f"{done.units:,} visitors, all of them made up, came within "
            f"{fortnight.DAYS} days. Looking at what they did:"
        )
    for results in fortnight.look(state):
        click.echo(f"  {results.experiment:<16} {verdict_word(results.verdict.code)}")


def _let_pass(state: State, visitors: int) -> Simulated:
    total = visitors * fortnight.DAYS
    with click.progressbar(length=total, label="Two weeks of visitors") as bar:
        return fortnight.let_pass(state, visitors, lambda more, _: bar.update(more))


def seed() -> Sequence[str]:
    """Make what is missing, and give the experiments that were put in."""
    db.create_all()
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            # Readers and a writer need not wait for each other.
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    editor = state_of(current_app).editor
    if editor is None:
        raise click.ClickException(
            "The experiments are defined in the configuration, there is nothing to "
            "seed: leave ABX_EXPERIMENTS and ABX_DEFINITIONS out."
        )
    if editor.desk().snapshot.definitions:
        return ()
    source = tomllib.loads(DEFINITIONS.read_text(encoding="utf-8"))
    author = Author("Kettle", "python", "What the shop begins with.")
    changes = editor.apply(source, author)
    return [change.key for change in changes if change.kind == "experiment"]


def _place() -> str:
    """Name the database, a file as it is called from here."""
    url, here = db.engine.url, Path.cwd()
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return url.render_as_string(hide_password=True)
    file = Path(str(url.database))
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _flask() -> str:
    """Name the flask command as it was called, be its environment active or not."""
    return sys.argv[0] if Path(sys.argv[0]).name == "flask" else "flask"
