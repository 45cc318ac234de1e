"""Every way in which a server forks and ends: what was acknowledged is stored once."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.databases import fresh_database
from tests.drills.booth import HEADLINE, TARGET
from tests.drills.buyers import visit_all
from tests.drills.cluster import own_cluster
from tests.drills.commands import drain
from tests.drills.kept import bytes_in, wait_until_drained
from tests.drills.market import opened
from tests.drills.notes import Notes, noting, outcome
from tests.drills.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

WORKERS = 2
#: How long it takes until all is warm, and how long the load goes on then, in seconds.
WARM, LOAD = 1.0, 2.0
NOTES = ("/note/{}", "/show/{}", "/note/{}?durability=request")
FORKS = (*NOTES, "/fork/{}")
THREADS = ("--worker-class=gthread", "--threads=4", "--keep-alive=5")
#: How a server is started, and what it is asked for.
WAYS = {
    "sync, forking": ((), FORKS),
    "preload": (("--preload",), NOTES),
    "gthread, forking": (THREADS, FORKS),
    "gevent": (("--worker-class=gevent",), NOTES),
    "gevent, preload": (("--worker-class=gevent", "--preload"), NOTES),
}
RECYCLED = ("--preload", *THREADS, "--max-requests=50", "--max-requests-jitter=20")
#: How many files a process may have open more than before: those of a drain.
FEW = 6
#: What gunicorn is told by `serving`, in seconds.
GRACEFUL = 3.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds.

    Attributes:
        files: How many files it has open.
        threads: How many threads it has.
    """

    files: int
    threads: int

    @classmethod
    def by(cls, pid: int) -> Held:
        """Look at a process."""
        names = (f"/proc/{pid}/fd", f"/proc/{pid}/task")
        return cls(*(len(list(Path(name).iterdir())) for name in names))


@pytest.mark.parametrize("way", WAYS)
def test_a_fork_loses_nothing_and_sends_nothing_twice(way: str, tmp_path: Path) -> None:
    options, pages = WAYS[way]
    with fresh_database("postgresql", tmp_path) as url:
        config = _config(url, tmp_path)
        with (
            opened(tmp_path, config, HEADLINE),
            serving(
                tmp_path, config, *options, workers=WORKERS, target=TARGET
            ) as server,
        ):
            visit_all(server.port, server.workers, 15)
            with noting(server.port, pages, 0.005) as notes:
                time.sleep(WARM)
                before = _held(server)
                time.sleep(LOAD)
                after = _held(server)
            wait_until_drained(tmp_path)
            said = server.said()
        found = outcome(url, notes)
    print(f"\n{way}: {found}; {_told(before)} became {_told(after)}")
    assert (found.lost, found.strange) == (0, 0)
    assert {each.status for each in notes.taken} == {200}
    assert {each.body.get("child", 0) for each in notes.taken} == {0}
    assert _grown(before, after) == []
    assert "Traceback" not in said, said


def test_workers_that_are_recycled_lose_nothing(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        config = _config(url, tmp_path)
        with (
            opened(tmp_path, config, HEADLINE),
            serving(
                tmp_path, config, *RECYCLED, workers=WORKERS, target=TARGET
            ) as server,
        ):
            visit_all(server.port, server.workers, 15)
            master = Held.by(server.process.pid)
            with noting(server.port, NOTES * 2, 0.005) as notes:
                time.sleep(2 * LOAD)
            server.wait_for_workers(WORKERS)
            visit_all(server.port, server.workers, 15)
            wait_until_drained(tmp_path)
            after, said = Held.by(server.process.pid), server.said()
        found = outcome(url, notes)
    pids = {each.pid for each in notes.taken} - {0}
    print(
        f"\nmax-requests 50: {len(pids)} workers answered {len(notes.taken):,} "
        f"requests, {found}; the master holds {master.files} files and "
        f"{master.threads} threads, then {after.files} and {after.threads}"
    )
    assert (found.lost, found.strange) == (0, 0)
    assert len(pids) > 2 * WORKERS
    assert after.files <= master.files + WORKERS
    assert after.threads == master.threads
    assert "Traceback" not in said, said


def test_the_end_of_a_server_waits_for_no_dead_database(tmp_path: Path) -> None:
    with own_cluster() as cluster:
        config = _config(cluster.url, tmp_path)
        with opened(tmp_path, config, HEADLINE):
            with serving(
                tmp_path, config, *THREADS, workers=WORKERS, target=TARGET
            ) as server:
                notes, took = _end_while_hung(server, cluster.hang)
                said, left = server.said(), bytes_in(tmp_path)
            cluster.resume()
            drained = drain(config)
        found = outcome(cluster.url, notes)
    print(
        f"\nSIGTERM with a hung database: ended after {took:.1f} s of {GRACEFUL:.0f}, "
        f"{left:,} bytes left; {drained['files']} files drained, {found}"
    )
    assert (found.lost, found.strange) == (0, 0)
    assert left > 0
    assert took < GRACEFUL
    assert "SIGKILL" not in said, said
    assert "Traceback" not in said, said


def _end_while_hung(server: Server, hang: Callable[[], None]) -> tuple[Notes, float]:
    visit_all(server.port, server.workers, 15)
    with noting(server.port, NOTES, 0.005) as notes:
        time.sleep(WARM)
        hang()
        time.sleep(LOAD)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    server.process.wait(3 * GRACEFUL)
    return notes, time.monotonic() - began


def _config(url: str, folder: Path) -> dict[str, object]:
    return {"SQLALCHEMY_DATABASE_URI": url, "INSTANCE": str(folder / "instance")}


def _held(server: Server) -> dict[int, Held]:
    return {pid: Held.by(pid) for pid in server.workers()}


def _told(held: dict[int, Held]) -> str:
    parts = (f"{each.files} files and {each.threads} threads" for each in held.values())
    return ", ".join(parts)


def _grown(before: dict[int, Held], after: dict[int, Held]) -> list[int]:
    """Name the processes that hold much more than before, or are new."""
    return [
        pid
        for pid, now in after.items()
        if pid not in before
        or now.files > before[pid].files + FEW
        or now.threads > before[pid].threads + 1
    ]
