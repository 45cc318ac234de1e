"""Results to look at: one coherent experiment for every verdict, and some odd ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from flask_abx.experiments.metric import Direction, Kind
from flask_abx.results.inference import (
    Interval,
    Moments,
    contrast,
    difference,
    fieller,
)
from flask_abx.results.shapes import (
    SCHEMA_VERSION,
    Basis,
    CheckId,
    Comparison,
    HealthCheck,
    Level,
    Method,
    MetricResult,
    Reading,
    Results,
    Role,
    Sample,
    SamplePlan,
    SeriesPoint,
    VariantCount,
    Verdict,
    VerdictCode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
ALPHA, ALPHA_ANY_TIME = 0.05, 0.01
PLANNED = 330_000
CONTROL = ("control", "Control")
BOLD = ("bold", "Bold headline")
CALM = ("calm", "Calm headline")

Arms: TypeAlias = "Sequence[tuple[str, str]]"


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric and what each variant has of it.

    Attributes:
        values: The mean of each variant, control first.
        sd: Of one unit; None for a conversion, which has its own.
        reading: What to say in place of what the interval says.
    """

    metric: str
    values: tuple[float, ...]
    role: Role = Role.PRIMARY
    name: str = ""
    kind: Kind = Kind.CONVERSION
    direction: Direction = Direction.HIGHER
    form: str = "percent"
    currency: str | None = None
    sd: float | None = None
    margin: float | None = None
    window: int | None = None
    cap: float | None = None
    variance_reduction: float | None = None
    immature: float = 0.0
    reading: Reading | None = None
    reason: str = ""
    basis: Basis = Basis.ANY_TIME
    exploratory: bool = False

    def moments(self, place: int, units: int) -> Moments:
        """Give what so many units of one variant have."""
        mean = self.values[place]
        variance = mean * (1 - mean) if self.sd is None else self.sd**2
        return Moments(units, mean, variance)


SIGNUP = Measured("signup", (0.0919, 0.0974), name="Sign-up")
REVENUE = Measured(
    "revenue",
    (6.83, 7.06),
    Role.SECONDARY,
    name="Revenue per visitor",
    kind=Kind.SUM,
    form="currency",
    currency="EUR",
    sd=24.0,
    window=7 * 86_400,
    cap=310.0,
    variance_reduction=0.31,
    immature=0.46,
)
BASKET = Measured("basket", (0.318, 0.3195), Role.SECONDARY, name="Add to basket")
REFUNDS = Measured(
    "refunds",
    (0.0310, 0.0309),
    Role.GUARDRAIL,
    name="Refunds",
    direction=Direction.LOWER,
    margin=0.1,
)
PAGE_LOAD = Measured(
    "page_load",
    (1.92, 1.93),
    Role.GUARDRAIL,
    name="Page load",
    kind=Kind.MEAN,
    direction=Direction.LOWER,
    form="duration",
    sd=1.4,
)


def reach(units: float, n_star: float, alpha: float) -> float:
    """Give the standard errors of an any-time interval."""
    r = _scale(n_star) * units
    return math.sqrt((r + 1) / r * math.log((r + 1) / alpha**2))


def chance(t: float, units: float, n_star: float) -> float:
    """Give the any-time p-value that belongs to it."""
    r = _scale(n_star) * units
    return min(1.0, math.sqrt(r + 1) * math.exp(-t * t / 2 * r / (r + 1)))


def _scale(n_star: float) -> float:
    wide = -2 * math.log(ALPHA_ANY_TIME)
    return (wide + math.log(wide + 1)) / n_star


def counted(
    arms: Arms, units: Sequence[int], shares: Sequence[float] = (), mixed: int = 0
) -> tuple[VariantCount, ...]:
    """Count the units of each variant; equal shares are expected unless told."""
    total = sum(units)
    expected = shares or [1 / len(arms)] * len(arms)
    return tuple(
        VariantCount(
            variant=key,
            name=name,
            is_control=place == 0,
            is_open=True,
            units=count,
            share=count / total if total else 0.0,
            expected_share=share,
            mixed=mixed,
        )
        for place, ((key, name), count, share) in enumerate(
            zip(arms, units, expected, strict=True)
        )
    )


