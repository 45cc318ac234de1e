"""Where records go, as the settings name it."""

from __future__ import annotations

import io
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from flask_abx.errors import ConfigError
from flask_abx.events.sinks.base import CallableSink, Sink
from flask_abx.events.sinks.file import FileSink
from flask_abx.events.sinks.log import LogSink
from flask_abx.events.sinks.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

    from flask_abx.events.tally import Tally
    from flask_abx.runtime.state import Delivery
    from flask_abx.settings import Settings


def open_sinks(
    settings: Settings, root: Path, tally: Tally, delivery: Delivery | None
) -> list[Sink]:
    """Open every sink that the settings name.

    Args:
        settings: The settings of one application.
        root: The folder that paths are relative to.
        tally: Counts what is lost.
        delivery: What brings records into the database, if they go there.

    Raises:
        ConfigError: If something named is no sink.
    """
    named = settings.sinks
    if named is None:
        named = ["log"] if delivery is None else ["sql", "log"]
    sinks = [_sink(entry, tally, delivery) for entry in named]
    if settings.event_log is not None:
        path = root / settings.event_log
        if not path.parent.is_dir():
            raise ConfigError(
                f"ABX_EVENT_LOG is {str(settings.event_log)!r}, but there is no folder "
                f"{str(path.parent)!r}: make it, or name another file."
            )
        sinks.append(FileSink(path))
    return sinks


def _sink(entry: object, tally: Tally, delivery: Delivery | None) -> Sink:
    if entry == "log":
        return LogSink(tally)
    if entry == "sql":
        if delivery is None:
            raise ConfigError(
                "ABX_SINKS names 'sql', but there is no database: write ABX(db=db)."
            )
        return delivery.sink
    if entry == "memory":
        return MemorySink()
    can_write = not isinstance(entry, type | io.IOBase)
    if can_write and isinstance(entry, Sink):
        return entry
    if can_write and callable(entry) and not iscoroutinefunction(entry):
        return CallableSink(entry)
    raise ConfigError(
        f"ABX_SINKS names {entry!r}, must be 'log', 'sql', 'memory', a plain "
        "function, or an object with write(batch)."
    )
