"""The verdict on an experiment: the first rule that applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flask_abx.experiments.metric import Direction
from flask_abx.results.judgement.planning import DAY, is_planned, milliseconds_of
from flask_abx.results.shapes import HARM, Reading, Role, Verdict, VerdictCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.looks.kept import Kept
    from flask_abx.results.shapes import CheckId, Comparison, MetricResult, SamplePlan

#: So long a winner may wait for its guardrails without a plan.
PATIENCE_DAYS = 28
_WAITING = frozenset({Reading.TOO_EARLY, Reading.FAILED})
_ROLLED_BACK = frozenset({VerdictCode.HARM, VerdictCode.LOSER})
_FINAL = frozenset({*_ROLLED_BACK, VerdictCode.WINNER, VerdictCode.FLAT})


class Told(NamedTuple):
    """One comparison with the metric it is of."""

    metric: MetricResult
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one treatment stands.

    Attributes:
        is_open: False where nobody new gets it.
        primary: How it compares on every primary metric.
        better: The primary metrics on which it is better.
        worse: Those on which it is worse.
        guards: How it compares on every guardrail, late ones too.
        harmed: The guardrails that forbid to ship it.
        unsure: The guardrails with a margin that it does not yet keep to.
        is_flat: True where the final look found nothing on any primary metric.
    """

    variant: str
    is_open: bool
    primary: tuple[Told, ...]
    better: tuple[Told, ...]
    worse: tuple[Told, ...]
    guards: tuple[Told, ...]
    harmed: tuple[Told, ...]
    unsure: tuple[Told, ...]
    is_flat: bool

    @property
    def is_out(self) -> bool:
        """True where it is not going to be shipped."""
        return bool(self.harmed or self.worse)

    @property
    def is_ahead(self) -> bool:
        """True where it is better, and nothing speaks against it so far."""
        return bool(self.better) and not self.is_out


@dataclass(frozen=True, slots=True)
class Case:
    """What a verdict is given on.

    Attributes:
        metrics: All metrics, not broken down.
        exposed: Units of all variants.
        errors: The health checks at level error.
        now: The time of this look.
        kept: What earlier looks said.
        min_days: No winner before so many days.
        plan: The planned sample; None without one.
        is_over: True where the plan is complete, and its final look made if it has one.
    """

    iteration: Iteration
    metrics: tuple[MetricResult, ...]
    exposed: int
    errors: tuple[CheckId, ...]
    now: datetime
    kept: Kept
    min_days: int
    plan: SamplePlan | None
    is_over: bool = False

    @property
    def days(self) -> float:
        """How long it has run, until its end."""
        started_at = self.iteration.started_at
        if started_at is None:
            return 0.0
        return (self.iteration.end(milliseconds_of(self.now)) - started_at) / DAY

    @property
    def primaries(self) -> tuple[MetricResult, ...]:
        """The metrics that decide."""
        return tuple(
            each
            for each in self.metrics
            if each.role is Role.PRIMARY and each.direction is not Direction.NONE
        )

    @property
    def standings(self) -> tuple[Standing, ...]:
        """Where each treatment stands."""
        closed = {
            each.key for each in self.iteration.experiment.variants if each.closed
        }
        primaries = self.primaries
        # A late guardrail makes no winner, but what it finds may still forbid one.
        guards = tuple(each for each in self.metrics if each.role is Role.GUARDRAIL)
        return tuple(
            self._standing(variant, primaries, guards, is_open=variant not in closed)
            for variant in self.iteration.treatments
        )

    def _standing(
        self,
        variant: str,
        primaries: tuple[MetricResult, ...],
        guardrails: tuple[MetricResult, ...],
        *,
        is_open: bool,
    ) -> Standing:
        primary = [*self._told(variant, primaries)]
        guards = [*self._told(variant, guardrails)]
        readings = [told.comparison.reading for told in primary]
        return Standing(
            variant=variant,
            is_open=is_open,
            primary=tuple(primary),
            better=_with(primary, Reading.BETTER),
            worse=_with(primary, Reading.WORSE),
            guards=tuple(guards),
            harmed=_with(guards, *HARM),
            unsure=tuple(told for told in guards if _is_unsure(told)),
            is_flat=bool(readings) and all(each is Reading.FLAT for each in readings),
        )

    def _told(self, variant: str, metrics: tuple[MetricResult, ...]) -> Iterator[Told]:
        control = self.iteration.control
        for metric in metrics:
            for each in metric.comparisons:
                if each.variant == variant and each.baseline == control:
                    yield Told(metric, each)


class Ruling(NamedTuple):
    """A verdict before it is put into words.

    Attributes:
        rule: Which rule decided, in short words.
        variants: Those that it speaks of.
        standings: Where each treatment stands.
    """

    code: VerdictCode
    rule: str
    variants: tuple[str, ...]
    standings: tuple[Standing, ...]


