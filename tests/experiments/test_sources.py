"""One document from a dict, TOML or JSON, and the version that names it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.experiments.definition import canonical_json, parse, read, version_of

if TYPE_CHECKING:
    from pathlib import Path

TOML = """
[experiments.headline]
variants = ["control", "bold"]
metrics = "signup"
start_at = 2030-01-01T01:00:00+01:00
plan = { units = 40000 }
forced = { 7 = "bold" }

[experiments.prices]
layer = "checkout"
range = [0.0, 0.5]
audience = { country = "DE", user = { "$inGroup" = "staff" } }

[experiments.prices.variants]
control = 90
low = { weight = 10, flags = { price = 9.5 } }

[layers.checkout]
salt = "till"

[segments]
staff = [1, "2"]

[metrics.signup]
[metrics.revenue]
kind = "sum"
event = "purchase"
where = { vip = true, coupon = { "$exists" = true } }

[flags]
price = 10.0
new_ui = { type = "boolean", default = false }
"""

DOCUMENT: dict[str, Any] = {
    "experiments": {
        "headline": {
            "variants": ["control", "bold"],
            "metrics": "signup",
            "start_at": "2030-01-01T00:00:00Z",
            "plan": {"units": 40000},
            "forced": {"7": "bold"},
        },
        "prices": {
            "variants": {"control": 90, "low": {"weight": 10, "flags": {"price": 9.5}}},
            "layer": "checkout",
            "range": [0.0, 0.5],
            "audience": {"country": "DE", "user": {"$inGroup": "staff"}},
        },
    },
    "layers": {"checkout": {"salt": "till"}},
    "segments": {"staff": [1, "2"]},
    "metrics": {
        "signup": {},
        "revenue": {
            "kind": "sum",
            "event": "purchase",
            "where": {"vip": True, "coupon": {"$exists": True}},
        },
    },
    "flags": {"price": 10.0, "new_ui": {"type": "boolean", "default": False}},
}


def test_dict_toml_and_json_give_one_document(tmp_path: Path) -> None:
    (tmp_path / "abx.toml").write_text(TOML, "utf-8")
    (tmp_path / "abx.json").write_text(json.dumps(DOCUMENT), "utf-8")
    documents = [
        parse(DOCUMENT),
        read(tmp_path / "abx.toml"),
        read(tmp_path / "abx.json"),
    ]
    assert documents[0] == documents[1] == documents[2]
    assert len({version_of(document) for document in documents}) == 1


PINNED = {
    "nothing": ({}, "{}", "cb4b8bf78e9ad"),
    "two variants": (
        {"experiments": {"headline": {"variants": ["control", "bold"]}}},
        (
            '{"experiments":{"headline":{"key":"headline",'
            '"variants":[{"key":"control"},{"key":"bold"}]}}}'
        ),
        "ca065501d1634",
    ),
    "weights and a time": (
        {
            "experiments": {
                "a": {
                    "variants": {"x": 90, "y": 10},
                    "end_at": datetime(2030, 1, 1, tzinfo=UTC),
                }
            }
        },
        (
            '{"experiments":{"a":{"end_at":"2030-01-01T00:00:00Z","key":"a","variants":'
            '[{"key":"x","weight":90.0},{"key":"y","weight":10.0}]}}}'
        ),
        "c31ec5b5c0d24",
    ),
}


@pytest.mark.parametrize(("source", "text", "version"), PINNED.values(), ids=PINNED)
def test_the_version_hashes_canonical_json(
    source: dict[str, Any], text: str, version: str
) -> None:
    document = parse(source)
    assert canonical_json(document.canonical()) == text
    assert version_of(document) == version
    assert version == f"c{blake2b(text.encode(), digest_size=6).hexdigest()}"


def turned(value: object) -> object:
    """Write every table of a document in the opposite order, variants apart."""
    if not isinstance(value, dict):
        return value
    return {
        key: part if key == "variants" else turned(part)
        for key, part in reversed(value.items())
    }


def test_the_order_of_keys_does_not_change_the_version() -> None:
    other = turned(DOCUMENT)
    assert isinstance(other, dict)
    assert version_of(parse(other)) == version_of(parse(DOCUMENT))


def test_the_order_of_variants_changes_the_version() -> None:
    versions = {
        version_of(parse({"experiments": {"e": {"variants": variants}}}))
        for variants in (["a", "b"], ["b", "a"], {"a": 2, "b": 1})
    }
    assert len(versions) == 3


@given(weights=st.lists(st.integers(1, 10**6), min_size=2, max_size=4))
def test_whole_and_real_weights_are_one_version(weights: list[int]) -> None:
    def version(weights: list[int] | list[float]) -> str:
        variants = {f"v{number}": weight for number, weight in enumerate(weights)}
        return version_of(parse({"experiments": {"e": {"variants": variants}}}))

    assert version(weights) == version([float(weight) for weight in weights])


def test_one_moment_is_one_version_in_every_time_zone() -> None:
    moments = ("2030-01-01T00:00:00Z", "2030-01-01T01:30:00+01:30", "2029-12-31T23-01")
    documents = [
        parse({"experiments": {"e": {"variants": ["a", "b"], "end_at": moment}}})
        for moment in moments
    ]
    assert len({version_of(document) for document in documents}) == 1


def test_canonical_values_are_a_document_again() -> None:
    document = parse(DOCUMENT)
    again = parse(json.loads(canonical_json(document.canonical())))
    assert (again, version_of(again)) == (document, version_of(document))
