"""The page of health tells every check, in the order in which a look makes them."""

from __future__ import annotations

import re
from pathlib import Path

from flask_abx.results import CheckId
from flask_abx.results.telling.words import CHECKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "health.md"


def test_every_check_is_told_with_its_title() -> None:
    told = re.findall(
        r"^### (\w+)\n\n\*\*(.+?)\*\*", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert told == [(check.value, CHECKS[check]) for check in CheckId]


def test_every_check_has_a_way_out() -> None:
    text = PAGE.read_text("utf-8").partition("## Every check")[2]
    parts = text.partition("\n## ")[0].split("\n### ")[1:]
    assert [part.count("*Way out:* ") for part in parts] == [1] * len(CheckId)


def test_as_many_checks_are_told_as_the_page_says() -> None:
    words = " ".join(PAGE.read_text("utf-8").split())
    assert f"There are {len(CheckId)} checks." in words
