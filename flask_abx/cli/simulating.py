"""Simulated traffic from the command line: simulate."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.database import current_database
from flask_abx.cli.events.progress import progress_bar
from flask_abx.cli.experiments import find
from flask_abx.cli.output import counted, format_option, write
from flask_abx.events.records import stamp
from flask_abx.results.simulation.clearing import clear
from flask_abx.results.simulation.scenario import Scenario, Simulation
from flask_abx.results.simulation.simulating import simulate
from flask_abx.runtime.results import metrics_of
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import moment_of
from flask_abx.stores.database import clock, reading
from flask_abx.stores.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.results.simulation.clearing import Cleared
    from flask_abx.results.simulation.scenario import Simulated
    from flask_abx.stores.database import Database

_MOST_UNITS = 10_000_000


@click.command("simulate")
@click.argument("key")
@click.option(
    "--days",
    type=click.IntRange(1, 400),
    default=14,
    show_default=True,
    help="How many days of traffic, up to now.",
)
@click.option(
    "--units",
    type=click.IntRange(1, _MOST_UNITS),
    default=20_000,
    show_default=True,
    help="How many units come.",
)
@click.option(
    "--effect",
    type=float,
    default=0.05,
    show_default=True,
    help="How much more the treatment has of the primary metrics, 0.05 is 5 %; of "
    "several treatments the others have half of it.",
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="The same seed is the same traffic.",
)
@click.option(
    "--force", is_flag=True, help="Even where some exposures were not simulated."
)
@click.option(
    "--clear", "is_clear", is_flag=True, help="Take away what was simulated, no more."
)
@format_option
@with_appcontext
def simulate_command(
    key: str,
    days: int,
    units: int,
    effect: float,
    seed: int,
    *,
    force: bool,
    is_clear: bool,
    form: str,
) -> None:
    """Try an experiment out on traffic that is made up.

    Visitors are assigned, exposed and tracked as real ones are, and their records are
    marked as simulated. What was simulated before is replaced.
    """
    database = current_database()
    _, rule = find(key)
    if is_clear:
        with database.explained(database.own), progress_bar("Clearing") as tell:
            cleared = clear(database.own, database.tables, key, tell)
        data: dict[str, Any] = {"experiment": key, "cleared": asdict(cleared)}
        write(form, data, lambda: _cleared_text(key, cleared))
        return
    done = _simulate(
        database, Scenario(key, effect), days=days, units=units, seed=seed, force=force
    )
    unit = rule.unit[0] if len(rule.unit) == 1 else "unit"
    write(form, _data(key, done), lambda: "\n".join(_lines(key, unit, done)))


def _simulate(
    database: Database,
    scenario: Scenario,
    *,
    days: int,
    units: int,
    seed: int,
    force: bool,
) -> Simulated:
    engine, tables, state = database.own, database.tables, loaded_state()
    with database.explained(engine):
        if state.editor is None:
            # What nobody has recorded yet would have begun after its traffic.
            recording = Recording(database, state.store)
            recording.record(engine, state.store.document())
        with reading(engine) as connection:
            now = moment_of(clock(connection))
        simulation = Simulation(
            scenarios=(scenario,),
            now=now,
            days=days,
            units=units,
            seed=seed,
            metrics=metrics_of(state_of(current_app)),
            force=force,
        )
        ruleset, document = state.store.ruleset(), state.store.document()
        with progress_bar("Simulating") as tell:
            return simulate(engine, tables, ruleset, document, simulation, tell)


def _data(key: str, done: Simulated) -> dict[str, Any]:
    data = asdict(done)
    moments = {"began": stamp(done.began), "ended": stamp(done.ended)}
    return {"experiment": key, **data, **moments, "moved": bool(done.moved)}


def _lines(key: str, unit: str, done: Simulated) -> Iterator[str]:
    if done.cleared:
        yield f"What was simulated before is replaced: {_what(done.cleared)}."
    began, ended = f"{done.began:%d %b %Y}", f"{done.ended:%d %b %Y}"
    yield (
        f"{counted(done.units, unit)} came from {began} to {ended} in "
        f"{counted(done.visits, 'visit')}; {done.returning:,} came again, "
        f"{done.logins:,} logged in, and {counted(done.bots, 'bot')} left no trace."
    )
    exposed = done.exposed.get(key, 0)
    yield (
        f"{exposed:,} met their variant of {key}, and "
        f"{counted(done.events, 'event')} were tracked, {done.late:,} of them late."
    )
    outside = {
        reason: count for reason, count in done.outside.items() if reason != "bot"
    }
    if outside:
        told = ", ".join(
            f"{reason} {count:,}" for reason, count in sorted(outside.items())
        )
        yield f"Others got the control and do not count: {told}."
    if done.moved:
        yield f"{key} is told to have begun with them; --clear puts that back."
    yield f"Next: flask abx results {key} --refresh"


def _cleared_text(key: str, cleared: Cleared) -> str:
    if not cleared:
        return f"Nothing is simulated for {key}."
    return f"Took away what was simulated for {key}: {_what(cleared)}."


def _what(cleared: Cleared) -> str:
    return ", ".join(
        counted(count, what)
        for count, what in (
            (cleared.exposures, "exposure"),
            (cleared.events, "event"),
            (cleared.links, "link"),
            (cleared.looks, "look"),
        )
        if count
    )
