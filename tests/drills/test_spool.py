"""A disk that is full for a while, and a drainer that cannot see who is alive."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from tests.databases import fresh_database
from tests.drills.booth import HEADLINE, TARGET
from tests.drills.buyers import visit_all
from tests.drills.commands import APART, drain
from tests.drills.kept import bytes_in, wait_until_drained
from tests.drills.market import opened
from tests.drills.notes import Browser, Notes, ask, ids_of, noting, outcome, stored_ids
from tests.drills.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

#: How big the disk is, and in which portions it is filled, in bytes.
DISK, PORTION = 1_048_576, 4096
#: How long it is full, and how long it is not, in seconds.
FULL, FREE = 2.5, 1.5
WORKERS = 2


@contextmanager
def _disk(path: Path) -> Iterator[Path]:
    """Mount a small disk in memory."""
    path.mkdir()
    options = f"size={DISK},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    subprocess.run(mount, check=True, timeout=10)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, timeout=10)


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Leave no room on a disk for the length of a block, also where some is made."""
    is_over, ballast = Event(), disk / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            while not is_over.is_set():
                try:
                    file.write(bytes(PORTION))
                except OSError:
                    is_over.wait(0.001)

    thread = Thread(target=fill, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(10)
        ballast.unlink()


def test_a_full_disk_is_told_and_left_behind(tmp_path: Path) -> None:
    with (
        fresh_database("postgresql", tmp_path) as url,
        _disk(tmp_path / "disk") as disk,
    ):
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "INSTANCE": str(tmp_path / "instance"),
            "ABX_SPOOL_DIR": str(disk),
        }
        with (
            opened(tmp_path, config, HEADLINE),
            serving(tmp_path, config, workers=WORKERS, target=TARGET) as server,
        ):
            visit_all(server.port, server.workers, 10)
            notes, spans = _fill_twice(server, disk)
            counted = _refused(server)
            wait_until_drained(disk)
            said = server.said()
        found = outcome(url, notes)
    refused = Counter(each.pid for each in notes.taken if each.lost)
    after = [each for each in notes.taken if each.asked_at > spans[-1]]
    print(
        f"\na disk of 1 MB, full twice for {FULL} s: {found}; {refused.total():,} "
        f"refused, {sum(counted.values()):,} counted; all of the last {len(after):,} "
        "acknowledged"
    )
    assert (found.lost, found.strange) == (0, 0)
    assert {each.status for each in notes.taken} == {200}
    assert refused.total() > 0
    assert counted == dict(refused)
    assert after
    assert all(each.is_acknowledged for each in after)
    assert "Traceback" not in said, said
    assert "make room on the disk" in said


def _fill_twice(server: Server, disk: Path) -> tuple[Notes, list[float]]:
    """Give what was noted, and when there was room again, each time."""
    spans: list[float] = []
    with noting(server.port, ["/note/{}"] * 4) as notes:
        for _ in range(2):
            time.sleep(FREE)
            with _filled(disk):
                time.sleep(FULL)
            # Each worker finds the room with the next record.
            time.sleep(0.1)
            spans.append(time.time())
        time.sleep(FREE)
    return notes, spans


def _refused(server: Server) -> dict[int, int]:
    """Ask each worker how many records its spool has refused."""
    found: dict[int, int] = {}
    deadline = time.monotonic() + 10
    while len(found) < WORKERS and time.monotonic() < deadline:
        browser = Browser(server.port)
        note = ask(browser, "/tally", 0)
        browser.close()
        counts = note.body["counts"]
        refused = {name: each for name, each in counts.items() if "refused" in name}
        assert refused.keys() <= {"spool_refused:disk"}, counts
        assert not any(name.startswith("record_dropped") for name in counts), counts
        found[note.pid] = sum(refused.values())
    return {pid: count for pid, count in found.items() if count}


def test_a_drainer_takes_nothing_of_who_is_alive_elsewhere(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "INSTANCE": str(tmp_path / "instance"),
        }
        with (
            opened(tmp_path, config, HEADLINE),
            serving(tmp_path, config, workers=1, target=TARGET) as server,
        ):
            (owner,) = server.wait_for_workers(1)
            visit_all(server.port, server.workers, 10)
            notes = _stop_in_the_middle(server, owner, tmp_path)
            held, before = bytes_in(tmp_path), stored_ids(url)
            alive = drain(config, APART)
            kept = bytes_in(tmp_path), stored_ids(url)
            # The master is stopped, so that no other worker comes for the file.
            server.signal(signal.SIGSTOP)
            os.kill(owner, signal.SIGKILL)
            dead = drain(config, APART)
            server.signal(signal.SIGCONT)
            stored, promised = stored_ids(url), ids_of(notes.acknowledged)
    print(
        f"\na drainer that sees no such pid: {alive['files']} files taken of {held:,} "
        f"bytes while the owner lives, {dead['files']} when it is dead; "
        f"{len(promised)} events acknowledged, {len(promised - stored)} lost"
    )
    assert held > 0
    assert alive == {"files": 0, "bytes": 0}
    assert kept == (held, before)
    assert dead == {"files": 1, "bytes": held}
    assert stored == promised


def _stop_in_the_middle(server: Server, owner: int, folder: Path) -> Notes:
    """Stop a process that has not stored its last records yet."""
    notes, browser = Notes(), Browser(server.port)
    try:
        for _ in range(20):
            for _ in range(10):
                notes.taken.append(ask(browser, "/note/{}", notes.next()))
            os.kill(owner, signal.SIGSTOP)
            time.sleep(0.1)
            if bytes_in(folder):
                return notes
            with suppress(ProcessLookupError):
                os.kill(owner, signal.SIGCONT)
    finally:
        browser.close()
    raise AssertionError("It has always stored everything at once.")
