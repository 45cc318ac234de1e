"""The group that holds every command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from flask.cli import AppGroup

if TYPE_CHECKING:
    from click import Command, Context

#: Where each command lives; a web server never loads them.
_COMMANDS = {
    "list": ("flask_abx.cli.experiments", "list_command"),
    "show": ("flask_abx.cli.experiments", "show_command"),
    "validate": ("flask_abx.cli.definitions", "validate_command"),
    "explain": ("flask_abx.cli.explain", "explain_command"),
    "schema": ("flask_abx.cli.definitions", "schema_command"),
    "doctor": ("flask_abx.cli.doctor.command", "doctor_command"),
}


class _Group(AppGroup):
    """Loads a command when it is asked for."""

    def list_commands(self, ctx: Context) -> list[str]:
        return [*_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = _COMMANDS[cmd_name]
        command: Command = getattr(import_module(module), name)
        return command


def create_group() -> AppGroup:
    """Make the command group of one application."""
    return _Group("abx", help="A/B testing: look at experiments and check them.")
