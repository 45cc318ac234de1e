"""What is asked of the records before an experiment is planned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from flask_abx.errors import ResultsNotReady, SetupError, UsageError
from flask_abx.experiments.faults import suggestion
from flask_abx.experiments.metric import Direction, MetricRoles
from flask_abx.results.looks.history import read_iteration
from flask_abx.results.metrics import measures
from flask_abx.results.plans.sizing import (
    PLACES,
    Baseline,
    Pace,
    Terms,
    around,
    effect_of,
    family_of,
    inflation_of,
    pairs_of,
    sizes,
)
from flask_abx.results.plans.survey import Known, Source, Survey, survey
from flask_abx.runtime.results import metrics_of
from flask_abx.stores.database import clock, reading

if TYPE_CHECKING:
    from flask_abx.experiments.model import Experiment
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.metrics import Measure
    from flask_abx.results.plans.sizing import Size
    from flask_abx.runtime.state import State

_DAY = 86_400_000
MDE, _POWER = 0.05, 0.8


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say."""

    metric: str | None
    mde: float | None
    power: float | None
    days: int | None
    units: int | None
    baseline: float | None
    sd: float | None
    daily: float | None


@dataclass(frozen=True, slots=True)
class Sized:
    """What is told.

    Attributes:
        run: The experiment as the history tells it; None without a database.
        sizes: The table.
        asked: The row that was asked for.
    """

    experiment: Experiment
    measure: Measure
    survey: Survey
    terms: Terms
    pace: Pace
    run: Iteration | None
    sizes: tuple[Size, ...]
    asked: Size

    @property
    def is_exposed(self) -> bool:
        """True where it is too late to begin with a plan."""
        return self.run is not None and self.run.first_exposed_at is not None

    @property
    def is_planned(self) -> bool:
        """True where a plan counts that was made, or still can be."""
        return _may_plan(self.run)


