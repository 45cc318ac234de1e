"""The last records of this process, as they are logged."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flask_abx import event_tracked, unit_exposed

if TYPE_CHECKING:
    from flask import Flask

    from flask_abx import Event, Exposure

KEPT = 10


class LastRecords:
    """The last ten records of an app."""

    def __init__(self, app: Flask) -> None:
        self._records: deque[Exposure | Event] = deque(maxlen=KEPT)
        unit_exposed.connect(self._exposed, sender=app)
        event_tracked.connect(self._tracked, sender=app)

    def _exposed(self, sender: Flask, exposure: Exposure, **extra: object) -> None:
        del sender, extra
        self._records.append(exposure)

    def _tracked(self, sender: Flask, event: Event, **extra: object) -> None:
        del sender, extra
        self._records.append(event)

    def newest_first(self) -> list[Exposure | Event]:
        """List the records, the newest first."""
        return list(reversed(self._records))
