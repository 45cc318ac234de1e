"""An audience in words, as one fragment of a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from flask_abx.assignment.operands import items_of, shown
from flask_abx.assignment.values import plain

_MAX_DEPTH = 32
_PHRASES = {
    "$eq": "is {}",
    "$ne": "is not {}",
    "$lt": "is less than {}",
    "$lte": "is at most {}",
    "$gt": "is more than {}",
    "$gte": "is at least {}",
    "$in": "is one of {}",
    "$nin": "is none of {}",
    "$ini": "is one of {} in any case",
    "$nini": "is none of {} in any case",
    "$all": "has all of {}",
    "$alli": "has all of {} in any case",
    "$regex": "matches the pattern {}",
    "$regexi": "matches the pattern {} in any case",
    "$type": "is of the type {}",
    "$veq": "is version {}",
    "$vne": "is not version {}",
    "$vgt": "is a version after {}",
    "$vgte": "is version {} or later",
    "$vlt": "is a version before {}",
    "$vlte": "is version {} or earlier",
    "$startsWith": "starts with {}",
    "$endsWith": "ends with {}",
    "$contains": "contains {}",
    "$cidr": "is an address in {}",
    "$before": "is before {}",
    "$after": "is after {}",
}
_GROUPS = {"$inGroup": "is", "$notInGroup": "is not"}


def describe(condition: Mapping[str, object]) -> str:
    """Write an audience for people, such as ``age is at least 18 and plan is 'a'``."""
    return _condition(condition, 0)


def _condition(condition: object, depth: int) -> str:
    if not isinstance(condition, Mapping) or depth > _MAX_DEPTH:
        return "..."
    parts = [_entry(str(key), rule, depth) for key, rule in condition.items()]
    return _joined(parts, " and ") or "everyone"


def _entry(key: str, rule: object, depth: int) -> str:
    if key == "$segment":
        names = items_of(rule) or [rule]
        return " and ".join(f"in the segment {_value(name)}" for name in names)
    if key == "$not":
        return f"not ({_condition(rule, depth + 1)})"
    if key in ("$and", "$or", "$nor"):
        parts = [_condition(part, depth + 1) for part in items_of(rule) or ()]
        return _logic(key, parts)
    return _field(key, rule, depth)


def _logic(key: str, parts: list[str]) -> str:
    if key == "$and":
        return _joined(parts, " and ") or "everyone"
    text = _joined(parts, " or ") or "everyone"
    if key == "$nor":
        return f"not ({text})"
    return f"({text})" if len(parts) > 1 else text


def _joined(parts: list[str], word: str) -> str:
    if word == " or " and len(parts) > 1:
        parts = [f"({part})" if " and " in part else part for part in parts]
    if len(parts) == 1:
        return _unwrapped(parts[0])
    return word.join(parts)


def _unwrapped(text: str) -> str:
    """Take off the brackets that hold the whole text."""
    if not text.startswith("("):
        return text
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if place == len(text) - 1 else text
    return text


def _field(name: str, rule: object, depth: int) -> str:
    if depth > _MAX_DEPTH:
        return "..."
    is_operators = isinstance(rule, Mapping) and any(
        str(key).startswith("$") for key in rule
    )
    if not isinstance(rule, Mapping) or not is_operators:
        return f"{name} {_phrase('$eq', rule)}"
    return " and ".join(
        _operator(name, str(key), operand, depth) for key, operand in rule.items()
    )


def _operator(name: str, key: str, operand: object, depth: int) -> str:
    if key == "$not":
        return f"not ({_field(name, operand, depth + 1)})"
    if key in ("$and", "$or", "$nor"):
        parts = [_field(name, part, depth + 1) for part in items_of(operand) or ()]
        return _logic(key, parts)
    if key == "$size":
        return _field(f"the number of {name}", operand, depth + 1)
    if key == "$elemMatch":
        return f"{name} has an element where {_element(operand, depth)}"
    return f"{name} {_phrase(key, operand)}"


def _element(operand: object, depth: int) -> str:
    logic = ("$and", "$or", "$nor", "$segment")
    on_value = isinstance(operand, Mapping) and all(
        str(key).startswith("$") and key not in logic for key in operand
    )
    if on_value:
        return f"({_field('it', operand, depth + 1)})"
    return f"({_condition(operand, depth + 1)})"


def _phrase(key: str, operand: object) -> str:
    if key in ("$eq", "$ne") and plain(operand) is None:
        return "is not known" if key == "$eq" else "is known"
    if key == "$exists":
        return "is known" if operand else "is not known"
    if key in _GROUPS:
        items = items_of(operand)
        place = f"the segment {_value(operand)}" if items is None else _list(items)
        return f"{_GROUPS[key]} in {place}"
    items = items_of(operand)
    text = _value(operand) if items is None or key in ("$eq", "$ne") else _list(items)
    return _PHRASES.get(key, f"{key} {{}}").replace("{}", text)


def _list(items: list[object]) -> str:
    return ", ".join(_value(item) for item in items) or "nothing"


def _value(value: object) -> str:
    value = plain(value)
    if type(value) is str:
        return repr(value)
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    return shown(value)
