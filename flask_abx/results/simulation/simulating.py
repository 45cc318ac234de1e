"""Simulated traffic of experiments, written as if it had come."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from flask_abx.errors import ChangeRefused, UnknownExperiment
from flask_abx.events.sql.erasures import make_sentinel
from flask_abx.events.sql.retrying import retried
from flask_abx.events.sql.storing import Stored, store
from flask_abx.experiments.lifecycle import Status
from flask_abx.results.simulation.backdating import backdate
from flask_abx.results.simulation.clearing import Cleared, clear, is_exposed
from flask_abx.results.simulation.knowledge import Knowledge
from flask_abx.results.simulation.playing import Play, Score
from flask_abx.results.simulation.scenario import Simulated
from flask_abx.results.simulation.streams import streams
from flask_abx.results.simulation.traffic import DAY, Season, crowd
from flask_abx.stores.change import milliseconds_of, moment_of
from flask_abx.stores.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from flask_abx.assignment.ruleset import Rule, Ruleset
    from flask_abx.experiments.model import Document, Experiment
    from flask_abx.results.simulation.playing import Part
    from flask_abx.results.simulation.scenario import Simulation
    from flask_abx.results.simulation.streams import Stream
    from flask_abx.results.simulation.traffic import Guest
    from flask_abx.schema import Tables

#: How many records are stored in one transaction.
_BATCH = 20_000
#: So many bots come for each unit.
_BOTS = 0.03
#: After so many units it is told how far it is.
_STEP = 500
#: Less than this is no traffic, in milliseconds.
_SHORTEST = 60_000

_WAYS_OUT: Mapping[Status, str] = {
    Status.DRAFT: "run `flask abx start {key}` first",
    Status.PAUSED: "run `flask abx resume {key}` first",
    Status.CONCLUDED: "run `flask abx restart {key}` for another iteration",
    Status.ARCHIVED: "run `flask abx create` for another experiment",
}


def simulate(
    engine: Engine,
    tables: Tables,
    ruleset: Ruleset,
    document: Document,
    simulation: Simulation,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Simulated:
    """Simulate the traffic of experiments; what was simulated for them is replaced.

    All experiments on the same types of unit are met by the same people, and an event
    that several of them measure has the effects of each.

    Args:
        engine: Whose connections are used.
        tables: The tables.
        ruleset: The compiled definitions, which assign.
        document: The definitions, with the metrics that code declares.
        simulation: Which traffic.
        tell: Is given how many units more have come, and of how many.

    Raises:
        ChangeRefused: If an experiment is not running, or has exposures that were not
            simulated.
        UnknownExperiment: If one is not defined.
        UnknownVariant: If a scenario names a variant that there is not.
        UsageError: If a base rate is no share.
    """
    families = _families(ruleset, document, simulation)
    keys = [part.rule.key for family in families for part in family.parts]
    real = _real(engine, tables, keys, force=simulation.force)
    make_sentinel(engine, tables)
    cleared = sum((clear(engine, tables, key) for key in keys), Cleared())
    begin = partial(_begin, engine, tables, document, simulation, keys, real)
    season, moved = retried(begin)
    score, writer = Score(), _Writer(engine, tables, ruleset)
    total = simulation.units * len(families)
    for family in families:
        play = Play(family.parts, family.streams, season, score)
        guests = family.guests(simulation.units, season)
        for number, guest in enumerate(guests, 1):
            writer.add(play.records(guest))
            if number % _STEP == 0:
                tell(_STEP, total)
        for number in range(round(simulation.units * _BOTS)):
            play.serve_bot(f"{family.name}:bot:{number}")
    writer.flush()
    return _simulated(season, score, writer.stored, cleared, moved)


@dataclass(frozen=True, slots=True)
class _Family:
    """Experiments that the same people meet."""

    name: str
    parts: Sequence[Part]
    streams: Sequence[Stream]
    knowledge: Knowledge

    def guests(self, count: int, season: Season) -> Iterable[Guest]:
        """Let these people come."""
        kinds = self.parts[0].rule.unit
        return crowd(kinds, self.name, count, season, self.knowledge)


class _Writer:
    """Stores records, many in each transaction."""

    def __init__(self, engine: Engine, tables: Tables, ruleset: Ruleset) -> None:
        self.stored = Stored(0, 0, 0)
        self._engine = engine
        self._tables = tables
        self._rules = ruleset.rules
        self._waiting: list[dict[str, Any]] = []

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Take the records of one guest, which stay together."""
        self._waiting.extend(records)
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Store what has been taken."""
        if self._waiting:
            stored, done = self.stored, retried(self._store)
            self._waiting.clear()
            self.stored = Stored(
                stored.exposures + done.exposures,
                stored.events + done.events,
                stored.refused + done.refused,
            )

    def _store(self) -> Stored:
        with writing(self._engine) as connection:
            return store(connection, self._tables, self._waiting, self._kinds_of)

    def _kinds_of(self, key: str) -> tuple[str, ...]:
        return self._rules[key].unit if key in self._rules else ()


def _families(
    ruleset: Ruleset, document: Document, simulation: Simulation
) -> list[_Family]:
    """Put experiments together whose units are of the same types."""
    found: defaultdict[tuple[str, ...], list[Part]] = defaultdict(list)
    for scenario in simulation.scenarios:
        rule = ruleset.rules.get(scenario.key)
        if rule is None:
            raise UnknownExperiment(
                f"Experiment {scenario.key!r} is not defined: see `flask abx list`."
            )
        _check_open(rule, simulation.now)
        found[rule.unit].append(scenario.part(rule))
    told = simulation.metrics
    declared = document.metrics if told is None else told.declared
    selects = () if told is None else tuple(told.selects)
    families = []
    for parts in found.values():
        keys = sorted(part.rule.key for part in parts)
        own = [document.experiments[key] for key in keys]
        done = streams(declared, own, simulation.base_rates, selects)
        name = f"simulate:{simulation.seed}:{'+'.join(keys)}"
        families.append(_Family(name, parts, done, Knowledge(document, own)))
    return families


def _check_open(rule: Rule, now: datetime) -> None:
    """Refuse what nobody new can come into.

    Raises:
        ChangeRefused: If it is not running, or closed.
    """
    way_out = _WAYS_OUT.get(rule.status)
    if way_out is not None:
        raise ChangeRefused(
            f"Experiment {rule.key!r} is {rule.status.value}, so nobody can come into "
            f"it: {way_out.format(key=rule.key)}."
        )
    if rule.closed:
        raise ChangeRefused(
            f"Experiment {rule.key!r} is closed, so nobody new can come into it: run "
            f"`flask abx restart {rule.key}` for another iteration."
        )
    if rule.start_at is not None and rule.start_at >= now:
        raise ChangeRefused(
            f"Experiment {rule.key!r} starts at {rule.start_at.isoformat()}: wait, "
            f"or run `flask abx edit {rule.key} --unset start_at`."
        )


def _real(
    engine: Engine, tables: Tables, keys: Iterable[str], *, force: bool
) -> frozenset[str]:
    """Name the experiments whose exposures were not all simulated.

    Raises:
        ChangeRefused: If there is one, and nobody insists.
    """
    with reading(engine) as connection:
        real = frozenset(
            key for key in keys if is_exposed(connection, tables, key, simulated=False)
        )
    if real and not force:
        raise ChangeRefused(
            *(
                f"Experiment {key!r} has exposures that were not simulated, whose "
                "results would be mixed with what is made up: try it on another "
                "database, or insist with --force."
                for key in sorted(real)
            )
        )
    return real


def _begin(
    engine: Engine,
    tables: Tables,
    document: Document,
    simulation: Simulation,
    keys: Sequence[str],
    real: Collection[str],
) -> tuple[Season, tuple[str, ...]]:
    """Make the history of experiments fit their traffic, or the other way round."""
    ended = milliseconds_of(simulation.now)
    began = ended - round(simulation.days * DAY)
    for key in keys:
        start_at = document.experiments[key].start_at
        if start_at is not None:
            began = max(began, milliseconds_of(start_at))
    moved = []
    with writing(engine) as connection:
        for key in sorted(real):
            # What really happened stays where it is.
            began = max(began, _started_at(connection, tables, document, key))
        began = min(began, ended - _SHORTEST)
        for key in sorted(set(keys) - set(real)):
            own = _metrics_of(connection, tables, document, key)
            if backdate(connection, tables, key, began, own):
                moved.append(key)
    return Season(began, ended), tuple(moved)


def _started_at(
    connection: Connection, tables: Tables, document: Document, key: str
) -> int:
    """Give the beginning of the last epoch of an experiment."""
    each = tables.epochs.c
    query = select(each.started_at).where(
        each.experiment == key, each.iteration == document.experiments[key].iteration
    )
    found = connection.execute(query.order_by(each.epoch.desc())).scalars().first()
    return found or 0


def _metrics_of(
    connection: Connection, tables: Tables, document: Document, key: str
) -> frozenset[str]:
    """Name the metrics of an experiment that nothing real has been measured with."""

    def names(experiment: Experiment) -> frozenset[str]:
        return frozenset(experiment.metrics.names)

    own = names(document.experiments[key])
    for other, experiment in document.experiments.items():
        shared = own & names(experiment)
        if shared and is_exposed(connection, tables, other, simulated=False):
            own -= shared
    return own


def _simulated(
    season: Season,
    score: Score,
    stored: Stored,
    cleared: Cleared,
    moved: tuple[str, ...],
) -> Simulated:
    return Simulated(
        began=moment_of(season.began),
        ended=moment_of(season.ended),
        units=score.units,
        visits=score.visits,
        returning=score.returning,
        logins=score.logins,
        bots=score.bots,
        exposed=dict(score.exposed),
        outside={reason.value: count for reason, count in score.reasons.items()},
        lost=score.lost,
        exposures=stored.exposures,
        events=stored.events,
        late=score.late,
        cleared=cleared,
        moved=moved,
    )
