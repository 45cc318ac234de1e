"""The operators of an audience that test one value against one operand."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

from flask_abx.assignment.operands import (
    Refuse,
    bound_of,
    items_of,
    literal,
    network_of,
    scalars_of,
    shown,
    text_of,
)
from flask_abx.assignment.values import (
    TYPE_NAMES,
    Test,
    is_same,
    moment_of,
    number_of,
    plain,
    type_name,
)
from flask_abx.assignment.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PATTERN = 500
MAX_TEXT = 1_000

Compare: TypeAlias = Callable[[Any, Any], bool]


Builder: TypeAlias = Callable[[object, Refuse], Test]


def never(value: object) -> bool:
    """Match nothing: the test of an operand that was refused."""
    del value
    return False


def negated(test: Test) -> Test:
    """Turn a test round."""
    return lambda value: not test(value)


def equality(operand: object, refuse: Refuse) -> Test:
    """Build the test for a value that equals the operand, type and all."""
    wanted = literal(operand, refuse)
    if wanted is None:
        return lambda value: value is None or plain(value) is None
    return lambda value: is_same(wanted, value)


def _inequality(operand: object, refuse: Refuse) -> Test:
    return negated(equality(operand, refuse))


def _order(compare: Compare) -> Builder:
    def build(operand: object, refuse: Refuse) -> Test:
        bound = plain(operand)
        if type(bound) is str:
            return _text_order(compare, bound)
        if (type(bound) is not int and type(bound) is not float) or bound != bound:
            refuse(f"is {shown(operand)}, must be a number or a text.")
            return never

        def test(value: object) -> bool:
            number = value if type(value) is int else number_of(value)
            return number is not None and compare(number, bound)

        return test

    return build


def _text_order(compare: Compare, bound: str) -> Test:
    bound_number = number_of(bound)

    def test(value: object) -> bool:
        value = plain(value)
        if type(value) is str:
            return compare(value, bound)
        if bound_number is None:
            return False
        number = number_of(value)
        return number is not None and compare(number, bound_number)

    return test


def _lowered(value: object) -> object:
    return value.lower() if type(value) is str else value


def _membership(*, ignores_case: bool) -> Builder:
    prepare = _lowered if ignores_case else lambda value: value

    def build(operand: object, refuse: Refuse) -> Test:
        members = [prepare(item) for item in scalars_of(operand, refuse)]
        has_none = None in members
        truths = tuple(item for item in members if type(item) is bool)
        others = frozenset(
            item for item in members if item is not None and type(item) is not bool
        )

        def holds(value: object) -> bool:
            value = prepare(plain(value))
            kind = type(value)
            if kind is str or kind is int or (kind is float and value == value):
                return value in others
            return has_none if value is None else kind is bool and value in truths

        def test(value: object) -> bool:
            value = plain(value)
            if type(value) is list:
                return any(holds(item) for item in value)
            return holds(value)

        return test

    return build


def _pattern(flags: re.RegexFlag) -> Builder:
    def build(operand: object, refuse: Refuse) -> Test:
        if not isinstance(operand, str):
            refuse(f"is {shown(operand)}, must be a pattern written as a text.")
            return never
        if len(operand) > MAX_PATTERN:
            refuse(
                f"is a pattern of {len(operand)} characters, "
                f"must have at most {MAX_PATTERN}."
            )
            return never
        try:
            search = re.compile(operand, flags).search
        except (re.error, RecursionError, OverflowError, Warning) as error:
            refuse(f"is {shown(operand)}, must be a valid pattern: {error}.")
            return never

        def test(value: object) -> bool:
            value = plain(value)
            if type(value) is not str or len(value) > MAX_TEXT:
                return False
            return search(value) is not None

        return test

    return build


def _text(holds: Callable[[str, str], bool]) -> Builder:
    def build(operand: object, refuse: Refuse) -> Test:
        part = plain(operand)
        if type(part) is not str:
            refuse(f"is {shown(operand)}, must be a text.")
            return never

        def test(value: object) -> bool:
            value = plain(value)
            return type(value) is str and holds(value, part)

        return test

    return build


def _existence(operand: object, refuse: Refuse) -> Test:
    if not isinstance(operand, bool):
        refuse(f"is {shown(operand)}, must be true or false.")
    if operand:
        return lambda value: value is not None
    return lambda value: value is None


def _type(operand: object, refuse: Refuse) -> Test:
    if operand not in TYPE_NAMES:
        names = ", ".join(repr(name) for name in TYPE_NAMES)
        refuse(f"is {shown(operand)}, must be one of {names}.")
    return lambda value: type_name(value) == operand


def _version(compare: Compare) -> Builder:
    def build(operand: object, refuse: Refuse) -> Test:
        wanted = None if operand in (None, "") else version_key(operand)
        if wanted is None:
            refuse(f"is {shown(operand)}, must be a version such as '1.2.3'.")
            return never

        def test(value: object) -> bool:
            found = version_key(value)
            if found is None:
                return compare is operator.ne
            return compare(found, wanted)

        return test

    return build


def _networks(operand: object, refuse: Refuse) -> Test:
    items = items_of(operand)
    listed = items is not None
    networks = []
    for number, item in enumerate(items if items is not None else [operand]):
        network = network_of(item, refuse, f"[{number}]" if listed else "")
        if network is not None:
            networks.append(network)

    def test(value: object) -> bool:
        addresses = tuple(_addresses(value))
        return any(each in network for network in networks for each in addresses)

    return test


def _addresses(value: object) -> Iterator[IPv4Address | IPv6Address]:
    value = plain(value)
    if type(value) is str:
        try:
            value = ip_address(value)
        except ValueError:
            return
    if isinstance(value, IPv4Address):
        yield value
    elif isinstance(value, IPv6Address):
        yield value
        if value.ipv4_mapped is not None:
            yield value.ipv4_mapped


def _time(compare: Compare) -> Builder:
    def build(operand: object, refuse: Refuse) -> Test:
        bound = bound_of(operand)
        if bound is None:
            refuse(
                f"is {shown(operand)}, must be a date, or a date and time with its "
                "time zone such as '2030-01-31T09:00:00Z'."
            )
            return never

        def test(value: object) -> bool:
            moment = moment_of(value)
            return moment is not None and compare(moment, bound)

        return test

    return build


def id_test(holds: Callable[[str], bool]) -> Test:
    """Build the test for an id, or a list with one, that is among known ids."""

    def is_known(value: object) -> bool:
        text = text_of(value)
        return text is not None and holds(text)

    def test(value: object) -> bool:
        value = plain(value)
        if type(value) is list:
            return any(is_known(item) for item in value)
        return is_known(value)

    return test


def _opposite(build: Builder) -> Builder:
    return lambda operand, refuse: negated(build(operand, refuse))


ORDERS: dict[str, Compare] = {
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
}
OPERATORS: dict[str, Builder] = {
    "$eq": equality,
    "$ne": _inequality,
    **{name: _order(compare) for name, compare in ORDERS.items()},
    "$in": _membership(ignores_case=False),
    "$nin": _opposite(_membership(ignores_case=False)),
    "$ini": _membership(ignores_case=True),
    "$nini": _opposite(_membership(ignores_case=True)),
    "$regex": _pattern(re.NOFLAG),
    "$regexi": _pattern(re.IGNORECASE),
    "$exists": _existence,
    "$type": _type,
    "$veq": _version(operator.eq),
    "$vne": _version(operator.ne),
    "$vgt": _version(operator.gt),
    "$vgte": _version(operator.ge),
    "$vlt": _version(operator.lt),
    "$vlte": _version(operator.le),
    "$startsWith": _text(str.startswith),
    "$endsWith": _text(str.endswith),
    "$contains": _text(str.__contains__),
    "$cidr": _networks,
    "$before": _time(operator.lt),
    "$after": _time(operator.gt),
}
