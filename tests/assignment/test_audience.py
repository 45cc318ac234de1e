"""A condition compiles to a predicate, or tells all that is wrong with it."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_abx.assignment.audience import (
    MAX_DEPTH,
    Predicate,
    SegmentRule,
    attribute_names,
    compile_audience,
    describe,
    segment_names,
)
from flask_abx.assignment.operators import OPERATORS
from flask_abx.errors import DefinitionError

EVERY_OPERATOR = [
    *OPERATORS,
    *("$and", "$or", "$nor", "$not", "$segment", "$inGroup", "$notInGroup"),
    *("$all", "$alli", "$size", "$elemMatch", "$regx", "$"),
]


def faults_of(condition: object) -> dict[str, str]:
    """Compile a condition that is wrong and give its faults by path."""
    with pytest.raises(DefinitionError) as caught:
        compile_audience(condition, {})  # type: ignore[arg-type]
    return {fault.path: fault.message for fault in caught.value.faults}


LOGIC: dict[str, tuple[dict[str, object], dict[str, object], bool]] = {
    "empty": ({}, {"a": 1}, True),
    "empty $and": ({"$and": []}, {}, True),
    "empty $or": ({"$or": []}, {}, True),
    "empty $nor": ({"$nor": []}, {}, False),
    "$and all": ({"$and": [{"a": 1}, {"b": 2}]}, {"a": 1, "b": 2}, True),
    "$and one": ({"$and": [{"a": 1}, {"b": 2}]}, {"a": 1}, False),
    "$or second": ({"$or": [{"a": 1}, {"b": 2}]}, {"b": 2}, True),
    "$or none": ({"$or": [{"a": 1}, {"b": 2}]}, {"b": 1}, False),
    "$nor none": ({"$nor": [{"a": 1}, {"b": 2}]}, {"b": 1}, True),
    "$nor one": ({"$nor": [{"a": 1}, {"b": 2}]}, {"a": 1}, False),
    "$not": ({"$not": {"a": 1}}, {"a": 2}, True),
    "$not fails": ({"$not": {"a": 1}}, {"a": 1}, False),
    "$or beside a field": ({"$or": [{"a": 1}], "z": 2}, {"a": 1, "z": 2}, True),
    "field fails beside $or": ({"$or": [{"a": 1}], "z": 2}, {"a": 1, "z": 1}, False),
    "$and and $or": ({"$and": [{"a": 1}], "$or": [{"b": 1}]}, {"a": 1}, False),
    "deep path": ({"a.b.c": 1}, {"a": {"b": {"c": 1}}}, True),
    "path through null": ({"a.b": "x"}, {"a": None}, False),
    "path through a number": ({"a.b": "x"}, {"a": 123}, False),
    "missing path is null": ({"a.b": None}, {"a": 123}, True),
    "path into a list": ({"a.1.n": 2}, {"a": [{"n": 1}, {"n": 2}]}, True),
    "path past a list": ({"a.7": None}, {"a": [1]}, True),
    "path into a mapping": ({"a.b": 1}, {"a": MappingProxyType({"b": 1})}, True),
    "path with a unicode digit": ({"a.\u00b2": 1}, {"a": [1, 1, 1]}, False),
}


@pytest.mark.parametrize(
    ("condition", "attributes", "expected"), LOGIC.values(), ids=list(LOGIC)
)
def test_conditions_join(
    condition: dict[str, object],
    attributes: dict[str, object],
    expected: bool,  # noqa: FBT001
) -> None:
    assert compile_audience(condition, {})(attributes) is expected


@pytest.mark.parametrize("fields", range(1, 9))
@pytest.mark.parametrize("operand", ["a", 1, {"$gte": 1}, {"$in": ["a"]}, {"$ne": 0}])
def test_every_field_counts_however_many_there_are(
    fields: int, operand: object
) -> None:
    value = "a" if operand in ("a", {"$in": ["a"]}) else 1
    names = [f"n{number}" for number in range(fields)]
    predicate = compile_audience(dict.fromkeys(names, operand), {})
    right: dict[str, object] = dict.fromkeys(names, value)
    assert predicate(right) is True
    for name in names:
        assert predicate({**right, name: 0}) is False


FAULTS: dict[str, tuple[object, str, str]] = {
    "unknown operator": (
        {"country": {"$inn": ["DE"]}},
        "audience.country.$inn",
        "'$in'",
    ),
    "unknown logic": ({"$orr": []}, "audience.$orr", "did you mean '$or'?"),
    "nothing near": ({"a": {"$zzzz": 1}}, "audience.a.$zzzz", "use one of"),
    "operator without field": ({"$in": ["a"]}, "audience.$in", "without a field"),
    "$segment on a field": ({"a": {"$segment": "s"}}, "audience.a.$segment", "beside"),
    "$notRegex": ({"a": {"$notRegex": "x"}}, "audience.a.$notRegex", '{"$not"'),
    "mixed": ({"a": {"$gt": 1, "b": 2}}, "audience.a", "mixes operators"),
    "operator within a value": (
        {"a": {"b": {"$gt": 1}}},
        "audience.a.b",
        "dotted path",
    ),
    "empty rule": ({"a": {}}, "audience.a", "is empty"),
    "empty name": ({"": 1}, "audience.", "no name"),
    "hole in a path": ({"a..b": 1}, "audience.a..b", "dotted path"),
    "number as name": ({1: 1}, "audience.1", "no name"),
    "not a table": ([], "audience", "must be a table"),
    "$and of a table": ({"$and": {"a": 1}}, "audience.$and", "must be a list"),
    "$or of texts": ({"$or": ["a"]}, "audience.$or[0]", "must be a table"),
    "$not of a list": ({"$not": [{"a": 1}]}, "audience.$not", "must be a table"),
    "object as value": ({"a": object()}, "audience.a", "must be a text"),
    "object in a list": ({"a": [1, object()]}, "audience.a[1]", "must be a text"),
    "$in text": ({"a": {"$in": "DE"}}, "audience.a.$in", "such as ['DE']"),
    "$in of lists": (
        {"a": {"$in": ["x", ["y"]]}},
        "audience.a.$in[1]",
        "must be a text",
    ),
    "$nin number": ({"a": {"$nin": 1}}, "audience.a.$nin", "must be a list"),
    "$ini number": ({"a": {"$ini": 1}}, "audience.a.$ini", "must be a list"),
    "$all text": ({"a": {"$all": "x"}}, "audience.a.$all", "must be a list"),
    "$gt null": ({"a": {"$gt": None}}, "audience.a.$gt", "must be a number"),
    "$lt true": ({"a": {"$lt": True}}, "audience.a.$lt", "must be a number"),
    "$gte nan": ({"a": {"$gte": float("nan")}}, "audience.a.$gte", "must be a number"),
    "$regex invalid": ({"a": {"$regex": "/???***[)"}}, "audience.a.$regex", "valid"),
    "$regex number": ({"a": {"$regex": 1}}, "audience.a.$regex", "pattern"),
    "$regexi too long": ({"a": {"$regexi": "x" * 501}}, "audience.a.$regexi", "500"),
    "$size text": ({"a": {"$size": "3"}}, "audience.a.$size", "whole number"),
    "$size negative": ({"a": {"$size": -1}}, "audience.a.$size", "whole number"),
    "$elemMatch text": (
        {"a": {"$elemMatch": "x"}},
        "audience.a.$elemMatch",
        "condition",
    ),
    "$exists number": ({"a": {"$exists": 1}}, "audience.a.$exists", "true or false"),
    "$type unknown": ({"a": {"$type": "int"}}, "audience.a.$type", "'number'"),
    "$vgt list": ({"a": {"$vgt": []}}, "audience.a.$vgt", "version"),
    "$veq empty": ({"a": {"$veq": ""}}, "audience.a.$veq", "version"),
    "$inGroup number": ({"a": {"$inGroup": 1}}, "audience.a.$inGroup", "name"),
    "$inGroup of lists": ({"a": {"$inGroup": [[]]}}, "audience.a.$inGroup[0]", "id"),
    "$segment number": ({"$segment": 1}, "audience.$segment", "name of a segment"),
    "$segment nothing": ({"$segment": []}, "audience.$segment", "name of a segment"),
    "$segment mixed": (
        {"$segment": ["a", 1]},
        "audience.$segment",
        "name of a segment",
    ),
    "$contains number": ({"a": {"$contains": 1}}, "audience.a.$contains", "a text"),
    "$cidr invalid": ({"a": {"$cidr": "10.0.0/8"}}, "audience.a.$cidr", "network"),
    "$cidr number": ({"a": {"$cidr": 10}}, "audience.a.$cidr", "network"),
    "$cidr host": (
        {"a": {"$cidr": ["10.0.0.1/8"]}},
        "audience.a.$cidr[0]",
        "10.0.0.0/8",
    ),
    "$before naive": (
        {"a": {"$before": "2030-01-31T09:00"}},
        "audience.a.$before",
        "zone",
    ),
    "$after invalid": ({"a": {"$after": "tomorrow"}}, "audience.a.$after", "a date"),
    "$after number": ({"a": {"$after": 5}}, "audience.a.$after", "a date"),
    "huge number": ({"a": {"$regex": 10**5000}}, "audience.a.$regex", "digits"),
}


@pytest.mark.parametrize(
    ("condition", "path", "says"), FAULTS.values(), ids=list(FAULTS)
)
def test_a_fault_is_told_with_its_path_and_the_way_out(
    condition: object, path: str, says: str
) -> None:
    faults = faults_of(condition)
    assert list(faults) == [path]
    assert says in faults[path]
    assert faults[path].endswith((".", "?"))


def test_all_faults_are_told_at_once() -> None:
    everything = {"$and": [condition for condition, _, _ in FAULTS.values()]}
    assert len(faults_of(everything)) == len(FAULTS)


def test_a_fault_begins_with_the_path_of_the_caller() -> None:
    with pytest.raises(DefinitionError, match=r"segments\.eu\.country\.\$inn"):
        compile_audience({"country": {"$inn": []}}, {}, "segments.eu")


@pytest.mark.parametrize("operator", ["$and", "$or", "$nor", "$not"])
def test_nesting_is_bounded(operator: str) -> None:
    condition: dict[str, object] = {"a": 1}
    for _ in range(MAX_DEPTH):
        condition = {operator: condition if operator == "$not" else [condition]}
    compile_audience(condition, {})({"a": 1})
    deeper = {operator: condition if operator == "$not" else [condition]}
    assert "levels deep" in "".join(faults_of(deeper).values())


def test_a_condition_within_itself_is_a_fault() -> None:
    condition: dict[str, object] = {}
    condition["$not"] = condition
    items: list[object] = []
    items.extend([items, items])
    assert "levels deep" in "".join(faults_of(condition).values())
    assert "levels deep" in "".join(faults_of({"a": items}).values())
    assert segment_names(condition) == attribute_names(condition) == frozenset()


def test_a_wide_condition_needs_no_deep_stack() -> None:
    names = [f"n{number}" for number in range(5_000)]
    predicate = compile_audience(dict.fromkeys(names, 1), {})
    assert predicate(dict.fromkeys(names, 1)) is True


def test_the_longest_pattern_compiles() -> None:
    assert compile_audience({"a": {"$regex": "x" * 500}}, {})({"a": "x" * 500})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param({"id": {"$inGroup": "staff"}}, True, id="member"),
        pytest.param({"id": {"$notInGroup": "staff"}}, False, id="member, turned"),
        pytest.param({"id": {"$inGroup": "others"}}, False, id="stranger"),
        pytest.param({"id": {"$notInGroup": "others"}}, True, id="stranger, turned"),
        pytest.param({"id": {"$inGroup": "nobody"}}, False, id="absent"),
        pytest.param({"id": {"$notInGroup": "nobody"}}, True, id="absent, turned"),
        pytest.param({"id": {"$inGroup": "eu"}}, False, id="predicate"),
        pytest.param({"id": {"$notInGroup": "eu"}}, True, id="predicate, turned"),
        pytest.param({"gone": {"$inGroup": "none"}}, False, id="missing id"),
        pytest.param({"$segment": "eu"}, True, id="holds"),
        pytest.param({"$segment": ["eu", "adult"]}, True, id="all hold"),
        pytest.param({"$segment": ["eu", "child"]}, False, id="one fails"),
        pytest.param({"$segment": "nobody"}, False, id="absent segment"),
        pytest.param({"$segment": "staff"}, False, id="ids"),
        pytest.param({"$not": {"$segment": "child"}}, True, id="turned"),
    ],
)
def test_segments_are_asked(condition: dict[str, object], expected: bool) -> None:  # noqa: FBT001
    segments: dict[str, SegmentRule] = {
        "staff": frozenset({"7", "8"}),
        "others": frozenset({"9"}),
        "none": frozenset({"None"}),
        "eu": compile_audience({"country": "DE"}, {}),
        "adult": lambda attributes: attributes["age"] == 30,
        "child": lambda attributes: attributes["age"] == 3,
    }
    attributes = {"id": 7, "country": "DE", "age": 30}
    assert compile_audience(condition, segments)(attributes) is expected


def test_a_segment_may_be_registered_after_compilation() -> None:
    segments: dict[str, SegmentRule] = {}
    predicate = compile_audience({"$segment": "eu"}, segments)
    assert predicate({}) is False
    segments["eu"] = lambda attributes: True
    assert predicate({}) is True


def test_the_names_of_a_condition_are_known() -> None:
    condition = {
        "father.age": {"$gt": 1},
        "id": {"$not": {"$inGroup": "staff"}},
        "tags": {"$elemMatch": {"name": "x", "id": {"$notInGroup": "old"}}},
        "$or": [{"$segment": ["eu", "us"]}, {"$not": {"plan": "pro"}}],
        "n": {"$inGroup": ["1"]},
    }
    assert segment_names(condition) == {"staff", "old", "eu", "us"}
    assert attribute_names(condition) == {"father", "id", "tags", "plan", "n"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*EVERY_OPERATOR, "a", "b", "a.b", "a.0", ""]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
OPERANDS = st.sampled_from(
    [*"ab", "1.2.3", "10.0.0.0/8", "2030-01-31", 3, True, None, "string"]
) | st.lists(st.sampled_from(["a", 1, True, None]), max_size=3)
RULES = st.recursive(
    OPERANDS | st.dictionaries(st.sampled_from(EVERY_OPERATOR), OPERANDS, max_size=2),
    lambda inner: st.dictionaries(
        st.sampled_from(["$not", "$size", "$elemMatch"]), inner, max_size=2
    ),
    max_leaves=4,
)
FIELDS = st.dictionaries(st.sampled_from(["a", "b", "a.b", "$segment"]), RULES)
CONDITIONS = FIELDS | st.dictionaries(
    st.sampled_from(["$and", "$or", "$nor"]), st.lists(FIELDS, max_size=3)
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["a", "b"]), JSON)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(condition=CONDITIONS | JSON, attributes=ATTRIBUTES)
def test_a_condition_compiles_or_is_refused_and_then_never_raises(
    condition: dict[str, object], attributes: dict[str, object]
) -> None:
    segments: dict[str, SegmentRule] = {"a": frozenset("ab"), "b": lambda _: True}
    predicate = compiled_or_none(condition, segments)
    if predicate is None:
        return
    assert type(predicate(attributes)) is bool
    opposite = compile_audience({"$not": condition}, segments)
    assert opposite(attributes) is not predicate(attributes)
    assert describe(condition)
    assert all(isinstance(name, str) for name in attribute_names(condition))


def compiled_or_none(
    condition: dict[str, object], segments: dict[str, SegmentRule]
) -> Predicate | None:
    """Compile a condition; None for one that is refused for a reason."""
    try:
        return compile_audience(condition, segments)
    except DefinitionError as error:
        if not error.faults:
            raise
        return None
