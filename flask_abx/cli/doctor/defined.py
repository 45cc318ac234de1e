"""Checks of what is defined."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from flask_abx.cli.doctor.finding import Finding, Level, named
from flask_abx.experiments.checks import references
from flask_abx.experiments.lifecycle import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.cli.doctor.finding import Case

_FIRST = (
    'app.config["ABX_EXPERIMENTS"] = '
    '{"headline": {"variants": ["control", "bold"], "metrics": ["signup"]}}'
)


_FIRST_STORED = (
    "flask abx create headline --variant control --variant bold --metric signup"
)


def check_enabled(case: Case) -> Iterator[Finding]:
    """Tell whether experiments are switched on."""
    if case.state.settings.enabled:
        yield Finding("enabled", Level.OK, "ABX_ENABLED is True.")
        return
    message = "ABX_ENABLED is False: everyone gets the control, nothing is recorded."
    paste = 'app.config["ABX_ENABLED"] = True'
    yield Finding("enabled", Level.WARN, message, paste)


def check_definitions(case: Case) -> Iterator[Finding]:
    """Tell which version is in force, and how many experiments are where."""
    version = case.state.store.ruleset().version
    experiments = case.document.experiments.values()
    if not experiments:
        message = f"Version {version} defines no experiment."
        paste = _FIRST_STORED if case.is_in_database else _FIRST
        yield Finding("definitions", Level.WARN, message, paste)
        return
    counted = Counter(experiment.status for experiment in experiments)
    by_status = ", ".join(f"{counted[status]} {status}" for status in sorted(counted))
    message = f"Version {version}: {by_status}."
    yield Finding("definitions", Level.OK, message)


def check_metrics(case: Case) -> Iterator[Finding]:
    """Look for experiments that nothing can decide."""
    missing = [
        key
        for key, experiment in case.open_experiments.items()
        if not experiment.metrics.primary
    ]
    if not missing:
        yield Finding("metrics", Level.OK, "No experiment lacks a primary metric.")
        return
    message = f"Without a primary metric nothing decides {named(missing)}."
    paste = case.line("metrics", '["signup"]')
    if case.is_in_database:
        # What decides is fixed once units may have been exposed.
        is_live = case.document.experiments[missing[0]].status.is_live
        command = "restart" if is_live else "edit"
        paste = f"flask abx {command} {missing[0]} --set 'metrics=[\"signup\"]'"
    yield Finding("metrics", Level.WARN, message, paste)


def check_schedule(case: Case) -> Iterator[Finding]:
    """Look for experiments that run past their end."""
    past = [
        key
        for key, experiment in case.open_experiments.items()
        if experiment.status.is_live
        and experiment.end_at is not None
        and experiment.end_at <= case.now
    ]
    if not past:
        yield Finding("schedule", Level.OK, "No experiment is past its end.")
        return
    message = f"Past the end, where everyone gets the control: {named(past)}."
    paste = case.line("status", '"concluded"')
    if case.is_in_database:
        paste = f"flask abx conclude {past[0]}"
    yield Finding("schedule", Level.WARN, message, paste)


def check_concluded(case: Case) -> Iterator[Finding]:
    """Look for concluded experiments that wait to be taken away."""
    experiments = case.document.experiments.items()
    over = sorted(key for key, each in experiments if each.status is Status.CONCLUDED)
    if not over:
        yield Finding("concluded", Level.OK, "No concluded experiment is left.")
        return
    message = (
        f"Concluded and still defined: {named(over)}. "
        "Take away the code that reads it first, the definition last."
    )
    yield Finding("concluded", Level.WARN, message, f"git grep -nwF {over[0]}")


def check_segments(case: Case) -> Iterator[Finding]:
    """Look for segments that nothing defines, or that are of another kind."""
    listed = {
        key: isinstance(segment, tuple)
        for key, segment in case.document.segments.items()
    }
    known = dict.fromkeys(case.state.hooks.segments, False) | listed
    is_sound = True
    for place, operator, name in sorted(set(references(case.document))):
        wants_ids = operator != "$segment"
        if known.get(name) is wants_ids:
            continue
        is_sound = False
        is_known = name in known
        what = "is no list of ids" if wants_ids else "is a list of ids"
        fault = what if is_known else "is not defined"
        message = f"{place} asks {operator} of the segment {name!r}, which {fault}."
        way_out = _other_operator if is_known else _new_segment
        paste = way_out(case, json.dumps(name), wants_ids=wants_ids)
        yield Finding("segments", Level.FAIL, message, paste)
    if is_sound:
        yield Finding("segments", Level.OK, "Every segment that is named is defined.")


def _other_operator(case: Case, name: str, *, wants_ids: bool) -> str:
    if wants_ids:
        return f'"$segment" = {name}' if case.is_toml else f'"$segment": {name}'
    if case.is_toml:
        return f'user = {{ "$inGroup" = {name} }}'
    return f'"user": {{"$inGroup": {name}}}'


def _new_segment(case: Case, name: str, *, wants_ids: bool) -> str:
    if not wants_ids:
        return f"abx.segment({name})(lambda attributes: {name} in attributes)"
    if case.is_toml:
        return f'segments.{name} = ["7", "8"]'
    if case.is_in_database:
        file = f'{{"segments": {{{name}: ["7", "8"]}}}}'
        return f"echo '{file}' > segments.json && flask abx apply segments.json"
    line = f'{{{name}: ["7", "8"]}}'
    if case.state.settings.definitions is None:
        return f'app.config["ABX_DEFINITIONS"] = {{"segments": {line}}}'
    return f'"segments": {line}'
