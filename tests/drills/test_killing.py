"""Workers that are killed again and again: what was acknowledged is in the tables."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.databases import fresh_database, run
from tests.drills.buyers import Book, Buyer, trade, visit_all
from tests.drills.kept import (
    kept,
    lost_in_memory,
    make_buffered,
    wait_until_drained,
)
from tests.drills.market import TARGET, opened
from tests.drills.servers import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

EVERY = 0.4
#: How long the load goes on at least, and at most, in seconds.
SHORTEST, LONGEST = 8.0, 40.0
WORKERS, BUYERS = 4, 8
#: What each run must have seen.
KILLS, ACKNOWLEDGED = 15, 2_000
#: A fork is cheap, so that there is somebody to kill each time.
OPTIONS = ("--preload", "--worker-class=gthread", "--threads=4", "--keep-alive=5")
HEADLINE = {
    "unit": ["user", "visitor"],
    "variants": ["control", "bold"],
    "status": "running",
}
#: What is bought in turn: what costs most is bought least.
BASKET = (*3 * ("spool",), *2 * ("request",), *2 * ("exposure",), "atomic")


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_what_was_acknowledged_is_stored_once(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url:
        if kind == "sqlite":
            run(url, "PRAGMA journal_mode=WAL")
        config = _config(url, tmp_path)
        with opened(tmp_path, config, HEADLINE):
            book, kills, seconds, said = _go_through(config, tmp_path)
        found = kept(url, book)
    failed = sum(not each.is_acknowledged for each in book.replies)
    print(
        f"\nkill -9 of a random worker every {EVERY} s for {seconds:.0f} s, {kind}: "
        f"{kills} kills, {found}; {failed} requests failed and were sent again"
    )
    assert (found.lost.total(), found.twice, found.strange) == (0, [], [])
    assert found.acknowledged.total() >= ACKNOWLEDGED
    assert found.exposures >= ACKNOWLEDGED
    assert kills >= KILLS
    assert "Traceback" not in said, said


def _config(url: str, folder: Path) -> dict[str, object]:
    return {
        "SQLALCHEMY_DATABASE_URI": url,
        "INSTANCE": str(folder / "instance"),
    }


def _go_through(
    config: dict[str, object], folder: Path
) -> tuple[Book, int, float, str]:
    """Give the book, how many were killed in how many seconds, and what was logged."""
    book = Book()
    with serving(folder, config, *OPTIONS, workers=WORKERS, target=TARGET) as server:
        server.wait_for_workers(WORKERS)
        began = time.monotonic()
        buyers = [
            Buyer(book, server.port, BASKET, has_name=bool(number % 2))
            for number in range(BUYERS)
        ]
        with trade(buyers):
            kills = _kill_on(server, book)
        seconds = time.monotonic() - began
        server.wait_for_workers(WORKERS)
        visit_all(server.port, server.workers, 10)
        wait_until_drained(folder)
        return book, kills, seconds, server.said()


def _kill_on(server: Server, book: Book) -> int:
    """Kill a worker again and again until enough was seen; gives how many."""
    chance, kills, began = random.Random(7), 0, time.monotonic()
    while (passed := time.monotonic() - began) < LONGEST:
        time.sleep(EVERY)
        # A few of them may be told twice.
        is_enough = kills >= KILLS and len(book.acknowledged) >= 1.1 * ACKNOWLEDGED
        if passed >= SHORTEST and is_enough:
            break
        workers = server.workers()
        if workers:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
                kills += 1
    return kills


def test_a_queue_in_memory_loses_what_was_acknowledged(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        make_buffered(url)
        config = {**_config(url, tmp_path), "BUFFERED": True}
        with opened(tmp_path, config, HEADLINE):
            book, kills, seconds, _ = _go_through(config, tmp_path)
        lost, told = lost_in_memory(url, book), len(book.ids_of(book.acknowledged))
    print(
        f"\nthe same with a queue in memory: {kills} kills in {seconds:.0f} s, "
        f"{told:,} acknowledged, {lost:,} lost ({lost / told:.1%})"
    )
    assert kills >= KILLS
    assert told >= ACKNOWLEDGED
    assert lost > 0
