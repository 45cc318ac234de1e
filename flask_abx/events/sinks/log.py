"""The sink that is always there: one JSON object a line, through logging."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.events.records import Record
    from flask_abx.events.tally import Tally

LOGGER = "flask_abx.events"
WAY_OUT = (
    f"logging.config.dictConfig({{..., 'disable_existing_loggers': False, "
    f"'loggers': {{'{LOGGER}': {{'level': 'INFO'}}}}}})"
)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute in the base
        return sys.stderr


class LogSink:
    """Logs each record at level INFO, and makes sure that it can be seen."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._is_checked = False

    def write(self, batch: Sequence[Record]) -> None:
        """Log the batch, one record a line."""
        logger = logging.getLogger(LOGGER)
        if not self._is_checked:
            self._is_checked = True
            make_visible(logger)
        trouble = trouble_of(logger)
        if trouble is not None:
            self._tell(trouble, len(batch))
            return
        for record in batch:
            logger.info("%s", record.to_json())

    def _tell(self, trouble: str, number: int) -> None:
        is_first = not self._tally.counts["log_silent"]
        self._tally.counts["log_silent"] += number
        if is_first:
            # The application's logger may be silenced by the same configuration.
            sys.stderr.write(f"flask-abx: {trouble}\n")


def make_visible(logger: logging.Logger) -> None:
    """Give the logger a level and a handler where it has none."""
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


def trouble_of(logger: logging.Logger) -> str | None:
    """Say why records would not be seen in the log, with the way out, or None."""
    if logger.disabled:
        return (
            f"the logger {LOGGER!r} is disabled, so records are not in the log; "
            f"configure: {WAY_OUT}"
        )
    if logger.level != logging.NOTSET and not logger.isEnabledFor(logging.INFO):
        return (
            f"the logger {LOGGER!r} is above INFO, so records are not in the log; "
            f"configure: {WAY_OUT}"
        )
    return None
