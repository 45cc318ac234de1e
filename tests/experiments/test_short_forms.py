"""The short forms that a person would write, and what they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from flask_abx.experiments.definition import parse, version_of

PAIR = ["control", "bold"]
BUTTON = {"experiments": {"button": {"variants": PAIR}}}

FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "variants as a list": (
        {"variants": ["control", "bold"]},
        {"variants": [{"key": "control"}, {"key": "bold"}]},
    ),
    "variants as texts and tables": (
        {"variants": ["control", {"key": "bold", "weight": 2}]},
        {"variants": [{"key": "control"}, {"key": "bold", "weight": 2.0}]},
    ),
    "bare numbers for weights": (
        {"variants": {"control": 90, "bold": 10}},
        {
            "variants": [
                {"key": "control", "weight": 90.0},
                {"key": "bold", "weight": 10.0},
            ]
        },
    ),
    "a mapping of tables and nothing": (
        {"variants": {"control": None, "bold": {"name": "Bold", "closed": True}}},
        {"variants": ["control", {"key": "bold", "name": "Bold", "closed": True}]},
    ),
    "one metric": (
        {"variants": PAIR, "metrics": "signup"},
        {"variants": PAIR, "metrics": {"primary": ["signup"]}},
    ),
    "a list of metrics": (
        {"variants": PAIR, "metrics": ["signup", "order"]},
        {"variants": PAIR, "metrics": {"primary": ["signup", "order"]}},
    ),
    "one metric in each role": (
        {
            "variants": PAIR,
            "metrics": {"primary": "a", "secondary": "b", "guardrail": "c"},
        },
        {
            "variants": PAIR,
            "metrics": {
                "primary": ["a"],
                "secondary": ["b"],
                "guardrail": [{"metric": "c"}],
            },
        },
    ),
    "guardrails as texts and tables": (
        {
            "variants": PAIR,
            "metrics": {"guardrail": ["a", {"metric": "b", "margin": 0.05}]},
        },
        {
            "variants": PAIR,
            "metrics": {
                "guardrail": [{"metric": "a"}, {"metric": "b", "margin": 0.05}]
            },
        },
    ),
    "one guardrail as a table": (
        {"variants": PAIR, "metrics": {"guardrail": {"metric": "b", "margin_abs": 2}}},
        {
            "variants": PAIR,
            "metrics": {"guardrail": [{"metric": "b", "margin_abs": 2.0}]},
        },
    ),
    "one unit": (
        {"variants": PAIR, "unit": "user"},
        {"variants": PAIR, "unit": ["user"]},
    ),
    "a salt as a number": (
        {"variants": PAIR, "salt": 7},
        {"variants": PAIR, "salt": "7"},
    ),
    "forced ids as numbers": (
        {"variants": PAIR, "forced": {7: "bold"}},
        {"variants": PAIR, "forced": {"7": "bold"}},
    ),
    "defaults written out": (
        {
            "key": "button",
            "variants": [{"key": "control", "weight": 1, "flags": {}}, "bold"],
            "traffic": 1,
            "unit": "visitor",
            "status": "running",
            "metrics": {},
            "analysis": {"alpha": 0.05},
            "audience": {},
            "iteration": 1,
        },
        {"variants": PAIR},
    ),
}


@pytest.mark.parametrize(("short", "long"), FORMS.values(), ids=FORMS)
def test_a_short_form_is_the_long_one(
    short: dict[str, Any], long: dict[str, Any]
) -> None:
    one = parse({"experiments": {"button": short}})
    other = parse({"experiments": {"button": long}})
    assert one == other
    assert version_of(one) == version_of(other)


def test_variants_keep_the_order_in_which_they_are_written() -> None:
    document = parse({"experiments": {"e": {"variants": {"z": 1, "a": 2, "m": 3}}}})
    keys = [variant.key for variant in document.experiments["e"].variants]
    assert keys == ["z", "a", "m"]
    assert document.experiments["e"].control.key == "z"


def test_a_marked_control_stands_before_the_first() -> None:
    variants = ["a", {"key": "b", "control": True}]
    document = parse({"experiments": {"e": {"variants": variants}}})
    assert document.experiments["e"].control.key == "b"


@pytest.mark.parametrize(
    ("bare", "kind"),
    [
        (True, "boolean"),
        (3, "integer"),
        (9.5, "float"),
        ("x", "string"),
        ([1], "object"),
        ({"a": 1}, "object"),
    ],
    ids=repr,
)
def test_a_bare_flag_is_its_default(bare: object, kind: str) -> None:
    short = parse({"flags": {"f": bare}})
    assert short == parse({"flags": {"f": {"type": kind, "default": bare}}})
    assert short == parse({"flags": {"f": {"default": bare}}})
    assert type(short.flags["f"].default) is type(bare)


def test_a_segment_is_a_list_of_ids_or_a_condition() -> None:
    condition = {"country": {"$in": ["DE", "AT"]}}
    document = parse({"segments": {"staff": [1, "2"], "dach": condition}})
    assert document.segments == {"staff": ("1", "2"), "dach": condition}


@pytest.mark.parametrize("section", ["experiments", "layers", "flags"])
def test_a_section_may_be_left_out_or_empty(section: str) -> None:
    assert parse({}) == parse({section: {}}) == parse({section: None})


def test_an_iteration_has_a_salt_of_its_own() -> None:
    def salt(**fields: object) -> str:
        body = {"variants": PAIR, **fields}
        return parse({"experiments": {"e": body}}).experiments["e"].effective_salt

    assert (salt(), salt(iteration=2), salt(iteration=3)) == ("e", "e:2", "e:3")
    assert (salt(salt="s"), salt(salt="s", iteration=2)) == ("s", "s")


def test_a_layer_has_the_default_salt_whether_declared_or_not() -> None:
    document = parse({"layers": {"a": {}, "b": {"salt": 9}}})
    assert [document.layer_salt(key) for key in ("a", "b", "c")] == [
        "layer:a",
        "9",
        "layer:c",
    ]
