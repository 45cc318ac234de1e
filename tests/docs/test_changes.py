"""The table of changes on the lifecycle page says what the code does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flask_abx.experiments.definition import parse_entry
from flask_abx.experiments.edits import refusals

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md"
NOW = datetime(2030, 1, 7, tzinfo=UTC)
RUNNING: dict[str, Any] = {
    "variants": ["control", "bold"],
    "metrics": ["signup"],
    "traffic": 0.5,
    "audience": {"country": {"$in": ["AT"]}},
    "layer": "home",
}
#: A new value for each field that the table names.
CHANGED: dict[str, Any] = {
    "name": "Headline",
    "hypothesis": "It helps.",
    "owner": "ada",
    "tags": ["home"],
    "dimensions": ["country"],
    "forced": {"user-7": "bold"},
    "private": True,
    "sensitive": True,
    "consent": "ads",
    "end_at": "2030-02-01T00:00:00Z",
    "unit": "user",
    "layer": "shop",
    "range": [0, 0.5],
    "salt": "pepper",
    "plan": {"days": 14},
    "analysis": {"alpha": 0.01},
    "start_at": "2030-02-01T00:00:00Z",
}


def verdicts() -> dict[str, str]:
    """Read what the page says of each field that it names."""
    rows = re.findall(r"^\| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    return {
        field: verdict
        for cell, verdict in rows
        if verdict.startswith(("safe", "refused", "only before"))
        for field in re.findall(r"`(\w+)`", cell)
    }


def is_safe(**fields: Any) -> bool:
    before = parse_entry("experiments", "headline", {"key": "headline", **RUNNING})
    body = {"key": "headline", **RUNNING, **fields}
    after = parse_entry("experiments", "headline", body)
    return not refusals(before, after, NOW)


@pytest.mark.parametrize("field", CHANGED)
def test_a_change_is_as_safe_as_the_page_says(field: str) -> None:
    said = verdicts()[field] == "safe"
    assert is_safe(**{field: CHANGED[field]}) is said


def test_what_has_a_direction_is_safe_in_one_alone() -> None:
    wider, narrower = {"country": {"$in": ["AT", "DE"]}}, {"country": "AT"}
    assert is_safe(traffic=1.0)
    assert not is_safe(traffic=0.2)
    assert is_safe(audience=wider)
    assert is_safe(audience={})
    assert not is_safe(audience=narrower)


def test_every_field_of_the_table_is_tried() -> None:
    assert {*verdicts()} == {*CHANGED, "traffic", "audience"}
