"""Looking at what is defined: list and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from flask_abx.assignment.audience import describe
from flask_abx.cli.application import loaded_state
from flask_abx.cli.output import NotFound, format_option, table, write
from flask_abx.runtime.override import unknown_experiment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.assignment.ruleset import Rule
    from flask_abx.experiments.model import Document, Experiment


@click.command("list")
@format_option
@with_appcontext
def list_command(form: str) -> None:
    """List the experiments."""
    store = loaded_state().store
    document = store.document()
    data = {"version": store.ruleset().version, "experiments": summaries(document)}
    write(form, data, lambda: list_text(document))


@click.command("show")
@click.argument("key")
@format_option
@with_appcontext
def show_command(key: str, form: str) -> None:
    """Show everything about one experiment."""
    experiment, rule = find(key)
    data = details(experiment, rule)
    write(form, data, lambda: show_text(experiment, rule))


def find(key: str) -> tuple[Experiment, Rule]:
    """Find an experiment of the current application by its key.

    Raises:
        NotFound: If it is not defined; names the one that may be meant.
    """
    store = loaded_state().store
    rules = store.ruleset().rules
    if key not in rules:
        raise NotFound(unknown_experiment(key, rules))
    return store.document().experiments[key], rules[key]


def summaries(document: Document) -> list[dict[str, Any]]:
    """Sum up each experiment as plain values, sorted by key."""
    return [
        {
            "key": key,
            "name": experiment.name,
            "status": experiment.status.value,
            "closed": experiment.closed,
            "iteration": experiment.iteration,
            "unit": list(experiment.unit),
            "traffic": experiment.traffic,
            "variants": [variant.key for variant in experiment.variants],
            "control": experiment.control.key,
            "winner": experiment.winner,
            "primary": list(experiment.metrics.primary),
        }
        for key, experiment in sorted(document.experiments.items())
    ]


def list_text(document: Document) -> str:
    """Write the experiments as a table."""
    if not document.experiments:
        return "No experiment is defined."
    rows = [["KEY", "STATUS", "UNIT", "TRAFFIC", "VARIANTS", "PRIMARY"]]
    rows.extend(
        [
            key,
            _status(experiment),
            " or ".join(experiment.unit),
            f"{experiment.traffic:.4g}",
            ", ".join(variant.key for variant in experiment.variants),
            ", ".join(experiment.metrics.primary) or "-",
        ]
        for key, experiment in sorted(document.experiments.items())
    )
    return table(rows)


def _status(experiment: Experiment) -> str:
    if experiment.winner is not None:
        return f"{experiment.status}, {experiment.winner} won"
    return f"{experiment.status}, closed" if experiment.closed else experiment.status


def details(experiment: Experiment, rule: Rule) -> dict[str, Any]:
    """Give an experiment as plain values, with what follows from its definition."""
    return {
        **experiment.model_dump(mode="json"),
        "control": rule.control,
        "effective_salt": rule.salt,
        "ranges": {variant: [low, high] for low, high, variant in rule.ranges},
    }


def show_text(experiment: Experiment, rule: Rule) -> str:
    """Write an experiment for people: what is set, then its variants."""
    width = max(len(name) for name, _ in _facts(experiment, rule)) + 2
    lines = [
        f"{name:<{width}}{value}" for name, value in _facts(experiment, rule) if value
    ]
    return "\n".join([*lines, "", _variants(experiment, rule)])


def _facts(experiment: Experiment, rule: Rule) -> Iterator[tuple[str, str]]:
    yield "key", experiment.key
    yield "name", experiment.name
    yield "hypothesis", experiment.hypothesis
    yield "owner", experiment.owner
    yield "tags", ", ".join(experiment.tags)
    yield "status", _status(experiment)
    yield "iteration", str(experiment.iteration)
    yield "unit", " or ".join(experiment.unit)
    yield "traffic", f"{experiment.traffic:.4g}"
    yield "audience", describe(experiment.audience)
    if rule.layer is not None:
        layer = rule.layer
        yield "layer", f"{layer.key}, {layer.low:.4g} to {layer.high:.4g}"
    for name, moment in (("starts", experiment.start_at), ("ends", experiment.end_at)):
        yield name, "" if moment is None else moment.isoformat()
    yield "consent", ", ".join(rule.purposes)
    yield "forced", ", ".join(f"{id_}: {key}" for id_, key in rule.forced.items())
    roles = experiment.metrics
    yield "primary", ", ".join(roles.primary)
    yield "secondary", ", ".join(roles.secondary)
    yield "guardrails", ", ".join(each.metric for each in roles.guardrail)
    yield "salt", repr(rule.salt)


def _variants(experiment: Experiment, rule: Rule) -> str:
    rows = [["VARIANT", "WEIGHT", "RANGE", "FLAGS"]]
    total = sum(variant.weight for variant in experiment.variants)
    for variant, (low, high, _) in zip(experiment.variants, rule.ranges, strict=True):
        marks = [variant.key]
        if variant.key == rule.control:
            marks.append("(control)")
        if variant.closed:
            marks.append("(closed)")
        flags = ", ".join(f"{name}={value!r}" for name, value in variant.flags.items())
        owned = f"{low:.4g} to {high:.4g}" if low < high else "nothing"
        rows.append([" ".join(marks), f"{variant.weight / total:.4g}", owned, flags])
    return table(rows)
