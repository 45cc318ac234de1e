"""The commands that need no application: python -m flask_abx ..."""

from __future__ import annotations

import click

from flask_abx.cli.definitions import schema_command, validate_file_command


def create_group() -> click.Group:
    """Make the group of the commands that need no application."""
    group = click.Group("flask_abx", help="A/B testing: check definitions.")
    group.add_command(validate_file_command)
    group.add_command(schema_command)
    return group


if __name__ == "__main__":
    create_group().main(prog_name="python -m flask_abx")
