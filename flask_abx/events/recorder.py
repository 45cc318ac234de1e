"""Hands finished batches to the sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from flask_abx.events.records import Record
    from flask_abx.events.sinks.base import Sink
    from flask_abx.events.tally import Tally


class Recorder:
    """The sinks of one application, each guarded against its own failures."""

    def __init__(self, sinks: Sequence[Sink], tally: Tally) -> None:
        self.sinks = tuple(sinks)
        self._tally = tally

    def deliver(self, batch: Sequence[Record], logger: logging.Logger) -> None:
        """Give a batch to every sink; one that raises loses only its own copy."""
        last: BaseException | None = None
        for sink in self.sinks:
            try:
                sink.write(batch)
            except Exception:
                name = type(sink).__name__
                if self._tally.count(f"sink_failed:{name}", len(batch)):
                    logger.exception("Sink %s lost %d records.", name, len(batch))
            except BaseException as error:  # noqa: BLE001 - raised below
                # The process is told to end: the other sinks get their batch first.
                self._tally.count(f"sink_failed:{type(sink).__name__}", len(batch))
                last = error
        if last is not None:
            raise last

    def flush(self, timeout: float, logger: logging.Logger) -> bool:
        """Wait for the sinks that write later; True if nothing is left waiting."""
        done = True
        for sink in self.sinks:
            wait = getattr(sink, "flush", None)
            if wait is None:
                continue
            try:
                done = bool(wait(timeout)) and done
            except Exception:
                done = False
                logger.exception("Sink %s could not be flushed.", type(sink).__name__)
        return done
