"""Every fault between the parts of a document."""

from __future__ import annotations

from typing import Any

import pytest

from flask_abx.experiments.definition import parse
from tests.experiments.test_faults import (
    EVENT_RULE,
    FLAG_RULE,
    KEY_RULE,
    PAIR,
    WHERE_RULE,
    faults_of,
)

SECTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "section": (
        {"experiment": {}},
        ["experiment: is not a known section; did you mean 'experiments'?"],
    ),
    "a list": ({"experiments": []}, ["experiments: is [], must be a table by key."]),
    "no table": (
        {"experiments": {"e": PAIR}},
        ["experiments.e: is ['a', 'b'], must be a table."],
    ),
    "a bad key is told once": (
        {"experiments": {"E": {"variants": PAIR}}},
        [f"experiments.E: is 'E', {KEY_RULE}"],
    ),
    "no variants": (
        {"experiments": {"e": {}}},
        ["experiments.e.variants: is missing, write it."],
    ),
    "a layer's field": (
        {"layers": {"l": {"slat": "s"}}},
        ["layers.l.slat: is not a known field; did you mean 'salt'?"],
    ),
    "one salt for two layers": (
        {"layers": {"k": {"salt": "s"}, "l": {"salt": "s"}}},
        ["layers.l.salt: is 's', which layers.k has too; give each its own salt."],
    ),
    "units of a layer": (
        {
            "experiments": {
                "d": {"variants": PAIR, "layer": "l", "range": [0, 0.5]},
                "e": {
                    "variants": PAIR,
                    "layer": "l",
                    "range": [0.5, 1],
                    "unit": "user",
                },
            }
        },
        [
            (
                "experiments.e.unit: is ['user'], "
                "but 'd' in layer 'l' has ['visitor']; "
                "a layer keeps apart only units of one kind."
            )
        ],
    ),
    "a segment": (
        {"segments": {"s": "x"}},
        ["segments.s: is 'x', must be a list of ids or a condition."],
    ),
    "booleans are no ids": (
        {"segments": {"s": [True]}},
        ["segments.s: is [True], must be a list of ids or a condition."],
    ),
    "a list of ids as a condition": (
        {"segments": {"s": ["7"], "t": {"$segment": "s"}}},
        [
            (
                "segments.t: asks $segment of 's', which is a list of ids; "
                'write "ATTRIBUTE": {"$inGroup": "s"}.'
            )
        ],
    ),
    "a condition as a list of ids": (
        {"segments": {"s": {"plan": "pro"}, "t": {"user": {"$inGroup": "s"}}}},
        [
            (
                "segments.t: asks $inGroup of 's', which is a condition; "
                'write "$segment": "s".'
            )
        ],
    ),
    "an experiment without its section": (
        {"headline": {"variants": ["a", "b"]}},
        ["headline: is not a known section; put the experiment under 'experiments'."],
    ),
    "another word": (
        {"experiments": {"a": {"variants": ["x", "y"], "weights": [90, 10]}}},
        [
            (
                "experiments.a.weights: is not a known field; "
                "write variants = {a = 90, b = 10}."
            )
        ],
    ),
    "a circle": (
        {"segments": {"s": {"$segment": "t"}, "t": {"$segment": "s"}}},
        [
            "segments.s: refers to itself, break the circle.",
            "segments.t: refers to itself, break the circle.",
        ],
    ),
    "a metric's name": ({"metrics": {"": {}}}, [f"metrics.: is '', {EVENT_RULE}"]),
    "a metric's field": (
        {"metrics": {"m": {"evnet": "a"}}},
        ["metrics.m.evnet: is not a known field; did you mean 'event'?"],
    ),
    "a ratio without parts": (
        {"metrics": {"m": {"kind": "ratio"}}},
        [
            (
                "metrics.m: is {'kind': 'ratio'}, "
                "must have numerator and denominator, as its kind is 'ratio'."
            )
        ],
    ),
    "a ratio's field": (
        {
            "metrics": {
                "m": {
                    "kind": "ratio",
                    "numerator": {"event": "a", "off": "sum"},
                    "denominator": {"event": "b"},
                }
            }
        },
        ["metrics.m.numerator.off: is not a known field; did you mean 'of'?"],
    ),
    "parts of no ratio": (
        {"metrics": {"m": {"numerator": {"event": "a"}}}},
        [
            (
                "metrics.m: is {'numerator': {'event': 'a'}}, "
                "must have no numerator or denominator unless kind is 'ratio'."
            )
        ],
    ),
    "a retention without window": (
        {"metrics": {"m": {"kind": "retention", "delay": "1d"}}},
        [
            (
                "metrics.m: is {'kind': 'retention', 'delay': '1d'}, "
                "must have delay and window, as its kind is 'retention'."
            )
        ],
    ),
    "a duration": (
        {"metrics": {"m": {"window": "7 days"}}},
        [
            (
                "metrics.m.window: is '7 days', "
                "must be a duration such as '7d', '12h', '30m' or '45s'."
            )
        ],
    ),
    "a currency": (
        {"metrics": {"m": {"currency": "euro"}}},
        ["metrics.m.currency: is 'euro', must be a currency code such as 'EUR'."],
    ),
    "where": (
        {"metrics": {"m": {"where": {"vip": None}}}},
        [f"metrics.m.where.vip: is None, {WHERE_RULE}"],
    ),
    "a primary without direction": (
        {
            "metrics": {"m": {"direction": "none"}},
            "experiments": {"e": {"variants": PAIR, "metrics": "m"}},
        },
        [
            (
                "experiments.e.metrics.primary: names 'm', whose direction is 'none'; "
                "say which way is good, or make it secondary."
            )
        ],
    ),
    "a flag's type": (
        {"flags": {"f": {"type": "bool"}}},
        [
            (
                "flags.f.type: is 'bool', "
                "must be 'boolean', 'integer', 'float', 'string' or 'object'."
            )
        ],
    ),
    "a flag's default": (
        {"flags": {"f": {"type": "integer", "default": "x"}}},
        ["flags.f.default: is 'x', but the type of the flag is integer."],
    ),
    "a flag that is NaN": (
        {"flags": {"f": float("nan")}},
        [f"flags.f.default: is nan, {FLAG_RULE}"],
    ),
    "a driven flag's type": (
        {
            "flags": {"f": False},
            "experiments": {"e": {"variants": {"a": {"flags": {"f": 1}}, "b": 1}}},
        },
        [
            (
                "experiments.e.variants[0].flags.f: is 1, "
                "but the type of the flag is boolean."
            )
        ],
    ),
}


@pytest.mark.parametrize(("source", "told"), SECTIONS.values(), ids=SECTIONS)
def test_a_fault_of_the_document_is_told(
    source: dict[str, Any], told: list[str]
) -> None:
    assert faults_of(source) == told


def test_experiments_that_never_meet_may_share_a_range_and_a_flag() -> None:
    variants = {"a": {"flags": {"f": 1}}, "b": 1}
    first = {"variants": variants, "layer": "l", "end_at": "2030-01-01T00:00:00Z"}
    second = {"variants": variants, "layer": "l", "start_at": "2030-01-01T00:00:00Z"}
    third = {"variants": variants, "layer": "l", "status": "draft"}
    document = parse({"experiments": {"d": first, "e": second, "f": third}})
    assert set(document.experiments) == {"d", "e", "f"}
