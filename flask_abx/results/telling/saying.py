"""The verdict in words: one sentence with its numbers, and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments.lifecycle import Status
from flask_abx.experiments.metric import Direction
from flask_abx.results.shapes import Reading, VerdictCode
from flask_abx.results.telling.wording import (
    amount,
    change,
    count,
    day,
    difference,
    interval,
    percent,
    plural,
    things,
)
from flask_abx.results.telling.words import CHECKS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask_abx.results.shapes import Comparison, MetricResult
    from flask_abx.results.verdict import Case, Ruling, Standing, Told

_WAITS = {
    "units": "too few {units} have been seen",
    "rate": "too few of them have done anything yet",
    "skew": "a few very large values outweigh all others",
}

_WITHIN = frozenset({Reading.WITHIN_MARGIN})
_UNJUDGED = frozenset({Reading.FAILED, Reading.NONE})


def sentence(case: Case, ruling: Ruling, best: str | None) -> str:
    """Say what was found, to a person who never ran an experiment."""
    if ruling.code is VerdictCode.WINNER:
        return _winner(case, ruling, best)
    return _SENTENCES[ruling.code](case, ruling)


def next_step(case: Case, ruling: Ruling, best: str | None) -> str:
    """Give the command to run next, or the line to paste."""
    key = case.iteration.experiment.key
    if case.iteration.concluded_at is not None:
        return f"flask abx results {key} --html {key}.html"
    if ruling.code is VerdictCode.NO_DATA:
        return {
            Status.DRAFT: f"flask abx start {key}",
            Status.PAUSED: f"flask abx resume {key}",
        }.get(case.iteration.experiment.status, "flask abx doctor")
    if ruling.code is VerdictCode.UNTRUSTED:
        return f"flask abx health {key}"
    if ruling.code is VerdictCode.NO_PRIMARY:
        return f'metrics = "{_candidate(case)}"'
    if ruling.code is VerdictCode.WINNER:
        return f"flask abx conclude {key} --winner {best or _leader(ruling)}"
    if ruling.code in {VerdictCode.HARM, VerdictCode.LOSER}:
        return f"flask abx conclude {key} --outcome rolled_back"
    if ruling.code is VerdictCode.FLAT:
        return f"flask abx conclude {key} --outcome flat"
    if ruling.code is VerdictCode.REVIEW:
        return f"flask abx results {key} --html {key}.html"
    out = [each for each in ruling.standings if each.is_open and each.is_out]
    if out and ruling.code is VerdictCode.UNDECIDED:
        return f"flask abx close {key} {out[0].variant}"
    return f"flask abx results {key} --refresh"


def effect_of(told: Told) -> str:
    """Tell an effect with its interval, such as ``+6.0 % (interval +1 % to +11 %)``."""
    metric, found = told
    if found.relative_effect is not None and found.relative_interval is not None:
        drawn = interval(found.relative_interval)
        return f"{change(found.relative_effect)} (interval {drawn})"
    write = _absolute(metric)
    if found.effect_interval is None:
        return write(found.effect)
    drawn = interval(found.effect_interval, write)
    return f"{write(found.effect)} (interval {drawn})"


def _absolute(metric: MetricResult) -> Callable[[float | None], str]:
    return lambda value: difference(
        value, metric.format, metric.currency, metric.decimals
    )


def _values_of(told: Told) -> str:
    """Tell the values behind an effect, such as ``9.74 % instead of 9.19 %``."""
    metric, found = told
    values = {each.variant: each.value for each in metric.samples}
    treatment, baseline = (
        amount(values.get(each), metric.format, metric.currency, metric.decimals)
        for each in (found.variant, found.baseline)
    )
    return f"{treatment} instead of {baseline}"


def _no_data(case: Case, ruling: Ruling) -> str:
    del ruling
    units = things(_unit(case))
    if case.iteration.experiment.status is Status.DRAFT:
        return f"The experiment has not started, so no {units} have seen it."
    if case.iteration.experiment.status is Status.PAUSED:
        return f"The experiment is paused, and no {units} have seen it."
    return f"No {units} have been exposed to the experiment yet."


def _untrusted(case: Case, ruling: Ruling) -> str:
    del ruling
    failed = _listed(dict.fromkeys(CHECKS[each].lower() for each in case.errors))
    return (
        f"Do not act on these numbers: the health check on {failed} failed, so what "
        "looks like an effect may be a fault in the measuring."
    )


def _no_primary(case: Case, ruling: Ruling) -> str:
    del ruling
    seen = count(case.exposed)
    return (
        f"{seen} {_units(case, case.exposed)} took part, but no metric is named "
        "primary, so nothing says what a better variant is: add the line below to "
        f"[experiments.{case.iteration.experiment.key}]."
    )


def _too_early(case: Case, ruling: Ruling) -> str:
    del ruling
    told = [each for metric in case.primaries for each in metric.comparisons]
    waiting = [each for each in told if each.reading is Reading.TOO_EARLY]
    reason = waiting[0].reason if waiting else ""
    if reason == "plan" and case.plan is not None:
        done = percent(case.plan.progress, 0)
        return (
            f"It is too early: this test is read once, when its plan is complete, and "
            f"{done} of it is."
        )
    why = _WAITS.get(reason, reason).format(units=things(_unit(case)))
    seen = f"{count(case.exposed)} {_units(case, case.exposed)} so far"
    needed = [each.units_needed for each in waiting if each.units_needed is not None]
    more = ""
    if needed:
        more = f"; about {count(_rounded(max(needed)))} more are likely to be enough"
    return f"It is too early to say anything ({seen}): {why}{more}."


def _review(case: Case, ruling: Ruling) -> str:
    standings = [each for each in ruling.standings if each.variant in ruling.variants]
    for each in standings:
        if each.better and each.worse:
            return (
                f"{each.variant} is better on {_gains(each.better)}, but worse on "
                f"{_gains(each.worse)}: weigh the one against the other."
            )
    for each in standings:
        if each.is_ahead and each.unsure:
            return (
                f"{each.variant} is better on {_gains(each.better)}, but whether "
                f"{_margins(each.unsure)} is still unclear: decide whether that risk "
                "is worth it."
            )
    kept = case.kept
    first = "" if kept.first_code is None else VERDICTS[kept.first_code].lower()
    whom = f" ({_listed(kept.first_variants)})" if kept.first_variants else ""
    at = "Earlier" if kept.first_at is None else f"On {day(kept.first_at)}"
    return (
        f"{at} the verdict was {first}{whom}, which the numbers of now no longer "
        "support: look at what has changed before you decide."
    )


def _winner(case: Case, ruling: Ruling, best: str | None) -> str:
    winners = [each for each in ruling.standings if each.variant in ruling.variants]
    guards = _guards(winners)
    if len(winners) == 1:
        first = winners[0].better[0]
        return (
            f"{winners[0].variant} wins: {first.metric.name} is {_values_of(first)}, "
            f"{effect_of(first)}{guards}."
        )
    told = _listed(
        f"{each.variant} ({_gains(each.better[:1], _bare)})" for each in winners
    )
    control = case.iteration.control
    others = "the other" if len(winners) == 2 else "each other one"
    if best is not None:
        return f"{best} wins: {told} beat {control}, and {best} beats {others}{guards}."
    return (
        f"{told} beat {control}, but none of them beats {others} so far: choose "
        f"any of them, or wait{guards}."
    )


def _guards(winners: Sequence[Standing]) -> str:
    """Say which guardrails are known to hold for all winners, and which are not."""
    readings: dict[str, set[Reading]] = {}
    for told in (each for winner in winners for each in winner.guards):
        readings.setdefault(told.metric.name, set()).add(told.comparison.reading)
    within = [name for name, read in readings.items() if read <= _WITHIN]
    unjudged = [name for name, read in readings.items() if read & _UNJUDGED]
    unclear = [name for name in readings if name not in {*within, *unjudged}]
    if within and len(within) == len(readings):
        return ", and every guardrail stays within its margin"
    told_of = []
    if within:
        own = "its margin" if len(within) == 1 else "their margins"
        stay = "stays" if len(within) == 1 else "stay"
        told_of.append(f"{_listed(within)} {stay} within {own}")
    if unclear:
        get = "gets" if len(unclear) == 1 else "get"
        told_of.append(f"whether {_listed(unclear)} {get} worse is unclear")
    if unjudged:
        verb = "is" if len(unjudged) == 1 else "are"
        told_of.append(f"{_listed(unjudged)} {verb} not judged")
    return f"; {', '.join(told_of)}" if told_of else ""


def _rolled_back(case: Case, ruling: Ruling) -> str:
    told = [each for each in ruling.standings if each.variant in ruling.variants]
    return f"Keep {case.iteration.control}: {'; '.join(map(_out, told))}."


def _flat(case: Case, ruling: Ruling) -> str:
    del case
    told = []
    for each in ruling.standings:
        if each.variant in ruling.variants:
            told.append(f"with {each.variant}, {_ranges(each.primary)}")
        elif each.is_open and each.is_out:
            told.append(_out(each))
    return f"The planned sample found no difference: {'; '.join(told)}."


def _undecided(case: Case, ruling: Ruling) -> str:
    out = [each for each in ruling.standings if each.is_open and each.is_out]
    ahead = [each for each in ruling.standings if each.variant in ruling.variants]
    if out:
        told = "; ".join(_out(each) for each in out)
        rest = "about the others nothing is decided yet."
        return f"{told}; {_ahead(case, ahead[0]) if ahead else rest}"
    if ahead:
        return _ahead(case, ahead[0])
    for each in ruling.standings:
        known = [told for told in each.primary if _is_drawn(told.comparison)]
        if each.is_open and known:
            return (
                f"Nothing is decided yet: with {each.variant}, {_ranges(known)}, so it "
                f"may be better or worse{_more(case, known)}."
            )
    failed = [told for each in ruling.standings for told in each.primary]
    reason = failed[0].comparison.reason if failed else "no treatment is open"
    return f"Nothing can be decided: {reason.rstrip('.')}."


def _ahead(case: Case, standing: Standing) -> str:
    """Say what a treatment that is ahead still waits for."""
    waits = []
    if case.days < case.min_days:
        waits.append(
            f"at least {plural(case.min_days, 'day')} have to pass, "
            f"and {case.days:.1f} have"
        )
    if standing.unsure:
        waits.append(f"it has to be clear that {_margins(standing.unsure)}")
    return (
        f"{standing.variant} is ahead on {_gains(standing.better)}, but "
        f"{' and '.join(waits)}."
    )


def _out(standing: Standing) -> str:
    """Say why a treatment is not going to be shipped."""
    if not standing.harmed:
        return f"{standing.variant} is worse on {_gains(standing.worse)}"
    told = standing.harmed[0]
    limit = _limit(told.metric)
    beyond = f", beyond its margin of {limit}" if limit else ""
    return (
        f"{standing.variant} makes {told.metric.name} worse, {effect_of(told)}{beyond}"
    )


def _gains(told: Iterable[Told], write: Callable[[Told], str] | None = None) -> str:
    write = write or effect_of
    return _listed(f"{each.metric.name}, {write(each)}" for each in told)


def _bare(told: Told) -> str:
    """Tell an effect with its interval, to stand in brackets itself."""
    return effect_of(told).replace(" (", ", ").rstrip(")")


def _ranges(told: Iterable[Told]) -> str:
    return _listed(f"{each.metric.name} changes by {_range(each)}" for each in told)


def _range(told: Told) -> str:
    found = told.comparison
    if found.relative_interval is not None:
        return interval(found.relative_interval)
    return interval(found.effect_interval, _absolute(told.metric))


def _margins(told: Iterable[Told]) -> str:
    return _listed(
        f"{each.metric.name} stays within its margin of {_limit(each.metric)}"
        for each in told
    )


def _limit(metric: MetricResult) -> str:
    if metric.margin is not None:
        return f"{metric.margin * 100:.6g} %"
    if metric.margin_abs is None:
        return ""
    return _absolute(metric)(metric.margin_abs).lstrip("+")


def _more(case: Case, told: Iterable[Told]) -> str:
    needed = [
        each.comparison.units_needed
        for each in told
        if each.comparison.units_needed is not None
    ]
    if not needed:
        return ""
    units = _rounded(max(needed))
    return f"; about {count(units)} more {_units(case, units)} may settle it"


def _leader(ruling: Ruling) -> str:
    """Give the winner that is furthest ahead, where none beats the others."""

    def gain(each: Standing) -> float:
        return max(abs(told.comparison.effect or 0.0) for told in each.better)

    winners = [each for each in ruling.standings if each.variant in ruling.variants]
    return max(winners, key=gain).variant


def _candidate(case: Case) -> str:
    named = (each for each in case.metrics if each.direction is not Direction.NONE)
    return next((each.metric for each in named), "signup")


def _is_drawn(found: Comparison) -> bool:
    return found.relative_interval is not None or found.effect_interval is not None


def _unit(case: Case) -> str:
    return case.iteration.experiment.unit[0]


def _units(case: Case, number: int) -> str:
    return _unit(case) if number == 1 else things(_unit(case))


def _rounded(units: int) -> int:
    """Round an estimate to two digits, upwards."""
    size: int = 10 ** max(len(str(units)) - 2, 0)
    return -(-units // size) * size


def _listed(names: Iterable[str]) -> str:
    *others, last = [*names] or [""]
    return f"{', '.join(others)} and {last}" if others else last


_SENTENCES: dict[VerdictCode, Callable[[Case, Ruling], str]] = {
    VerdictCode.NO_DATA: _no_data,
    VerdictCode.UNTRUSTED: _untrusted,
    VerdictCode.NO_PRIMARY: _no_primary,
    VerdictCode.TOO_EARLY: _too_early,
    VerdictCode.REVIEW: _review,
    VerdictCode.HARM: _rolled_back,
    VerdictCode.LOSER: _rolled_back,
    VerdictCode.FLAT: _flat,
    VerdictCode.UNDECIDED: _undecided,
}
