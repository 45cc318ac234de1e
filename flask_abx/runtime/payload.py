"""What a front end is told: the body of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_abx.runtime.making import units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.assignment.decision import Assignment
    from flask_abx.runtime.scope import Scope


def payload(scope: Scope, keys: Sequence[str], *, expose: bool) -> dict[str, Any]:
    """Give experiments, flags, units and version; those marked private are left out.

    Args:
        scope: The current request.
        keys: The experiments to tell, all where none is named.
        expose: Mark them as seen.

    Raises:
        UnknownExperiment: If one is named that is not defined, in debug and testing.
    """
    rules = scope.ruleset.rules
    # It names its units, whether it has experiments to tell or not.
    scope.is_resolved = True
    named = sorted(set(keys)) if keys else list(rules)
    found = [scope.assignment(key) for key in named]
    told = [
        assignment
        for assignment in found
        if assignment.experiment in rules and not rules[assignment.experiment].private
    ]
    for assignment in told if expose else ():
        scope.expose(assignment)
    return {
        "experiments": [described(assignment) for assignment in told],
        "flags": _flags(scope),
        "units": units_of(scope, mint=True),
        "version": scope.ruleset.version,
    }


def described(assignment: Assignment) -> dict[str, Any]:
    """Give one assignment as the API tells it."""
    return {
        "key": assignment.experiment,
        "variant": assignment.variant,
        "in_experiment": assignment.in_experiment,
        "reason": assignment.reason.value,
        "flags": dict(assignment.flags),
    }


def _flags(scope: Scope) -> dict[str, Any]:
    flags = scope.ruleset.flags
    return {
        name: scope.flag(name, None, expose=False)
        for name, flag in sorted(flags.items())
        if not any(rule.private for rule in (*flag.running, *flag.concluded))
    }
