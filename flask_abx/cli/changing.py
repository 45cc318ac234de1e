"""What all commands share that change an experiment: who, why, and what was done."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from getpass import getuser
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.cli.output import format_option, write
from flask_abx.experiments.lifecycle import Action, Status
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import Author

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from flask_abx.stores.change import Change

_OPTIONS = (
    click.option("--note", "why", metavar="TEXT", help="Why, for the audit."),
    click.option(
        "--actor", metavar="TEXT", help="Who does it; your login name unless given."
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be done, do nothing."),
    format_option,
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a change is asked for, and how it is told.

    Attributes:
        why: The note for the audit, or None where none was given.
        form: What ``--format`` said.
    """

    why: str | None
    actor: str
    dry_run: bool
    form: str

    @property
    def author(self) -> Author:
        """Who does it.

        Raises:
            ChangeRefused: If a text cannot be stored.
        """
        return Author(self.actor, "cli", self.why or "")


def changing(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every change, and its function their `Manner`."""

    @wraps(function)
    def command(
        *,
        why: str | None,
        actor: str | None,
        dry_run: bool,
        form: str,
        **arguments: Any,
    ) -> None:
        name = _login_name() if actor is None else actor
        function(Manner(why, name, dry_run, form), **arguments)

    decorated: Callable[..., None] = with_appcontext(command)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _login_name() -> str:
    try:
        return getuser()
    except (ImportError, KeyError, OSError):
        return ""


def is_interactive() -> bool:
    """Tell whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is taken away for good.

    Raises:
        click.UsageError: If nobody is there who could answer.
    """
    if yes:
        return
    if not is_interactive():
        raise click.UsageError("Nobody is there to be asked: say --yes.")
    click.confirm(question, abort=True, err=True)


def tell(key: str, changes: Sequence[Change], manner: Manner) -> None:
    """Write what became of an experiment, or what would."""
    seconds = state_of(current_app).settings.refresh_seconds
    write(
        manner.form,
        [change_data(change) for change in changes],
        lambda: "\n".join(_lines(key, changes, seconds, dry_run=manner.dry_run)),
    )


def _lines(
    key: str, changes: Sequence[Change], seconds: float, *, dry_run: bool
) -> Iterator[str]:
    if not changes:
        yield f"{key} stays as it is, there is nothing to change."
    verb, end = ("would be", "; nothing is written.") if dry_run else ("is", ".")
    for change in changes:
        moment = moment_text([change], seconds)
        facts = ", ".join(_facts(change))
        yield f"{change.key} {verb} {facts} (version {change.version}), {moment}{end}"


def _facts(change: Change) -> Iterator[str]:
    """Say what an experiment is after a change, the state first."""
    after = change.after
    if after is None:
        yield "deleted"
        return
    status = Status(after["status"])
    yield "a draft" if status is Status.DRAFT else status.value
    if status.is_over:
        yield f"{after['winner']} won" if "winner" in after else "nothing won"
        if "outcome" in after:
            yield after["outcome"].replace("_", " ")
        return
    if change.action is Action.START and "start_at" in after:
        yield f"to begin at {after['start_at']}"
    if after["iteration"] > 1:
        yield f"iteration {after['iteration']}"
    closed = [each["key"] for each in after["variants"] if each.get("closed")]
    if after.get("closed"):
        yield "closed to new units"
    elif closed:
        yield f"{' and '.join(closed)} closed to new units"
    if change.action is Action.TRAFFIC:
        yield f"traffic {after.get('traffic', 1.0):.4g}"
    if change.action is Action.EDIT:
        yield f"changed in {_listed(_changed_fields(change.before, after))}"


def _changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*after, *before])
    return [name for name in names if before.get(name) != after.get(name)]


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def change_data(change: Change) -> dict[str, Any]:
    """Give a change as plain values."""
    after = change.after
    is_experiment = change.kind == "experiment" and after is not None
    return {
        "version": change.version,
        "kind": change.kind,
        "key": change.key,
        "action": change.action.value,
        "status": after["status"] if is_experiment else None,
        "iteration": change.iteration,
        "before": change.before,
        "after": after,
        "actor": change.actor,
        "channel": change.channel,
        "note": change.note,
        "at": _written(change.at, "milliseconds"),
        "effective_at": _written(change.effective_at, "milliseconds"),
    }


def moment_text(changes: Sequence[Change], seconds: float) -> str:
    """Say from when on changes count.

    Args:
        changes: The changes of one version.
        seconds: How often a process asks for changes.
    """
    latest = max(change.effective_at for change in changes)
    if latest <= changes[0].at:
        return f"from now on (each process asks every {seconds:g} s)"
    return f"everywhere from {_rounded_up(latest)} on"


def to_the_second(moment: datetime) -> str:
    """Write the second in which a moment lies."""
    return _written(moment, "seconds")


def _rounded_up(moment: datetime) -> str:
    # Never tell a moment at which it is not so yet.
    return to_the_second(moment + timedelta(microseconds=999_999))


def _written(moment: datetime, precision: str) -> str:
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
