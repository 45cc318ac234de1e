"""The states that an experiment passes through, the moves between, and the endings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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


class Action(StrEnum):
    """What is done to an experiment, as the commands and the audit name it."""

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CLOSE = "close"
    TRAFFIC = "traffic"
    CONCLUDE = "conclude"
    REOPEN = "reopen"
    RESTART = "restart"
    ARCHIVE = "archive"
    APPLY = "apply"
    ROLLBACK = "rollback"

    @property
    def is_urgent(self) -> bool:
        """True if it takes effect at once, and not at a moment agreed upon."""
        return self in {Action.PAUSE, Action.CLOSE}


@dataclass(frozen=True, slots=True)
class Move:
    """One way to bring an experiment forward.

    Attributes:
        sources: The states from which it may be made.
        target: The state it leads to; None where the state stays.
        summary: Who sees what afterwards, and who is counted.
    """

    action: Action
    sources: tuple[Status, ...]
    target: Status | None
    summary: str


_MOVES = (
    Move(
        Action.START,
        (Status.DRAFT,),
        Status.RUNNING,
        "Units are assigned from now on, or from start_at, "
        "and count from their first exposure.",
    ),
    Move(
        Action.PAUSE,
        (Status.RUNNING,),
        Status.PAUSED,
        "Everyone gets the control at once and nobody is exposed; "
        "the results tell of the interval.",
    ),
    Move(
        Action.RESUME,
        (Status.PAUSED,),
        Status.RUNNING,
        "Everyone gets the variant of before, and units are exposed and counted again.",
    ),
    Move(
        Action.CLOSE,
        (Status.RUNNING, Status.PAUSED),
        None,
        "Exposed units keep their variant and count; a new unit that lands in what is "
        "closed gets the control and does not count.",
    ),
    Move(
        Action.TRAFFIC,
        (Status.DRAFT, Status.RUNNING, Status.PAUSED),
        None,
        "More units enter and count; nobody who is inside moves.",
    ),
    Move(
        Action.CONCLUDE,
        (Status.RUNNING, Status.PAUSED),
        Status.CONCLUDED,
        "Everyone gets the winner, or the control where there is none; units exposed "
        "before count, with their events up to then.",
    ),
    Move(
        Action.REOPEN,
        (Status.CONCLUDED,),
        Status.RUNNING,
        "Everyone gets the variant of before, "
        "and the same iteration goes on exposing and counting units.",
    ),
    Move(
        Action.RESTART,
        (Status.RUNNING, Status.PAUSED, Status.CONCLUDED),
        Status.RUNNING,
        "All units are assigned anew under a new salt, "
        "and only those exposed in the new iteration count.",
    ),
    Move(
        Action.ARCHIVE,
        (Status.DRAFT, Status.CONCLUDED),
        Status.ARCHIVED,
        "Everyone gets forever what they got before, "
        "and who was counted stays counted.",
    ),
)

#: Every move that there is; code, commands and docs read this one table.
MOVES: Mapping[Action, Move] = MappingProxyType({move.action: move for move in _MOVES})


def legal_actions(status: Status) -> tuple[Action, ...]:
    """List the moves that may be made from a state."""
    return tuple(move.action for move in _MOVES if status in move.sources)
