"""The JSON Schema that editors get."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from flask_abx.experiments.definition import json_schema, parse
from flask_abx.experiments.model import Document
from tests.experiments.test_faults import PAIR
from tests.experiments.test_short_forms import FORMS
from tests.experiments.test_sources import DOCUMENT
from tests.experiments.validator import CHECKED, TOLD, TYPES, accepts, parts_of

SCHEMA = json_schema()


def test_it_is_plain_json_of_the_present_draft() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(SCHEMA["properties"]) == set(Document.model_fields)


def test_every_part_is_a_valid_schema() -> None:
    parts = list(parts_of(SCHEMA))
    assert len(parts) > 100
    for part in parts:
        assert part.keys() <= TOLD | CHECKED
        assert part.get("type", "object") in TYPES
        assert re.compile(part.get("pattern", "")) is not None
        target = part.get("$ref", "#/$defs/Metric").removeprefix("#/$defs/")
        assert target in SCHEMA["$defs"]


@pytest.mark.parametrize("short", [form for form, _ in FORMS.values()], ids=FORMS)
def test_it_takes_the_short_forms(short: dict[str, Any]) -> None:
    body = json.loads(json.dumps(short))
    document = {"experiments": {"button": body}}
    assert "button" in parse(document).experiments
    assert accepts(SCHEMA, document, SCHEMA)


@pytest.mark.parametrize("section", DOCUMENT)
def test_it_takes_every_section(section: str) -> None:
    assert accepts(SCHEMA, {section: DOCUMENT[section]}, SCHEMA)


WRONG: dict[str, dict[str, Any]] = {
    "section": {"experiment": {}},
    "field": {"experiments": {"e": {"variants": PAIR, "trafic": 1}}},
    "no variants": {"experiments": {"e": {}}},
    "variant's key": {"experiments": {"e": {"variants": ["A b", "b"]}}},
    "variant's field": {
        "experiments": {"e": {"variants": [{"key": "a", "wieght": 1}, "b"]}}
    },
    "weight": {"experiments": {"e": {"variants": {"a": "90%", "b": 1}}}},
    "traffic": {"experiments": {"e": {"variants": PAIR, "traffic": 50}}},
    "status": {"experiments": {"e": {"variants": PAIR, "status": "live"}}},
    "dimensions": {"experiments": {"e": {"variants": PAIR, "dimensions": ["a"] * 6}}},
    "range": {"experiments": {"e": {"variants": PAIR, "range": [0]}}},
    "holdout": {"experiments": {"e": {"variants": PAIR, "holdout": 0.1}}},
    "role": {"experiments": {"e": {"variants": PAIR, "metrics": {"primry": "a"}}}},
    "layer": {"layers": {"l": {"slat": "s"}}},
    "metric": {"metrics": {"m": {"kind": "sums"}}},
    "where": {"metrics": {"m": {"where": {"vip": {"$exist": True}}}}},
    "segment": {"segments": {"s": "x"}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_it_refuses_what_the_model_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault"):
        parse(wrong)
    assert not accepts(SCHEMA, wrong, SCHEMA)
