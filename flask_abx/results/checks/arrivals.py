"""Do exposures and events arrive, in order, and do they meet?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments.metric import Kind
from flask_abx.experiments.weights import open_weights
from flask_abx.results.checks.checkup import (
    HOUR,
    NOTHING_MEASURED,
    fine,
    skipped,
    told_limit,
)
from flask_abx.results.scanning.sums import added
from flask_abx.results.shapes import CheckId, HealthCheck, Level
from flask_abx.results.telling.wording import count, percent, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.results.checks.checkup import Checkup
    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Sums

SILENT_HOURS = 24.0
#: So many times the usual wait between two exposures is no chance either.
USUAL_WAITS = 10
#: From so many units on, someone should have done something.
LEAST_UNITS = 500
LEAST_JOINED = 0.001
BEFORE = 0.05
AHEAD = 0.001


def exposures_stopped(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether new units still come."""
    reason = _why_none_come(checkup)
    if reason:
        yield skipped(CheckId.EXPOSURES_STOPPED, reason)
        return
    last = max(each.last_at for each in checkup.aggregates.exposed.values())
    first = checkup.iteration.first_exposed_at
    usual = 0.0 if first is None else (last - first) / checkup.units / HOUR
    limit = max(SILENT_HOURS, USUAL_WAITS * usual)
    # While it was paused nobody could come.
    resumed = max((each.ended or 0 for each in checkup.iteration.pauses), default=0)
    hours = max(checkup.now - max(last, resumed), 0) / HOUR
    sentence = f"The last new {checkup.unit} came {hours:,.1f} hours ago"
    if hours <= limit:
        sentence = f"{sentence} (warning after {limit:,.0f} hours)."
        yield fine(CheckId.EXPOSURES_STOPPED, sentence, hours, limit)
        return
    yield HealthCheck(
        CheckId.EXPOSURES_STOPPED,
        Level.WARN,
        hours,
        limit,
        f"{sentence}, though the experiment runs (warning after {limit:,.0f} hours).",
        "Look whether the page still asks for the experiment, and whether records are "
        "stored: flask abx doctor",
    )


def _why_none_come(checkup: Checkup) -> str:
    experiment = checkup.iteration.experiment
    if not checkup.is_running:
        return "The experiment does not run."
    if checkup.aggregates.end < checkup.now:
        return "The experiment has come to its end."
    if experiment.closed or not experiment.traffic or not open_weights(experiment):
        return "The experiment lets nobody new in."
    return "" if checkup.units else checkup.nobody


