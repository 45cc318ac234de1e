"""Every fault of a definition: where it stands, what is wrong and the way out."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from flask_abx.errors import DefinitionError
from flask_abx.experiments.definition import parse

PAIR = ["a", "b"]
KEY_RULE = (
    "must be a key: 1 to 64 lower-case letters, digits, '_', '.' or '-', "
    "beginning with a letter or digit."
)
ZONE_RULE = "must have a time zone: end it with 'Z' or an offset such as '+01:00'."
MOMENT_RULE = "must be a time such as '2030-01-31T09:00:00Z'."
EVENT_RULE = "must be the name of an event, 1 to 100 characters without NUL."
SALT_RULE = "must be a text that is not empty, without NUL."
FLAG_RULE = "must be true, false, a finite number, a text, a list or a table."
RESERVED = "is reserved for a later release, leave it out."
WHERE_RULE = "must be a text, a list of texts, or {'$exists': true}."


def faults_of(source: dict[str, Any]) -> list[str]:
    """Parse what must be refused, and give each fault as it is told."""
    with pytest.raises(DefinitionError) as caught:
        parse(source)
    return [str(fault) for fault in caught.value.faults]


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "another key": (
        {"key": "f"},
        "key: is 'f', must be 'e', the name it stands under.",
    ),
    "misspelt": (
        {"trafic": 1},
        "trafic: is not a known field; did you mean 'traffic'?",
    ),
    "nothing near": ({"zzz": 1}, "zzz: is not a known field."),
    "name": ({"name": 3}, "name: is 3, must be a valid string."),
    "tags": ({"tags": "x"}, "tags: is 'x', must be a list."),
    "no unit": ({"unit": []}, "unit: is [], must have at least 1."),
    "a unit twice": (
        {"unit": ["user", "user"]},
        "unit: is ['user', 'user'], must not name anything twice.",
    ),
    "no unit type": (
        {"unit": "a b"},
        "unit[0]: is 'a b', must be a name such as 'visitor', 'user' or 'tenant'.",
    ),
    "one variant": ({"variants": ["a"]}, "variants: is ['a'], must have at least 2."),
    "variants as text": ({"variants": "ab"}, "variants: is 'ab', must be a list."),
    "a variant twice": (
        {"variants": ["a", "a"]},
        "variants: name 'a' twice, give each its own key.",
    ),
    "a variant's key": (
        {"variants": {"A b": 1, "b": 1}},
        f"variants[0].key: is 'A b', {KEY_RULE}",
    ),
    "a variant without key": (
        {"variants": [{"name": "A"}, "b"]},
        "variants[0].key: is missing, write it.",
    ),
    "a variant that is a number": (
        {"variants": ["a", 2]},
        "variants[1]: is 2, must be a table.",
    ),
    "a variant's field": (
        {"variants": {"a": 1, "b": {"wieght": 3}}},
        "variants[1].wieght: is not a known field; did you mean 'weight'?",
    ),
    "a weight as text": (
        {"variants": {"a": "90%", "b": 1}},
        "variants[0].weight: is '90%', must be a valid number.",
    ),
    "a weight as boolean": (
        {"variants": {"a": True, "b": 1}},
        "variants[0].weight: is True, must be a valid number.",
    ),
    "an infinite weight": (
        {"variants": {"a": 1, "b": float("inf")}},
        "variants[1].weight: is inf, must be a finite number.",
    ),
    "weights beyond a number": (
        {"variants": {"a": 1e308, "b": 1e308}},
        (
            "variants: have weights that add up to more than a number holds, "
            "write smaller ones."
        ),
    ),
    "two controls": (
        {"variants": [{"key": k, "control": True} for k in PAIR]},
        "variants: mark more than one control, mark one.",
    ),
    "traffic above 1": (
        {"traffic": 50},
        "traffic: is 50, must be less than or equal to 1.",
    ),
    "traffic as text": (
        {"traffic": "0.5"},
        "traffic: is '0.5', must be a valid number.",
    ),
    "NaN traffic": (
        {"traffic": float("nan")},
        "traffic: is nan, must be a finite number.",
    ),
    "audience": ({"audience": []}, "audience: is [], must be a table."),
    "operator": (
        {"audience": {"age": {"$gtr": 1}}},
        "audience.age.$gtr: is no operator; did you mean '$gt'?",
    ),
    "layer": ({"layer": "L"}, f"layer: is 'L', {KEY_RULE}"),
    "empty range": (
        {"layer": "l", "range": [0.5, 0.5]},
        "range: is [0.5, 0.5], must go from a lower to a higher number.",
    ),
    "range without layer": (
        {"range": [0, 0.5]},
        "range: stands without a layer, name the layer it is a part of.",
    ),
    "half a range": (
        {"layer": "l", "range": [0]},
        "range[1]: is missing, write it.",
    ),
    "range beyond 1": (
        {"layer": "l", "range": [0, 2]},
        "range[1]: is 2, must be less than or equal to 1.",
    ),
    "naive date": (
        {"start_at": "2030-01-01"},
        f"start_at: is '2030-01-01', {ZONE_RULE}",
    ),
    "naive time": (
        {"end_at": "2030-01-01T09:00:00"},
        f"end_at: is '2030-01-01T09:00:00', {ZONE_RULE}",
    ),
    "naive datetime": (
        {"start_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - naive is the fault
        f"start_at: is datetime.datetime(2030, 1, 1, 0, 0), {ZONE_RULE}",
    ),
    "a date": (
        {"start_at": date(2030, 1, 1)},
        f"start_at: is datetime.date(2030, 1, 1), {ZONE_RULE}",
    ),
    "no time": ({"start_at": "soon"}, f"start_at: is 'soon', {MOMENT_RULE}"),
    "a number for a time": (
        {"start_at": 1_900_000_000},
        f"start_at: is 1900000000, {MOMENT_RULE}",
    ),
    "a time before all times": (
        {"start_at": "0001-01-01T00:00:00+01:00"},
        f"start_at: is '0001-01-01T00:00:00+01:00', {MOMENT_RULE}",
    ),
    "end before start": (
        {"start_at": "2030-01-02T00:00:00Z", "end_at": "2030-01-01T00:00:00Z"},
        (
            "end_at: is 2030-01-01T00:00:00+00:00, "
            "must be later than start_at 2030-01-02T00:00:00+00:00."
        ),
    ),
    "a role": (
        {"metrics": {"primry": "a"}},
        "metrics.primry: is not a known field; did you mean 'primary'?",
    ),
    "a nameless metric": (
        {"metrics": [""]},
        f"metrics.primary[0]: is '', {EVENT_RULE}",
    ),
    "a metric twice": (
        {"metrics": ["a", "a"]},
        "metrics.primary: is ['a', 'a'], must not name anything twice.",
    ),
    "a metric in two roles": (
        {"metrics": {"primary": "a", "guardrail": "a"}},
        (
            "metrics.guardrail: names 'a', which primary names already; "
            "give each metric one role, and name it there once."
        ),
    ),
    "a guardrail twice": (
        {"metrics": {"guardrail": ["a", {"metric": "a", "margin": 0.1}]}},
        (
            "metrics.guardrail: names 'a', which guardrail names already; "
            "give each metric one role, and name it there once."
        ),
    ),
    "metrics": ({"metrics": 7}, "metrics: is 7, must be a table."),
    "a guardrail's field": (
        {"metrics": {"guardrail": {"metric": "a", "marign": 0.1}}},
        "metrics.guardrail[0].marign: is not a known field; did you mean 'margin'?",
    ),
    "two margins": (
        {"metrics": {"guardrail": {"metric": "a", "margin": 0.1, "margin_abs": 2}}},
        (
            "metrics.guardrail[0]: is {'metric': 'a', 'margin': 0.1, 'margin_abs': 2}, "
            "must have margin (relative) or margin_abs, not both."
        ),
    ),
    "plan": ({"plan": 40000}, "plan: is 40000, must be a table."),
    "two plans": (
        {"plan": {"units": 5, "days": 3}},
        "plan: is {'units': 5, 'days': 3}, must give one of units, days and mde.",
    ),
    "power alone": (
        {"plan": {"days": 3, "power": 0.8}},
        "plan: is {'days': 3, 'power': 0.8}, must give power only beside mde.",
    ),
    "a test": (
        {"analysis": {"test": "bayes"}},
        "analysis.test: is 'bayes', must be 'auto', 'any_time', 'hybrid' or 'fixed'.",
    ),
    "a time zone": (
        {"analysis": {"time_zone": "Mars"}},
        (
            "analysis.time_zone: is 'Mars', "
            "must be a time zone such as 'UTC' or 'Europe/Berlin'."
        ),
    ),
    "exclude with uneven weights": (
        {"variants": {"a": 1, "b": 2}, "analysis": {"mixed": "exclude"}},
        (
            "analysis.mixed: is 'exclude', which biases uneven weights; "
            "write 'first' or even weights."
        ),
    ),
    "six dimensions": (
        {"dimensions": list("abcdef")},
        "dimensions: is ['a', 'b', 'c', 'd', 'e', 'f'], must have at most 5.",
    ),
    "sensitive": (
        {"sensitive": "yes"},
        "sensitive: is 'yes', must be a valid boolean.",
    ),
    "consent": (
        {"consent": ""},
        "consent: is '', must have at least 1 character.",
    ),
    "forced": (
        {"forced": {7: "c"}},
        "forced.7: is 'c', which is no variant; the variants are 'a', 'b'.",
    ),
    "an empty salt": ({"salt": ""}, f"salt: is '', {SALT_RULE}"),
    "a salt with NUL": ({"salt": "a\0"}, f"salt: is 'a\\x00', {SALT_RULE}"),
    "iteration 0": (
        {"iteration": 0},
        "iteration: is 0, must be greater than or equal to 1.",
    ),
    "status": (
        {"status": "live"},
        (
            "status: is 'live', "
            "must be 'draft', 'running', 'paused', 'concluded' or 'archived'."
        ),
    ),
    "a winner too early": (
        {"winner": "b"},
        (
            "winner: is given while the status is 'running', "
            'set status = "concluded" or leave it out.'
        ),
    ),
    "an outcome too early": (
        {"status": "paused", "outcome": "shipped"},
        (
            "outcome: is given while the status is 'paused', "
            'set status = "concluded" or leave it out.'
        ),
    ),
    "an unknown winner": (
        {"status": "concluded", "winner": "c"},
        "winner: is 'c', which is no variant; the variants are 'a', 'b'.",
    ),
    "outcome": (
        {"status": "concluded", "outcome": "won"},
        (
            "outcome: is 'won', "
            "must be 'shipped', 'rolled_back', 'flat' or 'did_not_finish'."
        ),
    ),
    "holdout": ({"holdout": 0.1}, f"holdout: {RESERVED}"),
    "prerequisites": ({"prerequisites": ["f"]}, f"prerequisites: {RESERVED}"),
    "a flag's value": (
        {"variants": {"a": {"flags": {"f": None}}, "b": 1}},
        f"variants[0].flags.f: is None, {FLAG_RULE}",
    ),
    "a flag of two types": (
        {"variants": {"a": {"flags": {"f": 1}}, "b": {"flags": {"f": "x"}}}},
        "variants[1].flags.f: is 'x', but the type of the flag is integer.",
    ),
}


@pytest.mark.parametrize(("fields", "told"), FIELDS.values(), ids=FIELDS)
def test_a_wrong_field_of_an_experiment_is_told(
    fields: dict[str, Any], told: str
) -> None:
    body = {"variants": PAIR, **fields}
    assert faults_of({"experiments": {"e": body}}) == [f"experiments.e.{told}"]


def test_all_faults_are_told_at_once() -> None:
    wrong = {
        f"e{number}": {"variants": PAIR, **fields}
        for number, (fields, _) in enumerate(FIELDS.values())
    }
    told = faults_of({"experiments": wrong, "flags": {"g": {"type": "no"}}, "x": {}})
    expected = [
        f"experiments.e{number}.{text}"
        for number, (_, text) in enumerate(FIELDS.values())
    ]
    expected[0] = expected[0].replace("must be 'e'", "must be 'e0'")
    elsewhere = [
        "x: is not a known section.",
        (
            "flags.g.type: is 'no', "
            "must be 'boolean', 'integer', 'float', 'string' or 'object'."
        ),
    ]
    assert sorted(told) == sorted([*expected, *elsewhere])


def test_a_long_value_is_cut() -> None:
    [told] = faults_of({"experiments": {"e": {"variants": PAIR, "name": ["x" * 500]}}})
    assert told.endswith("..., must be a valid string.")
    assert len(told) < 150