def code_of(case: Case) -> Ruling:
    """Find the first rule that applies."""
    standings = case.standings

    def ruling(code: VerdictCode, rule: str, *variants: str) -> Ruling:
        return Ruling(code, rule, variants, standings)

    if not case.exposed:
        return ruling(VerdictCode.NO_DATA, "nobody was exposed")
    if case.errors:
        return ruling(VerdictCode.UNTRUSTED, "a health check is at level error")
    if not case.primaries:
        return ruling(VerdictCode.NO_PRIMARY, "no primary metric")
    if _is_early(case, standings):
        return ruling(VerdictCode.TOO_EARLY, "every primary comparison is too early")
    found = _decided(case, standings)
    torn = [each.variant for each in _asked(standings) if each.better and each.worse]
    if torn:
        rule = "better on one primary metric, worse on another"
        return ruling(VerdictCode.REVIEW, rule, *torn)
    stuck = _stuck(case, standings)
    if stuck and found.code is not VerdictCode.WINNER:
        rule = "a winner whose guardrail margin stays unclear"
        return ruling(VerdictCode.REVIEW, rule, *stuck)
    if not _holds(case, found):
        rule = "an earlier verdict no longer holds"
        return ruling(VerdictCode.REVIEW, rule, *case.kept.first_variants)
    return found


def is_final_code(code: VerdictCode) -> bool:
    """Tell whether a verdict decides anything."""
    return code in _FINAL


def verdict_of(case: Case, found: Ruling, best: str | None) -> Verdict:
    """Put the verdict into words.

    Args:
        case: What it is given on.
        found: The rule that applies.
        best: The winner that beats each other one.
    """
    from flask_abx.results.telling.saying import next_step, sentence

    return Verdict(
        code=found.code,
        sentence=sentence(case, found, best),
        next_step=next_step(case, found, best),
        rule=found.rule,
        variants=found.variants,
        best=best if found.code is VerdictCode.WINNER else None,
        first_code=case.kept.first_code,
        first_at=case.kept.first_at,
    )


def _decided(case: Case, standings: tuple[Standing, ...]) -> Ruling:
    """Apply the rules that need no history."""
    open_ones = _asked(standings)
    names = [each.variant for each in open_ones]
    winners = [
        each.variant
        for each in open_ones
        if each.is_ahead and not each.unsure and case.days >= case.min_days
    ]
    if winners:
        rule = "better on a primary metric, worse on none, guardrails within"
        return Ruling(VerdictCode.WINNER, rule, tuple(winners), standings)
    if open_ones and all(each.is_out for each in open_ones):
        if any(each.harmed for each in open_ones):
            code, rule = VerdictCode.HARM, "every open treatment is out by a guardrail"
            if not all(each.harmed for each in open_ones):
                rule = "every open treatment is out, at least one by a guardrail"
        else:
            code = VerdictCode.LOSER
            rule = "every open treatment is worse on a primary metric"
        return Ruling(code, rule, tuple(names), standings)
    if open_ones and all(each.is_flat or each.is_out for each in open_ones):
        rule = "the final look was made and found nothing"
        flat = tuple(each.variant for each in open_ones if each.is_flat)
        return Ruling(VerdictCode.FLAT, rule, flat, standings)
    ahead = tuple(each.variant for each in open_ones if each.is_ahead)
    return Ruling(VerdictCode.UNDECIDED, "no rule applies yet", ahead, standings)


def _is_early(case: Case, standings: tuple[Standing, ...]) -> bool:
    readings = {
        each.reading for metric in case.primaries for each in metric.comparisons
    }
    return (
        Reading.TOO_EARLY in readings
        and readings <= _WAITING
        and not any(each.harmed for each in standings)
    )


def _stuck(case: Case, standings: tuple[Standing, ...]) -> tuple[str, ...]:
    """Find winners that have waited long enough for a guardrail."""
    if is_planned(case.iteration):
        has_waited = case.is_over
    else:
        has_waited = case.days > PATIENCE_DAYS
    if not has_waited:
        return ()
    return tuple(
        each.variant for each in _asked(standings) if each.is_ahead and each.unsure
    )


def _holds(case: Case, found: Ruling) -> bool:
    """Tell whether the first verdict that decided anything still does."""
    first = case.kept.first_code
    if first is None:
        return True
    if first is VerdictCode.WINNER:
        # Who closes one winner has chosen another.
        asked = {each.variant for each in _asked(found.standings)}
        still = asked.intersection(case.kept.first_variants)
        return found.code is first and still <= set(found.variants)
    if first in _ROLLED_BACK:
        return found.code in _ROLLED_BACK
    return found.code is first


def _asked(standings: tuple[Standing, ...]) -> list[Standing]:
    """Give the open treatments; where all are closed, the question is about them."""
    return [each for each in standings if each.is_open] or [*standings]


def _with(told: list[Told], *readings: Reading) -> tuple[Told, ...]:
    return tuple(each for each in told if each.comparison.reading in readings)


def _is_unsure(told: Told) -> bool:
    metric = told.metric
    if metric.direction is Direction.NONE:
        return False
    if metric.margin is None and metric.margin_abs is None:
        return False
    return told.comparison.reading is not Reading.WITHIN_MARGIN and (
        told.comparison.reading not in HARM
    )