def sampled(measured: Measured, place: int, count: VariantCount) -> Sample:
    """Say what one variant has of a metric."""
    units = round(count.units * (1 - measured.immature))
    found = measured.moments(place, max(units, 2))
    is_mean = measured.kind is Kind.MEAN
    return Sample(
        variant=count.variant,
        units=units,
        immature=count.units - units,
        total=round(found.mean * units, 2)
        if measured.sd
        else round(found.mean * units),
        denominator=float(units) if is_mean else None,
        value=found.mean if units else None,
        sd=math.sqrt(found.variance) if units else None,
        capped=round(units * 0.004) if measured.cap else 0,
    )


def compared(
    measured: Measured, place: int, samples: Sequence[Sample], family: int
) -> Comparison:
    """Compare one treatment with the control."""
    control, treatment = samples[0], samples[place]
    n_star = PLANNED * 2 // len(samples)
    if not control.units or not treatment.units:
        return nothing(treatment.variant, control.variant, n_star)
    left = measured.moments(0, control.units)
    right = measured.moments(place, treatment.units)
    estimate = difference(left, right)
    alpha = ALPHA_ANY_TIME / family
    is_final = measured.basis is Basis.FINAL
    k = 2.05 if is_final else reach(estimate.n, n_star, alpha)
    level = 1 - (0.04 if is_final else alpha)
    t = estimate.effect / estimate.se
    p_any_time = chance(t, estimate.n, n_star)
    relative = fieller(left, right, k, level=level)
    reading = measured.reading or read(measured, relative)
    if measured.margin is not None and reading is not Reading.OVER_MARGIN:
        p_any_time = chance_beyond_margin(measured, left, right, n_star)
    p_value = math.erfc(abs(t) / math.sqrt(2)) if is_final else p_any_time
    p_value = min(1.0, p_value * ALPHA / (0.04 if is_final else ALPHA_ANY_TIME))
    absolute = Interval(
        estimate.effect - k * estimate.se, estimate.effect + k * estimate.se, level
    )
    is_decided = reading in {Reading.BETTER, Reading.WORSE, Reading.OVER_MARGIN}
    return Comparison(
        variant=treatment.variant,
        baseline=control.variant,
        effect=estimate.effect,
        effect_interval=absolute,
        relative_effect=estimate.effect / abs(left.mean),
        relative_interval=relative,
        fixed_interval=fieller(left, right, 1.96, level=0.95),
        p_value=p_value,
        p_adjusted=min(1.0, p_value * family),
        basis=measured.basis,
        reading=reading,
        reason=measured.reason,
        decided_at=datetime(2026, 11, 20, 6, 0, tzinfo=UTC) if is_decided else None,
        n_star=n_star,
        units_needed=None if is_decided else 41_300,
        chance_to_beat=None,
        expected_loss=None,
    )


def nothing(variant: str, baseline: str, n_star: int = 10_000) -> Comparison:
    """Compare where there is nothing to compare."""
    return Comparison(
        variant=variant,
        baseline=baseline,
        effect=None,
        effect_interval=None,
        relative_effect=None,
        relative_interval=None,
        fixed_interval=None,
        p_value=None,
        p_adjusted=None,
        basis=Basis.ANY_TIME,
        reading=Reading.NONE,
        reason="No unit was exposed.",
        decided_at=None,
        n_star=n_star,
        units_needed=None,
        chance_to_beat=None,
        expected_loss=None,
    )


def chance_beyond_margin(
    measured: Measured, left: Moments, right: Moments, n_star: int
) -> float:
    """Give the any-time p-value of a guardrail: that it keeps to its margin."""
    sign = 1 if measured.direction is Direction.LOWER else -1
    held = contrast(left, right, 1 + sign * (measured.margin or 0.0))
    t = -sign * held.effect / held.se
    return chance(t, held.n, n_star) if t > 0 else 1.0


def read(measured: Measured, interval: Interval | None) -> Reading:
    """Read an interval as the rules do."""
    if interval is None:
        return Reading.UNCLEAR
    sign = -1 if measured.direction is Direction.LOWER else 1
    low, high = interval.low, interval.high
    worst, best = (low, high) if sign > 0 else (high, low)
    if measured.margin is not None:
        if worst is not None and sign * worst > -measured.margin:
            return Reading.WITHIN_MARGIN
        is_over = best is not None and sign * best < -measured.margin
        return Reading.OVER_MARGIN if is_over else Reading.UNCLEAR
    if best is not None and sign * best < 0:
        return Reading.WORSE
    if measured.role is Role.GUARDRAIL:
        return Reading.UNCLEAR
    is_better = worst is not None and sign * worst > 0
    return Reading.BETTER if is_better else Reading.UNCLEAR


