"""The sink that is always there: one JSON object a line, through logging."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, NamedTuple, TextIO

from flask_abx.events.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.events.records import Record
    from flask_abx.events.tally import Tally

LOGGER = "flask_abx.events"


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute in the base
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless a handler that was configured since then does."""
        logger = logging.getLogger(LOGGER)
        parent = logger.parent if logger.propagate else None
        if parent is None or not parent.hasHandlers():
            super().emit(record)


class LogSink:
    """Logs each record at level INFO, and makes sure that it can be seen."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._logger: logging.Logger | None = None
        self._lock = ProcessLock()

    def write(self, batch: Sequence[Record]) -> None:
        """Log the batch, one record a line."""
        logger = self._logger
        if logger is None:
            logger = logging.getLogger(LOGGER)
            with self._lock:
                make_visible(logger)
            self._logger = logger
        trouble = trouble_of(logger)
        if trouble is not None:
            self._tell(trouble, len(batch))
            return
        for record in batch:
            # Where in this module the line was written is of no use to anybody, and
            # costs a third of it to find out.
            logger.handle(_line(record.to_json()))

    def _tell(self, trouble: Trouble, number: int) -> None:
        if self._tally.first("log_silent", number):
            # The application's logger may be silenced by the same configuration.
            sys.stderr.write(f"flask-abx: {trouble.fault} Add: {trouble.line}\n")


def _line(text: str) -> logging.LogRecord:
    return logging.LogRecord(LOGGER, logging.INFO, __file__, 0, text, None, None)


def make_visible(logger: logging.Logger) -> None:
    """Give the logger a level and a handler where it has none."""
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


class Trouble(NamedTuple):
    """Why records would not be seen in the log, and the line that mends it."""

    fault: str
    line: str


def trouble_of(logger: logging.Logger) -> Trouble | None:
    """Find out whether records would be seen in the log."""
    change = f'logging.getLogger("{LOGGER}")'
    if logger.disabled:
        fault = f"The logger {LOGGER!r} is disabled, so records are not in the log."
        return Trouble(fault, f"{change}.disabled = False")
    if logger.level != logging.NOTSET and not logger.isEnabledFor(logging.INFO):
        fault = f"The logger {LOGGER!r} is above INFO, so records are not in the log."
        return Trouble(fault, f"{change}.setLevel(logging.INFO)")
    return None
