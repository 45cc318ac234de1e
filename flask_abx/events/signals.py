"""The signals that tell what happened; they observe and never decide."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Protocol

from blinker import Namespace

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from blinker import NamedSignal

    from flask_abx.events.tally import Tally

_signals = Namespace()

#: Sent when a unit meets its variant for the first time, with ``exposure``.
unit_exposed = _signals.signal("abx.unit-exposed")
#: Sent when code tracks an event, with ``event``.
event_tracked = _signals.signal("abx.event-tracked")
#: Sent after a change of a definition is committed, with ``change``.
experiment_changed = _signals.signal("abx.experiment-changed")


class Sender(Protocol):
    """The application, as far as a signal needs it."""

    @property
    def logger(self) -> logging.Logger:
        """Where a receiver that raises is told."""
        ...

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Make an async receiver callable."""
        ...


def emit(signal: NamedSignal, app: Sender, tally: Tally, **payload: object) -> None:
    """Send a signal; a receiver that raises is logged and counted, and harms nobody."""
    if not signal.receivers:
        return
    for receiver in signal.receivers_for(app):
        try:
            is_async = iscoroutinefunction(receiver)
            call = app.ensure_sync(receiver) if is_async else receiver
            call(app, **payload)
        except Exception:
            if tally.count(f"receiver_raised:{signal.name}"):
                app.logger.exception(
                    "A receiver of %r raised; the page and the others are unharmed.",
                    signal.name,
                )
