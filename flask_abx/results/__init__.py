"""What an experiment says: sums from the database, figures, and a verdict."""

from __future__ import annotations

from flask_abx.results.inference import Interval
from flask_abx.results.shapes import (
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

__all__ = [
    "Basis",
    "CheckId",
    "Comparison",
    "HealthCheck",
    "Interval",
    "Level",
    "Method",
    "MetricResult",
    "Reading",
    "Results",
    "Role",
    "Sample",
    "SamplePlan",
    "SeriesPoint",
    "VariantCount",
    "Verdict",
    "VerdictCode",
]
