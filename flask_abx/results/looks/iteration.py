"""One run of an experiment: what was planned, when it ran, who could get what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.experiments.metric import Plan
    from flask_abx.experiments.model import Experiment


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch of one set of open variants and weights.

    Attributes:
        number: Its place, from 1 on.
        weights: The weight of each open variant; a closed one is not among them.
        began: Its first moment, in milliseconds since 1970.
        ended: Its last; None while it lasts.
    """

    number: int
    weights: Mapping[str, float]
    began: int
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which everyone got the control.

    Attributes:
        began: In milliseconds since 1970.
        ended: None while it lasts.
    """

    began: int
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Iteration:
    """One run of an experiment, as the history of its changes tells it.

    All moments are in milliseconds since 1970.

    Attributes:
        experiment: The definition of now.
        number: Which run.
        started_at: When units could be exposed first; None where they never could.
        concluded_at: When the question was answered; None while it is open.
        first_exposed_at: The first exposure that is stored; None without any.
        plan: What was planned last before the first exposure; None without one.
        plan_saved_at: When that was.
        is_plan_valid: False where a plan was first made after the first exposure.
        is_plan_changed: True where it was changed after the first exposure.
        late_metrics: What was named only after the first exposure.
        changed_metrics: Metrics whose definition changed after it.
        deleted_metrics: Metrics named by the experiment that were taken away.
        changed_midrun: Which of salt, unit and weights changed within the run.
    """

    experiment: Experiment
    number: int
    started_at: int | None = None
    concluded_at: int | None = None
    first_exposed_at: int | None = None
    epochs: tuple[Epoch, ...] = ()
    pauses: tuple[Pause, ...] = ()
    plan: Plan | None = None
    plan_saved_at: int | None = None
    is_plan_valid: bool = False
    is_plan_changed: bool = False
    late_metrics: frozenset[str] = frozenset()
    changed_metrics: frozenset[str] = frozenset()
    deleted_metrics: frozenset[str] = frozenset()
    changed_midrun: tuple[str, ...] = ()

    @property
    def control(self) -> str:
        """The key of the variant that the others are compared with."""
        return self.experiment.control.key

    @property
    def treatments(self) -> tuple[str, ...]:
        """The keys of all other variants, in the order of definition."""
        control = self.control
        keys = [each.key for each in self.experiment.variants]
        return tuple(key for key in keys if key != control)

    def common_epochs(self, one: str, other: str) -> frozenset[int]:
        """Give the epochs in which two variants were both open."""
        return frozenset(
            epoch.number
            for epoch in self.epochs
            if epoch.weights.get(one, 0) > 0 and epoch.weights.get(other, 0) > 0
        )

    def end(self, as_of: int) -> int:
        """Give the moment up to which events and exposures count."""
        ends = [as_of]
        if self.concluded_at is not None:
            ends.append(self.concluded_at)
        if self.experiment.end_at is not None:
            ends.append(round(self.experiment.end_at.timestamp() * 1000))
        return min(ends)
