"""What results look like: frozen values, the same in Python and in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime  # noqa: TC003 - the adapter reads the annotations
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from flask_abx.experiments.metric import Direction, Kind  # noqa: TC001 - as above
from flask_abx.results.inference import Interval  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

#: Within it keys may be added, closed sets may not grow.
SCHEMA_VERSION = 1


class Reading(StrEnum):
    """What one treatment says on one metric."""

    TOO_EARLY = "too_early"
    UNCLEAR = "unclear"
    BETTER = "better"
    WORSE = "worse"
    FLAT = "flat"
    WITHIN_MARGIN = "within_margin"
    OVER_MARGIN = "over_margin"
    WITHHELD = "withheld"
    FAILED = "failed"
    NONE = "none"


#: What a guardrail says when it forbids to ship.
HARM = frozenset({Reading.OVER_MARGIN, Reading.WORSE})


class VerdictCode(StrEnum):
    """What an experiment says; the first that applies, in this order."""

    NO_DATA = "no_data"
    UNTRUSTED = "untrusted"
    NO_PRIMARY = "no_primary"
    TOO_EARLY = "too_early"
    REVIEW = "review"
    WINNER = "winner"
    HARM = "harm"
    LOSER = "loser"
    FLAT = "flat"
    UNDECIDED = "undecided"


class Role(StrEnum):
    """What a metric is asked for."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    GUARDRAIL = "guardrail"


class Basis(StrEnum):
    """Which look an interval belongs to."""

    ANY_TIME = "any_time"
    FINAL = "final"
    FIXED = "fixed"


