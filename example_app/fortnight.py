"""The fortnight before the shop opens: made-up visitors, and what came of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask_abx.errors import SetupError
from flask_abx.experiments.lifecycle import Action
from flask_abx.results.simulation.scenario import Scenario, Simulation
from flask_abx.results.simulation.simulating import simulate
from flask_abx.runtime.results import latest, metrics_of, refreshed
from flask_abx.stores.change import Author, moment_of
from flask_abx.stores.database import clock, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask_abx.results.shapes import Results
    from flask_abx.results.simulation.scenario import Simulated
    from flask_abx.runtime.state import State

DAYS = 14
SEED = 1
#: Many want the bold headline, free shipping from 29 € makes no difference that shows,
#: the redirect of the express button loses people, and wrapping for nothing sells.
SCENARIOS = (
    Scenario("headline", effect=0.18),
    Scenario("free_shipping", effect=0.01),
    Scenario("checkout_button", effect=0.05, lost={"express": 0.08}),
    Scenario("gift_wrap", effect=0.12),
)
RATES = {"signup": 0.09, "purchase": 0.1}
SHIPPED, WINNER = "gift_wrap", "offered"


def is_open(state: State) -> bool:
    """Tell whether nobody has looked at any of these experiments yet."""
    looked_at = latest(state)
    return not any(looked_at.get(scenario.key) for scenario in SCENARIOS)


def let_pass(state: State, per_day: int, tell: Callable[[int, int], None]) -> Simulated:
    """Let so many visitors a day come to the shop, and ship what they liked.

    Raises:
        ChangeRefused: If the shop has had visitors of its own.
        SetupError: If its experiments are defined elsewhere.
        UnknownExperiment: If an experiment has been taken away.
    """
    database, editor = state.database, state.editor
    if database is None or editor is None:
        raise SetupError("Kettle keeps its experiments in its database: leave it one.")
    with reading(database.own) as connection:
        now = moment_of(clock(connection))
    simulation = Simulation(
        scenarios=SCENARIOS,
        now=now,
        days=DAYS,
        units=per_day * DAYS,
        seed=SEED,
        base_rates=RATES,
        metrics=metrics_of(state),
    )
    ruleset, document = state.store.ruleset(), state.store.document()
    done = simulate(database.own, database.tables, ruleset, document, simulation, tell)
    author = Author("Kettle", "python", "Wrapped for nothing, more is bought.")
    editor.move(SHIPPED, Action.CONCLUDE, author, winner=WINNER)
    state.store.load()
    return done


def look(state: State) -> Iterator[Results]:
    """Look at every experiment that nobody has looked at, what is shipped last."""
    looked_at, experiments = latest(state), state.store.document().experiments
    unseen = [key for key in experiments if looked_at.get(key) is None]
    for key in sorted(unseen, key=lambda key: key == SHIPPED):
        if key == SHIPPED:
            _wait(state)
        yield refreshed(state, key)


def _wait(state: State) -> None:
    """Wait until every change counts, a few seconds after the last one was made."""
    if state.editor is None:
        return
    snapshot = state.editor.desk().snapshot
    effective_at = max((each.effective_at for each in snapshot.pending), default=0)
    time.sleep(max(effective_at - snapshot.now, 0) / 1000)
