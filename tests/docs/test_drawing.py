"""The picture of peeking is the one that its script draws, and the page tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import draw_peeking
from docs.draw_peeking import RUNS, Errors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "peeking.md"


@pytest.fixture(scope="module")
def errors() -> Errors:
    return draw_peeking.simulate()


def test_the_picture_is_drawn_by_its_script(errors: Errors) -> None:
    drawn = f"{draw_peeking.draw(errors)}\n"
    assert drawn == draw_peeking.PICTURE.read_text("utf-8")


def test_the_page_tells_what_the_picture_shows(errors: Errors) -> None:
    text = PAGE.read_text("utf-8")
    assert f"**{100 * errors.ordinary[-1] / RUNS:.0f} %**" in text
    assert f"**{100 * errors.ours[-1] / RUNS:.1f} %**" in text
