"""Values of any type, made safe for JSON."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.events.safe import MAX_DEPTH, finite, json_safe, shown, storable


class Broken:
    """An object that raises whatever it is asked."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")


class BrokenText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


class BrokenMapping(dict[str, object]):
    def items(self) -> Any:  # noqa: ANN401 - it never returns
        raise RuntimeError("no items")


class Colour(Enum):
    RED = "red"
    ODD = Broken


class Size(IntEnum):
    SMALL = 1


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**400, max_value=10**401),
    st.floats(),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.text(st.characters()),
    st.sampled_from(["\ud800", "\0", "\U0001f600"]),
    st.binary(),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.sampled_from([Colour.RED, Colour.ODD, Size.SMALL]),
    st.builds(Broken),
    st.builds(BrokenText, st.text()),
    st.builds(BrokenMapping),
    st.builds(object),
    st.sampled_from([print, int, range(3), ...]),
)
HASHABLE = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.uuids())
VALUES = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        st.lists(children, max_size=4),
        st.tuples(children, children),
        st.dictionaries(HASHABLE, children, max_size=4),
        st.builds(OrderedDict, st.dictionaries(st.text(), children, max_size=2)),
        st.frozensets(HASHABLE, max_size=4),
        st.sets(HASHABLE, max_size=4),
    ),
    max_leaves=20,
)


@given(VALUES)
def test_anything_becomes_json_and_nothing_raises(value: object) -> None:
    plain = json_safe(value)
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain


@given(VALUES)
def test_what_is_safe_stays_as_it_is(value: object) -> None:
    plain = json_safe(value)
    assert json_safe(plain) == plain


SPELLED: dict[str, tuple[object, object]] = {
    "nothing": (None, None),
    "boolean": (True, True),
    "text": ("caf\u00e9", "caf\u00e9"),
    "number": (7, 7),
    "NaN": (float("nan"), None),
    "infinity": (float("inf"), None),
    "whole Decimal": (Decimal("3.00"), 3),
    "Decimal": (Decimal("9.90"), 9.9),
    "Decimal NaN": (Decimal("sNaN"), None),
    "Decimal beyond": (Decimal("1E+400"), None),
    "number beyond": (10**400, "<int>"),
    "UUID": (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "moment": (datetime(2030, 1, 7, 9, tzinfo=UTC), "2030-01-07T09:00:00+00:00"),
    "day": (date(2030, 1, 7), "2030-01-07"),
    "time": (time(9, 30), "09:30:00"),
    "enum": (Colour.RED, "red"),
    "numeric enum": (Size.SMALL, 1),
    "fraction": (Fraction(1, 3), "1/3"),
    "tuple": ((1, "a"), [1, "a"]),
    "set": ({3, 1, 2}, [1, 2, 3]),
    "keys": ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
    "broken": ([Broken(), 1], ["<Broken>", 1]),
    "broken text": (BrokenText("x"), "x"),
    "broken mapping": ({"a": BrokenMapping()}, {"a": "<BrokenMapping>"}),
}


@pytest.mark.parametrize(("value", "plain"), SPELLED.values(), ids=SPELLED)
def test_a_value_is_spelled(value: object, plain: object) -> None:
    found = json_safe(value)
    assert found == plain
    assert type(found) is type(plain)


def test_a_cycle_ends_at_a_fixed_depth() -> None:
    cycle: list[object] = [1]
    cycle.append(cycle)
    plain: Any = json_safe(cycle)
    depth = 0
    while isinstance(plain, list):
        plain, depth = plain[1], depth + 1
    assert (plain, depth) == ("<list>", MAX_DEPTH)


@pytest.mark.parametrize("text", ["x", "\u00e9" * 10, "\U0001f600"], ids=ascii)
def test_real_text_is_storable(text: str) -> None:
    assert storable(text, 10)


@pytest.mark.parametrize(
    "text", ["", "x" * 11, "a\0", "a ", "\ud800", None, 7], ids=ascii
)
def test_other_text_is_not_storable(text: object) -> None:
    assert not storable(text, 10)


@given(st.floats() | st.integers() | st.decimals())
def test_finite_is_what_a_double_holds(value: float | Decimal) -> None:
    try:
        expected = float("-inf") < float(value) < float("inf")
    except (OverflowError, ValueError):
        expected = False
    assert finite(value) is expected


def test_a_value_is_shown_whatever_it_is() -> None:
    assert shown("a") == "'a'"
    assert shown(Broken()) == "<Broken>"
    assert len(shown("x" * 1000)) == 80
