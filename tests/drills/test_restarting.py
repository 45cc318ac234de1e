"""Databases that are restarted and hang under load: no page waits, nothing is lost."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.drills.buyers import Book, Buyer, Passerby, trade, visit_all
from tests.drills.cluster import own_cluster
from tests.drills.kept import kept, wait_until_drained
from tests.drills.maria import own_maria
from tests.drills.market import TARGET, opened
from tests.drills.servers import serving
from tests.drills.waits import SLACK, WAIT, Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.drills.cluster import Cluster
    from tests.drills.maria import Maria
    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

OWN: dict[str, Callable[[], AbstractContextManager[Cluster | Maria]]] = {
    "postgresql": own_cluster,
    "mariadb": own_maria,
}
#: How long the database hangs, is down, and is left in peace, in seconds.
HANG, DOWN, QUIET = 10.0, 1.0, 1.5
WORKERS = 2
OPTIONS = ("--worker-class=gthread", "--threads=4", "--keep-alive=5")
HEADLINE = {
    "unit": ["user", "visitor"],
    "variants": ["control", "bold"],
    "status": "running",
}
#: What is promised where the application itself needs no database.
BESIDE = ("spool", "request", "exposure")
PAUSE = 0.02


@pytest.mark.parametrize("kind", OWN)
def test_nobody_waits_and_nothing_is_lost(kind: str, tmp_path: Path) -> None:
    with OWN[kind]() as database:
        config = {
            "SQLALCHEMY_DATABASE_URI": database.url,
            "ABX_WAIT": WAIT,
            "INSTANCE": str(tmp_path / "instance"),
        }
        with (
            opened(tmp_path, config, HEADLINE),
            serving(
                tmp_path, config, *OPTIONS, workers=WORKERS, target=TARGET
            ) as server,
        ):
            book = Book()
            stretches = _go_through(database, server, book)
            visit_all(server.port, server.workers, 10)
            took = wait_until_drained(tmp_path)
        found = kept(database.url, book)
    print(f"\n{kind}: {found}; the last is stored {took:.1f} s after the load")
    for stretch in stretches:
        print(f"  {stretch}")
    assert (found.lost.total(), found.twice, found.strange) == (0, [], [])
    for stretch in stretches:
        assert {each.status for each in stretch.replies} == {200}
        assert stretch.longest <= WAIT + SLACK + stretch.noise
        assert not stretch.needless


def _go_through(database: Cluster | Maria, server: Server, book: Book) -> list[Stretch]:
    visit_all(server.port, server.workers, 10)
    buyers = [
        Buyer(book, server.port, BESIDE, has_name=bool(number % 2))
        for number in range(8)
    ]
    atomic = Buyer(book, server.port, ("atomic",))
    moments: list[tuple[str, float, float]] = []

    @contextmanager
    def away(name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        moments.append((name, began, time.monotonic()))

    with trade([*buyers, Passerby(book, server.port)], PAUSE):
        with trade([atomic], PAUSE):
            time.sleep(QUIET)
            for number in (1, 2):
                with away(f"restart {number}"):
                    database.crash()
                    time.sleep(DOWN)
                database.start()
                time.sleep(QUIET)
        with away(f"hung for {HANG:.0f} s"):
            database.hang()
            time.sleep(HANG)
        database.resume()
        time.sleep(QUIET)
    # Only now everybody has been answered.
    return [Stretch.of(name, book, *when) for name, *when in moments]
