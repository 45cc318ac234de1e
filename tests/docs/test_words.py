"""README and quickstart teach five words and no other term."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flask_abx.cli.demo import code
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


def apps(path: Path) -> list[str]:
    """Give each whole application that a page has its reader save."""
    return [
        block.text
        for block in blocks_of(path)
        if (block.note, block.argument) == ("file", "app.py")
    ]


def test_the_quickstart_starts_from_the_smallest_app() -> None:
    smallest, quickstart = apps(PAGES[0])[1], apps(PAGES[1])[0]
    log = 'app.config["ABX_EVENT_LOG"] = "events.jsonl"\n'
    assert quickstart.replace(log, "") == smallest


def test_the_first_app_is_that_of_the_demonstration() -> None:
    assert f"{apps(PAGES[0])[0]}\n" == code()


@pytest.mark.parametrize("text", apps(PAGES[0]), ids=["first", "smallest"])
def test_an_app_is_small(text: str) -> None:
    assert len([line for line in text.splitlines() if line]) <= 15
