"""Whole experiments, drawn look by look as sums and judged at each look."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from flask_abx.experiments.metric import Metric
from flask_abx.experiments.metric import Plan as Planned
from flask_abx.experiments.model import Experiment
from flask_abx.results.judgement.judging import judge
from flask_abx.results.looks.iteration import Epoch, Iteration
from flask_abx.results.looks.kept import Kept
from flask_abx.results.metrics import measures
from flask_abx.results.power import HYBRID_INFLATION, Design, sample_size
from flask_abx.results.scanning.sums import Aggregates, Exposed, Group, Sums
from tests.results.simulations.streams import powers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.results.judgement.judging import Judged
    from flask_abx.results.metrics import Measure
    from tests.results.simulations.streams import Array, Chance

LOOKS, LAST_PLANNED = 20, 18
RATE, SPREAD = 0.1, 1.0
VARIANTS = ("control", "bold", "calm")
WEIGHTS = (60, 20, 20)
BEGAN = datetime(2026, 11, 2, tzinfo=UTC)
EVENTS = {
    "signup": Metric(),
    "revenue": Metric.model_validate({"kind": "sum"}),
    "refund": Metric.model_validate({"direction": "lower"}),
    "refunded": Metric.model_validate({"kind": "sum", "direction": "lower"}),
}


def planned_units(effect: float) -> int:
    """Work out the units of all variants that find a relative effect on sign-ups."""
    control, treatment, _ = WEIGHTS
    pair = control + treatment
    design = Design(share=treatment / pair, family=4, inflation=HYBRID_INFLATION)
    found = sample_size(effect * RATE, rate=RATE, design=design)
    return round(found.units * sum(WEIGHTS) / pair)


@dataclass(frozen=True, slots=True)
class Course:
    """What is simulated.

    Attributes:
        units: The planned units; they are there at the look `LAST_PLANNED`.
        effects: Relative effects of both treatments, by metric; 0 elsewhere.
        margin: Of both guardrails; None for none.
    """

    units: int
    effects: Mapping[str, float] = field(default_factory=dict)
    margin: float | None = None

    @property
    def iteration(self) -> Iteration:
        """The experiment as its history tells it."""
        began = round(BEGAN.timestamp() * 1000)
        guard = {} if self.margin is None else {"margin": self.margin}
        experiment = Experiment.model_validate(
            {
                "key": "headline",
                "variants": [
                    {"key": key, "weight": weight}
                    for key, weight in zip(VARIANTS, WEIGHTS, strict=True)
                ],
                "metrics": {
                    "primary": ["signup", "revenue"],
                    "guardrail": [
                        {"metric": key, **guard} for key in ("refund", "refunded")
                    ],
                },
                "plan": {"units": self.units},
            }
        )
        return Iteration(
            experiment=experiment,
            number=1,
            started_at=began,
            first_exposed_at=began,
            epochs=(Epoch(1, dict(zip(VARIANTS, WEIGHTS, strict=True)), began),),
            plan=Planned(units=self.units),
            plan_saved_at=began - 1,
            is_plan_valid=True,
        )


@dataclass(frozen=True, slots=True)
class Drawn:
    """The sums of some runs, by run, look and variant.

    Attributes:
        n: Units.
        sums: Of each metric: units that are not zero, and three powers.
    """

    n: Array
    sums: Mapping[str, Sequence[Array]]

    def aggregates(self, run: int, look: int) -> Aggregates:
        """Tell what the tables would hold."""
        at = round((BEGAN + timedelta(days=look + 1)).timestamp() * 1000)
        groups = [Group(variant, 1) for variant in VARIANTS]
        counts = [int(each) for each in self.n[run, look]]
        return Aggregates(
            as_of=at,
            end=at,
            exposed={
                group: Exposed(units=n, with_events=n, last_at=at)
                for group, n in zip(groups, counts, strict=True)
            },
            sums={
                metric: dict(zip(groups, self._sums(run, look, each), strict=True))
                for metric, each in self.sums.items()
            },
        )

    def _sums(self, run: int, look: int, each: Sequence[Array]) -> Iterator[Sums]:
        columns = (self.n, *each)
        rows = (column[run, look].tolist() for column in columns)
        for n, nonzero, y, yy, yyy in zip(*rows, strict=True):
            yield Sums(
                n=int(n), nonzero=int(nonzero), days=n * (look + 1) / 2,
                y=y, yy=yy, yyy=yyy, raw=y, raw_squares=yy,
            )  # fmt: skip


def draw(rng: Chance, course: Course, runs: int) -> Drawn:
    """Draw runs in which a tenth of the units does each thing."""
    units = -(-course.units // LAST_PLANNED)
    shares = np.array(WEIGHTS) / sum(WEIGHTS)
    n = rng.multinomial(units, shares, (runs, LOOKS))
    sums = {}
    for metric, told in EVENTS.items():
        factor = np.array([1, *[1 + course.effects.get(metric, 0.0)] * 2])
        nonzero = rng.binomial(n, RATE * factor)
        increments: list[Array] = [nonzero.astype(float)] * 4
        if told.kind == "sum":
            found = powers(rng, nonzero.ravel(), 3.0, SPREAD)
            increments[1:] = [each.reshape(nonzero.shape) for each in found]
        sums[metric] = [np.cumsum(each, axis=1, dtype=float) for each in increments]
    return Drawn(np.cumsum(n, axis=1), sums)


def looks_at(course: Course, drawn: Drawn, run: int) -> Iterator[Judged]:
    """Judge one run at each look, handing on what is kept."""
    iteration, metrics = course.iteration, course_measures(course)
    kept = Kept()
    planned = drawn.aggregates(run, LAST_PLANNED - 1)
    for look in range(LOOKS):
        judged = judge(
            iteration,
            metrics,
            drawn.aggregates(run, look),
            now=BEGAN + timedelta(days=look + 1),
            kept=kept,
            final=planned if look >= LAST_PLANNED - 1 else None,
        )
        yield judged
        kept = judged.kept


def course_measures(course: Course) -> tuple[Measure, ...]:
    """List what an experiment measures."""
    return measures(course.iteration.experiment, EVENTS, {})
