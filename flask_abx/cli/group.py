"""The group that holds every command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask.cli import AppGroup

from flask_abx.cli.lazy import LazyGroup
from flask_abx.cli.output import told

if TYPE_CHECKING:
    from click import Context

#: Where each command lives; a web server never loads them.
_COMMANDS = {
    "list": ("flask_abx.cli.experiments", "list_command"),
    "show": ("flask_abx.cli.experiments", "show_command"),
    "validate": ("flask_abx.cli.definitions", "validate_command"),
    "explain": ("flask_abx.cli.explain", "explain_command"),
    "create": ("flask_abx.cli.editing", "create_command"),
    "edit": ("flask_abx.cli.editing", "edit_command"),
    "delete": ("flask_abx.cli.editing", "delete_command"),
    "start": ("flask_abx.cli.lifecycle", "start_command"),
    "pause": ("flask_abx.cli.lifecycle", "pause_command"),
    "resume": ("flask_abx.cli.lifecycle", "resume_command"),
    "close": ("flask_abx.cli.lifecycle", "close_command"),
    "traffic": ("flask_abx.cli.lifecycle", "traffic_command"),
    "conclude": ("flask_abx.cli.lifecycle", "conclude_command"),
    "reopen": ("flask_abx.cli.lifecycle", "reopen_command"),
    "restart": ("flask_abx.cli.lifecycle", "restart_command"),
    "archive": ("flask_abx.cli.lifecycle", "archive_command"),
    "audit": ("flask_abx.cli.audit", "audit_command"),
    "schema": ("flask_abx.cli.definitions", "schema_command"),
    "dump": ("flask_abx.cli.exchange", "dump_command"),
    "diff": ("flask_abx.cli.exchange", "diff_command"),
    "apply": ("flask_abx.cli.exchange", "apply_command"),
    "rollback": ("flask_abx.cli.exchange", "rollback_command"),
    "unit": ("flask_abx.cli.units", "unit_group"),
    "events": ("flask_abx.cli.events.group", "events_group"),
    "db": ("flask_abx.cli.database", "db_group"),
    "doctor": ("flask_abx.cli.doctor.command", "doctor_command"),
    "refresh": ("flask_abx.cli.results.refreshing", "refresh_command"),
    "results": ("flask_abx.cli.results.reading", "results_command"),
    "health": ("flask_abx.cli.results.checking", "health_command"),
    "simulate": ("flask_abx.cli.simulating", "simulate_command"),
    "power": ("flask_abx.cli.power", "power_command"),
    "aa": ("flask_abx.cli.replaying", "aa_command"),
}


class _Group(LazyGroup, AppGroup):
    """Ends a command with the message of an error that says enough by itself."""

    def invoke(self, ctx: Context) -> Any:  # noqa: ANN401 - as click has it
        try:
            return super().invoke(ctx)
        except Exception as error:
            ended = told(error)
            if ended is None:
                raise
            raise ended from error


def create_group() -> AppGroup:
    """Make the command group of one application."""
    return _Group(
        "abx",
        help="A/B testing: experiments from the first draft to the end.",
        places=_COMMANDS,
    )
