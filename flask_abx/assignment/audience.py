"""The audience of an experiment, compiled from a condition to one predicate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from typing import TypeAlias

from flask_abx.assignment.operands import Refuse, ids_of, items_of, shown
from flask_abx.assignment.operators import (
    OPERATORS,
    ORDERS,
    equality,
    id_test,
    negated,
    never,
)
from flask_abx.assignment.predicates import (
    Bound,
    Link,
    Predicate,
    any_holds,
    any_test,
    chained,
    every_test,
    linked,
    on_element,
    on_every,
    on_field,
    on_size,
    opposite,
)
from flask_abx.assignment.values import Test, plain
from flask_abx.assignment.wording import describe
from flask_abx.errors import DefinitionError, Fault

__all__ = [
    "MAX_DEPTH",
    "Predicate",
    "SegmentRule",
    "attribute_names",
    "compile_audience",
    "describe",
    "segment_names",
]

SegmentRule: TypeAlias = frozenset[str] | Predicate

MAX_DEPTH = 32
_NESTING = (dict, list, tuple, set, frozenset, Mapping)

_LOGIC = ("$and", "$or", "$nor", "$not")
_GROUPS = ("$inGroup", "$notInGroup")
_NESTED = ("$all", "$alli", "$size", "$elemMatch")
_ON_CONDITIONS = ("$and", "$or", "$nor", "$segment")
_ON_VALUES = (*OPERATORS, *_GROUPS, *_NESTED, *_LOGIC)
_ELSEWHERE = {
    "$notRegex": 'is no operator, write {"$not": {"$regex": ...}}.',
    "$notRegexi": 'is no operator, write {"$not": {"$regexi": ...}}.',
    "$savedGroup": 'is no operator, write {"$segment": "NAME"}.',
    "$segment": "stands on a field, write it beside the fields.",
}


def compile_audience(
    condition: Mapping[str, object],
    segments: Mapping[str, SegmentRule],
    path: str = "audience",
) -> Predicate:
    """Compile a condition once to a predicate on attributes.

    The predicate never raises for plain values; a segment that is a callable may.

    Args:
        condition: What must hold, as data; the empty condition always holds.
        segments: The named segments. They are looked up at each evaluation, so
            they may be filled later.
        path: Where the condition stands, for the faults.

    Raises:
        DefinitionError: The condition has faults; all of them are listed.
    """
    deep = _too_deep(condition, path)
    if deep is not None:
        message = f"is nested more than {MAX_DEPTH} levels deep, make it flatter."
        raise DefinitionError([Fault(deep, message)])
    compiler = _Compiler(segments)
    predicate = compiler.condition(condition, path)
    if compiler.faults:
        raise DefinitionError(compiler.faults)
    return predicate


def segment_names(condition: Mapping[str, object]) -> frozenset[str]:
    """Collect the names of the segments that a condition refers to."""
    return frozenset(name for _, name in segment_references(condition))


def segment_references(condition: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Find what a condition asks of segments: the operator and the name."""
    for key, value in _entries(condition):
        if key in _GROUPS and isinstance(value, str):
            yield str(key), value
        elif key == "$segment":
            named = [value] if isinstance(value, str) else items_of(value) or []
            yield from ((str(key), name) for name in named if isinstance(name, str))


def attribute_names(condition: Mapping[str, object]) -> frozenset[str]:
    """Collect the names of the attributes that a condition reads, without paths."""
    names: set[str] = set()
    seen: set[int] = set()
    waiting: list[object] = [condition]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        for key, value in part.items():
            if key in _LOGIC:
                waiting.extend(items_of(value) or [value])
            elif isinstance(key, str) and not key.startswith("$"):
                names.add(key.partition(".")[0])
    return frozenset(names)


def _entries(root: object) -> Iterator[tuple[object, object]]:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        if isinstance(part, Mapping):
            seen.add(id(part))
            yield from part.items()
            waiting.extend(part.values())
        elif items := items_of(part):
            seen.add(id(part))
            waiting.extend(items)


