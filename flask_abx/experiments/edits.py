"""Which changes of a definition are safe, and why the others are not."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask_abx.experiments.definition import canonical_json
from flask_abx.experiments.faults import shown
from flask_abx.experiments.lifecycle import MOVES, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from flask_abx.experiments.model import Experiment

_TEXTS = frozenset({"name", "hypothesis", "owner", "tags"})
#: What may change at any time while an experiment is live.
_ALWAYS_SAFE = _TEXTS | {
    "names of variants",
    "metrics.secondary",
    "metrics.guardrail",
    "dimensions",
    "forced",
    "private",
}
#: What says nothing by itself where the variants are others.
_OF_VARIANTS = frozenset(
    {"names of variants", "weights", "flags of variants", "control", "closed variants"}
)
_COMMANDED = frozenset({"status", "iteration", "winner", "outcome"})
#: Lists that take in more people as they grow.
_GROWING = frozenset({"$in", "$ini", "$inGroup"})

_RESTART = "restart it with this change: a new iteration with a new salt"
_COMMANDS = MappingProxyType(
    {
        "iteration": "restart it for the next iteration",
        "winner": "conclude it with a winner",
        "outcome": "conclude it with an outcome",
    }
)
_WAYS_OUT = MappingProxyType(
    {
        "unit": f"other units would be assigned; {_RESTART}",
        "variants": f"units would change their variant; {_RESTART}",
        "weights": f"units would change their variant; {_RESTART}",
        "flags of variants": "one variant would be two different things; "
        f"{_RESTART}, or make another experiment",
        "control": f"every comparison would change its meaning; {_RESTART}",
        "traffic": "units would fall out; close it to stop new ones, "
        "or restart it to assign fewer anew",
        "audience": f"units would fall out; only widen it, or {_RESTART}",
        "layer": f"units would fall out or meet another experiment; {_RESTART}",
        "range": f"units would fall out or meet another experiment; {_RESTART}",
        "salt": "units would change their variant; restart it for a new salt",
        "consent": "units would enter that were asked for something else; "
        "only add one, or make another experiment",
        "sensitive": "units would enter that did not agree; make another experiment",
        "closed": "close it to stop new units; to open it again, restart it",
        "closed variants": "close a variant to stop new units, "
        "or restart the experiment to open it",
        "keep_variants": "say it when you conclude it",
        "metrics.primary": "what decides is fixed before the first exposure; "
        f"make it secondary, or {_RESTART}",
        "plan": f"it is fixed before the first exposure; {_RESTART}",
        "analysis": f"it is fixed before the first exposure; {_RESTART}",
        "start_at": "it has begun; pause it, or restart it",
        "end_at": "that moment is past; conclude it, or set a later one",
    }
)


def refusals(before: Experiment, after: Experiment, now: datetime) -> tuple[str, ...]:
    """Say why an edit of an experiment is unsafe; empty where it is safe.

    Args:
        before: The experiment as it is.
        after: The experiment as it would be, valid by itself.
        now: The present moment, aware.
    """
    old, new = _facets(before), _facets(after)
    changed = [
        facet
        for facet in old
        if canonical_json(old[facet]) != canonical_json(new[facet])
    ]
    if "variants" in changed:
        changed = [facet for facet in changed if facet not in _OF_VARIANTS]
    return tuple(
        f"{facet} is {shown(old[facet])} and cannot become {shown(new[facet])} while "
        f"experiment {before.key!r} is {before.status}: "
        f"{_way_out(facet, before, after)}."
        for facet in changed
        if not _is_safe(facet, before, after, now)
    )


def _facets(experiment: Experiment) -> dict[str, Any]:
    """Lay an experiment out in the parts that a change is judged by."""
    facets = experiment.model_dump(mode="json")
    variants, metrics = facets.pop("variants"), facets.pop("metrics")

    def each(field: str) -> dict[str, Any]:
        return {variant["key"]: variant[field] for variant in variants}

    closed, plan, analysis = each("closed"), experiment.plan, experiment.analysis
    return {
        **facets,
        "plan": plan and plan.model_dump(mode="json", exclude_defaults=True),
        "analysis": analysis.model_dump(mode="json", exclude_defaults=True),
        **{f"metrics.{role}": named for role, named in metrics.items()},
        "variants": [*closed],
        "names of variants": each("name"),
        "weights": each("weight"),
        "flags of variants": each("flags"),
        "control": experiment.control.key,
        "closed variants": [key for key, is_closed in closed.items() if is_closed],
    }


def _is_safe(facet: str, before: Experiment, after: Experiment, now: datetime) -> bool:
    if facet == "key" or facet in _COMMANDED:
        return False
    if before.status is Status.DRAFT:
        return True
    if before.status.is_over:
        return facet in _TEXTS
    if facet in _ALWAYS_SAFE:
        return True
    match facet:
        case "traffic":
            return after.traffic > before.traffic
        case "audience":
            return _is_wider(before.audience, after.audience)
        case "sensitive":
            return after.sensitive
        case "consent":
            return before.consent is None
        case "end_at":
            return after.end_at is None or after.end_at > now
        case "start_at" | "metrics.primary" | "plan" | "analysis":
            # Nobody has been exposed before the scheduled start.
            return before.start_at is not None and before.start_at > now
    return False


def _is_wider(old: Mapping[str, object], new: Mapping[str, object]) -> bool:
    """Tell whether clauses were only taken away, or lists only grew."""
    return all(
        key in old and (_is_same(old[key], rule) or _is_wider_rule(key, old[key], rule))
        for key, rule in new.items()
    )


def _is_wider_rule(field: str, old: object, new: object) -> bool:
    if field.startswith("$") or not isinstance(old, dict) or not isinstance(new, dict):
        return False
    return all(
        key in old
        and key.startswith("$")
        and (_is_same(old[key], operand) or _has_grown(key, old[key], operand))
        for key, operand in new.items()
    )


def _has_grown(operator: str, old: object, new: object) -> bool:
    if operator not in _GROWING or not isinstance(old, list):
        return False
    if not isinstance(new, list):
        return False
    kept = {canonical_json(item) for item in new}
    return all(canonical_json(item) in kept for item in old)


def _is_same(old: object, new: object) -> bool:
    # Python takes True for 1, which JSON does not.
    return canonical_json(old) == canonical_json(new)


def _way_out(facet: str, before: Experiment, after: Experiment) -> str:
    if facet == "key":
        return "everything is stored under it; create another experiment"
    if facet == "status":
        return _command(before.status, after.status)
    if before.status is Status.ARCHIVED:
        return "an archived experiment stays as it is; create another experiment"
    if before.status is Status.CONCLUDED:
        again = facet in {"winner", "outcome", "keep_variants"}
        end = "reopen it and conclude it anew" if again else _RESTART
        return f"its question is answered; {end}"
    return _COMMANDS.get(facet) or _WAYS_OUT[facet]


def _command(old: Status, new: Status) -> str:
    """Name the commands that lead from one state to another."""
    found = [
        action
        for action, move in MOVES.items()
        if old in move.sources and move.target is new
    ]
    if found:
        return f"use {' or '.join(found)} instead"
    return "no command leads there"
