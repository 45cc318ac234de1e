"""Every experiment that runs, a line each: results without a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_abx.cli.results.refreshing import units_of
from flask_abx.events.records import stamp
from flask_abx.results.report import WIDTH, Span, cut, day_of, verdict_word
from flask_abx.results.telling import wording
from flask_abx.results.telling.words import VERDICT_TONES
from flask_abx.runtime.results import latest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask_abx.results.report import Line
    from flask_abx.results.shapes import Results
    from flask_abx.runtime.state import State

_LONGEST_KEY = 24


def running(state: State) -> dict[str, Results | None]:
    """Give the last look at each experiment that runs or is paused."""
    experiments = state.store.document().experiments
    return {
        key: results
        for key, results in latest(state).items()
        if key in experiments and experiments[key].status.is_live
    }


def overview_lines(state: State, told: Mapping[str, Results | None]) -> Iterator[Line]:
    """Write a line for each experiment."""
    if not told:
        is_empty = not state.store.document().experiments
        yield (
            Span(
                "No experiment is defined: make one with `flask abx create KEY`."
                if is_empty
                else "No experiment runs: begin one with `flask abx start KEY`."
            ),
        )
        return
    width = min(_LONGEST_KEY, max(map(len, told)))
    counts = [wording.count(units_of(each)) for each in told.values() if each]
    units = max((len("UNITS"), *map(len, counts)))
    yield (Span(f"{'KEY':<{width}}  DAY  {'UNITS':>{units}}  VERDICT"),)
    for key, results in told.items():
        head = f"{cut(key, width):<{width}}  "
        if results is None:
            step = "no look yet, run `flask abx refresh`"
            yield (Span(f"{head}  -  {'-':>{units}}  {step}"),)
            continue
        day = day_of(results)
        count = f"{wording.count(units_of(results)):>{units}}"
        head += f"{'-' if day is None else day:>3}  {count}  "
        verdict = results.verdict
        word = f"{verdict_word(verdict.code):<10}"
        rest = max(WIDTH - len(head) - len(word) - 2, 8)
        yield (
            Span(head),
            Span(word, VERDICT_TONES[verdict.code]),
            Span(f"  {cut(verdict.sentence, rest)}"),
        )


def overview_data(told: Mapping[str, Results | None]) -> dict[str, Any]:
    """Give the same as plain values."""
    return {"experiments": [_data(key, each) for key, each in told.items()]}


def _data(key: str, results: Results | None) -> dict[str, Any]:
    if results is None:
        return {"experiment": key, "verdict": None}
    verdict = results.verdict
    return {
        "experiment": key,
        "verdict": verdict.code.value,
        "name": results.name,
        "status": results.status,
        "iteration": results.iteration,
        "day": day_of(results),
        "units": units_of(results),
        "sentence": verdict.sentence,
        "next_step": verdict.next_step,
        "as_of": stamp(results.as_of),
    }
