"""Why a unit gets its variant: explain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.decision import Reason
from flask_abx.assignment.explain import explain
from flask_abx.cli.application import loaded_state
from flask_abx.cli.experiments import find
from flask_abx.cli.fields import json_or_text
from flask_abx.cli.output import format_option, note, write
from flask_abx.runtime.unit import unit_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.assignment.decision import Assignment
    from flask_abx.assignment.ruleset import Rule
    from flask_abx.experiments.model import Experiment
    from flask_abx.runtime.state import State


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, whom it is about, and the sentences that lead to it."""

    unit_type: str
    unit: str
    assignment: Assignment
    steps: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Give it as plain values."""
        assignment = self.assignment
        return {
            "experiment": assignment.experiment,
            "iteration": assignment.iteration,
            "unit_type": self.unit_type,
            "unit": self.unit,
            "variant": assignment.variant,
            "in_experiment": assignment.in_experiment,
            "reason": assignment.reason.value,
            "flags": dict(assignment.flags),
            "steps": list(self.steps),
        }

    def as_text(self) -> str:
        """Write it for people, a sentence a line."""
        return "\n".join(self.steps)


def _attributes(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, Any]:
    del context
    attributes: dict[str, Any] = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not all(name.split(".")):
            raise click.BadParameter(
                f"{value!r} is no attribute, write NAME=VALUE.", param=parameter
            )
        _put(attributes, name.split("."), json_or_text(text))
    return attributes


def _put(attributes: dict[str, Any], path: list[str], value: object) -> None:
    """Store a value at a dotted path, as audiences read it."""
    *parents, last = path
    for name in parents:
        inner = attributes.get(name)
        attributes[name] = inner = dict(inner) if isinstance(inner, dict) else {}
        attributes = inner
    attributes[last] = value


@click.command("explain")
@click.argument("key")
@click.argument("unit")
@click.option(
    "--attr",
    "attributes",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_attributes,
    help="What is known about the unit; the value is JSON, or else text.",
)
@format_option
@with_appcontext
def explain_command(key: str, unit: str, attributes: dict[str, Any], form: str) -> None:
    """Say why UNIT gets its variant of the experiment KEY.

    UNIT is an id of the first unit type that the experiment names.
    """
    experiment, rule = find(key)
    state = loaded_state()
    now = datetime.now(UTC)
    explanation = explain_unit(state, experiment, rule, unit, attributes, now)
    write(form, explanation.as_data(), explanation.as_text)
    for message in _notes(state, rule, explanation.assignment.reason):
        note(message)


def explain_unit(
    state: State,
    experiment: Experiment,
    rule: Rule,
    unit: str,
    attributes: Mapping[str, object],
    now: datetime,
) -> Explanation:
    """Decide about a unit, and explain it.

    Args:
        state: The application, whose consent callable is taken to agree.
        experiment: The definition of the rule.
        rule: The compiled experiment.
        unit: An id of the first unit type of the experiment.
        attributes: What is known about the unit.
        now: The moment of the decision, aware.

    Raises:
        ClickException: If a segment of the code raises.
    """
    kind, known = rule.unit[0], unit_id(unit)
    units = {} if known is None else {kind: known}
    given = rule.purposes if state.hooks.consent is not None else ()
    memory = {} if known is None else _stored(state, rule, f"{kind}:{known}")
    facts = {**units, **attributes}
    person = Person(units, facts, memory, purposes=frozenset(given))
    try:
        assignment = decide(rule, person, now, enabled=state.settings.enabled)
    except Exception as error:
        raise click.ClickException(
            f"The audience of {rule.key!r} raised {error!r}. A request where that "
            "happens logs it, and is served the control."
        ) from error
    steps = explain(rule, person, assignment, now, audience=experiment.audience)
    return Explanation(kind, unit, assignment, tuple(steps))


def _stored(state: State, rule: Rule, unit: str) -> dict[str, str]:
    """Find the variant of the row that decides for a unit, where records are stored."""
    database = state.database
    if database is None or state.delivery is None:
        return {}
    from sqlalchemy import select

    from flask_abx.stores.database import reading

    row = database.tables.exposures.c
    query = select(row.variant).where(
        row.experiment == rule.key, row.iteration == rule.iteration, row.unit == unit
    )
    with database.explained(database.own), reading(database.own) as connection:
        variant = connection.scalar(query)
    is_known = variant is not None and variant in rule.variants
    return {rule.key: str(variant)} if is_known else {}


def _notes(state: State, rule: Rule, reason: Reason) -> Iterator[str]:
    """Tell what a command cannot know about a person."""
    if len(rule.unit) > 1:
        yield f"UNIT is taken as the id of a {rule.unit[0]}."
    if rule.purposes and state.hooks.consent is not None:
        yield "The consent callable is not asked here: it is taken to agree."
    is_kept = rule.keep_variants and reason is Reason.CONCLUDED
    if is_kept or reason in list(Reason)[list(Reason).index(Reason.STICKY) :]:
        yield (
            "Cookies are not known here: a unit that was exposed to a variant of this "
            "iteration keeps it."
        )
