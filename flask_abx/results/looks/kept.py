"""What one look at an experiment hands on to the next, as plain JSON values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask_abx.results.inference import Interval
from flask_abx.results.shapes import Reading, Sample, VerdictCode

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Row:
    """What one test says of one treatment on one metric.

    Attributes:
        n: Judged units of both variants.
        p_value: Scaled up to the whole of alpha; None where nothing was tested.
        p_adjusted: The same for its family.
        reading: What it says by itself.
        reason: Why it says nothing; where it does, what else to know of it.
    """

    effect: float | None
    se: float | None
    n: float
    effect_interval: Interval | None
    relative_effect: float | None
    relative_interval: Interval | None
    p_value: float | None
    p_adjusted: float | None
    reading: Reading
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FinalLook:
    """The one look that the plan asked for; never repeated.

    Attributes:
        at: When it was made.
        met_at: When the last planned unit was exposed.
        alpha: What its tests were scaled up to.
        rows: By metric and variant, where a metric is named by its role, too.
        samples: What the variants had then, by metric.
        caps: Where each metric was cut then; None where it was not.
        reductions: What each covariate saved then; None without one.
    """

    at: datetime
    met_at: datetime | None
    alpha: float
    rows: Mapping[str, Mapping[str, Row]]
    samples: Mapping[str, tuple[Sample, ...]]
    caps: Mapping[str, float | None] = field(default_factory=dict)
    reductions: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """What must survive between the looks at one iteration.

    Attributes:
        revision: What the last look judged by.
        family: How many primary comparisons share alpha; it never falls.
        guards: How many guardrail comparisons do; likewise.
        plan_units: What the planned effect came to in units, worked out once.
        n_star: Where each any-time test is tuned, fixed when it is first made.
        final: The final look, once it was made.
        decided: When each comparison was first decided, in this revision.
        first_code: The first verdict that decided anything, in this revision.
        first_at: When that was.
        first_variants: Those that it spoke of.
    """

    revision: str = ""
    family: int = 0
    guards: int = 0
    plan_units: int | None = None
    n_star: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    final: FinalLook | None = None
    decided: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    first_code: VerdictCode | None = None
    first_at: datetime | None = None
    first_variants: tuple[str, ...] = ()

    def for_revision(self, revision: str) -> Kept:
        """Keep what outlives other definitions: all but what they were found to say."""
        if revision == self.revision:
            return self
        return replace(
            self,
            revision=revision,
            decided={},
            first_code=None,
            first_at=None,
            first_variants=(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "revision": self.revision,
            "family": self.family,
            "guards": self.guards,
            "plan_units": self.plan_units,
            "n_star": {metric: {**each} for metric, each in self.n_star.items()},
            "final": None if self.final is None else _final_to_dict(self.final),
            "decided": {
                metric: {variant: at.isoformat() for variant, at in each.items()}
                for metric, each in self.decided.items()
            },
            "first_code": None if self.first_code is None else self.first_code.value,
            "first_at": None if self.first_at is None else self.first_at.isoformat(),
            "first_variants": [*self.first_variants],
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Kept:
        """Read what `to_dict` gave, by this release or by an earlier one."""
        final, code = told.get("final"), told.get("first_code")
        return cls(
            revision=told.get("revision", ""),
            family=told.get("family", 0),
            guards=told.get("guards", 0),
            plan_units=told.get("plan_units"),
            n_star=told.get("n_star", {}),
            final=None if final is None else _final_from_dict(final),
            decided={
                metric: {
                    variant: datetime.fromisoformat(at) for variant, at in each.items()
                }
                for metric, each in told.get("decided", {}).items()
            },
            first_code=None if code is None else VerdictCode(code),
            first_at=_moment(told.get("first_at")),
            first_variants=tuple(told.get("first_variants", ())),
        )


def _final_to_dict(final: FinalLook) -> dict[str, Any]:
    return {
        "at": final.at.isoformat(),
        "met_at": None if final.met_at is None else final.met_at.isoformat(),
        "alpha": final.alpha,
        "rows": {
            metric: {
                variant: {**asdict(row), "reading": row.reading.value}
                for variant, row in each.items()
            }
            for metric, each in final.rows.items()
        },
        "samples": {
            metric: [asdict(sample) for sample in each]
            for metric, each in final.samples.items()
        },
        "caps": {**final.caps},
        "reductions": {**final.reductions},
    }


def _final_from_dict(told: Mapping[str, Any]) -> FinalLook:
    return FinalLook(
        at=datetime.fromisoformat(told["at"]),
        met_at=_moment(told.get("met_at")),
        alpha=told["alpha"],
        rows={
            metric: {variant: _row(row) for variant, row in each.items()}
            for metric, each in told["rows"].items()
        },
        samples={
            metric: tuple(Sample(**sample) for sample in each)
            for metric, each in told["samples"].items()
        },
        caps=told.get("caps", {}),
        reductions=told.get("reductions", {}),
    )


def _row(told: Mapping[str, Any]) -> Row:
    drawn = {
        name: None if told[name] is None else Interval(**told[name])
        for name in ("effect_interval", "relative_interval")
    }
    return Row(**{**told, **drawn, "reading": Reading(told["reading"])})


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
