"""The commands that need no application: python -m flask_abx ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.cli.lazy import LazyGroup

if TYPE_CHECKING:
    import click

#: Where each command lives: who checks a file needs no database.
_COMMANDS = {
    "demo": ("flask_abx.cli.demo", "demo_command"),
    "validate": ("flask_abx.cli.definitions", "validate_file_command"),
    "schema": ("flask_abx.cli.definitions", "schema_command"),
}


def create_group() -> click.Group:
    """Make the group of the commands that need no application."""
    return LazyGroup(
        "flask_abx",
        help="A/B testing: see a demonstration, check definitions.",
        places=_COMMANDS,
    )


if __name__ == "__main__":
    create_group().main(prog_name="python -m flask_abx")
