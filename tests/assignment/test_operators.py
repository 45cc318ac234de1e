"""Every operator of an audience, both ways, and every edge rule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest

from flask_abx.assignment.audience import compile_audience

MISSING = object()
NAN = float("nan")
TICKET = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


class Plan(Enum):
    """A plan as an application may store it."""

    PRO = "pro"


class Tier(StrEnum):
    """A tier that is a text."""

    GOLD = "gold"


class Hostile:
    """A value that cannot be compared or hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError


def at(hour: int, zone: timezone | None = UTC) -> datetime:
    """Make an instant of one day."""
    return datetime(2030, 1, 31, hour, tzinfo=zone)


def holds(rule: object, value: object) -> bool:
    """Ask whether a value passes a rule."""
    attributes = {} if value is MISSING else {"x": value}
    answer = compile_audience({"x": rule}, {})(attributes)
    assert type(answer) is bool
    nested = {} if value is MISSING else {"a": {"x": value}}
    assert compile_audience({"a.x": rule}, {})(nested) is answer
    beside = compile_audience({"x": rule, "y": {"$exists": False}}, {})
    assert beside(attributes) is answer
    return answer


# Each row: the rule, the values that pass, the values that do not.
ROWS: dict[str, tuple[object, list[Any], list[Any]]] = {
    "equal text": ("a", ["a"], ["b", "A", 1, None, MISSING, ["a"], Hostile()]),
    "equal number": (1, [1, 1.0, Decimal(1)], ["1", True, 2, None, MISSING, NAN]),
    "equal zero": (0, [0, 0.0, -0.0], [False, "", None, MISSING]),
    "equal fraction": (0.1, [0.1, Decimal("0.1")], [0.2, "0.1"]),
    "equal true": (True, [True], [1, "true", False, None]),
    "equal false": (False, [False], [0, "", None, MISSING]),
    "equal null": (None, [None, MISSING], [0, "", False, "123", []]),
    "equal array": (["a", "b"], [["a", "b"], ("a", "b")], [["b", "a"], ["a"], "ab"]),
    "equal array of numbers": ([1, 0], [[1, 0]], [[True, False], [1, 0, 0]]),
    "equal empty array": ([], [[], ()], [None, "", {}, MISSING]),
    "equal object": (
        {"h": "w", "n": [1]},
        [{"h": "w", "n": [1]}, {"n": [1], "h": "w"}],
        [{"h": "w"}, {"h": "w", "n": [1], "z": 1}, {}, "h", {"h": "w", "n": [True]}],
    ),
    "$eq text": ({"$eq": "a"}, ["a"], ["b", None, MISSING, ["a"]]),
    "$eq number": ({"$eq": 5}, [5, 5.0], ["5", None]),
    "$eq true": ({"$eq": True}, [True], [1]),
    "$eq false": ({"$eq": False}, [False], [MISSING, 0]),
    "$eq null": ({"$eq": None}, [None, MISSING], [0, ""]),
    "$ne": ({"$ne": "de"}, ["at", None, MISSING, 1, NAN, Hostile()], ["de"]),
    "$ne null": ({"$ne": None}, ["a", 0], [None, MISSING]),
    "$lt number": ({"$lt": 10}, [9, "8", 9.5, MISSING, None], [10, "11", "a", NAN]),
    "$lt negative": ({"$lt": -1}, [-2], [MISSING, None, -1]),
    "$lte number": ({"$lte": 10}, [10, "10", Decimal(10)], [11, True, [1], {}]),
    "$gt number": ({"$gt": 5}, [6, " 6 ", "6e0"], [5, MISSING, "1_0", "", "inf", NAN]),
    "$gte number": ({"$gte": 18}, [18, 18.0, Decimal(18), "18"], [17, True, MISSING]),
    "$gte huge": ({"$gte": 10**400}, [10**400], [1, 1e308, NAN]),
    "$gt infinite": ({"$gt": 0}, [float("inf"), Decimal("inf")], [Decimal("sNaN")]),
    "$gt text": ({"$gt": "alphabet"}, ["always"], ["alphabet", "AZL", 9, MISSING]),
    "$lt text": ({"$lt": "zebra"}, ["always"], ["zebra", 1, None]),
    "$lt numeric text": ({"$lt": "10"}, [8, MISSING, "1"], [10, 11, "8"]),
    "$gte and $lt": ({"$gte": 1, "$lt": 3, "$ne": 2}, [1, 2.5], [2, 3, 0]),
    "$in": ({"$in": ["a", "b"]}, ["a", ["z", "b"]], ["A", [], MISSING, {}, Hostile()]),
    "$in numbers": ({"$in": [1, 2]}, [1, 2.0, Decimal(2), (2,)], [True, "1", 3, NAN]),
    "$in true": ({"$in": [True]}, [True, [True]], [1, "true", False]),
    "$in mixed": ({"$in": ["a", 0]}, ["a", 0], [False, None, "0"]),
    "$in null": ({"$in": [None]}, [None, MISSING, [None]], [0, "", False]),
    "$in nothing": ({"$in": []}, [], ["a", None, MISSING, []]),
    "$in not a number": ({"$in": [NAN]}, [], [NAN, 0, None]),
    "$nin": ({"$nin": ["a", "b"]}, ["c", "A", [], ["c"], MISSING], ["a", ["z", "b"]]),
    "$all": (
        {"$all": ["a", "b"]},
        [["b", "c", "a"]],
        [["a"], "ab", MISSING, ["A", "B"]],
    ),
    "$all of rules": ({"$all": [{"$gt": 5}, 1]}, [[1, 6]], [[1, 5], [6]]),
    "$all of nothing": ({"$all": []}, [[], ["a"]], ["a", MISSING]),
    "$ini": ({"$ini": ["DE", 1]}, ["de", "De", ["x", "dE"], 1], ["at", True, MISSING]),
    "$ini turkish": ({"$ini": ["\u0130"]}, ["\u0130"], ["i"]),
    "$ini sharp s": ({"$ini": ["STRA\u00dfE"]}, ["stra\u00dfe"], ["STRASSE"]),
    "$nini": ({"$nini": ["DE"]}, ["at", MISSING], ["de", ["DE"]]),
    "$alli": ({"$alli": ["A", "b", 1]}, [["a", "B", 1]], [["a", "b"], "ab", MISSING]),
    "$regex": (
        {"$regex": "^a.c"},
        ["abcd"],
        ["xabc", "ABC", 5, None, MISSING, ["abc"]],
    ),
    "$regexi": ({"$regexi": "MOB"}, ["mobile", "iMOB"], ["desk", MISSING]),
    "$regex on long text": ({"$regex": "a"}, ["a" * 1000], ["a" * 1001]),
    "$size": ({"$size": 2}, [[1, 2], (1, 2), {1, 2}], [[1], "ab", {"a": 1}, MISSING]),
    "$size of nothing": ({"$size": 0}, [[]], [[1], "", MISSING]),
    "$size rule": ({"$size": {"$gt": 2}}, [[0, 1, 2]], [[0, 1], "abc"]),
    "$elemMatch value": ({"$elemMatch": {"$gt": 10}}, [[0, 15]], [[0, 8], 15, MISSING]),
    "$elemMatch falsy": ({"$elemMatch": {"$eq": 0}}, [[0]], [[False], [""], [None]]),
    "$elemMatch null": ({"$elemMatch": {"$eq": None}}, [], [[None], []]),
    "$elemMatch fields": (
        {"$elemMatch": {"name": {"$regex": "^ping"}}},
        [[{"name": "bowling"}, {"name": "pingpong"}]],
        [[{"name": "tennis"}], "ping", [{"other": 1}, "ping"], MISSING],
    ),
    "$elemMatch logic": (
        {"$elemMatch": {"$or": [{"a": 1}, {"b": 1}]}},
        [[{"b": 1}]],
        [[{"c": 1}], []],
    ),
    "$exists": ({"$exists": True}, [0, "", False, []], [None, MISSING]),
    "$exists not": ({"$exists": False}, [None, MISSING], [0, "", False]),
    "$type string": ({"$type": "string"}, ["", UUID(TICKET), Tier.GOLD], [1, None]),
    "$type number": ({"$type": "number"}, [1, 1.5, Decimal(1)], ["1", True, MISSING]),
    "$type boolean": ({"$type": "boolean"}, [True, False], [1, 0, None]),
    "$type array": ({"$type": "array"}, [[], (1,)], ["", {}, None]),
    "$type object": ({"$type": "object"}, [{}], [[], "a", Hostile()]),
    "$type null": ({"$type": "null"}, [None, MISSING], [0, Hostile(), at(9)]),
    "$veq": ({"$veq": "1.2.3"}, ["1.2.3", "v1.2.3", "1.2.3+b.1", "1-2-3"], ["1.2", []]),
    "$veq number": ({"$veq": 2}, [2, 2.0, "2"], [3, True, "2.0"]),
    "$vne": ({"$vne": "1.2.3"}, ["2.2.3", "1.2.3-a", MISSING, [], True], ["v1.2.3+x"]),
    "$vgt": (
        {"$vgt": "9.99.8"},
        ["10.0.0", "9.100.0"],
        ["9.99.8", "9.99.8-rc", MISSING],
    ),
    "$vgt pre-release": (
        {"$vgt": "1.0.0-beta.2"},
        ["1.0.0-beta.11", "1.0.0", "1.0.0-rc.1"],
        ["1.0.0-beta", "1.0.0-BETA.3", "1.0.0-alpha.9"],
    ),
    "$vgte": ({"$vgte": "1.10.0"}, ["1.10.0", "1.11.0"], ["1.9.0", "1.10.0-rc", {}]),
    "$vlt": ({"$vlt": "1.0.0"}, ["0.9.99", "1.0.0-rc.1", MISSING], ["1.0.0", "a.b.c"]),
    "$vlte": ({"$vlte": "1.2.60"}, ["1.2.60", "1.2.9"], ["1.2.61", False]),
    "$inGroup ids": ({"$inGroup": ["7", 8]}, ["7", 7, 8, [1, 8]], [9, None, MISSING]),
    "$inGroup uuid": ({"$inGroup": [TICKET]}, [UUID(TICKET), TICKET], ["x", True]),
    "$notInGroup ids": ({"$notInGroup": ["7"]}, [8, None, MISSING], ["7", 7]),
    "$startsWith": ({"$startsWith": "ab"}, ["abc"], ["cab", "ABC", 1, MISSING, ["ab"]]),
    "$endsWith": ({"$endsWith": "@x.org"}, ["me@x.org"], ["me@x.com", None]),
    "$contains": ({"$contains": "b"}, ["abc", Tier.GOLD + "b"], ["ac", 1, MISSING]),
    "$cidr": (
        {"$cidr": "10.0.0.0/8"},
        ["10.1.2.3", ip_address("10.0.0.1"), "::ffff:10.0.0.1"],
        ["11.0.0.1", "fd00::1", "x", "", 5, None, MISSING, "10.0.0.1:80"],
    ),
    "$cidr list": (
        {"$cidr": ["192.0.2.7", "fd00::/8"]},
        ["192.0.2.7", "fd12::1"],
        ["192.0.2.8", "fe80::1%eth0"],
    ),
    "$before": (
        {"$before": "2030-01-31T09:00:00Z"},
        [at(8), at(8, None), "2030-01-31T09:00:00+01:00", date(2030, 1, 31)],
        [at(9), at(9, None), "2030-01-31T09:00:00", "x", 0, None, MISSING, [at(8)]],
    ),
    "$before is exact": (
        {"$before": "2030-01-31T10:00:00+01:00"},
        [at(9) - timedelta(microseconds=1)],
        [at(9), at(10, timezone(timedelta(hours=1)))],
    ),
    "$after": (
        {"$after": "2030-01-31"},
        [at(1), "2030-02-01", datetime.max.replace(tzinfo=UTC)],
        ["2030-01-31", date(2030, 1, 31), MISSING],
    ),
    "$not value": ({"$not": {"$regex": "^h"}}, ["world", MISSING, 5], ["hello"]),
    "$not literal": ({"$not": "a"}, ["b", MISSING], ["a"]),
    "$or on a field": ({"$or": [{"$lt": 3}, {"$gt": 8}]}, [1, 9], [5]),
    "$and on a field": ({"$and": [{"$gt": 3}, {"$lt": 8}]}, [5], [1, 9]),
    "$nor on a field": ({"$nor": ["a", "b"]}, ["c", MISSING], ["a", "b"]),
    "uuid is its text": (TICKET, [UUID(TICKET)], [UUID(int=1)]),
    "enum is its value": ("pro", [Plan.PRO], [Tier.GOLD]),
    "text enum is its text": ({"$in": ["gold"]}, [Tier.GOLD, [Tier.GOLD]], [Plan.PRO]),
}
CASES = [
    pytest.param(rule, value, expected, id=f"{name}-{number}-{expected}")
    for name, (rule, passing, failing) in ROWS.items()
    for expected, values in ((True, passing), (False, failing))
    for number, value in enumerate(values)
]


@pytest.mark.parametrize(("rule", "value", "expected"), CASES)
def test_a_value_passes_its_rule(rule: object, value: object, expected: bool) -> None:  # noqa: FBT001
    assert holds(rule, value) is expected


@pytest.mark.parametrize("rule", [row[0] for row in ROWS.values()], ids=list(ROWS))
def test_no_value_makes_a_rule_raise(rule: object) -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    table: dict[str, object] = {"self": cycle}
    table["table"] = table
    for value in (
        cycle,
        table,
        Hostile(),
        [Hostile()],
        10**5000,
        "\ud800",
        b"x",
        object,
    ):
        holds(rule, value)