def _too_deep(root: object, path: str) -> str | None:
    waiting: list[tuple[object, str, int]] = [(root, path, 0)]
    while waiting:
        part, place, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return place
        children: Iterable[tuple[object, object]]
        if is_table := isinstance(part, Mapping):
            children = part.items()
        else:
            children = enumerate(items_of(part) or ())
        for key, child in children:
            if not isinstance(child, _NESTING):
                continue
            at = f"{place}.{key}" if is_table else f"{place}[{key}]"
            # A list right below its operator is no level of its own.
            flat = is_table and not isinstance(child, Mapping)
            waiting.append((child, at, depth if flat else depth + 1))
    return None


class _Compiler:
    """Turns the parts of one condition into closures and collects the faults."""

    def __init__(self, segments: Mapping[str, SegmentRule]) -> None:
        self.faults: list[Fault] = []
        self._segments = segments

    def condition(self, condition: object, path: str) -> Predicate:
        """Compile a condition, whose entries must all hold."""
        if not isinstance(condition, Mapping):
            self._fault(
                path,
                f"is {shown(condition)}, must be a table of conditions "
                'such as {"country": "DE"}.',
            )
            return never
        return chained(
            [self._entry(key, rule, f"{path}.{key}") for key, rule in condition.items()]
        )

    def _fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(path, message))

    def _refuse(self, path: str) -> Refuse:
        def refuse(message: str, place: str = "") -> None:
            self._fault(f"{path}{place}", message)

        return refuse

    def _entry(self, key: object, rule: object, path: str) -> Link:
        if not isinstance(key, str) or not all(key.split(".")):
            self._fault(path, "is no name of an attribute, write one or a dotted path.")
            return linked(never)
        if key == "$not":
            return linked(opposite(self.condition(rule, path)))
        if key == "$segment":
            return linked(self._segment(rule, path))
        if key in _LOGIC:
            parts = [
                self.condition(part, f"{path}[{number}]")
                for number, part in enumerate(self._parts(rule, path))
            ]
            return linked(_joined(key, parts))
        if key.startswith("$"):
            self._misplaced(key, path)
            return linked(never)
        return on_field(key, self._value(rule, path), _short(rule))

    def _misplaced(self, key: str, path: str) -> None:
        if key in _ON_VALUES:
            message = f'stands without a field, write {{"FIELD": {{"{key}": ...}}}}.'
        else:
            message = _unknown(key, (*_ON_CONDITIONS, "$not"))
        self._fault(path, message)

    def _parts(self, rule: object, path: str) -> list[object]:
        parts = items_of(rule)
        if parts is None:
            self._fault(path, f"is {shown(rule)}, must be a list of conditions.")
        return parts or []

    def _segment(self, rule: object, path: str) -> Predicate:
        listed = [rule] if isinstance(rule, str) else items_of(rule)
        names = tuple(name for name in listed or () if isinstance(name, str) and name)
        if not names or len(names) != len(listed or ()):
            self._fault(
                path,
                f"is {shown(rule)}, must be the name of a segment or a list of names.",
            )
        segments = self._segments

        def is_in_all(attributes: Mapping[str, object]) -> bool:
            for name in names:
                segment = segments.get(name)
                if segment is None or isinstance(segment, frozenset):
                    return False
                if not segment(attributes):
                    return False
            return True

        return is_in_all

    def _value(self, rule: object, path: str, *, ignores_case: bool = False) -> Test:
        if not isinstance(rule, Mapping):
            if ignores_case and isinstance(plain(rule), str):
                return OPERATORS["$ini"]([rule], self._refuse(path))
            return equality(rule, self._refuse(path))
        keys = [key for key in rule if isinstance(key, str) and key.startswith("$")]
        if not rule:
            self._fault(path, "is empty, write an operator or leave the field out.")
        elif not keys:
            return equality(rule, self._refuse(path))
        elif len(keys) < len(rule):
            self._fault(
                path,
                f"mixes operators such as {keys[0]!r} with other names, "
                "write a dotted path for a field within a field.",
            )
        return every_test(
            [self._operator(key, rule[key], f"{path}.{key}") for key in keys]
        )

    def _operator(self, key: str, operand: object, path: str) -> Test:
        if key in OPERATORS:
            return OPERATORS[key](operand, self._refuse(path))
        if key in _GROUPS:
            return self._group(key, operand, path)
        if key == "$not":
            return negated(self._value(operand, path))
        if key in _LOGIC:
            parts = [
                self._value(part, f"{path}[{number}]")
                for number, part in enumerate(self._parts(operand, path))
            ]
            return _joined_tests(key, parts)
        if key == "$size":
            return self._size(operand, path)
        if key == "$elemMatch":
            return self._element(operand, path)
        if key in _NESTED:
            return self._every(operand, path, ignores_case=key == "$alli")
        self._fault(path, _unknown(key, _ON_VALUES))
        return never

    def _group(self, key: str, operand: object, path: str) -> Test:
        items = items_of(operand)
        if items is not None:
            test = id_test(ids_of(items, self._refuse(path)).__contains__)
        elif isinstance(operand, str) and operand:
            test = id_test(partial(_is_member, self._segments, operand))
        else:
            self._fault(
                path,
                f"is {shown(operand)}, must be the name of a segment or a list of ids.",
            )
            return never
        return test if key == "$inGroup" else negated(test)

    def _size(self, operand: object, path: str) -> Test:
        number = plain(operand)
        is_count = type(number) is int and number >= 0
        if not is_count and not isinstance(operand, Mapping):
            self._fault(
                path,
                f"is {shown(operand)}, must be a whole number from 0 "
                'or operators on it such as {"$gt": 2}.',
            )
            return never
        return on_size(self._value(operand, path))

    def _every(self, operand: object, path: str, *, ignores_case: bool) -> Test:
        items = items_of(operand)
        if items is None:
            self._fault(path, f"is {shown(operand)}, must be a list.")
            return never
        return on_every(
            [
                self._value(item, f"{path}[{number}]", ignores_case=ignores_case)
                for number, item in enumerate(items)
            ]
        )

    def _element(self, operand: object, path: str) -> Test:
        if not isinstance(operand, Mapping) or not operand:
            self._fault(
                path,
                f"is {shown(operand)}, must be a condition on the elements "
                'such as {"$eq": "a"} or {"name": "a"}.',
            )
            return never
        if _is_on_values(operand):
            return on_element(self._value(operand, path))
        holds = self.condition(operand, path)
        return on_element(lambda item: holds(item if isinstance(item, dict) else {}))


