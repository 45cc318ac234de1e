"""A bar is drawn on a terminal, for what takes a while, and nowhere else."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from flask_abx.cli.events import progress
from flask_abx.cli.events.progress import progress_bar

if TYPE_CHECKING:
    import pytest


class Terminal(StringIO):
    """Says that somebody sits before it."""

    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, screen: StringIO, patience: float) -> str:
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE", patience)
    with progress_bar("Loading") as tell:
        tell(5, 10)
        tell(5, 10)
    return screen.getvalue()


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(monkeypatch, Terminal(), 0)
    assert "Loading" in text
    assert "100%" in text


def test_what_is_done_at_once_needs_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, Terminal(), 60) == ""


def test_a_pipe_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, StringIO(), 0) == ""
