"""Drainers as processes of their own: six at once, and one that workers trust."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.databases import engine_of, fresh_database
from tests.drills.booth import HEADLINE, TARGET, commanded
from tests.drills.buyers import visit_all
from tests.drills.commands import finish, watching
from tests.drills.kept import bytes_in, wait_until_drained
from tests.drills.leftovers import exposure, folder_of, leave, sale
from tests.drills.market import opened
from tests.drills.notes import ids_of, noting, outcome, stored_ids
from tests.drills.servers import ROOT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.events.records import Record
    from tests.drills.notes import Notes
    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

DRAINERS, HOT = 6, 40
FILES, SIZE = 30, 240
#: The first record of a unit is so long ago.
AGO = timedelta(hours=1)
RACE = "from tests.drills.test_drainers import drain_when_told as run; run()"
WORKERS = 2
#: How long a drainer takes to end, in seconds.
PARTING = 2.0


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_six_drainers_lose_no_batch_of_hot_units(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url:
        config = {"SQLALCHEMY_DATABASE_URI": url, "INSTANCE": str(tmp_path)}
        with (
            opened(tmp_path, config, HEADLINE) as state,
            _ready(config) as drainers,
        ):
            began = datetime.now(UTC) - AGO
            sales = _leave_hot(folder_of(state), began)
            since = time.monotonic()
            told = _go(drainers)
            took, left = time.monotonic() - since, bytes_in(tmp_path)
        stored, rows = stored_ids(url), _exposed(url)
    print(
        f"\n{kind}: {DRAINERS} drainers, {FILES} files of {SIZE} records on {HOT} "
        f"users: {[each['files'] for each in told]} files taken in {took:.1f} s, "
        f"{len(sales - stored)} of {len(sales):,} events lost"
    )
    assert sum(each["files"] for each in told) == FILES
    assert sum(each["files"] > 0 for each in told) >= 2
    assert (left, stored) == (0, sales)
    first = int(began.timestamp() * 1000)
    users = {f"user:{number}": first + number for number in range(HOT)}
    assert {unit: at for unit, at in rows.items() if unit in users} == users


def _leave_hot(spool: Path, began: datetime) -> set[str]:
    """Leave files in which each of a few users does everything; gives their events.

    Each file begins with another user, and every user has a browser of its own.
    """
    made = SIZE // 3
    for file in range(FILES):
        records: list[Record] = []
        for number in range(file * made, (file + 1) * made):
            hot = (number + 7 * file) % HOT
            who = {"user": str(hot), "visitor": f"{hot:032x}"}
            # The earliest of all is in the last file but one.
            late = timedelta(seconds=(FILES - 2 - file) ** 2, milliseconds=hot)
            at, variant = began + late, ("control", "bold")[file % 2]
            visitor = {"visitor": who["visitor"]}
            records.append(exposure(at, variant, "visitor", **visitor))
            records.append(exposure(at, variant, "user", **who))
            records.append(sale(number, at, **who))
        leave(spool, records, file)
    return ids_of(range(FILES * made))


def _exposed(url: str) -> dict[str, int]:
    query = text("SELECT unit, first_at FROM abx_exposures")
    with engine_of(url) as engine, engine.connect() as connection:
        return {str(unit): int(at) for unit, at in connection.execute(query)}


@contextmanager
def _ready(config: dict[str, Any]) -> Iterator[list[subprocess.Popen[str]]]:
    """Have all drainers started, each of which waits for a line."""
    with ExitStack() as stack:
        drainers = [_start(config) for _ in range(DRAINERS)]
        for drainer in drainers:
            stack.enter_context(drainer)
            stack.callback(drainer.kill)
        for drainer in drainers:
            assert drainer.stdout is not None
            assert drainer.stdout.readline() == "ready\n"
        yield drainers


def _start(config: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RACE, json.dumps(config)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _go(drainers: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    for drainer in drainers:
        assert drainer.stdin is not None
        drainer.stdin.write("go\n")
        drainer.stdin.flush()
    return [finish(drainer) for drainer in drainers]


def drain_when_told() -> None:
    """Be ready to drain, and begin when a line is read."""
    config = json.loads(sys.argv[1])
    with commanded(config["INSTANCE"], config) as run:
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(run("events", "drain")))


def test_workers_leave_everything_to_a_drainer_that_watches(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "INSTANCE": str(tmp_path / "instance"),
        }
        options = ("--worker-class=gthread", "--threads=2")
        with (
            opened(tmp_path, config, HEADLINE),
            serving(
                tmp_path, config, *options, workers=WORKERS, target=TARGET
            ) as server,
        ):
            visit_all(server.port, server.workers, 10)
            notes, told, parting = _watch_for_a_while(server, config)
            drained = wait_until_drained(tmp_path)
            said = server.said()
        found = outcome(url, notes)
    print(
        f"\n--watch beside {WORKERS} workers: {told['files']} files with "
        f"{told['bytes']:,} bytes handed over, ended {parting:.2f} s after SIGTERM; "
        f"{found}; the last is stored {drained:.1f} s after the load"
    )
    assert (found.lost, found.strange) == (0, 0)
    assert {each.status for each in notes.taken} == {200}
    assert told["files"] >= 2 * WORKERS
    assert parting < PARTING
    assert "Traceback" not in said, said


def _watch_for_a_while(
    server: Server, config: dict[str, Any]
) -> tuple[Notes, dict[str, Any], float]:
    """Have a drainer come and go; gives what it did, and how long its end took."""
    pages = ["/note/{}", "/note/{}", "/show/{}", "/note/{}?durability=request"]
    with noting(server.port, pages, 0.01) as notes:
        time.sleep(1.0)
        with watching(config) as drainer:
            time.sleep(5.0)
            began = time.monotonic()
            drainer.send_signal(signal.SIGTERM)
            drainer.wait(10)
            parting = time.monotonic() - began
            told = finish(drainer)
        # Now the workers drain by themselves again.
        time.sleep(2.0)
    return notes, told, parting