def _is_member(segments: Mapping[str, SegmentRule], name: str, unit_id: str) -> bool:
    segment = segments.get(name)
    return isinstance(segment, frozenset) and unit_id in segment


def _is_on_values(operand: Mapping[object, object]) -> bool:
    return all(
        isinstance(key, str) and key.startswith("$") and key not in _ON_CONDITIONS
        for key in operand
    )


def _unknown(key: str, known: tuple[str, ...]) -> str:
    if key in _ELSEWHERE:
        return _ELSEWHERE[key]
    near = get_close_matches(key, known, n=1)
    if near:
        return f"is no operator; did you mean {near[0]!r}?"
    return f"is no operator, use one of {', '.join(sorted(known))}."


def _joined(key: str, parts: list[Predicate]) -> Predicate:
    if key == "$and":
        return chained([linked(part) for part in parts])
    joined = any_holds(parts)
    return joined if key == "$or" else opposite(joined)


def _joined_tests(key: str, parts: list[Test]) -> Test:
    if key == "$and":
        return every_test(parts)
    joined = any_test(parts)
    return joined if key == "$or" else negated(joined)


def _short(rule: object) -> frozenset[str] | Bound | None:
    """Find the texts or the number that a rule compares with, if with nothing else."""
    members = [rule]
    if isinstance(rule, Mapping) and len(rule) == 1:
        ((key, operand),) = rule.items()
        if key in ORDERS and type(operand) is int:
            return ORDERS[key], operand
        members = items_of(rule.get("$in")) or [rule.get("$eq")]
    texts = [item for item in members if type(item) is str]
    return frozenset(texts) if len(texts) == len(members) else None
