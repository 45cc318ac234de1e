"""Checks of where records go."""

from __future__ import annotations

import json
import logging
import os
from shlex import quote
from typing import TYPE_CHECKING

from flask_abx.cli.doctor.finding import Finding, Level
from flask_abx.events.sinks.file import FileSink
from flask_abx.events.sinks.log import LOGGER, LogSink, trouble_of
from flask_abx.events.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.cli.doctor.finding import Case
    from flask_abx.events.sinks.base import Sink


def check_sinks(case: Case) -> Iterator[Finding]:
    """Look whether records outlive the process."""
    sinks = case.state.recorder.sinks
    paste = 'app.config["ABX_SINKS"] = ["log"]'
    if not sinks:
        message = "ABX_SINKS is empty, so records go nowhere."
        yield Finding("sinks", Level.WARN, message, paste)
    elif not case.app.testing and all(isinstance(sink, MemorySink) for sink in sinks):
        message = "Records are kept in memory, and are gone when the process ends."
        yield Finding("sinks", Level.WARN, message, paste)
    else:
        names = ", ".join(_name(sink) for sink in sinks)
        yield Finding("sinks", Level.OK, f"Records go to {names}.")


def _name(sink: Sink) -> str:
    inner = getattr(sink, "sink", None)
    name = type(sink).__name__
    return name if inner is None else f"{name}({type(inner).__name__})"


def check_event_log(case: Case) -> Iterator[Finding]:
    """Look whether the file for records can be written."""
    files = [sink for sink in case.state.recorder.sinks if isinstance(sink, FileSink)]
    for sink in files:
        trouble, paste = _obstacle(sink.path)
        if trouble:
            message = f"ABX_EVENT_LOG cannot be written: {sink.path} {trouble}."
            yield Finding("event_log", Level.FAIL, message, paste)
        else:
            message = f"{sink.path} can be written."
            yield Finding("event_log", Level.OK, message)
    if not files:
        yield Finding("event_log", Level.OK, "ABX_EVENT_LOG is not set.")


def _obstacle(path: Path) -> tuple[str, str]:
    """Say what keeps a file from being written, and the line that helps."""
    if path.is_dir():
        inside = json.dumps(str(path / "events.jsonl"))
        paste = f'app.config["ABX_EVENT_LOG"] = {inside}'
        return "is a folder", paste
    if path.exists():
        if not os.access(path, os.W_OK):
            return "is read-only", f"chmod u+w {quote(str(path))}"
    elif not path.parent.is_dir():
        return "has no folder", f"mkdir -p {quote(str(path.parent))}"
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        return "is in a read-only folder", f"chmod u+wx {quote(str(path.parent))}"
    return "", ""


def check_log(case: Case) -> Iterator[Finding]:
    """Look whether records can be seen in the log."""
    sinks = case.state.recorder.sinks
    if not any(isinstance(sink, LogSink) for sink in sinks):
        yield Finding("log", Level.OK, "The log is not among ABX_SINKS.")
        return
    logger = logging.getLogger(LOGGER)
    trouble = trouble_of(logger)
    if trouble is None:
        message = f"Records are lines of the logger {LOGGER!r}."
        yield Finding("log", Level.OK, message)
        return
    level = Level.FAIL if len(sinks) == 1 else Level.WARN
    yield Finding("log", level, *trouble)