def result(
    measured: Measured, counts: Sequence[VariantCount], family: int = 1
) -> MetricResult:
    """Work out one metric for every variant."""
    samples = tuple(
        sampled(measured, place, count) for place, count in enumerate(counts)
    )
    return MetricResult(
        metric=measured.metric,
        name=measured.name,
        role=measured.role,
        kind=measured.kind,
        direction=measured.direction,
        format=measured.form,
        currency=measured.currency,
        decimals=None,
        window=measured.window,
        delay=0,
        margin=measured.margin,
        margin_abs=None,
        cap=measured.cap,
        variance_reduction=measured.variance_reduction,
        exploratory=measured.exploratory or measured.role is Role.SECONDARY,
        dimension=None,
        dimension_value=None,
        samples=samples,
        comparisons=tuple(
            compared(measured, place, samples, family)
            for place in range(1, len(samples))
        ),
    )


def over_time(
    measured: Measured, counts: Sequence[VariantCount], days: int, family: int = 1
) -> list[SeriesPoint]:
    """Let the effect of each variant settle day by day, until it is what it is."""
    points = []
    first = NOW.date() - timedelta(days=days - 1)
    for day in range(1, days + 1):
        for place, count in enumerate(counts):
            units = count.units * day // days
            wave = math.cos(2.1 * day + place) * (days - day) / days
            drift = 0.07 * wave / math.sqrt(day)
            value = measured.values[place] * (1 + drift * (place > 0))
            moved = replace(measured, values=(measured.values[0], value))
            left, right = (
                moved.moments(0, max(units, 2)),
                moved.moments(1, max(units, 2)),
            )
            k = reach(2 * max(units, 2), PLANNED, ALPHA_ANY_TIME / family)
            is_treatment = place > 0 and units > 0
            points.append(
                SeriesPoint(
                    metric=measured.metric,
                    variant=count.variant,
                    day=first + timedelta(days=day - 1),
                    units=units,
                    value=value if units else None,
                    relative_effect=value / left.mean - 1 if is_treatment else None,
                    interval=fieller(left, right, k, level=0.99)
                    if is_treatment
                    else None,
                )
            )
    return points


HEALTHY = {
    CheckId.SRM: (0.86, 0.01, "Every variant has the share it was given (p = 0.86)."),
    CheckId.EMPTY_VARIANT: (0.0, 0.0, "Every variant has units."),
    CheckId.EXPOSURES_STOPPED: (0.1, 24.0, "The last exposure was 6 minutes ago."),
    CheckId.MIXED_UNITS: (0.0004, 0.005, "0.04 % of the units met two variants."),
    CheckId.LINKED_UNITS: (0.021, 0.1, "2.1 % of the units were joined by a login."),
    CheckId.CHANGED_MIDRUN: (0.0, 0.0, "Weights, salt and unit are as at the start."),
    CheckId.METRIC_SILENT: (0.0, 0.0, "Events of every metric arrive."),
    CheckId.ID_JOIN: (0.37, 0.001, "37 % of the exposed units have an event."),
    CheckId.CLOCK: (2.0, 300.0, "Clocks agree within 2 s."),
    CheckId.OUTLIER: (0.004, 0.05, "No unit makes more than 0.4 % of a sum."),
    CheckId.WHOLE_WEEKS: (2.0, 1.0, "2 whole weeks are covered."),
    CheckId.STALE: (0.4, 24.0, "Computed 24 minutes after the last event."),
}


def healthy(*others: HealthCheck) -> tuple[HealthCheck, ...]:
    """List the checks, with others in place of those that are fine."""
    told = {
        id_: HealthCheck(id_, Level.OK, value, limit, sentence, "")
        for id_, (value, limit, sentence) in HEALTHY.items()
    }
    told |= {other.id: other for other in others}
    skipped = HealthCheck(
        CheckId.PRE_PERIOD,
        Level.SKIPPED,
        None,
        None,
        "No metric has a covariate.",
        "",
    )
    told.setdefault(CheckId.PRE_PERIOD, skipped)
    return tuple(told[id_] for id_ in CheckId if id_ in told)


def started(days: int) -> datetime:
    """Tell when an experiment began that is on the last of so many days."""
    return NOW - timedelta(days=days - 1, minutes=40)


