"""What a check looks at, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from flask import Flask

    from flask_abx.experiments.model import Document, Experiment
    from flask_abx.runtime.state import State


class Level(StrEnum):
    """How bad it is; only a failure ends the command with an error."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has to say.

    Attributes:
        check: The name of the check.
        message: What it saw, as full sentences.
        paste: The line that mends it; a failure always has one.
    """

    check: str
    level: Level
    message: str
    paste: str = ""

    def as_data(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "check": self.check,
            "level": self.level.value,
            "message": self.message,
            "paste": self.paste,
        }

    def as_text(self) -> str:
        """Write what it says for people, the line to paste at the end."""
        return f"{self.message} Paste: {self.paste}" if self.paste else self.message


@dataclass(frozen=True, slots=True)
class Case:
    """An application at a moment."""

    app: Flask
    state: State
    now: datetime

    @property
    def is_dev(self) -> bool:
        """True in debug and testing, where much is allowed."""
        return self.app.debug or self.app.testing

    @property
    def document(self) -> Document:
        """The definitions."""
        return self.state.store.document()

    @property
    def open_experiments(self) -> dict[str, Experiment]:
        """The experiments that somebody meets now or will meet."""
        return {
            key: experiment
            for key, experiment in sorted(self.document.experiments.items())
            if not experiment.status.is_over
        }

    @property
    def is_in_database(self) -> bool:
        """True where the definitions are changed by commands, not in a source."""
        return self.state.editor is not None

    @property
    def is_toml(self) -> bool:
        """True where the definitions stand in a TOML file, else they look like JSON."""
        return str(self.state.settings.definitions).endswith(".toml")

    def line(self, key: str, value: str) -> str:
        """Write an entry of a definition as it stands in the source."""
        return f"{key} = {value}" if self.is_toml else f'"{key}": {value}'


def named(keys: list[str]) -> str:
    """Name experiments in a sentence, a long list cut short."""
    shown = [repr(key) for key in keys[:5]]
    more = len(keys) - len(shown)
    return f"{', '.join(shown)} and {more} more" if more else ", ".join(shown)
