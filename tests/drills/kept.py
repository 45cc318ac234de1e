"""What is in the tables, compared with what was promised."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from flask_abx.events.records import digest_of
from tests.databases import engine_of
from tests.drills.buyers import KINDS
from tests.drills.market import BUFFERED, SOLD

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from tests.drills.buyers import Book


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of what was sent.

    Attributes:
        acknowledged: How many sales were, by what was promised.
        exposures: How many exposures were acknowledged.
        lost: The acknowledged ones that are not stored, by what was promised.
        twice: What is stored more than once.
        strange: What is stored and was never sent, or without what it belongs to.
    """

    acknowledged: Counter[str]
    exposures: int
    lost: Counter[str]
    twice: list[object]
    strange: list[object]

    def __str__(self) -> str:
        parts = ", ".join(f"{self.acknowledged[kind]:,} {kind}" for kind in KINDS[:3])
        return (
            f"{self.acknowledged.total():,} acknowledged ({parts}, "
            f"{self.exposures:,} exposures), {self.lost.total()} lost, "
            f"{len(self.twice)} twice, {len(self.strange)} never sent"
        )


def kept(url: str, book: Book) -> Kept:
    """Compare the tables of a market with the book of its buyers."""
    with engine_of(url) as engine, engine.connect() as connection:

        def read(query: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.execute(text(query))]

        events = [str(row[0]) for row in read("SELECT id FROM abx_events")]
        belongings = read("SELECT event_id, unit FROM abx_event_units")
        exposed = read("SELECT experiment, iteration, unit FROM abx_exposures")
        orders = [row[0] for row in read("SELECT number FROM orders")]
    told = book.acknowledged
    stored = set(events)
    lost: Counter[str] = Counter()
    belonging = {str(row[0]) for row in belongings}
    for number, reply in told.items():
        id_ = _id(number)
        if reply.kind != "exposure" and not (id_ in stored and id_ in belonging):
            lost[reply.kind] += 1
    units = {str(row[2]) for row in exposed}
    shown = {unit for reply in told.values() for unit in _units(reply.body)}
    lost["exposure"] += len(shown - units)
    ids = book.ids_of(book.sent)
    named = {f"user:{number}" for number in book.sent}
    of_orders = {_id(number) for number in orders}
    of_atomic = {_id(n) for n, kind in book.sent.items() if kind == "atomic"}
    strange: list[object] = [*(stored - ids), *(belonging - stored)]
    strange += [unit for unit in units - named if unit.startswith("user:")]
    strange += list(of_orders ^ (stored & of_atomic))
    return Kept(
        acknowledged=Counter(reply.kind for reply in told.values()),
        exposures=len(shown),
        lost=lost,
        twice=[*_repeated(events), *_repeated(belongings), *_repeated(exposed)],
        strange=strange,
    )


def _id(number: int) -> str:
    return digest_of("event", SOLD, str(number))


def _units(body: dict[str, object]) -> set[str]:
    units = body.get("units")
    assert isinstance(units, dict)
    first = next(kind for kind in ("user", "visitor") if kind in units)
    return {f"{first}:{units[first]}"}


def _repeated(found: Sequence[Hashable]) -> list[object]:
    return [each for each, number in Counter(found).items() if number > 1]


def make_buffered(url: str) -> None:
    """Make the table for a sink whose records wait in memory."""
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {BUFFERED} (id VARCHAR(32))"))


def lost_in_memory(url: str, book: Book) -> int:
    """Give how many acknowledged events such a sink has not stored."""
    with engine_of(url) as engine, engine.connect() as connection:
        rows = connection.execute(text(f"SELECT id FROM {BUFFERED}"))  # noqa: S608 - a constant
        stored = {str(row[0]) for row in rows}
    return len(book.ids_of(book.acknowledged) - stored)


def wait_until_drained(folder: Path, seconds: float = 15.0) -> float:
    """Wait until no record waits in the files of a market; gives how long it took.

    Raises:
        TimeoutError: If some wait still.
    """
    began = time.monotonic()
    quiet_since: float | None = None
    while time.monotonic() < began + seconds:
        waiting = bytes_in(folder)
        now = time.monotonic()
        quiet_since = None if waiting else quiet_since or now
        if quiet_since is not None and now - quiet_since > 0.3:
            return quiet_since - began
        time.sleep(0.05)
    raise TimeoutError(f"{waiting} bytes wait in {folder} after {seconds:g} s.")


def bytes_in(folder: Path) -> int:
    """Give how much waits in the files of a market."""
    total = 0
    for path in folder.rglob("*.spool"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            # Stored meanwhile.
            continue
    return total
