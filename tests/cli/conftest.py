"""Running commands as a shell would."""

from __future__ import annotations

import logging
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from click.testing import CliRunner

from flask_abx.events.sinks.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result
    from flask import Flask

    from tests.conftest import MakeApp


class Run(Protocol):
    """Runs ``flask abx ...`` on an application."""

    def __call__(self, app: Flask, *arguments: str) -> Result: ...


@pytest.fixture
def run() -> Run:
    """Run a command with stdout and stderr apart."""

    def invoke(app: Flask, *arguments: str) -> Result:
        options: dict[str, Any] = {}
        if "mix_stderr" in signature(CliRunner).parameters:
            options["mix_stderr"] = False
        runner = app.test_cli_runner(**options)
        return runner.invoke(args=["abx", *arguments])

    return invoke


@pytest.fixture(autouse=True)
def log() -> Iterator[logging.Logger]:
    """Give the log of records as a new process has it."""
    logger = logging.getLogger(LOGGER)
    disabled, level = logger.disabled, logger.level
    logger.disabled = False
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.disabled = disabled
    logger.setLevel(level)


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    """Make a shop with one experiment in each state."""
    return make_app(
        {
            "headline": {
                "variants": ["control", {"key": "bold", "flags": {"size": 40}}],
                "metrics": ["signup"],
                "audience": {"country": {"$in": ["DE", "AT"]}},
            },
            "prices": {
                "unit": ["user", "visitor"],
                "variants": {"low": 30, "high": 10},
                "status": "concluded",
                "winner": "high",
            },
        }
    )
