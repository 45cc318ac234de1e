"""Running all checks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_abx.cli.doctor import (
    database,
    defined,
    delivery,
    people,
    records,
    serving,
)
from flask_abx.cli.doctor.finding import Case, Level
from flask_abx.cli.output import fail, format_option, table, write
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask_abx.cli.doctor.finding import Finding


CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    serving.check_secret_key,
    serving.check_fallbacks,
    serving.check_cookie,
    serving.check_proxy,
    database.check_database,
    defined.check_enabled,
    defined.check_definitions,
    defined.check_metrics,
    defined.check_schedule,
    defined.check_concluded,
    defined.check_segments,
    people.check_units,
    people.check_attributes,
    people.check_consent,
    records.check_sinks,
    records.check_event_log,
    records.check_log,
    delivery.check_route,
    delivery.check_spool,
    delivery.check_filesystem,
    delivery.check_waiting,
    delivery.check_dead_letters,
    delivery.check_durability,
)


@click.command("doctor")
@format_option
@with_appcontext
def doctor_command(form: str) -> None:
    """Check how the application is set up, with the line that mends each fault."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    findings = examine(Case(app, state_of(app), datetime.now(UTC)))
    is_well = all(finding.level is not Level.FAIL for finding in findings)
    data = {"ok": is_well, "findings": [finding.as_data() for finding in findings]}
    write(form, data, lambda: findings_text(findings))
    if not is_well:
        fail()


def examine(case: Case) -> list[Finding]:
    """Run every check on an application."""
    return [finding for check in CHECKS for finding in check(case)]


def findings_text(findings: Sequence[Finding]) -> str:
    """Write a finding a line: how bad, which check, what it saw, what to paste."""
    return table(
        [[finding.level, finding.check, finding.as_text()] for finding in findings]
    )