def check(asked: Asked) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: Of click, if there are any.
    """
    told = [name for name in ("mde", "days", "units") if getattr(asked, name)]
    if len(told) > 1:
        raise click.UsageError(
            f"--{told[0]} and --{told[1]} are answers to each other: give one of them."
        )
    if asked.sd is not None and asked.baseline is None:
        raise click.UsageError("--sd is the spread around a mean: add --baseline.")


def sized_of(state: State, experiment: Experiment, asked: Asked) -> Sized:
    """Work out what an experiment needs.

    Raises:
        ResultsNotReady: If too little is known.
        UsageError: If the metric is not known, or nothing can be found as it is asked.
    """
    experiment, measure = _measure(state, experiment, asked)
    found, run = _surveyed(state, experiment, measure, asked)
    baseline = found.known.baseline
    if baseline is None:
        raise ResultsNotReady(_too_little(experiment, measure, found))
    pace = Pace(
        daily=found.daily,
        follow=(measure.delay + (measure.window or 0)) / _DAY,
        least=experiment.analysis.min_days,
    )
    plan = experiment.plan
    planned_power = None if plan is None else plan.power
    terms = Terms(
        alpha=experiment.analysis.alpha,
        power=asked.power or planned_power or _POWER,
        family=family_of(experiment, measure.role),
        pairs=pairs_of(experiment),
        inflation=inflation_of(experiment.analysis.test, is_planned=_may_plan(run)),
        is_lower_better=measure.metric.direction is Direction.LOWER,
    )
    answer = _answer(experiment, asked, baseline, terms, pace)
    steps = sizes(around(abs(answer.effect)), baseline, terms, pace)
    return Sized(
        experiment=experiment,
        measure=measure,
        survey=found,
        terms=terms,
        pace=pace,
        run=run,
        sizes=tuple(
            answer if each.effect == round(answer.effect, PLACES) else each
            for each in steps
        ),
        asked=answer,
    )


def _may_plan(run: Iteration | None) -> bool:
    return run is None or run.first_exposed_at is None or run.is_plan_valid


def _measure(
    state: State, experiment: Experiment, asked: Asked
) -> tuple[Experiment, Measure]:
    """Find the metric to plan for; one that is only declared is taken as primary."""
    metrics, roles = metrics_of(state), experiment.metrics
    wanted = asked.metric or next(iter(roles.primary), None)
    if wanted is None and asked.baseline is not None:
        wanted = "baseline"
    if wanted is None:
        raise UsageError(
            f"Experiment {experiment.key!r} has no primary metric: name one with "
            "`--metric`, or write `metrics = [...]` in its definition."
        )
    known = {*roles.names, *metrics.declared}
    if wanted not in known and asked.baseline is None:
        raise UsageError(f"There is no metric {wanted!r}{suggestion(wanted, known)}")
    if wanted not in roles.names:
        alone = MetricRoles(primary=(wanted,))
        experiment = experiment.model_copy(update={"metrics": alone})
    named = measures(experiment, metrics.declared, metrics.selects)
    return experiment, next(each for each in named if each.key == wanted)


def _surveyed(
    state: State, experiment: Experiment, measure: Measure, asked: Asked
) -> tuple[Survey, Iteration | None]:
    """Take what was told by hand, and look for the rest in the records."""
    known = _by_hand(measure, asked)
    if known is not None and state.database is None:
        return Survey(Source.HAND, "", 0.0, asked.daily, known), None
    if state.database is None:
        raise SetupError(
            "There is no database to learn from how many units come: "
            f"{_hand(experiment.key, measure)}"
        )
    database = state.database
    engine, tables, document = database.own, database.tables, state.store.document()
    found: Survey | None = None
    with (
        database.explained(engine),
        reading(engine, is_steady=True) as connection,
    ):
        key = experiment.key
        run = read_iteration(connection, tables, document, key, experiment.iteration)
        if known is None or asked.daily is None:
            now = clock(connection)
            found = survey(connection, tables, document, key, measure, now=now)
    if known is not None:
        daily = found.daily if asked.daily is None and found else asked.daily
        return Survey(Source.HAND, "", 0.0, daily, known), run
    if found is None:
        raise ResultsNotReady(
            "Nobody was exposed yet, and no such unit has left an event, so that "
            f"nothing is known of {measure.key!r}: {_hand(experiment.key, measure)}"
        )
    if asked.daily is not None:
        found = Survey(
            found.source, found.experiment, found.days, asked.daily, found.known
        )
    return found, run


def _by_hand(measure: Measure, asked: Asked) -> Known | None:
    if asked.baseline is None:
        return None
    if not measure.is_indicator and asked.sd is None:
        raise click.UsageError(
            f"{measure.key!r} is no share, so that its spread is needed: add --sd."
        )
    sd = None if measure.is_indicator else asked.sd
    return Known(Baseline(asked.baseline, sd), 0)


def _answer(
    experiment: Experiment,
    asked: Asked,
    baseline: Baseline,
    terms: Terms,
    pace: Pace,
) -> Size:
    """Give what an effect takes, or what so many units or days find."""
    units = asked.units
    if asked.days is not None:
        if pace.daily is None:
            raise UsageError(
                "Nobody knows how many units come a day: add `--daily 6000`."
            )
        units = pace.units(asked.days)
    if units is None:
        planned = None if experiment.plan is None else experiment.plan.mde
        effect = asked.mde or planned or MDE
        return sizes((effect,), baseline, terms, pace)[0]
    found = effect_of(units, baseline, terms)
    if found is None:
        raise UsageError(
            f"{units:,} units find no effect at all, not even the largest: give more."
        )
    (size,) = sizes((found,), baseline, terms, pace)
    return replace(size, units=units, days=asked.days or pace.days(units))


def _too_little(experiment: Experiment, measure: Measure, found: Survey) -> str:
    whose = f" of {found.experiment!r}" if found.source is Source.OTHER else ""
    return (
        f"Too little is known of {measure.key!r}{whose}: {found.known.reason}. "
        f"{_hand(experiment.key, measure).capitalize()}"
    )


def _hand(key: str, measure: Measure) -> str:
    told = "--baseline 0.1" if measure.is_indicator else "--baseline 6.80 --sd 31"
    return f"plan by hand with `flask abx power {key} {told} --daily 6000`."
