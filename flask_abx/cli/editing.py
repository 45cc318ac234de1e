"""Drafts and fields: create, edit and delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from flask import current_app

from flask_abx.cli.advice import advise_create, advise_delete, advise_edit
from flask_abx.cli.changing import changing, is_interactive, tell
from flask_abx.cli.fields import collected, json_or_text, set_option, unset_option
from flask_abx.cli.output import note
from flask_abx.errors import ChangeRefused, DefinitionError, UsageError
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flask_abx.cli.changing import Manner
    from flask_abx.stores.change import Change

#: What the commands of the moves change, and nobody by hand.
_KEPT = frozenset({"key", "status", "iteration"})


def _as_variants(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> list[str] | dict[str, Any]:
    """Read ``bold`` and ``bold=2``, in the shortest form that a definition has."""
    del context
    weights: dict[str, Any] = {}
    for value in values:
        key, sign, text = value.partition("=")
        weight = json_or_text(text) if sign else 1
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise click.BadParameter(
                f"{value!r} has no number for a weight, write bold or bold=2.",
                param=parameter,
            )
        if key in weights:
            raise click.BadParameter(
                f"{key!r} is named twice, give each its own key.", param=parameter
            )
        weights[key] = weight
    is_even = not any("=" in value for value in values)
    return [*weights] if is_even else weights


@click.command("create")
@click.argument("key")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="KEY[=WEIGHT]",
    callback=_as_variants,
    help="A variant, the control first; give the option once for each.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A primary metric, which decides.",
)
@click.option("--name", metavar="TEXT", help="What people call it.")
@click.option("--hypothesis", metavar="TEXT", help="What is expected, and why.")
@click.option("--unit", multiple=True, metavar="TYPE", help="What is divided.")
@click.option("--traffic", metavar="SHARE", type=float, help="Who enters, 0 to 1.")
@set_option
@changing
def create_command(
    manner: Manner,
    key: str,
    given: Sequence[tuple[str, Any]],
    metrics: tuple[str, ...],
    unit: tuple[str, ...],
    **named: Any,
) -> None:
    """Make a draft, which nobody meets until it is started."""
    named.update(metrics=list(metrics), unit=list(unit))
    told = [(name, value) for name, value in named.items() if value not in (None, [])]
    fields = collected([*told, *given])
    _check_draft(key, fields)
    state = state_of(current_app)
    if state.editor is None:
        advise_create(state, key, fields, manner)
        return
    changes = state.editor.create(key, fields, manner.author, dry_run=manner.dry_run)
    tell(key, changes, manner)


def _check_draft(key: str, fields: Mapping[str, Any]) -> None:
    if "status" in fields:
        raise click.UsageError(
            f"What is created is a draft: leave the status out, and run `flask abx "
            f"start {key}` when it is ready."
        )
    variants = fields.get("variants", [])
    if isinstance(variants, list | dict) and len(variants) < 2:
        raise click.UsageError(
            f"Experiment {key!r} needs two variants or more, the control first: flask "
            f"abx create {key} --variant control --variant bold --metric signup"
        )


@click.command("edit")
@click.argument("key")
@set_option
@unset_option
@changing
def edit_command(
    manner: Manner,
    key: str,
    given: Sequence[tuple[str, Any]],
    unset: Sequence[tuple[str, Any]],
) -> None:
    """Change fields of an experiment, where that is safe.

    Without a field your editor opens with the definition as JSON.
    """
    state, fields = state_of(current_app), collected([*given, *unset])
    editor = state.editor
    if editor is None:
        advise_edit(state, key, fields, manner)
        return
    desk = editor.desk()
    seen = desk.version_of(key)

    def save(changed: Mapping[str, Any]) -> tuple[Change, ...]:
        return editor.edit(
            key, changed, manner.author, expected=seen, dry_run=manner.dry_run
        )

    if fields:
        changes = save(fields)
    elif is_interactive():
        changes = _by_hand(content(desk.experiment(key)), save)
    else:
        raise click.UsageError(
            f"Nothing says what to change: flask abx edit {key} --set traffic=0.5"
        )
    tell(key, changes, manner)


def _by_hand(
    before: dict[str, Any], save: Callable[[Mapping[str, Any]], tuple[Change, ...]]
) -> tuple[Change, ...]:
    """Let somebody edit a definition as text, again and again until it is right."""
    shown = {name: value for name, value in before.items() if name not in _KEPT}
    text = json.dumps(shown, indent=2, ensure_ascii=False) + "\n"
    while True:
        edited = click.edit(text, extension=".json")
        if edited is None:
            return ()
        try:
            return save({**dict.fromkeys(shown), **_fields(edited)})
        except (DefinitionError, UsageError) as error:
            note(str(error))
            if not click.confirm("Edit it again?", default=True, err=True):
                raise
            text = edited
        except ChangeRefused:
            note(f"Nothing is written. This is what you wrote:\n{edited}")
            raise


def _fields(text: str) -> dict[str, Any]:
    fault = "must be an object with the fields of the definition"
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        fields, fault = None, f"is no JSON: {error}"
    if not isinstance(fields, dict):
        raise UsageError(f"What you wrote {fault}.")
    if "key" in fields:
        raise UsageError(
            "What you wrote has a key, which stays as it is: leave it out."
        )
    return fields


@click.command("delete")
@click.argument("key")
@changing
def delete_command(manner: Manner, key: str) -> None:
    """Take a draft away; what has run is archived instead."""
    state = state_of(current_app)
    if state.editor is None:
        advise_delete(state, key)
        return
    changes = state.editor.delete(key, manner.author, dry_run=manner.dry_run)
    tell(key, changes, manner)
