"""What is stored of a unit: asked by requests, found by the background thread."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import select

from flask_abx.events.answers import Answer
from flask_abx.events.bounded import Bounded
from flask_abx.stores.database import clock, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from flask_abx.events.answers import Rows, Run, Wanted
    from flask_abx.stores.background import Background
    from flask_abx.stores.database import Database
    from flask_abx.stores.life import Life

#: How many answers a process keeps.
KEPT = 10_000
#: How many units one query asks for.
_MOST = 500
#: How often it looks whether somebody waits for an answer, in seconds.
_BEAT = 0.5


class Lookups:
    """Answers what is stored of users and attribute units; an errand of the thread.

    Args:
        database: Where the exposures are.
        background: The thread that asks.
        wait: How long a request waits for an answer, in seconds.
    """

    name = "look up exposures"
    rest = _BEAT

    def __init__(self, database: Database, background: Background, wait: float) -> None:
        self._database = database
        self._background = background
        self._wait = wait
        self._answers: Bounded[str, Answer] = Bounded(KEPT)
        # No lock: under gevent the job runs in a real thread beside the greenlets.
        self._asked: deque[str] = deque()

    def find(self, wanted: Mapping[str, Wanted]) -> Mapping[str, Rows]:
        """Give the rows of some units, and wait for those that are not known.

        Args:
            wanted: What must be known of each unit, named as in ``user:7``.

        Returns:
            The rows by unit; a unit is missing that could not be asked about in time.
        """
        now = monotonic()
        missing = [unit for unit in wanted if not self._is_settled(unit, wanted, now)]
        if missing and not self._background.is_late:
            self._asked.extend(missing)
            self._background.wait_until(
                self._are_settled(missing, wanted, now), self._wait
            )
        found = {unit: self._answers.get(unit) for unit in wanted}
        return {
            unit: answer.rows
            for unit, answer in found.items()
            if answer is not None and answer.settles(wanted[unit], now)
        }

    def forget(self, unit: str) -> None:
        """Ask about a unit anew, as more of it is about to be stored."""
        answer = self._answers.get(unit)
        if answer is not None:
            # Whoever asked before that, and waits, is answered all the same.
            self._answers.put(unit, answer._replace(told_at=monotonic()))

    def run(self, life: Life) -> None:
        """Answer what was asked, with one query."""
        asked: set[str] = set()
        with suppress(IndexError):
            while True:
                asked.add(self._asked.popleft())
        if asked:
            units = sorted(asked)
            for at in range(0, len(units), _MOST):
                self._answer(units[at : at + _MOST], life)
        elif self._background.is_late:
            # Whether the database is in time again is seen by asking it.
            with reading(life.engine) as connection:
                clock(connection)

    def _is_settled(self, unit: str, wanted: Mapping[str, Wanted], now: float) -> bool:
        answer = self._answers.get(unit)
        return answer is not None and answer.settles(wanted[unit], now)

    def _are_settled(
        self, units: Collection[str], wanted: Mapping[str, Wanted], now: float
    ) -> Callable[[], bool]:
        return lambda: all(self._is_settled(unit, wanted, now) for unit in units)

    def _answer(self, units: Collection[str], life: Life) -> None:
        asked_at = monotonic()
        table = self._database.tables.exposures
        columns = (table.c.unit, table.c.experiment, table.c.iteration, table.c.variant)
        query = select(*columns).where(table.c.unit.in_(units))
        with reading(life.engine) as connection:
            found = connection.execute(query).all()
        if life.is_over:
            return
        rows: dict[str, dict[Run, str]] = {unit: {} for unit in units}
        for unit, experiment, iteration, variant in found:
            # A database that pads trailing blanks may answer for a like-named unit.
            if unit in rows:
                rows[unit][experiment, iteration] = variant
        for unit, own in rows.items():
            self._answers.put(unit, Answer(own, asked_at, asked_at))
