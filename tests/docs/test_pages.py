"""Every command, every line of code and every output of the pages."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.runner import Page
from tests.docs.warm import WarmFlask

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# The other one is followed mistake by mistake, in test_mistakes.py.
FOLLOWED = [path for path in PAGES if path.name != "mistakes.md"]
SKIPPED = {
    ("README.md", "the test would start itself"),
    ("quickstart.md", "the package index is not asked in a test"),
}


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Leave the logger of the records as it was."""
    logger = logging.getLogger("flask_abx.events")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder whose ``flask`` answers at once."""
    with WarmFlask(tmp_path_factory.mktemp("warm")) as warm:
        yield warm.folder


@pytest.mark.parametrize("path", FOLLOWED, ids=lambda path: path.name)
def test_the_page_does_what_it_says(
    path: Path, tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Page(path, tmp_path, commands) as page:
        page.follow()


def test_what_is_skipped_is_listed_with_its_reason() -> None:
    skipped = [
        (path.name, block.argument)
        for path in PAGES
        for block in blocks_of(path)
        if block.note == "skip"
    ]
    assert set(skipped) == SKIPPED
    assert len(skipped) <= 5


def test_every_page_ends_in_a_task() -> None:
    pages = [path for path in PAGES if path.name not in {"index.md", "changelog.md"}]
    last = {
        path.name: [line for line in path.read_text().splitlines() if line[:3] == "## "]
        for path in pages
    }
    assert {name for name, heads in last.items() if heads[-1:] != ["## Try it"]} == {
        "README.md"
    }
