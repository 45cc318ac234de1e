"""Did the experiment run as long as it should, without a break, and no longer?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments.lifecycle import Status
from flask_abx.results.checks.checkup import fine, length_of, skipped, told_limit
from flask_abx.results.judgement.planning import DAY, milliseconds_of
from flask_abx.results.shapes import CheckId, HealthCheck, Level, VerdictCode
from flask_abx.results.telling.wording import count, day, percent, plural, things
from flask_abx.results.telling.words import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flask_abx.results.checks.checkup import Checkup
    from flask_abx.results.shapes import Results

WEEK = 7 * DAY
PAUSED = 0.1
#: How far the end may be off whole weeks, as a share of the run.
OFF_WEEKS = 0.05
DECIDED_DAYS = 3.0
STALE_HOURS = 36.0
_DECIDED = {
    VerdictCode.WINNER,
    VerdictCode.HARM,
    VerdictCode.LOSER,
    VerdictCode.FLAT,
}
_NOT_STARTED = "The experiment has not started."


def paused(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask for how much of the run everyone got the control."""
    run = checkup.iteration
    length = _length(checkup)
    if run.started_at is None or length <= 0:
        yield skipped(CheckId.PAUSED, _NOT_STARTED)
        return
    end = run.end(checkup.now)
    lost = sum(
        max(min(each.ended or end, end) - max(each.began, run.started_at), 0)
        for each in run.pauses
    )
    share = lost / length
    sentence = (
        f"The experiment was paused for {percent(share)} of its {length_of(length)}"
    )
    is_now = run.concluded_at is None and run.experiment.status is Status.PAUSED
    if is_now:
        yield HealthCheck(
            CheckId.PAUSED,
            Level.WARN,
            share,
            PAUSED,
            f"The experiment is paused, so far for {percent(share)} of its "
            f"{length_of(length)}, and everyone gets {run.control}.",
            f"Go on with flask abx resume {checkup.key}, or end it with flask abx "
            f"conclude {checkup.key}",
        )
    elif share > PAUSED:
        yield HealthCheck(
            CheckId.PAUSED,
            Level.WARN,
            share,
            PAUSED,
            f"{sentence} (warning above {told_limit(PAUSED)}), which makes every "
            "effect look smaller.",
            "Read the effects as too small by about that share, or begin anew: "
            f"flask abx restart {checkup.key}",
        )
    else:
        yield fine(CheckId.PAUSED, f"{sentence}.", share, PAUSED)


