"""Workers that are killed in a task: what the task has tracked is stored once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from tests.contrib.test_celery import closing, forget, stop
from tests.databases import fresh_database
from tests.drills.booth import HEADLINE, make_app
from tests.drills.commands import drain
from tests.drills.jobs import KINDS, QUIET
from tests.drills.market import opened
from tests.drills.notes import ids_of, stored_ids
from tests.drills.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.drill

TASKS = 6
PATIENCE = 40.0
#: A worker says so when one of its processes has died in a task.
LOST = "WorkerLostError"


def test_a_task_that_is_killed_has_tracked_once(tmp_path: Path) -> None:
    redis = os.environ["ABX_TEST_REDIS_URL"]
    queue, seen = f"abx-drill-{uuid.uuid4().hex}", tmp_path / "seen"
    seen.mkdir()
    with fresh_database("postgresql", tmp_path) as url:
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "INSTANCE": str(tmp_path / "instance"),
            "SEEN": str(seen),
        }
        with (
            opened(tmp_path / "instance", config, HEADLINE),
            _queue(redis, queue) as jobs,
            _worker(tmp_path, config, redis, queue) as log,
        ):
            numbers = _send(jobs, _luggage(config))
            _wait_until_done(seen, numbers, log)
            waiting = drain(config)["files"]
            stored = _wait_until_stored(url, numbers)
            said = log.read_text()
    runs = {
        kind: sum(len(list(seen.glob(f"{each}-*"))) for each in own)
        for kind, own in numbers.items()
    }
    found = {kind: len(ids_of(own) & stored) for kind, own in numbers.items()}
    print(
        f"\n{TASKS * len(KINDS)} processes killed in a task after it tracked: {found} "
        f"events of {TASKS} each, after {runs} runs; {waiting} files drained by hand"
    )
    assert stored == {each for own in numbers.values() for each in ids_of(own)}
    assert runs == {kind: _runs(kind) for kind in numbers}
    assert said.count(LOST) >= TASKS * len(KINDS)


def _runs(kind: str) -> int:
    return TASKS * (2 if kind.startswith("late") else 1)


def _send(jobs: Celery, luggage: str) -> dict[str, list[int]]:
    """Send tasks of each kind, and give the numbers of their events."""
    numbers: dict[str, list[int]] = {}
    for place, kind in enumerate((*KINDS, QUIET)):
        numbers[kind] = [1 + 100 * place + each for each in range(TASKS)]
        for number in numbers[kind]:
            name = kind.partition(",")[0]
            jobs.send_task(name, (kind, number), headers={"abx": luggage})
    return numbers


def _luggage(config: dict[str, Any]) -> str:
    """Give what a page of the booth puts into the headers of a task."""
    app = make_app(config)
    abx = app.jinja_env.globals["abx"]
    assert isinstance(abx, ABX)
    storage = state_of(app).storage
    assert storage.background is not None
    assert storage.database is not None
    try:
        with app.app_context(), abx.as_unit("7"):
            return abx.carry()
    finally:
        storage.background.stop()
        storage.database.host.dispose()


@contextmanager
def _queue(redis: str, queue: str) -> Iterator[Celery]:
    """Give a Celery app that sends tasks, and leave nothing in Redis."""
    celery_app = Celery("sender")
    celery_app.conf.update(
        broker_url=redis,
        broker_transport_options={"global_keyprefix": f"{queue}:"},
        task_default_queue=queue,
        task_ignore_result=True,
    )
    try:
        with closing(celery_app):
            yield celery_app
    finally:
        forget(queue)


@contextmanager
def _worker(
    folder: Path, config: dict[str, Any], redis: str, queue: str
) -> Iterator[Path]:
    """Have a worker with two processes, and give its log."""
    (folder / "worker.py").write_text(
        "from tests.drills.jobs import make_jobs\n"
        f"celery_app = make_jobs({config!r}, {redis!r}, {queue!r})\n"
    )
    options = "-P prefork -c 2 -l warning --without-gossip --without-mingle"
    command = [sys.executable, "-m", "celery", "-A", "worker:celery_app", "worker"]
    log = folder / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [*command, *options.split()],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        stop(worker)


def _wait_until_done(seen: Path, numbers: dict[str, list[int]], log: Path) -> None:
    wanted = sum(map(_runs, numbers))
    deadline = time.monotonic() + PATIENCE
    while (runs := len(list(seen.iterdir()))) < wanted:
        assert time.monotonic() < deadline, f"{runs} of {wanted}\n{log.read_text()}"
        time.sleep(0.05)


def _wait_until_stored(url: str, numbers: dict[str, list[int]]) -> set[str]:
    """Give what is stored, as soon as that is everything, or after a while."""
    wanted = sum(map(len, numbers.values()))
    deadline = time.monotonic() + 5
    while len(stored := stored_ids(url)) < wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return stored
