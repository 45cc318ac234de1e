"""The pages show what a terminal shows, word for word, and every verdict."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from flask_abx.results import Reading, VerdictCode
from flask_abx.results.telling.words import READINGS
from tests.docs.blocks import blocks_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "verdicts.md"
PAGES = (PAGE, ROOT / "docs" / "health.md")
GOLDEN = ROOT / "tests" / "results" / "golden"
_BLOCK = re.compile(r"(?ms)(<!-- golden: (\w+) -->\n```text\n).*?(?=^```$)")


def golden(code: str) -> str:
    return (GOLDEN / f"{code}.txt").read_text("utf-8")


def shown(page: Path) -> dict[str, str]:
    """Collect what a page shows of a terminal, by the name of the golden file."""
    blocks = (block for block in blocks_of(page) if block.note == "golden")
    return {block.argument: f"{block.text}\n" for block in blocks}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_shows_what_a_terminal_shows(page: Path) -> None:
    if os.environ.get("ABX_WRITE_GOLDEN"):
        text = page.read_text("utf-8")
        page.write_text(_BLOCK.sub(lambda each: each[1] + golden(each[2]), text))
    told = shown(page)
    assert told == {code: golden(code) for code in told}


def test_every_verdict_is_shown() -> None:
    assert {*shown(PAGE)} == {code.value for code in VerdictCode}


def test_the_table_has_every_verdict_in_the_order_of_the_rules() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [code.value for code in VerdictCode]


def test_every_reading_is_told() -> None:
    section = PAGE.read_text("utf-8").partition("## Readings")[2].partition("## ")[0]
    cells = re.findall(r"^\| ([a-z ,]+) \|", section, re.MULTILINE)
    told = {word for cell in cells for word in cell.split(", ")} - {"reading"}
    assert told == {READINGS[reading] for reading in Reading}