class Level(StrEnum):
    """How bad a health check is."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    SKIPPED = "skipped"


class CheckId(StrEnum):
    """Every health check, in the order in which they are told."""

    SRM = "srm"
    SRM_DIMENSION = "srm_dimension"
    EMPTY_VARIANT = "empty_variant"
    EXPOSURES_STOPPED = "exposures_stopped"
    MIXED_UNITS = "mixed_units"
    LINKED_UNITS = "linked_units"
    CHANGED_MIDRUN = "changed_midrun"
    PLAN_CHANGED = "plan_changed"
    METRIC_CHANGED = "metric_changed"
    METRIC_DELETED = "metric_deleted"
    METRIC_SILENT = "metric_silent"
    METRIC_UNIT = "metric_unit"
    ID_JOIN = "id_join"
    EVENTS_BEFORE_EXPOSURE = "events_before_exposure"
    BAD_VALUES = "bad_values"
    CLOCK = "clock"
    PRE_PERIOD = "pre_period"
    OUTLIER = "outlier"
    SKEW = "skew"
    PAUSED = "paused"
    WHOLE_WEEKS = "whole_weeks"
    PAST_END = "past_end"
    DECIDED_RUNNING = "decided_running"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class VariantCount:
    """The exposed units of one variant.

    Attributes:
        share: Of all exposed units, as a fraction.
        expected_share: What the weights of the epochs lead to, as a fraction.
        mixed: How many of them met another variant too.
    """

    variant: str
    name: str
    is_control: bool
    is_open: bool
    units: int
    share: float
    expected_share: float
    mixed: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What one metric found in one variant.

    Attributes:
        units: The units that are judged.
        immature: Those whose window has not closed, which are not.
        total: The sum of the metric over the units.
        denominator: The sum of the second part, for a ratio or a mean.
        value: The metric itself; None where nothing can be divided.
        sd: The standard deviation of a unit.
        capped: How many units the cap has cut.
    """

    variant: str
    units: int
    immature: int
    total: float
    denominator: float | None
    value: float | None
    sd: float | None
    capped: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against the baseline on one metric.

    Attributes:
        effect: Treatment minus baseline, whichever direction is good.
        effect_interval: Where it lies, decided exactly when it leaves zero.
        relative_effect: The same as a fraction of the baseline.
        fixed_interval: What a single look would say of the relative effect; decides
            nothing.
        p_value: Scaled so that alpha is its bar: that of an any-time test holds at any
            look, that of a final or a fixed one was made once.
        p_adjusted: The same for the whole family of comparisons.
        basis: The look that the interval belongs to.
        reason: Why it reads so, as a word or a sentence.
        decided_at: When it was first decided.
        n_star: The units at which the any-time interval is tuned to be tightest.
        units_needed: How many more units the planned effect is likely to take.
        chance_to_beat: Only where asked for; not safe against peeking.
        expected_loss: Likewise.
    """

    variant: str
    baseline: str
    effect: float | None
    effect_interval: Interval | None
    relative_effect: float | None
    relative_interval: Interval | None
    fixed_interval: Interval | None
    p_value: float | None
    p_adjusted: float | None
    basis: Basis
    reading: Reading
    reason: str
    decided_at: datetime | None
    n_star: int
    units_needed: int | None
    chance_to_beat: float | None
    expected_loss: float | None


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric: what each variant has, and how the treatments compare.

    Attributes:
        window: Seconds after the first exposure that count; None is all.
        delay: Seconds after the first exposure before anything counts.
        cap: The value above which a unit is cut; None where none is.
        variance_reduction: The share that the covariate saved; None where it was not
            used.
        exploratory: True where it makes no winner; a late guardrail may forbid one.
        dimension: The attribute by which it is broken down, if any.
    """

    metric: str
    name: str
    role: Role
    kind: Kind
    direction: Direction
    format: str
    currency: str | None
    decimals: int | None
    window: int | None
    delay: int
    margin: float | None
    margin_abs: float | None
    cap: float | None
    variance_reduction: float | None
    exploratory: bool
    dimension: str | None
    dimension_value: str | None
    samples: tuple[Sample, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """How one variant stood on one metric at the end of a day.

    Attributes:
        units: The units exposed until then.
        relative_effect: Against the control; None for the control itself.
        interval: The any-time interval of that day, by itself.
    """

    metric: str
    variant: str
    day: date
    units: int
    value: float | None
    relative_effect: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that could make the numbers wrong.

    Attributes:
        value: The number that was looked at.
        limit: The number beyond which it is told.
        sentence: What was found, with the number in it.
        way_out: What to do about it; empty where there is nothing to do.
    """

    id: CheckId
    level: Level
    value: float | None
    limit: float | None
    sentence: str
    way_out: str
    metric: str | None = None
    variant: str | None = None
    dimension: str | None = None


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """The planned sample.

    Attributes:
        units: Of all variants together, as given or as worked out.
        saved_at: When this plan was first defined; where the history does not tell,
            the first exposure or the start.
        is_valid: True if that was before the first exposure.
        progress: The share that is reached, as a fraction of at most 1.
        met_at: When the last planned unit was exposed.
    """

    units: int | None
    days: int | None
    mde: float | None
    power: float | None
    saved_at: datetime
    is_valid: bool
    progress: float
    met_at: datetime | None


@dataclass(frozen=True, slots=True)
class Method:
    """How the numbers were judged.

    Attributes:
        test: `any_time`, `hybrid` or `fixed`.
        family: How many comparisons share alpha.
        revision: The hash of definitions, plan and method.
    """

    test: str
    alpha: float
    alpha_any_time: float
    alpha_final: float
    family: int
    min_days: int
    time_zone: str
    revision: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the experiment says, and what to do next.

    Attributes:
        next_step: The command to run, or the line to paste.
        rule: Which rule decided.
        variants: Those that it speaks of.
        best: The winner that beats each other winner; None where no one does.
        first_code: The first verdict that decided anything in this revision.
        first_at: When that was.
    """

    code: VerdictCode
    sentence: str
    next_step: str
    rule: str
    variants: tuple[str, ...]
    best: str | None
    first_code: VerdictCode | None
    first_at: datetime | None


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that one look at an experiment found.

    Attributes:
        as_of: Events and exposures up to here are counted.
        computed_at: When this was computed.
        looks: How many looks there were, this one included.
        seconds: How long it took.
        notes: Sentences on what a reader should know beside the checks.
    """

    schema_version: int
    experiment: str
    name: str
    iteration: int
    status: str
    unit_type: str
    control: str
    started_at: datetime | None
    ended_at: datetime | None
    as_of: datetime
    computed_at: datetime
    looks: int
    seconds: float
    method: Method
    plan: SamplePlan | None
    verdict: Verdict
    health: tuple[HealthCheck, ...]
    variants: tuple[VariantCount, ...]
    metrics: tuple[MetricResult, ...]
    series: tuple[SeriesPoint, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the results as plain JSON values."""
        told: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Results:
        """Read what `to_dict` gave, by this release or by an earlier one."""
        return _adapter().validate_python(told)

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Read the JSON of what `to_dict` gave."""
        return _adapter().validate_json(text)

    def to_html(self) -> str:
        """Write the whole report as one page that needs nothing else."""
        # Who never asks for the page does not load what draws it.
        from flask_abx.results.showing.page import page

        return page(self)


@cache
def _adapter() -> TypeAdapter[Results]:
    from pydantic import TypeAdapter

    return TypeAdapter(Results)
