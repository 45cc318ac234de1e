"""What a decision is: the unit, the reason, the assignment."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.experiments.values import FlagValue


class Reason(StrEnum):
    """Why a unit was given a variant, in the order in which the reasons are asked."""

    UNKNOWN = "unknown"
    NOT_READY = "not_ready"
    CONCLUDED = "concluded"
    DISABLED = "disabled"
    NO_CONSENT = "no_consent"
    FORCED = "forced"
    DRAFT = "draft"
    PAUSED = "paused"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    NO_UNIT = "no_unit"
    BOT = "bot"
    STICKY = "sticky"
    CLOSED = "closed"
    HOLDOUT = "holdout"
    LAYER = "layer"
    PREREQUISITE = "prerequisite"
    AUDIENCE = "audience"
    TRAFFIC = "traffic"
    ALLOCATED = "allocated"

    @property
    def counts(self) -> bool:
        """True for the two reasons that put a unit into the experiment."""
        return self is Reason.STICKY or self is Reason.ALLOCATED


VISITOR = "visitor"
USER = "user"


class Unit(NamedTuple):
    """Who is assigned: the type (``visitor``, ``user``, an attribute) and the id."""

    type: str
    id: str


class FlagValues(Mapping[str, "FlagValue"]):
    """The flag values of one variant; a list or table is handed out as a copy."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, FlagValue]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> FlagValue:
        value = self._values[name]
        return deepcopy(value) if isinstance(value, list | dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant chosen for one unit, and the reason it was chosen.

    Attributes:
        experiment: The key of the experiment.
        iteration: The run of the experiment, from 1; 0 where nothing is known of it.
        variant: The key of the variant that is served.
        in_experiment: True for a unit that counts, which only ``sticky`` and
            ``allocated`` units do.
        reason: Why this variant was served.
        flags: The flag values of the variant that is served.
    """

    experiment: str
    iteration: int
    variant: str
    in_experiment: bool
    reason: Reason
    flags: Mapping[str, FlagValue]
