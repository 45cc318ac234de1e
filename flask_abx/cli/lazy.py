"""Groups whose commands are loaded when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click import Command, Context


class LazyGroup(click.Group):
    """Loads a command when it is asked for.

    Args:
        places: The module of each command, and its name there.
    """

    def __init__(
        self,
        *args: Any,
        places: Mapping[str, tuple[str, str]],
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._places = places

    def list_commands(self, ctx: Context) -> list[str]:
        """Name every command, without loading one."""
        return [*self._places, *super().list_commands(ctx)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Load a command."""
        if cmd_name not in self._places:
            return super().get_command(ctx, cmd_name)
        module, name = self._places[cmd_name]
        command: Command = getattr(import_module(module), name)
        return command