def whole_weeks(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether every day of the week counts alike."""
    length = _length(checkup)
    if length <= 0:
        yield skipped(CheckId.WHOLE_WEEKS, _NOT_STARTED)
        return
    weeks = max(round(length / WEEK), 1)
    off = abs(length - weeks * WEEK)
    has_ended = checkup.iteration.end(checkup.now) < checkup.now
    told, days = plural(weeks, "whole week"), length / DAY
    if length < WEEK and (not has_ended or off > OFF_WEEKS * length):
        yield HealthCheck(
            CheckId.WHOLE_WEEKS,
            Level.WARN,
            days,
            7,
            f"Only {length_of(length)} are covered, less than a week.",
            "People act otherwise at weekends: "
            + (
                f"run it for 7 days next time, flask abx restart {checkup.key}"
                if has_ended
                else "wait until 7 days are full."
            ),
        )
    elif has_ended and off > OFF_WEEKS * length:
        yield HealthCheck(
            CheckId.WHOLE_WEEKS,
            Level.WARN,
            days,
            7.0 * weeks,
            f"{length_of(length)} are covered, {length_of(off)} off {told}, so that "
            "some days of the week count more than others.",
            "Where weekends differ, read the effect over time before you act on it, "
            "and end the next experiment after whole weeks.",
        )
    else:
        sentence = f"{length_of(length)} are covered"
        nearby = f"about {told}" if has_ended else f"{plural(length // WEEK, 'week')}"
        rest = "" if has_ended else " in full; end it when a week is full"
        yield fine(CheckId.WHOLE_WEEKS, f"{sentence}, {nearby}{rest}.", days, 7)


def past_end(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether the experiment runs on though its end or its plan is reached."""
    run = checkup.iteration
    if run.concluded_at is not None or not run.experiment.status.is_live:
        yield skipped(CheckId.PAST_END, "The experiment does not run.")
        return
    planned = checkup.planned
    end_at, what = _last_moment(checkup)
    conclude = f"flask abx conclude {checkup.key}"
    if end_at is not None and checkup.now > end_at:
        over = checkup.now - end_at
        yield HealthCheck(
            CheckId.PAST_END,
            Level.WARN,
            over / DAY,
            0,
            f"{what} was {length_of(over)} ago, and the experiment still runs.",
            f"Read the verdict and act on it: {conclude}",
        )
    elif planned is not None and checkup.units >= planned:
        closing = (
            ""
            if run.experiment.closed
            else (f"let nobody new in with flask abx close {checkup.key}; ")
        )
        yield HealthCheck(
            CheckId.PAST_END,
            Level.WARN,
            checkup.units,
            planned,
            f"{checkup.people(checkup.units)} were exposed, and {count(planned)} were "
            "planned; the experiment still runs.",
            f"No more are needed: {closing}once the windows have closed, read the "
            f"verdict and act on it: {conclude}",
        )
    elif planned is not None:
        sentence = f"{count(checkup.units)} of {checkup.people(planned)} have come."
        yield fine(CheckId.PAST_END, sentence, checkup.units, planned)
    elif end_at is not None:
        left = end_at - checkup.now
        sentence = f"{what} is in {length_of(left)}."
        yield fine(CheckId.PAST_END, sentence, -left / DAY, 0)
    else:
        reason = "The experiment has no end and no plan that counts."
        if run.plan is not None and run.is_plan_valid:
            reason = f"How many {things(checkup.unit)} the plan takes is not known yet."
        yield skipped(CheckId.PAST_END, reason)


def _last_moment(checkup: Checkup) -> tuple[int | None, str]:
    """Give the moment at which it should end, the earliest, and what that is."""
    run, told = checkup.iteration, []
    if run.experiment.end_at is not None:
        at = milliseconds_of(run.experiment.end_at)
        told.append((at, "The end that was set"))
    is_planned = run.plan is not None and run.is_plan_valid
    if is_planned and run.started_at is not None and run.plan and run.plan.days:
        days = run.plan.days
        at = run.started_at + days * DAY
        told.append((at, f"The last of {plural(days, 'planned day')}"))
    return min(told) if told else (None, "")


def _length(checkup: Checkup) -> int:
    started = checkup.iteration.started_at
    return 0 if started is None else checkup.iteration.end(checkup.now) - started


def decided_running(results: Results, now: datetime) -> HealthCheck:
    """Ask whether a verdict that was reached days ago waits for someone to act."""
    verdict = results.verdict
    if results.status != Status.RUNNING:
        return skipped(CheckId.DECIDED_RUNNING, "The experiment does not run.")
    if verdict.code not in _DECIDED or verdict.first_at is None:
        return fine(
            CheckId.DECIDED_RUNNING, "Nothing is decided yet.", None, DECIDED_DAYS
        )
    days = max((now - verdict.first_at).total_seconds(), 0.0) / 86_400
    word = VERDICTS[verdict.code].lower()
    sentence = (
        f"The verdict {word} was first reached {days:,.1f} days ago, on "
        f"{day(verdict.first_at)}"
    )
    if days <= DECIDED_DAYS:
        return fine(CheckId.DECIDED_RUNNING, f"{sentence}.", days, DECIDED_DAYS)
    return HealthCheck(
        CheckId.DECIDED_RUNNING,
        Level.WARN,
        days,
        DECIDED_DAYS,
        f"{sentence}, and the experiment still runs (warning after "
        f"{DECIDED_DAYS:g} days).",
        f"Act on it: {verdict.next_step}",
    )


def stale(results: Results, now: datetime) -> HealthCheck:
    """Ask how old the numbers are."""
    hours = max((now - results.as_of).total_seconds(), 0.0) / 3_600
    sentence = f"The numbers are {hours:,.1f} hours old"
    if results.status != Status.RUNNING:
        return skipped(CheckId.STALE, "The experiment does not run.")
    if hours <= STALE_HOURS:
        sentence = f"{sentence} (warning after {STALE_HOURS:g})."
        return fine(CheckId.STALE, sentence, hours, STALE_HOURS)
    return HealthCheck(
        CheckId.STALE,
        Level.WARN,
        hours,
        STALE_HOURS,
        f"{sentence}, and the experiment runs (warning after {STALE_HOURS:g}).",
        f"Compute them anew with flask abx refresh {results.experiment}, and let cron "
        "do so every day.",
    )
