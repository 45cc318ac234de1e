"""How long an experiment has to run: power."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.experiments import find
from flask_abx.cli.output import format_option, table, write
from flask_abx.cli.sizing import MDE, Asked, check, sized_of
from flask_abx.experiments.metric import AnalysisTest
from flask_abx.results.plans.sizing import effect_of
from flask_abx.results.plans.survey import Source
from flask_abx.results.telling import wording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.cli.sizing import Sized
    from flask_abx.runtime.state import State

_WIDTH = 80
_share = click.FloatRange(0, 1, min_open=True, max_open=True)
_above_zero = click.FloatRange(0, min_open=True)


@click.command("power")
@click.argument("key")
@click.option("--metric", metavar="METRIC", help="Plan for it, not the first primary.")
@click.option("--mde", type=_above_zero, help="The effect to find, 0.05 is 5 %.")
@click.option("--power", type=_share, help="How surely it is found; 0.8 unless told.")
@click.option("--days", type=click.IntRange(1), help="Tell what so many days find.")
@click.option("--units", type=click.IntRange(2), help="Tell what so many units find.")
@click.option("--baseline", type=float, help="What the metric is, by hand.")
@click.option("--sd", type=_above_zero, help="Its spread by hand; a share needs none.")
@click.option("--daily", type=_above_zero, help="How many units come a day, by hand.")
@format_option
@with_appcontext
def power_command(key: str, form: str, **options: Any) -> None:
    """Tell how many units and days an experiment needs.

    From the traffic of your app and the spread of the metric in its own records.
    """
    asked, state = Asked(**options), loaded_state()
    check(asked)
    experiment, _ = find(key)
    sized = sized_of(state, experiment, asked)
    write(form, _data(sized), lambda: "\n".join(_lines(state, sized)))


def _data(sized: Sized) -> dict[str, Any]:
    found, terms, asked = sized.survey, sized.terms, sized.asked
    baseline = found.known.baseline
    return {
        "experiment": sized.experiment.key,
        "metric": sized.measure.key,
        "source": found.source.value,
        "source_experiment": found.experiment or None,
        "units_a_day": found.daily,
        "baseline": None if baseline is None else baseline.mean,
        "sd": None if baseline is None else baseline.sd,
        "variance_reduction": None if baseline is None else baseline.saved,
        "alpha": terms.alpha,
        "family": terms.family,
        "power": terms.power,
        "inflation": terms.inflation,
        "is_planned": sized.is_planned,
        **asdict(asked),
        "sizes": [asdict(each) for each in sized.sizes],
    }


def _lines(state: State, sized: Sized) -> Iterator[str]:
    yield _wrapped(_known(sized))
    yield _wrapped(_judged(sized))
    yield ""
    yield _table(sized)
    yield ""
    yield _wrapped(_answer(sized))
    yield _next(state, sized)


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, _WIDTH, break_on_hyphens=False)


def _unit(sized: Sized) -> str:
    kinds = sized.experiment.unit
    return kinds[0] if len(kinds) == 1 else "unit"


def _known(sized: Sized) -> str:
    """Say what the metric is, how many units come, and where that was read."""
    found, measure = sized.survey, sized.measure
    known, key = found.known, sized.experiment.key
    baseline = known.baseline
    mean = None if baseline is None else baseline.mean
    metric = measure.metric
    value = wording.amount(mean, measure.format, metric.currency, metric.decimals)
    unit = _unit(sized)
    units = wording.plural(known.units, unit)
    whose = {
        Source.HAND: "as you say",
        Source.EVENTS: f"of {units} that left an event",
    }.get(found.source, f"of {units} of {found.experiment}")
    told = f"{key}: {measure.name} is {value}, {whose}"
    if baseline is not None and baseline.saved:
        saved = wording.percent(baseline.saved, 0)
        told += f", what they did before explains {saved} of its variance"
    if found.daily is not None:
        told += f", and {wording.plural(found.daily, unit)} come a day"
    if found.source is Source.OTHER:
        told += (
            f"; too few have met {key} itself, and {found.experiment} is the busiest "
            "experiment that divides the same units"
        )
    elif found.source is Source.EVENTS:
        told += "; too few were exposed yet, and who left no event is not counted"
    return f"{told}."


def _judged(sized: Sized) -> str:
    terms = sized.terms
    alpha = f"alpha {terms.alpha:.4g}"
    if terms.family > 1:
        alpha += f", shared by {terms.family} comparisons"
    looks = (
        "by one look at the end" if terms.inflation == 1 else "however often you look"
    )
    power = wording.percent(terms.power, 0)
    return f"Each is found with a probability of {power} ({alpha}), {looks}:"


def _table(sized: Sized) -> str:
    is_hybrid = sized.is_planned and sized.experiment.analysis.test in {
        AnalysisTest.AUTO,
        AnalysisTest.HYBRID,
    }
    head = ["EFFECT", "UNITS", "DAYS"]
    rows = [[*head, "WITHOUT A PLAN"] if is_hybrid else head]
    for each in sized.sizes:
        row = [wording.change(each.effect), _count(each.units), _count(each.days)]
        rows.append([*row, _count(each.unplanned)] if is_hybrid else row)
    return table(rows)


def _count(number: int | None) -> str:
    return wording.NOTHING if number is None else wording.count(number)


def _answer(sized: Sized) -> str:
    """Say what the effect takes that was asked for."""
    asked, unit = sized.asked, _unit(sized)
    effect, name = wording.change(asked.effect), sized.measure.name
    if asked.units is None:
        return f"{name} cannot change by {effect}."
    told = f"To find {effect} of {name} takes {wording.plural(asked.units, unit)}"
    if asked.days is not None:
        told += f", {wording.plural(asked.days, 'day')}"
    if sized.is_planned:
        return f"{told}.{_planned(sized)}"
    return (
        f"{told}. Nothing was planned before the first {unit} came, so that a plan "
        "would not count any more."
    )


def _planned(sized: Sized) -> str:
    """Say what the plan finds that is kept to."""
    plan, baseline = sized.experiment.plan, sized.survey.known.baseline
    if plan is None or plan.units is None or baseline is None:
        return ""
    found = effect_of(plan.units, baseline, sized.terms)
    if found is None:
        return ""
    finds = wording.change(-found if sized.terms.is_lower_better else found)
    return f" Its plan of {wording.plural(plan.units, _unit(sized))} finds {finds}."


def _next(state: State, sized: Sized) -> str:
    """Give the line to paste."""
    key, units = sized.experiment.key, sized.asked.units
    if sized.is_exposed:
        return f"Next: flask abx results {key}"
    if units is None:
        return f"Next: flask abx power {key} --mde {MDE}"
    if state.editor is None:
        return (
            f"Next: write this below [experiments.{key}] before it starts:\n"
            f"  plan = {{ units = {units} }}"
        )
    plan = json.dumps({"units": units})
    return f"Next: flask abx edit {key} --set 'plan={plan}'"
