"""The closed sets of results in words, with a tone for each that may be coloured."""

from __future__ import annotations

from enum import StrEnum

from flask_abx.experiments.metric import Direction
from flask_abx.results.shapes import Basis, CheckId, Level, Reading, Role, VerdictCode


class Tone(StrEnum):
    """What a colour would say; wherever one is used, a word says it too."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    INFO = "info"
    QUIET = "quiet"


VERDICTS = {
    VerdictCode.NO_DATA: "No data yet",
    VerdictCode.UNTRUSTED: "Not to be trusted",
    VerdictCode.NO_PRIMARY: "No primary metric",
    VerdictCode.TOO_EARLY: "Too early",
    VerdictCode.REVIEW: "Review",
    VerdictCode.WINNER: "Winner",
    VerdictCode.HARM: "Harm",
    VerdictCode.LOSER: "Loser",
    VerdictCode.FLAT: "Flat",
    VerdictCode.UNDECIDED: "Undecided",
}
VERDICT_TONES = {
    VerdictCode.NO_DATA: Tone.QUIET,
    VerdictCode.UNTRUSTED: Tone.BAD,
    VerdictCode.NO_PRIMARY: Tone.WARN,
    VerdictCode.TOO_EARLY: Tone.QUIET,
    VerdictCode.REVIEW: Tone.WARN,
    VerdictCode.WINNER: Tone.GOOD,
    VerdictCode.HARM: Tone.BAD,
    VerdictCode.LOSER: Tone.BAD,
    VerdictCode.FLAT: Tone.QUIET,
    VerdictCode.UNDECIDED: Tone.INFO,
}
READINGS = {
    Reading.TOO_EARLY: "too early",
    Reading.UNCLEAR: "unclear",
    Reading.BETTER: "better",
    Reading.WORSE: "worse",
    Reading.FLAT: "flat",
    Reading.WITHIN_MARGIN: "within margin",
    Reading.OVER_MARGIN: "over margin",
    Reading.WITHHELD: "withheld",
    Reading.FAILED: "failed",
    Reading.NONE: "none",
}
READING_TONES = {
    Reading.BETTER: Tone.GOOD,
    Reading.WORSE: Tone.BAD,
    Reading.WITHIN_MARGIN: Tone.GOOD,
    Reading.OVER_MARGIN: Tone.BAD,
    Reading.FAILED: Tone.WARN,
}
ROLES = {
    Role.PRIMARY: "Primary",
    Role.SECONDARY: "Secondary",
    Role.GUARDRAIL: "Guardrails",
}
DIRECTIONS = {
    Direction.HIGHER: "higher is better",
    Direction.LOWER: "lower is better",
    Direction.NONE: "no direction is better",
}
BASES = {
    Basis.ANY_TIME: "any-time test",
    Basis.FINAL: "final look",
    Basis.FIXED: "fixed test",
}
LEVELS = {
    Level.OK: "ok",
    Level.WARN: "warning",
    Level.ERROR: "error",
    Level.SKIPPED: "skipped",
}
LEVEL_TONES = {
    Level.OK: Tone.GOOD,
    Level.WARN: Tone.WARN,
    Level.ERROR: Tone.BAD,
    Level.SKIPPED: Tone.QUIET,
}
CHECKS = {
    CheckId.SRM: "Sample ratio",
    CheckId.SRM_DIMENSION: "Sample ratio by dimension",
    CheckId.EMPTY_VARIANT: "Empty variants",
    CheckId.EXPOSURES_STOPPED: "Exposures arrive",
    CheckId.MIXED_UNITS: "Met two variants",
    CheckId.LINKED_UNITS: "Joined by a login",
    CheckId.CHANGED_MIDRUN: "Changed in mid-run",
    CheckId.PLAN_CHANGED: "Plan",
    CheckId.METRIC_CHANGED: "Metric definitions",
    CheckId.METRIC_DELETED: "Deleted metrics",
    CheckId.METRIC_SILENT: "Silent metrics",
    CheckId.METRIC_UNIT: "Unit of the metrics",
    CheckId.ID_JOIN: "Events meet exposures",
    CheckId.EVENTS_BEFORE_EXPOSURE: "Events before exposure",
    CheckId.BAD_VALUES: "Unusable values",
    CheckId.CLOCK: "Clocks",
    CheckId.PRE_PERIOD: "Balance before the start",
    CheckId.OUTLIER: "Outliers",
    CheckId.SKEW: "Skewness",
    CheckId.PAUSED: "Pauses",
    CheckId.WHOLE_WEEKS: "Whole weeks",
    CheckId.PAST_END: "Past the planned end",
    CheckId.DECIDED_RUNNING: "Decided, still running",
    CheckId.STALE: "Age of the numbers",
}
#: Why there is no reading yet, where it is a word rather than a sentence.
REASONS = {
    "units": "fewer than 100 units in a variant",
    "rate": "too few of the units have any yet",
    "skew": "a few large values still weigh too much",
    "plan": "it waits for the planned sample",
}
TESTS = {
    "any_time": "any-time confidence sequence",
    "hybrid": "any-time confidence sequence and one final look",
    "fixed": "one fixed test at the planned end",
}


def reading_tone(reading: Reading, direction: Direction) -> Tone:
    """Tell what a reading may be coloured as; without a good side, as nothing."""
    if direction is Direction.NONE:
        return Tone.QUIET
    return READING_TONES.get(reading, Tone.QUIET)
