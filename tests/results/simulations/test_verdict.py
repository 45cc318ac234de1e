"""Through the whole verdict, at every look: how often it errs, and how often it sees.

The ordinary runs of the tests judge fewer experiments within a wider band.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from flask_abx.results.shapes import HARM, Reading, Role, VerdictCode
from tests.results.simulations.experiments import (
    Course,
    draw,
    looks_at,
    planned_units,
)
from tests.results.simulations.streams import chance, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.results.judgement.judging import Judged
    from flask_abx.results.shapes import Comparison

ALPHA, POWER = 0.05, 0.75
EFFECT = 0.1
UNITS = planned_units(EFFECT)
MANY = 1_000


def sizes(few: int, many: int) -> pytest.MarkDecorator:
    """Judge few runs as a rule, and many where they are asked for."""
    long = pytest.param(many, marks=pytest.mark.simulation, id=f"{many}")
    return pytest.mark.parametrize("runs", [pytest.param(few, id=f"{few}"), long])


@dataclass(slots=True)
class Seen:
    """What was ever said of one run, at any look.

    Attributes:
        decided: A primary metric was better or worse.
        harmed: A guardrail was beyond its margin, or worse.
        found: The planned effect was.
        code: The first verdict that decided anything.
        naive: What one ordinary test a look would have said of a primary metric.
        naive_guard: The same of a guardrail.
    """

    decided: bool = False
    harmed: bool = False
    found: bool = False
    code: VerdictCode | None = None
    naive: bool = False
    naive_guard: bool = False

    def note(self, judged: Judged) -> None:
        """Add one look."""
        for role, metric, told in comparisons(judged):
            is_out = told.fixed_interval is not None and told.fixed_interval.excludes()
            if role is Role.PRIMARY:
                self.decided |= told.reading in {Reading.BETTER, Reading.WORSE}
                self.naive |= is_out
                is_meant = (metric, told.variant) == ("signup", "bold")
                self.found |= is_meant and told.reading is Reading.BETTER
            else:
                self.harmed |= told.reading in HARM
                self.naive_guard |= is_out
        self.code = judged.kept.first_code
        # What is kept was read, and what was read is kept.
        is_kept = any(spot.startswith(Role.PRIMARY) for spot in judged.kept.decided)
        assert is_kept == self.decided


def comparisons(judged: Judged) -> Iterator[tuple[Role, str, Comparison]]:
    """List what is said of each treatment against the control."""
    for metric in judged.metrics:
        for told in metric.comparisons:
            if told.baseline == "control":
                yield metric.role, metric.metric, told


def simulated(name: str, course: Course, runs: int) -> list[Seen]:
    """Judge so many runs at each look."""
    rng, found = chance(name), []
    for _ in range(runs // 50):
        drawn = draw(rng, course, 50)
        for run in range(50):
            seen = Seen()
            for judged in looks_at(course, drawn, run):
                seen.note(judged)
            found.append(seen)
    return found


def part(seen: list[Seen], name: str) -> float:
    """Tell of which share of the runs something is true."""
    return [getattr(each, name) for each in seen].count(True) / len(seen)


def codes(seen: list[Seen], *codes: VerdictCode) -> float:
    return sum(each.code in codes for each in seen) / len(seen)


def most(runs: int) -> float:
    """Give the most errors to be seen, with three standard errors in few runs."""
    return ALPHA if runs >= MANY else ALPHA + 3 * error_of(ALPHA, runs)


@sizes(300, 2 * MANY)
def test_without_an_effect_it_hardly_ever_decides(runs: int) -> None:
    seen = simulated("verdict-none", Course(UNITS), runs)
    assert part(seen, "decided") <= most(runs)
    assert part(seen, "harmed") <= most(runs)
    assert codes(seen, VerdictCode.WINNER, VerdictCode.LOSER) <= most(runs)
    assert codes(seen, VerdictCode.HARM) <= most(runs)
    assert codes(seen, VerdictCode.FLAT) > 0.9
    # A test at each look, which its intervals draw inside, decides too often.
    assert part(seen, "naive") > most(runs)
    assert part(seen, "naive_guard") > most(runs)


@sizes(150, MANY)
def test_the_planned_effect_is_found(runs: int) -> None:
    seen = simulated("verdict-planned", Course(UNITS, {"signup": EFFECT}), runs)
    least = POWER if runs >= MANY else POWER - 3 * error_of(POWER, runs)
    assert part(seen, "found") >= least
    small = Course(UNITS, {"signup": EFFECT / 2})
    assert part(simulated("verdict-half", small, runs // 3 // 50 * 50), "found") < least


@sizes(150, MANY)
def test_a_loss_of_the_margin_itself_hardly_ever_harms(runs: int) -> None:
    """The guardrails are as bad as they may be, which is their null."""
    effects = {"refund": 0.1, "refunded": 0.1}
    seen = simulated("verdict-margin", Course(UNITS, effects, margin=0.1), runs)
    assert part(seen, "harmed") <= most(runs)
    assert codes(seen, VerdictCode.HARM) <= most(runs)
    beyond = {each: 3 * effect for each, effect in effects.items()}
    worse = simulated("verdict-beyond", Course(UNITS, beyond, margin=0.1), 50)
    assert part(worse, "harmed") > 0.5
