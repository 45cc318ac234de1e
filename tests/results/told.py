"""Ten experiments as the engine judges them, from sums that were never rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_abx.experiments.metric import Metric
from flask_abx.results import health
from flask_abx.results.judgement.judging import judge
from flask_abx.results.looks.kept import Kept
from flask_abx.results.metrics import measures
from flask_abx.results.shapes import SCHEMA_VERSION, Level, Results, VerdictCode
from flask_abx.stores.change import moment_of
from tests.results.judged import NOW, conversions, found, run, values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.scanning.sums import Aggregates, Sums

METRICS: dict[str, dict[str, Any]] = {
    "revenue": {"kind": "sum", "event": "order", "format": "currency"},
    "refunds": {"event": "refund", "direction": "lower", "margin": 0.1},
    "page_load": {"kind": "mean", "direction": "lower", "format": "duration"},
}
METRICS["revenue"] |= {"currency": "EUR"}
ROLES = {
    "primary": ["signup"],
    "secondary": ["revenue"],
    "guardrail": ["refunds"],
}
PLAN = {"units": 330_000}
UNITS = 110_000


def told(
    iteration: Iteration,
    aggregates: Aggregates,
    *,
    final: Aggregates | None = None,
) -> Results:
    """Look at an experiment, as a refresh does."""
    declared = {key: Metric(**each) for key, each in METRICS.items()}
    asked = measures(iteration.experiment, declared, {})
    checks = health.check(iteration, asked, aggregates, now=NOW)
    judged = judge(
        iteration,
        asked,
        aggregates,
        now=NOW,
        kept=Kept(),
        errors=[each.id for each in checks if each.level is Level.ERROR],
        final=final,
    )
    assert iteration.started_at is not None
    return Results(
        schema_version=SCHEMA_VERSION,
        experiment=iteration.experiment.key,
        name="Headline",
        iteration=1,
        status="running",
        unit_type="visitor",
        control="control",
        started_at=moment_of(iteration.started_at),
        ended_at=None,
        as_of=NOW,
        computed_at=NOW,
        looks=14,
        seconds=1.42,
        method=judged.method,
        plan=judged.plan,
        verdict=judged.verdict,
        health=checks,
        variants=judged.variants,
        metrics=judged.metrics,
        series=judged.series,
        notes=judged.notes,
    )


def sums(
    signups: Mapping[str, int],
    *,
    refunds: Mapping[str, int] | None = None,
    revenue: Mapping[str, float] | None = None,
    units: Mapping[str, int] | None = None,
) -> dict[str, dict[str, Sums]]:
    """Sum what each variant has of the three metrics."""
    counts = units or dict.fromkeys(signups, UNITS)
    return {
        "signup": {
            key: conversions(counts[key], hits) for key, hits in signups.items()
        },
        "revenue": {
            key: values(counts[key], (revenue or {}).get(key, 6.83), 24.0)
            for key in signups
        },
        "refunds": {
            key: conversions(
                counts[key], (refunds or {}).get(key, counts[key] * 31 // 1000)
            )
            for key in signups
        },
    }


def no_data() -> Results:
    return told(run(days=0.1, metrics=ROLES), found({}))


def untrusted() -> Results:
    units = {"control": 110_700, "bold": 104_200}
    data = sums({"control": 10_170, "bold": 9_900}, units=units)
    return told(run(metrics=ROLES, plan=PLAN), found(data))


def no_primary() -> Results:
    data = sums({"control": 10_120, "bold": 10_150})
    return told(run(metrics={"secondary": ["signup"]}), found(data))


def too_early() -> Results:
    units = {"control": 81, "bold": 84}
    data = sums({"control": 8, "bold": 9}, units=units)
    return told(run(days=1.2, metrics=ROLES, plan=PLAN), found(data))


def review() -> Results:
    roles = {"primary": ["signup", "basket"]}
    data = sums({"control": 10_120, "bold": 10_727})
    data["basket"] = {
        "control": conversions(UNITS, 35_000),
        "bold": conversions(UNITS, 33_600),
    }
    return told(run(metrics=roles, plan=PLAN), found(data))


def winner() -> Results:
    data = sums(
        {"control": 10_120, "bold": 10_727}, revenue={"control": 6.83, "bold": 7.06}
    )
    return told(run(metrics=ROLES, plan=PLAN), found(data))


def harm() -> Results:
    data = sums(
        {"control": 10_120, "bold": 10_250, "calm": 9_300},
        refunds={"control": 3_410, "bold": 4_400, "calm": 3_430},
    )
    variants = ["control", "bold", "calm"]
    return told(run(variants=variants, metrics=ROLES, plan=PLAN), found(data))


def loser() -> Results:
    data = sums({"control": 10_120, "bold": 9_300})
    return told(run(metrics=ROLES, plan=PLAN), found(data))


def flat() -> Results:
    data = found(sums({"control": 10_120, "bold": 10_150}))
    planned = run(days=21, metrics=ROLES, plan={"units": 2 * UNITS})
    return told(planned, data, final=data)


def undecided() -> Results:
    data = sums({"control": 10_120, "bold": 10_300})
    return told(run(metrics=ROLES, plan=PLAN), found(data))


TOLD: dict[VerdictCode, Callable[[], Results]] = {
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