def metric_silent(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether each metric has any event."""
    asked = [
        each for each in checkup.measures if each.key not in checkup.aggregates.failed
    ]
    if not asked:
        yield skipped(
            CheckId.METRIC_SILENT,
            "No metric could be computed." if checkup.measures else NOTHING_MEASURED,
        )
        return
    sums = {
        each.key: added(checkup.aggregates.sums.get(each.key, {}).values())
        for each in asked
    }
    quiet = [each for each in asked if _is_silent(each, sums[each.key])]
    silent = [each for each in quiet if sums[each.key].n >= LEAST_UNITS]
    for each in silent:
        yield _silence(checkup, each, sums[each.key].n)
    if silent:
        return
    heard = len(asked) - len(quiet)
    verb = "has" if heard == 1 else "have"
    sentence = f"{plural(heard, 'metric')} of {len(asked)} {verb} events"
    if quiet:
        names = ", ".join(each.key for each in quiet)
        sentence = f"{sentence}; {names} may wait for {checkup.people(LEAST_UNITS)}"
    yield fine(CheckId.METRIC_SILENT, f"{sentence}.", heard)


def _is_silent(measure: Measure, sums: Sums) -> bool:
    if measure.lower is not None and not (sums.raw_d or sums.d):
        return True
    # The mean of values that are all zero has events.
    return not sums.nonzero and measure.metric.kind is not Kind.MEAN


def _silence(checkup: Checkup, measure: Measure, units: int) -> HealthCheck:
    names = " or ".join(
        repr(name) for name in dict.fromkeys(each.event for each in measure.parts)
    )
    if measure.select is None:
        missing = f"an event {names} for {measure.key}"
        way_out = (
            f"Look whether the code calls abx.track with {names}, spelled like this, "
            "and whether `where` lets any through."
        )
    else:
        missing = f"a row of {measure.key}"
        way_out = (
            f"Run the select of {measure.key} by itself, and compare its `unit` with "
            "the ids that exposures are stored with."
        )
    return HealthCheck(
        CheckId.METRIC_SILENT,
        Level.WARN,
        units,
        LEAST_UNITS,
        f"None of {checkup.people(units)} has {missing} that counts (warning from "
        f"{LEAST_UNITS} on).",
        way_out,
        metric=measure.key,
    )


def id_join(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask whether the ids of events are those of exposures."""
    found, units = checkup.aggregates, checkup.units
    if all(each.select is not None for each in checkup.measures):
        yield skipped(
            CheckId.ID_JOIN,
            "Every metric is read from tables of the application."
            if checkup.measures
            else NOTHING_MEASURED,
        )
        return
    if units < LEAST_UNITS:
        yield skipped(
            CheckId.ID_JOIN,
            f"{checkup.people(units)} of the {LEAST_UNITS} that it takes are exposed.",
        )
        return
    if not found.events_arrive:
        yield skipped(CheckId.ID_JOIN, "No event of any metric has arrived at all.")
        return
    joined = checkup.total("with_events") + checkup.total("with_earlier")
    share = joined / units
    sentence = f"{count(joined)} of {checkup.people(units)} ({percent(share)}) have"
    if share >= LEAST_JOINED:
        sentence = f"{sentence} an event (alarm below {told_limit(LEAST_JOINED)})."
        yield fine(CheckId.ID_JOIN, sentence, share, LEAST_JOINED)
        return
    yield HealthCheck(
        CheckId.ID_JOIN,
        Level.ERROR,
        share,
        LEAST_JOINED,
        f"{sentence} an event, though events arrive (alarm below "
        f"{told_limit(LEAST_JOINED)}): exposures and events have other ids.",
        f"Compare both for one person with flask abx unit export ID, and track events "
        f"with the {checkup.unit} that the experiment assigns by.",
    )


def events_before_exposure(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask how many units had events before their exposure only."""
    before = checkup.total("with_earlier")
    active = before + checkup.total("with_events")
    if not active:
        yield skipped(
            CheckId.EVENTS_BEFORE_EXPOSURE, "No exposed unit has an event yet."
        )
        return
    share = before / active
    sentence = (
        f"{count(before)} of {checkup.people(active)} with events ({percent(share)}) "
        "had them before their first exposure only"
    )
    if share <= BEFORE:
        sentence = f"{sentence} (warning above {told_limit(BEFORE)})."
        yield fine(CheckId.EVENTS_BEFORE_EXPOSURE, sentence, share, BEFORE)
        return
    yield HealthCheck(
        CheckId.EVENTS_BEFORE_EXPOSURE,
        Level.WARN,
        share,
        BEFORE,
        f"{sentence}, and these do not count (warning above {told_limit(BEFORE)}).",
        "Expose where the variant is first shown, not after what is measured; where "
        "people simply come back, this is as it should be.",
    )


def clock(checkup: Checkup) -> Iterator[HealthCheck]:
    """Ask how many exposures come from the future."""
    units, ahead = checkup.units, checkup.total("ahead")
    if not units:
        yield skipped(CheckId.CLOCK, checkup.nobody)
        return
    share = ahead / units
    sentence = (
        f"{count(ahead)} of {checkup.people(units)} ({percent(share)}) have an "
        "exposure that was stored over a minute before it happened"
    )
    if share <= AHEAD:
        sentence = f"{sentence} (warning above {told_limit(AHEAD)})."
        yield fine(CheckId.CLOCK, sentence, share, AHEAD)
        return
    yield HealthCheck(
        CheckId.CLOCK,
        Level.WARN,
        share,
        AHEAD,
        f"{sentence} (warning above {told_limit(AHEAD)}).",
        "Set the clocks of the hosts by NTP: where one is ahead, events seem to lie "
        "before the exposure and are left out.",
    )
