"""An audience reads as a fragment of an English sentence."""

from __future__ import annotations

import pytest

from flask_abx.assignment.audience import describe
from flask_abx.assignment.operators import OPERATORS

WORDS: dict[str, tuple[dict[str, object], str]] = {
    "everyone": ({}, "everyone"),
    "fields": (
        {"country": {"$in": ["DE", "AT"]}, "age": {"$gte": 18}},
        "country is one of 'DE', 'AT' and age is at least 18",
    ),
    "literals": (
        {"plan": "pro", "beta": True, "id": None},
        "plan is 'pro' and beta is true and id is not known",
    ),
    "two on a field": (
        {"n": {"$gt": 1, "$lt": 5}},
        "n is more than 1 and n is less than 5",
    ),
    "or alone": ({"$or": [{"a": 1}, {"b": 2}]}, "a is 1 or b is 2"),
    "or of ands": (
        {"$or": [{"a": 1, "c": 3}, {"b": 2}]},
        "(a is 1 and c is 3) or b is 2",
    ),
    "or beside": (
        {"x": 1, "$or": [{"a": 1}, {"b": 2}]},
        "x is 1 and (a is 1 or b is 2)",
    ),
    "nor": ({"$nor": [{"a": 1}, {"b": 2}]}, "not (a is 1 or b is 2)"),
    "not": ({"$not": {"a": 1}}, "not (a is 1)"),
    "not on a field": (
        {"a": {"$not": {"$regex": "^x"}}},
        "not (a matches the pattern '^x')",
    ),
    "exists": ({"a": {"$exists": True}}, "a is known"),
    "size": ({"tags": {"$size": {"$gt": 2}}}, "the number of tags is more than 2"),
    "element": (
        {"pets": {"$elemMatch": {"name": "a", "age": {"$lt": 3}}}},
        "pets has an element where (name is 'a' and age is less than 3)",
    ),
    "segments": (
        {"$segment": ["eu", "us"]},
        "in the segment 'eu' and in the segment 'us'",
    ),
    "group": ({"id": {"$notInGroup": "staff"}}, "id is not in the segment 'staff'"),
    "version": ({"app": {"$vgte": "1.2"}}, "app is version '1.2' or later"),
    "text with brackets": ({"a": "{}("}, "a is '{}('"),
}


@pytest.mark.parametrize(("condition", "text"), WORDS.values(), ids=list(WORDS))
def test_an_audience_reads_as_a_sentence(
    condition: dict[str, object], text: str
) -> None:
    assert describe(condition) == text


def test_every_operator_has_words() -> None:
    for operator in OPERATORS:
        assert "$" not in describe({"a": {operator: "x"}})
