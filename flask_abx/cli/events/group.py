"""The group that holds the commands on events."""

from __future__ import annotations

import click

from flask_abx.cli.lazy import LazyGroup

#: Where each command lives; one that nobody calls is never loaded.
_COMMANDS = {
    "export": ("flask_abx.cli.events.exporting", "export_command"),
    "load": ("flask_abx.cli.events.loading", "load_command"),
    "drain": ("flask_abx.cli.events.draining", "drain_command"),
    "dead-letters": ("flask_abx.cli.events.letters", "letters_group"),
    "purge": ("flask_abx.cli.events.purging", "purge_command"),
}


@click.group("events", cls=LazyGroup, places=_COMMANDS)
def events_group() -> None:
    """Take events in, give them out, and look after them."""