def planned(units: int, days: int, *, planned_units: int = PLANNED) -> SamplePlan:
    """Plan three weeks, of which so many units have come."""
    is_met = units >= planned_units
    return SamplePlan(
        units=planned_units,
        days=None,
        mde=None,
        power=None,
        saved_at=started(days) - timedelta(days=1),
        is_valid=True,
        progress=min(1.0, units / planned_units),
        met_at=datetime(2026, 11, 22, 17, 20, tzinfo=UTC) if is_met else None,
    )


def shown(
    verdict: Verdict,
    counts: Sequence[VariantCount],
    measures: Sequence[Measured],
    *,
    key: str = "headline",
    name: str = "Headline",
    days: int = 14,
    health: tuple[HealthCheck, ...] | None = None,
    notes: tuple[str, ...] = (),
    planned_units: int = PLANNED,
) -> Results:
    """Put an experiment together."""
    treatments = len(counts) - 1
    primaries = [one for one in measures if one.role is Role.PRIMARY]
    family = max(1, treatments * len(primaries))
    units = sum(count.units for count in counts)
    points = [
        point
        for one in primaries
        if units
        for point in over_time(one, counts, days, family)
    ]
    return Results(
        schema_version=SCHEMA_VERSION,
        experiment=key,
        name=name,
        iteration=1,
        status="running",
        unit_type="visitor",
        control=counts[0].variant,
        started_at=started(days),
        ended_at=None,
        as_of=NOW,
        computed_at=NOW + timedelta(seconds=2),
        looks=days,
        seconds=1.42,
        method=Method(
            "hybrid", ALPHA, ALPHA_ANY_TIME, 0.04, family, 7, "UTC", "5f0c2b9e41d7"
        ),
        plan=planned(units, days, planned_units=planned_units),
        verdict=verdict,
        health=healthy() if health is None else health,
        variants=tuple(counts),
        metrics=tuple(
            result(one, counts, family if one.role is Role.PRIMARY else 1)
            for one in measures
        ),
        series=tuple(points),
        notes=notes,
    )


def said(
    code: VerdictCode,
    sentence: str,
    next_step: str,
    rule: str,
    variants: tuple[str, ...] = (),
    best: str | None = None,
) -> Verdict:
    """Give a verdict; one that decides was first reached three days ago."""
    decides = {
        VerdictCode.WINNER,
        VerdictCode.HARM,
        VerdictCode.LOSER,
        VerdictCode.FLAT,
    }
    at = datetime(2026, 11, 20, 6, 0, tzinfo=UTC) if code in decides else None
    return Verdict(
        code, sentence, next_step, rule, variants, best, code if at else None, at
    )


def no_data() -> Results:
    """Started, and nobody came."""
    verdict = said(
        VerdictCode.NO_DATA,
        "No visitor has been exposed yet.",
        "flask abx doctor",
        "No unit was exposed.",
    )
    counts = counted((CONTROL, BOLD), (0, 0))
    return shown(verdict, counts, (SIGNUP,), days=1, health=())


def untrusted() -> Results:
    """A redirect loses visitors of one treatment, so the split is broken."""
    arms = (CONTROL, ("one_page", "One page"), ("express", "Express pay"))
    units = (111_120, 107_900, 94_980)
    srm = HealthCheck(
        CheckId.SRM,
        Level.ERROR,
        3e-12,
        0.01,
        "express has 30.25 % of the visitors instead of 33.00 %, and 8,640 are missing "
        "(p < 0.001).",
        "Find what loses visitors before the exposure is recorded, such as a redirect, "
        "then start a new iteration.",
        variant="express",
    )
    mixed = HealthCheck(
        CheckId.MIXED_UNITS,
        Level.WARN,
        0.0071,
        0.005,
        "0.71 % of the visitors met two variants.",
        "Look for pages that are cached without the variant.",
    )
    verdict = said(
        VerdictCode.UNTRUSTED,
        "Do not read these results: the split differs from the one that was set.",
        "flask abx health checkout_button",
        "A health check is at level error.",
    )
    held = [
        replace(one, reading=Reading.WITHHELD)
        for one in (
            replace(
                SIGNUP,
                metric="purchase",
                name="Purchase",
                values=(0.092, 0.0974, 0.0938),
            ),
            replace(REVENUE, values=(6.83, 7.31, 6.91)),
            replace(REFUNDS, values=(0.0310, 0.0312, 0.0307)),
            replace(PAGE_LOAD, values=(1.92, 1.88, 2.09)),
        )
    ]
    counts = counted(arms, units, (0.34, 0.33, 0.33), mixed=743)
    return shown(
        verdict,
        counts,
        held,
        key="checkout_button",
        name="One-page checkout",
        health=healthy(srm, mixed),
    )


