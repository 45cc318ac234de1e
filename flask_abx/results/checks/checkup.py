"""What every health check looks at, and how each says what it found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask_abx.experiments.lifecycle import Status
from flask_abx.experiments.weights import open_weights
from flask_abx.results.judgement.planning import DAY
from flask_abx.results.shapes import HealthCheck, Level
from flask_abx.results.telling.wording import p_value, plural, things

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Aggregates
    from flask_abx.results.shapes import CheckId

HOUR = 3_600_000
NOTHING_MEASURED = "The experiment measures nothing."


@dataclass(frozen=True, slots=True)
class Checkup:
    """One look at the health of an experiment.

    Attributes:
        now: The time of the look, in milliseconds since 1970.
        skews: How skewed the comparisons are that wait for it, by metric and variant.
        planned: The units that are planned; None where none are known.
    """

    iteration: Iteration
    measures: Sequence[Measure]
    aggregates: Aggregates
    now: int
    skews: Mapping[tuple[str, str], float] = field(default_factory=dict)
    planned: int | None = None

    @property
    def key(self) -> str:
        """The key of the experiment, for commands."""
        return self.iteration.experiment.key

    @property
    def is_running(self) -> bool:
        """True while the experiment runs, that is neither paused nor over."""
        is_open = self.iteration.concluded_at is None
        return is_open and self.iteration.experiment.status is Status.RUNNING

    @property
    def units(self) -> int:
        """The exposed units of all variants."""
        return self.total("units")

    @property
    def unit(self) -> str:
        """What a unit is called."""
        return self.iteration.experiment.unit[0]

    @property
    def nobody(self) -> str:
        """Why a check of exposed units is skipped where there are none."""
        return f"No {things(self.unit)} have been exposed yet."

    def total(self, name: str) -> int:
        """Add up one count of the exposed units over all variants."""
        return sum(getattr(each, name) for each in self.aggregates.exposed.values())

    def people(self, number: float) -> str:
        """Write a number of units, such as ``1,204 visitors``."""
        return plural(number, self.unit)

    def weights(self, epoch: int) -> Mapping[str, float]:
        """Give the weights of an epoch; of one that is not known, those of now."""
        for each in self.iteration.epochs:
            if each.number == epoch:
                return each.weights
        return open_weights(self.iteration.experiment)


def fine(
    check: CheckId,
    sentence: str,
    value: float | None = None,
    limit: float | None = None,
    *,
    dimension: str | None = None,
) -> HealthCheck:
    """Tell of a check that found nothing."""
    return HealthCheck(check, Level.OK, value, limit, sentence, "", dimension=dimension)


def skipped(check: CheckId, reason: str) -> HealthCheck:
    """Tell why a check cannot be asked."""
    return HealthCheck(check, Level.SKIPPED, None, None, reason, "")


def told_limit(share: float) -> str:
    """Write a share that was chosen and is a round one, such as ``0.5 %``."""
    return f"{100 * share:g} %"


def told_p(p: float) -> str:
    """Write a p-value that may be tiny, such as ``p = 0.012`` or ``p = 3e-12``."""
    if p == 0:
        return "p < 1e-300"
    if p >= 0.001:
        text = p_value(p)
        return f"p {text}" if text[0] in "<>" else f"p = {text}"
    # Rounded down, so that what lies below a limit never reads as the limit.
    digits, _, power = f"{p:.5e}".partition("e")
    return f"p = {math.floor(float(digits))}e{int(power)}"


def length_of(milliseconds: float) -> str:
    """Write a length of time, such as ``14.3 days`` or ``5.0 hours``."""
    for size, unit in ((DAY, "days"), (HOUR, "hours")):
        if milliseconds >= size:
            return f"{milliseconds / size:,.1f} {unit}"
    return f"{milliseconds / 60_000:,.1f} minutes"
