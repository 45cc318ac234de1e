"""Records that the database refused: events dead-letters list and retry."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.changing import to_the_second
from flask_abx.cli.database import current_database
from flask_abx.cli.output import (
    counted,
    fail,
    format_option,
    note,
    reason,
    table,
    write,
)
from flask_abx.events.records import stamp
from flask_abx.events.sql.faults import Trouble, trouble_of
from flask_abx.events.sql.retrying import retried
from flask_abx.events.sql.storing import store
from flask_abx.runtime.state import state_of
from flask_abx.stores.database import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Engine

    from flask_abx.events.spool.letters import DeadLetters, Letter
    from flask_abx.schema import Tables

_HEADS = ["WHEN", "TYPE", "WHAT", "ID", "WHY"]
_OUTCOMES = ("stored", "erased", "refused", "unreadable")
_NONE = "There are no dead letters: the database has refused nothing."


@click.group("dead-letters")
def letters_group() -> None:
    """See and retry the records that the database refused."""


@letters_group.command("list")
@format_option
@with_appcontext
def list_command(form: str) -> None:
    """List the records that the database refused, and why."""
    current_database()
    found = _found()
    letters, unreadable = ([], 0) if found is None else found.contents()
    data = [_data(letter) for letter in letters]
    write(form, data, lambda: _text(letters))
    if found is not None and (letters or unreadable):
        note(f"They are kept in {str(found.path)!r}, with all that was recorded.")
        _tell_unreadable(found, unreadable)


@letters_group.command("retry")
@format_option
@with_appcontext
def retry_command(form: str) -> None:
    """Store the records again that the database refused, each by itself.

    What is refused again stays, with the new reason, and so does what nobody can
    read; the exit code is 1 then.
    """
    database = current_database()
    rules = loaded_state().store.ruleset().rules
    engine, tables = database.own, database.tables

    def kinds_of(key: str) -> tuple[str, ...]:
        return rules[key].unit if key in rules else ()

    found = _found()
    outcome: Counter[str] = Counter()
    unreadable = 0
    if found is not None:
        one = partial(_store, engine, tables, kinds_of)
        with database.explained(engine):
            unreadable = found.retry(partial(_retry, found, one, outcome)).unreadable
        outcome["unreadable"] += unreadable
    write(form, {name: outcome[name] for name in _OUTCOMES}, partial(_told, outcome))
    if found is not None:
        _tell_unreadable(found, unreadable)
    if outcome["refused"] or outcome["unreadable"]:
        fail()


def _found() -> DeadLetters | None:
    """Give the dead letters; None where nothing is written on disk."""
    delivery = state_of(current_app).storage.delivery
    return None if delivery is None else delivery.letters


def _tell_unreadable(letters: DeadLetters, count: int) -> None:
    if count:
        note(
            f"{counted(count, 'line')} in {str(letters.path)!r} cannot be "
            "read: look at the file, and remove what is of no use."
        )


def _retry(
    found: DeadLetters,
    one: Callable[[Mapping[str, Any]], str],
    outcome: Counter[str],
    letters: Sequence[Letter],
) -> Iterator[bool]:
    """Say of each letter whether it need not be kept as it is."""
    for letter in letters:
        if letter.record is None:
            outcome["unreadable"] += 1
            yield False
            continue
        try:
            outcome[one(letter.record)] += 1
            yield True
        except Exception as error:
            if trouble_of(error) is not Trouble.REFUSED:
                raise
            outcome["refused"] += 1
            why = reason(error)
            if why != letter.reason:
                # Kept twice for a moment, rather than lost by a crash.
                found.add([replace(letter, reason=why, at=datetime.now(UTC))])
            yield why != letter.reason


def _store(
    engine: Engine,
    tables: Tables,
    kinds_of: Callable[[str], tuple[str, ...]],
    record: Mapping[str, Any],
) -> str:
    """Store one record; gives what became of it."""

    def transaction() -> int:
        with writing(engine) as connection:
            return store(connection, tables, [record], kinds_of).refused

    return "erased" if retried(transaction) else "stored"


def _data(letter: Letter) -> dict[str, Any]:
    record = letter.record or {}
    return {
        "at": stamp(letter.at),
        "reason": letter.reason,
        "type": record.get("type"),
        "what": record.get("name", record.get("experiment")),
        "id": record.get("id"),
    }


def _text(letters: Sequence[Letter]) -> str:
    return table([_HEADS, *map(_row, letters)]) if letters else _NONE


def _row(letter: Letter) -> list[str]:
    data = _data(letter)
    told = [str(data[name] or "-") for name in ("type", "what", "id")]
    return [to_the_second(letter.at), *told, letter.reason]


def _told(outcome: Counter[str]) -> str:
    if not outcome.total():
        return _NONE
    lines = [f"{counted(outcome['stored'], 'record')} stored."]
    if outcome["erased"]:
        lines.append(
            f"{counted(outcome['erased'], 'record')} dropped, as the unit was erased."
        )
    if outcome["refused"]:
        lines.append(
            f"{counted(outcome['refused'], 'record')} refused again: see "
            "`flask abx events dead-letters list`."
        )
    if outcome["unreadable"]:
        lines.append(
            f"{counted(outcome['unreadable'], 'damaged line')} left as they are: "
            "nothing can be read from them."
        )
    return "\n".join(lines)