def no_primary() -> Results:
    """An experiment without metrics reports the events that it saw."""
    verdict = said(
        VerdictCode.NO_PRIMARY,
        "No primary metric says what to decide on.",
        'metrics = "signup"',
        "No metric is primary.",
    )
    seen = [
        replace(SIGNUP, name="", role=Role.SECONDARY, exploratory=True),
        replace(BASKET, name="", exploratory=True),
    ]
    counts = counted((CONTROL, BOLD), (21_410, 21_388))
    return shown(verdict, counts, seen, notes=("No metric is defined.",))


def too_early() -> Results:
    """Too few units for any reading."""
    verdict = said(
        VerdictCode.TOO_EARLY,
        "Too few visitors to read anything yet.",
        "flask abx results headline --refresh",
        "Every primary comparison is too early.",
    )
    early = replace(
        SIGNUP,
        reading=Reading.TOO_EARLY,
        reason="units",
        values=(0.0926, 0.1071),
    )
    return shown(verdict, counted((CONTROL, BOLD), (81, 84)), (early,), days=2)


def review() -> Results:
    """Two primaries pull apart."""
    verdict = said(
        VerdictCode.REVIEW,
        "bold is better on signup and worse on basket: weigh them.",
        "flask abx results headline --metric basket",
        "One primary is better and another worse.",
        ("bold",),
    )
    measures = (
        SIGNUP,
        replace(BASKET, role=Role.PRIMARY, values=(0.318, 0.3065)),
        REVENUE,
        replace(REFUNDS, values=(0.031, 0.0325)),
    )
    return shown(verdict, counted((CONTROL, BOLD), (109_420, 109_380)), measures)


def winner() -> Results:
    """The bold headline wins and its guardrail holds."""
    verdict = said(
        VerdictCode.WINNER,
        "bold is better on signup, and every guardrail holds.",
        "flask abx conclude headline --winner bold",
        "Better on a primary, worse on none, guardrails within, min_days passed.",
        ("bold",),
        "bold",
    )
    counts = counted((CONTROL, BOLD), (109_420, 109_380))
    measures = (SIGNUP, REVENUE, BASKET, REFUNDS, PAGE_LOAD)
    return shown(verdict, counts, measures)


def harm() -> Results:
    """Both treatments are out, one of them by a guardrail."""
    verdict = said(
        VerdictCode.HARM,
        "bold raises refunds beyond its margin, and calm is worse on signup.",
        "flask abx conclude headline --winner control",
        "Every open treatment is out, at least one by a guardrail.",
        ("bold", "calm"),
    )
    counts = counted((CONTROL, BOLD, CALM), (73_010, 72_890, 73_120))
    measures = (
        replace(SIGNUP, values=(0.0919, 0.0931, 0.0847)),
        replace(REVENUE, values=(6.83, 6.88, 6.51)),
        replace(REFUNDS, values=(0.0310, 0.0409, 0.0312)),
        replace(PAGE_LOAD, values=(1.92, 1.93, 1.91)),
    )
    return shown(verdict, counts, measures)


def loser() -> Results:
    """The treatment is worse."""
    verdict = said(
        VerdictCode.LOSER,
        "bold is worse on signup.",
        "flask abx conclude headline --winner control",
        "Every open treatment is worse on a primary.",
        ("bold",),
    )
    measures = (replace(SIGNUP, values=(0.0919, 0.0861)), REVENUE, REFUNDS)
    return shown(verdict, counted((CONTROL, BOLD), (109_420, 109_380)), measures)


def flat() -> Results:
    """The plan is met and nothing was found."""
    verdict = said(
        VerdictCode.FLAT,
        "No effect was found with the planned sample: at most 2.4 % more sign-ups.",
        "flask abx conclude headline --winner control",
        "The final look is made and found nothing.",
    )
    ended = replace(
        SIGNUP, values=(0.0919, 0.0921), basis=Basis.FINAL, reading=Reading.FLAT
    )
    counts = counted((CONTROL, BOLD), (170_310, 170_250))
    measures = (ended, replace(REVENUE, values=(6.83, 6.86)), REFUNDS)
    return shown(verdict, counts, measures, days=22)


