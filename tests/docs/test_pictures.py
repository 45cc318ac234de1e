"""The picture of the README: one for light pages, one for dark ones, both there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def test_both_pictures_are_there() -> None:
    text = (ROOT / "README.md").read_text()
    named = re.findall(r'(?:srcset|src)="([^"]+)"', text)
    assert named == ["docs/pictures/report-dark.png", "docs/pictures/report-light.png"]
    assert all((ROOT / name).read_bytes().startswith(PNG) for name in named)


def test_the_picture_ends_the_first_screen() -> None:
    first = (ROOT / "README.md").read_text().partition("\n## ")[0]
    before = first.partition("<picture>")[0]
    seen = [line for line in before.splitlines() if not line.startswith("<!--")]
    assert len(seen) <= 45
    assert len(re.findall(r"^\$ ", before, re.MULTILINE)) <= 4
    assert "$ flask abx results headline" in before
