"""README and quickstart teach five words and no other term."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of, prose_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "quickstart.md")
TAUGHT = ("experiment", "variant", "exposure", "event", "metric")
TERMS = (
    "allocat|archiv|arm|assign|attribut|audience|bucket|cohort|conclude|control|"
    "conversion|draft|enrol|flag|forced|guardrail|holdout|hypothesis|impression|"
    "iteration|layer|lift|namespace|outcome|override|paused|position|power|primary|"
    "reason|resolve|rollout|ruleset|salt|sample|segment|significan|sink|spool|status|"
    "sticky|target|tenant|traffic|treatment|unit|weight|winner"
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_five_words_are_taught(path: Path) -> None:
    taught = re.findall(r"\*\*([a-z]+?)s?\*\*", prose_of(path))
    assert sorted(taught) == sorted(TAUGHT)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_other_term_is_used(path: Path) -> None:
    prose = prose_of(path).lower()
    assert re.findall(rf"\b(?:{TERMS})[a-z]*", prose) == []


def test_the_quickstart_starts_from_the_smallest_app() -> None:
    apps = [
        next(block.text for block in blocks_of(path) if block.argument == "app.py")
        for path in PAGES
    ]
    log = 'app.config["ABX_EVENT_LOG"] = "events.jsonl"\n'
    assert apps[1].replace(log, "") == apps[0]


def test_the_smallest_app_is_small() -> None:
    app = next(block for block in blocks_of(PAGES[0]) if block.argument == "app.py")
    assert len([line for line in app.text.splitlines() if line]) <= 15