def undecided() -> Results:
    """It collects, and the interval still holds zero."""
    verdict = said(
        VerdictCode.UNDECIDED,
        "Nothing is decided yet: free shipping lies between -6.4 % and +10.2 %.",
        "flask abx results free_shipping --refresh",
        "No rule applies yet.",
    )
    counts = counted((CONTROL, ("free", "Free shipping")), (42_310, 42_180), (0.5, 0.5))
    paused = HealthCheck(
        CheckId.WHOLE_WEEKS,
        Level.WARN,
        0.0,
        1.0,
        "0 whole weeks are covered after 6 days.",
        "Wait until a week is full.",
    )
    measures = (
        replace(SIGNUP, metric="purchase", name="Purchase", values=(0.0911, 0.0925)),
        replace(REVENUE, values=(6.83, 6.91)),
        replace(REFUNDS, values=(0.0310, 0.0321)),
    )
    return shown(
        verdict,
        counts,
        measures,
        key="free_shipping",
        name="Free shipping",
        days=6,
        health=healthy(paused),
    )


def hostile() -> Results:
    """Names that would be markup, numbers of every size, and open intervals."""
    bad = "<script>alert(1)</script>"
    counts = counted(
        (("control", bad), (bad, '"><img src=x onerror=alert(1)>')), (50_000, 50_000)
    )
    verdict = said(VerdictCode.UNDECIDED, f"{bad} is unclear.", f"flask abx {bad}", bad)
    huge = replace(
        REVENUE, values=(4.1e9, 4.2e9), sd=8e9, name=bad, metric=bad, cap=9e9
    )
    tiny = replace(
        SIGNUP, values=(3e-7, 4e-7), sd=2e-6, name="Tiny & <b>small</b>", form="number"
    )
    flood = replace(SIGNUP, values=(0.002, 0.0024), metric="flood")
    made = shown(
        verdict,
        counts,
        (tiny, flood, huge, replace(PAGE_LOAD, values=(0.0004, 0.00041), sd=0.0002)),
        key=bad,
        name=bad,
        notes=(bad, "Names may hold ]]> and --> and </style> too."),
        health=healthy(
            HealthCheck(CheckId.SRM, Level.ERROR, 0.0, 0.01, bad, bad, bad, bad, bad)
        ),
    )
    empty = replace(
        made.metrics[1],
        comparisons=(
            replace(
                made.metrics[1].comparisons[0],
                relative_interval=None,
                relative_effect=None,
                reason=bad,
            ),
        ),
    )
    return replace(made, metrics=(made.metrics[0], empty, *made.metrics[2:]))


def crowded(treatments: int = 8) -> Results:
    """Many variants at once."""
    arms = [
        CONTROL,
        *((f"v{n}", f"Variant number {n}") for n in range(1, treatments + 1)),
    ]
    counts = counted(arms, [24_000 + 13 * n for n in range(len(arms))])
    values = tuple(0.0919 * (1 + 0.02 * math.sin(n)) for n in range(len(arms)))
    verdict = said(
        VerdictCode.UNDECIDED,
        "Nothing is decided yet.",
        "flask abx results headline --refresh",
        "No rule applies yet.",
    )
    return shown(verdict, counts, (replace(SIGNUP, values=values),))


def by_country() -> Results:
    """The winner, broken down by a dimension."""
    made = winner()
    parts = [
        replace(
            result(replace(SIGNUP, values=values), counted((CONTROL, BOLD), units)),
            exploratory=True,
            dimension="country",
            dimension_value=country,
        )
        for country, values, units in (
            ("AT", (0.0911, 0.0934), (21_050, 21_110)),
            ("DE", (0.0920, 0.0989), (68_200, 68_110)),
            ("", (0.0931, 0.0952), (20_170, 20_160)),
        )
    ]
    return replace(made, metrics=(*made.metrics, *parts))


def measureless() -> Results:
    """No metric, no series, no plan and no check."""
    return replace(winner(), metrics=(), series=(), plan=None, health=(), notes=())


#: A story for every verdict.
SHOWN: dict[VerdictCode, Callable[[], Results]] = {
    VerdictCode.NO_DATA: no_data,
    VerdictCode.UNTRUSTED: untrusted,
    VerdictCode.NO_PRIMARY: no_primary,
    VerdictCode.TOO_EARLY: too_early,
    VerdictCode.REVIEW: review,
    VerdictCode.WINNER: winner,
    VerdictCode.HARM: harm,
    VerdictCode.LOSER: loser,
    VerdictCode.FLAT: flat,
    VerdictCode.UNDECIDED: undecided,
}
