"""What is stored of one unit: unit export and unit erase."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.assignment.decision import USER, VISITOR, Unit
from flask_abx.cli.application import loaded_state
from flask_abx.cli.changing import confirm
from flask_abx.cli.database import current_database
from flask_abx.cli.output import counted, format_option, note, write
from flask_abx.events.records import UNIT_TYPE_LENGTH, stamp, unit_length
from flask_abx.events.safe import storable
from flask_abx.events.spool.waiting import (
    Doomed,
    Swept,
    sweep,
    sweep_letters,
    units_of,
    waiting_in,
)
from flask_abx.events.sql.erasing import erase
from flask_abx.events.sql.rows import unit_of
from flask_abx.events.sql.units import find_person, holdings_of, text_of
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flask_abx.events.spool.letters import DeadLetters
    from flask_abx.events.sql.erasing import Erased
    from flask_abx.events.sql.units import Person

_VISITOR = re.compile(r"[0-9a-f]{32}")

_id_argument = click.argument("id_", metavar="ID")
_type_option = click.option(
    "--type",
    "kind",
    metavar="TYPE",
    help="What ID is the id of, such as tenant; then all of ID is the id.",
)


@click.group("unit")
def unit_group() -> None:
    """Export or erase what is stored of one person.

    ID is user:7, visitor:... or tenant:acme. Without a type it is the id of a user, or
    that of a visitor where it is 32 hexadecimal digits.
    """


@unit_group.command("export")
@_id_argument
@_type_option
@with_appcontext
def export_command(id_: str, kind: str | None) -> None:
    """Print everything that is stored of a unit, as JSON.

    With a user come the visitors whose first user it is.
    """
    unit, database = _unit(id_, kind), current_database()
    engine = database.own
    with database.explained(engine):
        person = find_person(engine, database.tables, unit, _seen_with(unit))
        # What is stored meanwhile is told twice, rather than not at all.
        waiting = _waiting(person)
        held = holdings_of(engine, database.tables, person).to_dict()
    click.echo(json.dumps({**held, **waiting}, indent=2))
    if not (any(held[name] for name in _LISTS) or any(waiting.values())):
        note(_nothing(unit))
    if any(_names_others(record, person) for record in held["events"]):
        note(
            "Some events belong to others too: they are told whole, with the ids of "
            "these others."
        )


_LISTS = ("visitors", "exposures", "events", "event_units", "links")


@unit_group.command("erase")
@_id_argument
@_type_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_option
@with_appcontext
def erase_command(id_: str, kind: str | None, *, yes: bool, form: str) -> None:
    """Erase everything that is stored of a unit, for good.

    With a user go the visitors whose first user it is. What was recorded before is
    refused from then on, wherever it still waits; what comes later is welcome.
    """
    unit, database = _unit(id_, kind), current_database()
    confirm(f"Erase everything that is stored of {text_of(unit)}, for good?", yes=yes)
    engine = database.own
    with database.explained(engine):
        erased = erase(engine, database.tables, unit, _seen_with(unit))
    swept = _sweep(Doomed(frozenset(erased.person.texts), erased.at))
    write(form, _data(erased, swept), lambda: "\n".join(_lines(erased, swept)))
    for message in _left(unit, swept):
        note(message)


def _unit(id_: str, kind: str | None) -> Unit:
    unit = Unit(kind, id_) if kind is not None else _guessed(id_)
    is_type = storable(unit.type, UNIT_TYPE_LENGTH) and ":" not in unit.type
    if not is_type or not storable(unit.id, unit_length(unit.type)):
        raise click.UsageError(
            f"{id_!r} can be no unit, of such a one nothing is stored: write user:7, "
            "visitor:... or tenant:acme."
        )
    return unit


def _guessed(id_: str) -> Unit:
    kind, colon, rest = id_.partition(":")
    if not colon:
        return Unit(VISITOR if _VISITOR.fullmatch(id_) else USER, id_)
    if kind not in {USER, VISITOR}:
        _check_known(id_, kind, rest)
    return Unit(kind, rest)


def _check_known(id_: str, kind: str, rest: str) -> None:
    # Who erases the wrong unit would believe that it is done.
    document = loaded_state().store.document()
    if any(kind in each.unit for each in document.experiments.values()):
        return
    raise click.UsageError(
        f"No experiment has {kind!r} as its unit: write `--type user {id_}` if that is "
        f"the whole id of a user, or `--type {kind} {rest}`."
    )


def _places() -> tuple[Path | None, DeadLetters | None]:
    """Give where records wait, and where those are that the database refused."""
    delivery = state_of(current_app).storage.delivery
    if delivery is None:
        return None, None
    folder = delivery.spool.state.folder
    return folder, delivery.letters


def _seen_with(unit: Unit) -> set[str]:
    """Find the visitors of a user whose login is not in the tables yet."""
    folder, letters = _places()
    waiting = () if folder is None else waiting_in(folder)
    dead = () if letters is None else letters.read()
    told = (units_of(each.record) for each in dead if each.record is not None)
    return {
        units[VISITOR]
        for units in (*map(units_of, waiting), *told)
        if VISITOR in units and units.get(unit.type) == unit.id
    }


def _waiting(person: Person) -> dict[str, list[dict[str, Any]]]:
    folder, letters = _places()
    records = () if folder is None else waiting_in(folder)
    dead = () if letters is None else letters.read()
    return {
        "spool": [each for each in records if person.is_met(units_of(each))],
        "dead_letters": [
            {"reason": each.reason, "at": stamp(each.at), "record": each.record}
            for each in dead
            if each.record is not None and person.is_met(units_of(each.record))
        ],
    }


def _sweep(doomed: Doomed) -> Swept:
    folder, letters = _places()
    swept = Swept() if folder is None else sweep(folder, doomed)
    if letters is None:
        return swept
    return replace(swept, letters=sweep_letters(letters, doomed))


def _names_others(record: Mapping[str, Any], person: Person) -> bool:
    named = {unit_of(*each) for each in record["units"].items()}
    return not named <= set(person.texts)


def _nothing(unit: Unit) -> str:
    return (
        f"Nothing is stored of {text_of(unit)}. If {unit.id!r} is the id of something "
        f"else than a {unit.type}, say so with --type."
    )


def _data(erased: Erased, swept: Swept) -> dict[str, Any]:
    return {
        "unit": text_of(erased.person.unit),
        "visitors": list(erased.person.visitors),
        "erased_at": stamp(moment_of(erased.at)),
        "exposures": erased.exposures,
        "events": erased.events,
        "shared_events": erased.shared,
        "links": erased.links,
        "spool": swept.records,
        "dead_letters": swept.letters,
        "busy_files": swept.busy,
        "failed_files": swept.failed,
    }


def _lines(erased: Erased, swept: Swept) -> Iterator[str]:
    who, count = text_of(erased.person.unit), len(erased.person.visitors)
    visitors = f" and {counted(count, 'visitor')}" if count else ""
    found = (
        counted(erased.exposures, "exposure"),
        counted(erased.events, "event"),
        counted(erased.links, "link"),
        f"{counted(swept.records, 'record')} in the spool",
        counted(swept.letters, "dead letter"),
    )
    yield f"Erased {who}{visitors}: {', '.join(found)}."
    if erased.shared:
        yield (
            f"{counted(erased.shared, 'event')} of others stayed for these, without "
            "the erased ids."
        )
    moment = stamp(moment_of(erased.at))
    yield f"Records from before {moment} are refused from now on."


def _left(unit: Unit, swept: Swept) -> Iterator[str]:
    refused = f"what of {text_of(unit)} is in there is refused when it is stored"
    if swept.busy:
        yield (
            f"{counted(swept.busy, 'spool file')} in use by running processes: "
            f"{refused}, within a second."
        )
    if swept.failed:
        yield (
            f"{counted(swept.failed, 'spool file')} could not be written anew: "
            f"{refused}. Run this as the user of the application, to whom they belong."
        )
    yield (
        "Logs, exports and backups are not touched, and neither are definitions that "
        "name an id under `forced` or in a segment."
    )
