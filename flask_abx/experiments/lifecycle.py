"""The states that an experiment passes through, and how it may end."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where an experiment stands in its life."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    CONCLUDED = "concluded"
    ARCHIVED = "archived"

    @property
    def is_over(self) -> bool:
        """True once the question is answered, so that everyone gets one variant."""
        return self in {Status.CONCLUDED, Status.ARCHIVED}

    @property
    def is_live(self) -> bool:
        """True while units may have been exposed and the question is open."""
        return self in {Status.RUNNING, Status.PAUSED}


class Outcome(StrEnum):
    """What came of a concluded experiment."""

    SHIPPED = "shipped"
    ROLLED_BACK = "rolled_back"
    FLAT = "flat"
    DID_NOT_FINISH = "did_not_finish"
