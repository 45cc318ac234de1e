"""The likeliest mistakes: each is made, and the page shows what one is told."""

from __future__ import annotations

import logging
import re
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from flask_abx.errors import ABXError
from tests.docs.blocks import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mistakes.md"


@dataclass(frozen=True, slots=True)
class Mistake:
    """The code or the command, what comes before it, and what one is told."""

    setup: str
    code: str
    command: str
    told: str


def mistakes() -> Iterator[Mistake]:
    """Read the mistakes of the page."""
    setup = code = command = ""
    for block in blocks_of(PAGE):
        if block.note == "setup":
            # What readers see of it stands above.
            setup, code, command = block.text, "", ""
        elif block.language == "python":
            code = block.text
        elif block.language == "console":
            command = block.text.removeprefix("$ flask ")
        elif block.note == "error":
            yield Mistake(setup, code, command, block.text)
            code = command = ""
    assert not code + command


MISTAKES = tuple(mistakes())


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect what is logged as a warning or an error, by whatever logger."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    ear = Ear(logging.WARNING)
    logging.getLogger().addHandler(ear)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(ear)


def make(mistake: Mistake) -> str:
    """Run the code, visit the page that it added, and give what the command writes."""
    names: dict[str, object] = {"__name__": "page"}
    exec(mistake.setup, names)  # noqa: S102 - a page of our own
    exec(mistake.code, names)  # noqa: S102 - a page of our own
    app = names["app"]
    assert isinstance(app, Flask)
    for rule in app.url_map.iter_rules():
        if rule.rule in {"/", "/buy"}:
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            app.test_client().open(rule.rule, method=method)
    if not mistake.command:
        return ""
    arguments = shlex.split(mistake.command)
    return app.test_cli_runner().invoke(args=arguments).output


@pytest.mark.parametrize("number", range(1, len(MISTAKES) + 1))
def test_the_page_shows_what_one_is_told(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mistake = MISTAKES[number - 1]
    with heard() as lines:
        try:
            lines.extend(make(mistake).splitlines())
        except (ABXError, ValueError) as error:
            kind = type(error)
            module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
            lines.append(f"{module}{kind.__qualname__}: {error}")
    assert lines == [mistake.told]


def test_as_many_mistakes_are_numbered_as_the_page_says() -> None:
    text = PAGE.read_text()
    numbers = re.findall(r"^### (\d+)\.", text, re.MULTILINE)
    assert numbers == [str(number + 1) for number in range(len(MISTAKES))]
    assert f"The {len(MISTAKES)} likeliest mistakes" in text
