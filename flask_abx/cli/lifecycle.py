"""The moves of an experiment: start, pause, resume, close, ... archive."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from flask import current_app

from flask_abx.cli.advice import advise_move
from flask_abx.cli.changing import changing, is_interactive, tell
from flask_abx.cli.fields import collected, set_option, unset_option
from flask_abx.experiments.lifecycle import MOVES, Action, Outcome
from flask_abx.experiments.moves import apply_move
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask_abx.cli.changing import Manner
    from flask_abx.experiments.lifecycle import Move
    from flask_abx.stores.editor import Editor


#: What an iteration begins with, whatever was before.
_DECIDED = frozenset(
    {
        "status",
        "iteration",
        "salt",
        "start_at",
        "closed",
        "winner",
        "outcome",
        "keep_variants",
    }
)


def _command(action: Action, *parameters: Any) -> click.Command:
    """Make the command of one move.

    Args:
        action: The move.
        parameters: Decorators for what it asks for, named as `apply_move` has it.
    """

    def command(
        manner: Manner,
        key: str,
        given: Sequence[tuple[str, Any]] = (),
        unset: Sequence[tuple[str, Any]] = (),
        **options: Any,
    ) -> None:
        named = {name: value for name, value in options.items() if value is not None}
        _take_winner(named)
        fields = collected([*given, *unset])
        _check_free(fields)
        move(key, action, manner, fields, named)

    decorated = changing(command)
    for parameter in reversed([click.argument("key"), *parameters]):
        decorated = parameter(decorated)
    return click.command(action.value, help=_help(MOVES[action]))(decorated)


def _take_winner(named: dict[str, Any]) -> None:
    """Take the winner by its name or by its place."""
    chosen = named.pop("chosen", None)
    if chosen is not None and named.setdefault("winner", chosen) != chosen:
        raise click.UsageError(
            f"The winner is {named['winner']!r} and --winner {chosen!r}: name one."
        )


def _help(move: Move) -> str:
    sources = " or ".join(move.sources)
    leads = "stays what it was" if move.target is None else f"is {move.target} then"
    return f"{move.summary}\n\nThe experiment has to be {sources}, and {leads}."


start_command = _command(Action.START)
pause_command = _command(Action.PAUSE)
resume_command = _command(Action.RESUME)
close_command = _command(Action.CLOSE, click.argument("variant", required=False))
traffic_command = _command(
    Action.TRAFFIC, click.argument("traffic", metavar="SHARE", type=float)
)
conclude_command = _command(
    Action.CONCLUDE,
    click.argument("winner", required=False),
    click.option("--winner", "chosen", metavar="WINNER", help="The same, by name."),
    click.option(
        "--outcome",
        type=click.Choice([outcome.value for outcome in Outcome]),
        help="What came of it; read from the winner unless given.",
    ),
    click.option(
        "--keep-variants/--no-keep-variants",
        default=None,
        help="Whether exposed units keep their variants; as defined unless given.",
    ),
)
reopen_command = _command(Action.REOPEN)
restart_command = _command(Action.RESTART, set_option, unset_option)
archive_command = _command(Action.ARCHIVE)


def move(
    key: str,
    action: Action,
    manner: Manner,
    fields: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Make a move, or say which lines of the configuration make it."""
    state = state_of(current_app)
    if state.editor is None:
        advise_move(state, key, action, manner, fields, options)
        return
    if action is Action.CONCLUDE:
        manner = _explained(state.editor, key, manner, options)
    changes = state.editor.move(
        key, action, manner.author, fields=fields, dry_run=manner.dry_run, **options
    )
    tell(key, changes, manner)


def _check_free(fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name in _DECIDED:
            raise click.UsageError(
                f"A restart decides on {name!r} by itself: leave it out."
            )


def _explained(
    editor: Editor, key: str, manner: Manner, options: dict[str, Any]
) -> Manner:
    """Ask for the note that is missing, if somebody is there and the move is legal."""
    if manner.why is not None or manner.dry_run or not is_interactive():
        return manner
    desk = editor.desk()
    apply_move(desk.experiment(key), Action.CONCLUDE, desk.now, **options)
    asked = f"Why is {key} concluded, for the audit (Enter for no note)"
    why = click.prompt(asked, default="", show_default=False, err=True)
    return replace(manner, why=why)
