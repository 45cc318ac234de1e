"""The closures that a compiled audience is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from flask_abx.assignment.values import Test, plain

Predicate: TypeAlias = Callable[[Mapping[str, object]], bool]
Link: TypeAlias = Callable[[Predicate | None], Predicate]
Bound: TypeAlias = tuple[Callable[[int, float], bool], int | float]

# A chain is faster than a loop, but every link takes a stack frame.
_LONGEST_CHAIN = 4


def chained(links: Sequence[Link]) -> Predicate:
    """Join links so that all must hold, asked from the first to the last."""
    if not links:
        return lambda attributes: True
    if len(links) > _LONGEST_CHAIN:
        return _all_hold(tuple(link(None) for link in links))
    chain = links[-1](None)
    for link in reversed(links[:-1]):
        chain = link(chain)
    return chain


def _all_hold(predicates: tuple[Predicate, ...]) -> Predicate:
    def predicate(attributes: Mapping[str, object]) -> bool:
        for holds in predicates:  # noqa: SIM110 - a loop costs half of all()
            if not holds(attributes):
                return False
        return True

    return predicate


def linked(first: Predicate) -> Link:
    """Make a link of a predicate."""

    def link(then: Predicate | None) -> Predicate:
        if then is None:
            return first
        return lambda attributes: first(attributes) and then(attributes)

    return link


def any_holds(predicates: Sequence[Predicate]) -> Predicate:
    """Join predicates of which one must hold; none at all hold."""
    if not predicates:
        return lambda attributes: True
    return lambda attributes: any(holds(attributes) for holds in predicates)


def opposite(predicate: Predicate) -> Predicate:
    """Turn a predicate round."""
    return lambda attributes: not predicate(attributes)


def on_field(path: str, test: Test, short: frozenset[str] | Bound | None) -> Link:
    """Make a link that tests the value at a dotted path.

    Args:
        path: Where the value stands in the attributes.
        test: What the value must pass.
        short: The test once more for the commonest kind of value, where it is only
            about that: all texts that pass, or a comparison and its number.
    """
    first, *rest = path.split(".")
    if rest:
        return linked(_on_path(first, tuple(rest), test))
    if isinstance(short, frozenset):
        return _on_text(first, test, short)
    if short is not None:
        return _on_number(first, test, *short)

    def link(then: Predicate | None) -> Predicate:
        if then is None:
            return lambda attributes: test(attributes.get(first))
        return lambda attributes: test(attributes.get(first)) and then(attributes)

    return link


def _on_text(name: str, test: Test, texts: frozenset[str]) -> Link:
    def link(then: Predicate | None) -> Predicate:
        if then is None:

            def last(attributes: Mapping[str, object]) -> bool:
                value = attributes.get(name)
                return value in texts if type(value) is str else test(value)

            return last

        def predicate(attributes: Mapping[str, object]) -> bool:
            value = attributes.get(name)
            if type(value) is str:
                return value in texts and then(attributes)
            return test(value) and then(attributes)

        return predicate

    return link


def _on_number(
    name: str, test: Test, compare: Callable[[int, float], bool], bound: float
) -> Link:
    def link(then: Predicate | None) -> Predicate:
        if then is None:

            def last(attributes: Mapping[str, object]) -> bool:
                value = attributes.get(name)
                return compare(value, bound) if type(value) is int else test(value)

            return last

        def predicate(attributes: Mapping[str, object]) -> bool:
            value = attributes.get(name)
            if type(value) is int:
                return compare(value, bound) and then(attributes)
            return test(value) and then(attributes)

        return predicate

    return link


def _on_path(first: str, rest: tuple[str, ...], test: Test) -> Predicate:
    def predicate(attributes: Mapping[str, object]) -> bool:
        value = attributes.get(first)
        for name in rest:
            value = _part(value, name)
        return test(value)

    return predicate


def _part(value: object, name: str) -> object:
    value = plain(value)
    if isinstance(value, dict):
        return value.get(name)
    if type(value) is list and len(name) < 10 and name.isascii() and name.isdigit():
        number = int(name)
        return value[number] if number < len(value) else None
    return None


def every_test(tests: Sequence[Test]) -> Test:
    """Join tests that a value must all pass."""
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) and second(value)
    return lambda value: all(test(value) for test in tests)


def any_test(tests: Sequence[Test]) -> Test:
    """Join tests of which a value must pass one; it passes none at all."""
    if not tests:
        return lambda value: True
    return lambda value: any(test(value) for test in tests)


def on_size(test: Test) -> Test:
    """Test the number of elements of a list."""

    def is_passed(value: object) -> bool:
        value = plain(value)
        return type(value) is list and test(len(value))

    return is_passed


def on_element(test: Test) -> Test:
    """Pass a list with an element, other than null, that passes the test."""

    def is_passed(value: object) -> bool:
        value = plain(value)
        if type(value) is not list:
            return False
        return any(item is not None and test(item) for item in value)

    return is_passed


def on_every(tests: Sequence[Test]) -> Test:
    """Pass a list that has an element for each of the tests."""

    def is_passed(value: object) -> bool:
        value = plain(value)
        if type(value) is not list:
            return False
        return all(any(test(item) for item in value) for test in tests)

    return is_passed
