"""The metrics that are asked of awkward records, and the moments that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR, DAY = 3_600_000, 86_400_000
#: A Monday at midnight; in Berlin the clocks go forward on the Sunday after it.
BEGIN = 1_742_774_400_000
#: When the first run of `headline` closes `quiet`, when it ends, and the last look.
CLOSED, CONCLUDED, AS_OF = BEGIN + 6 * DAY, BEGIN + 14 * DAY, BEGIN + 24 * DAY
#: Keys of properties that a path of JSON reads in another way.
ODD_KEYS = ("a.b", 'say "hi"', "back\\slash", "it's", "$", "größe", "two words", "0")

METRICS: Mapping[str, Mapping[str, Any]] = {
    "signup": {},
    "buyer": {"event": "purchase", "window": "2d", "min_value": 10},
    "revenue": {"kind": "sum", "event": "purchase", "covariate": "7d"},
    "revenue_week": {
        "kind": "sum",
        "event": "purchase",
        "window": "5d",
        "covariate": "14d",
        "cap": 0.98,
    },
    "revenue_between": {
        "kind": "sum",
        "event": "purchase",
        "min_value": -2.5,
        "max_value": 40,
        "cap": 0.97,
    },
    "clicks": {"kind": "count", "event": "click", "delay": "1h", "window": "3d"},
    "clicks_capped": {"kind": "count", "event": "click", "cap": 0.98, "window": "4d"},
    "clicks_ever": {"kind": "count", "event": "click", "cap": 0.99, "covariate": "3d"},
    "clicks_later": {"kind": "count", "event": "click", "delay": "12h"},
    "large_clicks": {"kind": "count", "event": "click", "min_value": 3},
    "rare": {"kind": "sum", "event": "rare", "cap": 0.95},
    "uneven": {"kind": "sum", "event": "uneven", "cap": 0.9},
    "order_value": {"kind": "mean", "event": "purchase", "covariate": "10d"},
    "order_value_week": {
        "kind": "mean",
        "event": "purchase",
        "window": "5d",
        "cap": 0.96,
    },
    "click_rate": {
        "kind": "ratio",
        "numerator": {"event": "click", "where": {"place": ["top", "1"]}},
        "denominator": {"event": "session"},
        "covariate": "5d",
    },
    "spent_a_session": {
        "kind": "ratio",
        "numerator": {"event": "purchase", "of": "sum", "where": {"paid": True}},
        "denominator": {"event": "session", "where": {"place": {"$exists": True}}},
        "cap": 0.97,
        "window": "6d",
    },
    "back": {"kind": "retention", "event": "visit", "delay": "1d", "window": "2d"},
    "cents": {"kind": "sum", "event": "price"},
    "placed": {
        "kind": "count",
        "event": "click",
        "where": {"place": {"$exists": True}},
    },
    "nowhere": {
        "kind": "count",
        "event": "click",
        "where": {"place": {"$exists": False}},
    },
    "whole": {"kind": "count", "event": "click", "where": {"place": 1}},
    "pointed": {"kind": "count", "event": "click", "where": {"place": 1.0}},
    "numbers": {
        "kind": "count",
        "event": "click",
        "where": {"place": [0.1, 1e16, 1e-7, 2**53 + 1, 2**70, -0.0]},
    },
    "truths": {"kind": "count", "event": "click", "where": {"place": [True, "false"]}},
    "texts": {
        "kind": "count",
        "event": "click",
        "where": {"place": ["Top", "größe", "😀", 'a "b"', "c\\d", "e\nf", "null", ""]},
    },
    "two_wishes": {
        "kind": "count",
        "event": "click",
        "where": {"place": ["top", "Top"], "a.b": "yes"},
    },
    **{
        f"odd_{number}": {"kind": "count", "event": "click", "where": {key: "yes"}}
        for number, key in enumerate(ODD_KEYS)
    },
}
#: Every unit of `overlap` has one of a million and a little, before and after.
HEAVY: Mapping[str, Mapping[str, Any]] = {
    "weight": {"kind": "sum", "covariate": "30d"},
    "weight_day": {"kind": "sum", "event": "weight", "window": "1d", "cap": 0.99},
    "mean_weight": {"kind": "mean", "event": "weight"},
    "weight_a_visit": {
        "kind": "ratio",
        "numerator": {"event": "weight", "of": "sum"},
        "denominator": {"event": "weight"},
        "covariate": "30d",
    },
    "revenue_week": METRICS["revenue_week"],
    "signup": {},
}
