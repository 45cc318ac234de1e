"""Validation errors turned into faults that a person can act upon."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from flask_abx.errors import Fault
from flask_abx.experiments import metric, model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

_FORMS: dict[str, type[BaseModel]] = {
    "experiments": model.Experiment,
    "variants": model.Variant,
    "metrics": metric.MetricRoles,
    "guardrail": metric.Guardrail,
    "plan": metric.Plan,
    "analysis": metric.Analysis,
    "numerator": metric.RatioPart,
    "denominator": metric.RatioPart,
    "layers": model.Layer,
    "flags": model.Flag,
}
_KEY_RULE = (
    "a key: 1 to 64 lower-case letters, digits, '_', '.' or '-', "
    "beginning with a letter or digit"
)
_RULES = {
    "string_pattern_mismatch": {
        "^[a-z0-9]": _KEY_RULE,
        "^[A-Za-z_]": "a name such as 'visitor', 'user' or 'tenant'",
        "^[0-9]+": "a duration such as '7d', '12h', '30m' or '45s'",
        "^[A-Z]{3}": "a currency code such as 'EUR'",
    },
}
_PLAIN_WORDS = {
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "path_type": "a path",
}

#: What other tools call it, and what to write here.
_OTHER_WORDS = {
    "weights": "variants = {a = 90, b = 10}",
    "split": "variants = {a = 90, b = 10}",
    "variations": "'variants'",
    "alternatives": "'variants'",
    "goal": "'metrics'",
    "goals": "'metrics'",
    "metric": "'metrics'",
    "targeting": "'audience'",
    "percent": "'traffic', from 0 to 1",
    "rollout": "'traffic', from 0 to 1",
    "coverage": "'traffic', from 0 to 1",
    "enabled": "'status', such as \"paused\"",
    "active": "'status', such as \"paused\"",
    "seed": "'salt'",
}


def suggestion(name: object, known: Iterable[str]) -> str:
    """Write the nearest known name as a question, or nothing."""
    near = get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def path_of(*parts: str | int) -> str:
    """Write a place in a document, such as ``experiments.a.variants[1].key``."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def shown(value: object) -> str:
    """Write a value for an error message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def faults_of(
    error: ValidationError, form: type[BaseModel], *prefix: str | int
) -> Iterator[Fault]:
    """Translate the errors of one validated form, each with its path."""
    for detail in error.errors(include_url=False):
        place = [*prefix, *(part for part in detail["loc"] if part != "[key]")]
        yield Fault(path_of(*place), _sentence(detail, form))


def _sentence(detail: ErrorDetails, form: type[BaseModel]) -> str:
    kind, value, location = detail["type"], detail["input"], detail["loc"]
    if kind == "extra_forbidden":
        owner = next(
            (_FORMS[part] for part in reversed(location[:-1]) if part in _FORMS), form
        )
        meant = _OTHER_WORDS.get(str(location[-1]))
        end = f"; write {meant}." if meant else None
        return (
            f"is not a known field{end or suggestion(location[-1], owner.model_fields)}"
        )
    if kind == "missing":
        return "is missing, write it."
    if kind == "reserved":
        return f"{detail['msg']}."
    return f"is {shown(value)}, {_rule(detail)}."


def _rule(detail: ErrorDetails) -> str:
    message = detail["msg"]
    pattern = str(detail.get("ctx", {}).get("pattern", ""))
    for start, rule in _RULES.get(detail["type"], {}).items():
        if pattern.startswith(start):
            return f"must be {rule}"
    if detail["type"] in _PLAIN_WORDS:
        return f"must be {_PLAIN_WORDS[detail['type']]}"
    if detail["type"] == "too_short":
        return f"must have at least {detail['ctx']['min_length']}"
    if detail["type"] == "too_long":
        return f"must have at most {detail['ctx']['max_length']}"
    for start in ("Input should ", "String should ", "Value should "):
        if message.startswith(start):
            return f"must {message.removeprefix(start)}"
    return message if message.startswith("must ") else f"must be right: {message}"
