"""Databases that are slow, or whose lines are dead: others are served all the same."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from flask_abx.events.records import fresh_id
from flask_abx.events.spool.frames import frame
from tests.databases import engine_of
from tests.drills.buyers import Book, Buyer, Passerby, trade, visit_all
from tests.drills.clients import told
from tests.drills.cluster import own_cluster
from tests.drills.kept import kept, wait_until_drained
from tests.drills.market import TARGET, opened
from tests.drills.proxy import proxied
from tests.drills.servers import serving
from tests.drills.waits import SLACK, WAIT, Stretch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drills.cluster import Cluster
    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

#: After so many seconds a thread is taken for stuck here.
STUCK = 2.0
#: How long the database may keep what a transaction on a dead line holds, in seconds.
PATIENCE = 20.0
#: How long a transaction takes, in seconds.
SLOW = 0.3
#: How many records of dead processes wait, in how many files.
ORPHANS, FILES, ORPHAN = 160_000, 16, "orphan"
#: How long each stretch is watched, in seconds: every thread may wait once before a
#: deadline is missed, so that a short one would tell of its beginning alone.
WATCHED = 10.0
#: The share of requests that may wait.
FEW = 0.02
#: How long a worker hangs, and the longest that a page may take, in seconds.
HANG, BRIEF = 5.0, 0.2
THREADS = ("--worker-class=gthread", "--threads=4", "--keep-alive=5")
HEADLINE = {
    "unit": ["user", "visitor"],
    "variants": ["control", "bold"],
    "status": "running",
}
#: What is promised where the application itself needs no database.
BESIDE = ("spool", "request", "exposure")
PAUSE, LEISURE = 0.02, 0.08
#: Has psycopg wait in C even under gevent, as other drivers do.
IN_C = {"PSYCOPG_WAIT_FUNC": "wait_c"}


@contextmanager
def _market(
    folder: Path,
    cluster: Cluster,
    port: int,
    *options: str,
    workers: int = 2,
    **more: object,
) -> Iterator[Server]:
    """Serve a market whose database is seen at another port."""
    config = {
        "SQLALCHEMY_DATABASE_URI": _at(cluster.url, port),
        "ABX_WAIT": WAIT,
        "INSTANCE": str(folder / "instance"),
        **more,
    }
    with (
        opened(folder, config, HEADLINE),
        serving(
            folder,
            config,
            *options,
            workers=workers,
            target=TARGET,
            environment=IN_C,
        ) as server,
    ):
        visit_all(server.port, server.workers, 10)
        yield server


def _at(url: str, port: int) -> str:
    return make_url(url).set(port=port).render_as_string(hide_password=False)


def _crowd(book: Book, port: int, kinds: tuple[str, ...] = BESIDE) -> list[Buyer]:
    return [Buyer(book, port, kinds, has_name=bool(number % 2)) for number in range(8)]


def test_another_thread_takes_over_from_one_on_a_dead_line(tmp_path: Path) -> None:
    book = Book()
    with own_cluster() as cluster, proxied(cluster.port) as proxy:
        with _market(tmp_path, cluster, proxy.port, *THREADS, STUCK=STUCK) as server:
            crowd = _crowd(book, server.port)
            with trade([*crowd, Passerby(book, server.port)], PAUSE):
                time.sleep(1.0)
                before, began = proxy.lines, time.monotonic()
                proxy.freeze()
                time.sleep(STUCK + 2.0)
                ended = time.monotonic()
            # The database must find out by itself whom it waits for in vain.
            with trade([Passerby(book, server.port)], PAUSE):
                took = wait_until_drained(tmp_path, PATIENCE)
            said = server.said()
        found = kept(cluster.url, book)
    frozen = Stretch.of("lines frozen", book, began, ended)
    overtaken = said.count("another takes over")
    print(
        f"\n{frozen}\n  {overtaken} threads were replaced, {proxy.lines - before} new "
        f"lines, {found}; the last is stored {took:.1f} s after the load"
    )
    assert overtaken >= 2
    assert (found.lost.total(), found.twice, found.strange) == (0, [], [])
    assert {each.status for each in frozen.replies} == {200}
    assert frozen.longest <= WAIT + SLACK + frozen.noise
    assert "Traceback" not in said, said


def test_few_wait_for_a_slow_database(tmp_path: Path) -> None:
    book = Book()
    moments: list[tuple[str, float, float]] = []

    def watch(name: str) -> None:
        began = time.monotonic()
        time.sleep(WATCHED)
        moments.append((name, began, time.monotonic()))

    with own_cluster() as cluster, proxied(cluster.port) as proxy:
        with _market(tmp_path, cluster, proxy.port, *THREADS) as server:
            proxy.delay = SLOW
            crowd = _crowd(book, server.port, ("spool", "exposure"))
            with trade([*crowd, Passerby(book, server.port)], LEISURE):
                watch(f"{SLOW * 1000:.0f} ms a transaction")
                _leave_orphans(tmp_path)
                watch(f"the same and {ORPHANS:,} orphans")
                proxy.delay = 0.0
                watch("the orphans alone")
        stored = _orphans_in(cluster.url)
    print(f"\n{stored:,} of {ORPHANS:,} orphans stored meanwhile")
    stretches = [Stretch.of(name, book, *when) for name, *when in moments]
    for stretch in stretches:
        print(f"  {stretch}")
    assert {each.status for each in book.replies} == {200}
    # In the last one the threads fight for processors, so it is only told.
    for stretch in stretches[:2]:
        assert len(stretch.waiting) < FEW * len(stretch.replies)
    assert stored > 0


def _orphans_in(url: str) -> int:
    query = f"SELECT count(*) FROM abx_events WHERE name = '{ORPHAN}'"  # noqa: S608 - a constant
    with engine_of(url) as engine, engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def _leave_orphans(folder: Path) -> None:
    """Leave what dead processes had not stored yet."""
    (spool,) = {path.parent for path in folder.rglob("*.spool")}
    moment = datetime.now(UTC)
    at = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for number in range(FILES):
        lines = []
        for _ in range(ORPHANS // FILES):
            record = {
                "type": "event",
                "id": fresh_id(moment),
                "at": at,
                "name": ORPHAN,
                "value": 1,
                "variants": {},
                "units": {"user": f"gone-{number}"},
                "properties": {},
                "version": "1",
            }
            lines.append(frame(json.dumps(record)))
        new = spool / f"{fresh_id(moment)}.new"
        new.write_bytes(b"".join(lines))
        new.rename(new.with_suffix(".spool"))


def test_a_hung_driver_stops_no_greenlet(tmp_path: Path) -> None:
    book, options = Book(), ("--worker-class=gevent",)
    with own_cluster() as cluster:
        with _market(tmp_path, cluster, cluster.port, *options, workers=1) as server:
            crowd = _crowd(book, server.port)
            with trade([*crowd, Passerby(book, server.port)], PAUSE):
                time.sleep(1.0)
                began = time.monotonic()
                cluster.hang()
                time.sleep(HANG)
                cluster.resume()
                ended = time.monotonic()
            visit_all(server.port, server.workers, 10)
            wait_until_drained(tmp_path)
        found = kept(cluster.url, book)
    hung = Stretch.of("gevent, hung", book, began, ended)
    # A worker that stands still tells of no time of its own: the visitors do.
    plain = [each for each in book.passing if began < each.sent_at < ended]
    latencies = [each.latency for each in plain]
    print(f"\n{hung}\n  pages without records: {told(latencies)}; {found}")
    assert {each.status for each in [*plain, *hung.replies]} == {200}
    assert len(plain) > 20
    assert max(latencies) < BRIEF
    assert (found.lost.total(), found.twice, found.strange) == (0, [], [])
