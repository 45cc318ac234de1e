"""Celery: a task tracks like the page that started it."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery import Celery, signals
from flask import Flask

from flask_abx import SetupError
from flask_abx.contrib import celery as contrib
from tests.checks.browser import Browser, records_of
from tests.contrib.celery_shop import DEFINITIONS, make_shop

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
REDIS = os.environ.get("ABX_TEST_REDIS_URL")
PATIENCE = 20
KINDS = ["plain", "again", "chained", "outer"]


@pytest.fixture(autouse=True, scope="module")
def disconnected() -> Iterator[None]:
    """Leave the signals of this process as they were."""
    yield
    signals.before_task_publish.disconnect(contrib._pack)
    signals.task_prerun.disconnect(contrib._take_up)
    signals.task_postrun.disconnect(contrib._put_down)


@pytest.fixture
def shop() -> Iterator[tuple[Flask, Celery]]:
    """An application whose tasks go to a broker in memory."""
    app, celery_app = make_shop("memory://", uuid.uuid4().hex)
    with closing(celery_app):
        yield app, celery_app


@contextmanager
def closing(celery_app: Celery) -> Iterator[None]:
    """Leave no connection of a Celery app open."""
    try:
        yield
    finally:
        celery_app.pool.force_close_all()
        celery_app.close()


@contextmanager
def published() -> Iterator[list[dict[str, Any]]]:
    """Collect the headers of the tasks that are sent."""
    found: list[dict[str, Any]] = []

    def take(headers: dict[str, Any], **extra: object) -> None:
        del extra
        found.append(headers)

    signals.before_task_publish.connect(take)
    try:
        yield found
    finally:
        signals.before_task_publish.disconnect(take)


def header_from(app: Flask, user: str) -> str:
    """Visit a page that starts a task, and give what the task carries."""
    with published() as sent:
        Browser(app).visit("/order/plain/1", X_User=user)
    [headers] = sent
    text = headers["abx"]
    assert isinstance(text, str)
    return text


def users(app: Flask) -> list[str | None]:
    """Give the users of the events that were recorded."""
    events = [each for each in records_of(app) if each.type == "event"]
    return [each.units.get("user") for each in events]


def test_a_page_puts_its_visitor_into_the_headers(shop: tuple[Flask, Celery]) -> None:
    text = header_from(shop[0], "anna")
    assert text.startswith("abx1.")
    assert len(text) < 300


@pytest.mark.parametrize("is_pushed", [False, True], ids=["a context each", "one"])
def test_a_task_acts_for_whom_it_carries(
    shop: tuple[Flask, Celery],
    is_pushed: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    app, celery_app = shop
    texts = {user: header_from(app, user) for user in ("anna", "bert")}
    with app.app_context() if is_pushed else nullcontext():
        for text in texts.values():
            name = "bare" if is_pushed else "plain"
            celery_app.tasks[name].apply((1,), headers={"abx": text})
        assert users(app) == ["anna", "bert"]


def test_tasks_in_threads_keep_apart(shop: tuple[Flask, Celery]) -> None:
    app, celery_app = shop
    names = [f"user-{number}" for number in range(8)]
    texts = [header_from(app, user) for user in names]
    task = celery_app.tasks["plain"]
    with ThreadPoolExecutor(4) as pool:
        for text in texts:
            pool.submit(task.apply, (1,), headers={"abx": text})
    assert sorted(map(str, users(app))) == names


def test_a_task_in_a_request_is_for_the_request(shop: tuple[Flask, Celery]) -> None:
    app, celery_app = shop
    celery_app.conf.task_always_eager = True
    browser = Browser(app)
    visit = browser.visit("/order/plain/1", X_User="anna")
    [event] = visit.events
    assert dict(event.units) == {"visitor": visit.visitor, "user": "anna"}
    assert set(event.variants) == set(DEFINITIONS)


def test_a_task_within_a_task_is_for_the_same(shop: tuple[Flask, Celery]) -> None:
    app, celery_app = shop
    text = header_from(app, "anna")
    celery_app.conf.task_always_eager = True
    celery_app.tasks["outer"].apply((1,), headers={"abx": text})
    assert users(app) == ["anna"]


def test_a_task_that_nobody_caused_carries_nothing(shop: tuple[Flask, Celery]) -> None:
    app, celery_app = shop
    with published() as sent:
        celery_app.tasks["plain"].delay(1)
        with app.app_context():
            celery_app.tasks["plain"].delay(1)
        with Flask("other").app_context():
            celery_app.tasks["plain"].delay(1)
    assert ["abx" in headers for headers in sent] == [False] * 3


def test_a_header_of_ones_own_is_kept(shop: tuple[Flask, Celery]) -> None:
    app, celery_app = shop
    with published() as sent, app.test_request_context():
        celery_app.tasks["plain"].apply_async((1,), headers={"abx": "mine"})
    assert [headers["abx"] for headers in sent] == ["mine"]


def test_an_id_that_is_too_long_stops_no_task(
    shop: tuple[Flask, Celery], caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = shop
    app.config["TESTING"] = True
    with published() as sent:
        visit = Browser(app).visit("/order/plain/1", X_User="u" * 300)
    assert (visit.status, len(sent)) == (200, 1)
    assert "A task is sent for nobody." in caplog.text


def test_a_forged_header_is_nobody(
    shop: tuple[Flask, Celery], caplog: pytest.LogCaptureFixture
) -> None:
    app, celery_app = shop
    app.config["TESTING"] = True
    for text in ("abx1.~m~@u=anna.forged", "anna", 7):
        celery_app.tasks["idle"].apply((1,), headers={"abx": text})
        celery_app.tasks["plain"].apply((1,), headers={"abx": text})
    assert users(app) == []
    assert caplog.text.count("Nobody is known.") == 1


def test_what_is_no_celery_app_is_refused() -> None:
    with pytest.raises(SetupError, match=r"must get the Celery app"):
        contrib.connect("celery")


def test_a_missing_celery_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    monkeypatch.delitem(sys.modules, "flask_abx.contrib.celery")
    with pytest.raises(SetupError, match=r'pip install "flask-abx\[celery\]"'):
        importlib.import_module("flask_abx.contrib.celery")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, Path]]:
    """Give an application, and the log of the worker that runs its tasks."""
    if REDIS is None:
        pytest.skip("ABX_TEST_REDIS_URL names no Redis")
    folder, queue = tmp_path_factory.mktemp("worker"), f"abx-test-{uuid.uuid4().hex}"
    log = folder / "events.jsonl"
    (folder / "worker.py").write_text(
        "from tests.contrib.celery_shop import make_shop\n"
        f"app, celery_app = make_shop({REDIS!r}, {queue!r}, ABX_EVENT_LOG={str(log)!r})"
    )
    app, celery_app = make_shop(REDIS, queue)
    worker = start_worker(folder)
    try:
        with closing(celery_app):
            yield app, log
    finally:
        stop(worker)
        forget(queue)


def start_worker(folder: Path) -> subprocess.Popen[bytes]:
    """Start a worker that stands in a folder with ``worker.py``."""
    options = "-P prefork -c 2 -l warning --without-gossip --without-mingle"
    command = [sys.executable, "-m", "celery", "-A", "worker:celery_app", "worker"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - a command of our own
            [*command, *options.split()],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def stop(worker: subprocess.Popen[bytes]) -> None:
    """End a worker and its processes."""
    worker.terminate()
    try:
        worker.wait(10)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # The session is its own: whoever is left in it came with the worker.
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)


def forget(queue: str) -> None:
    """Remove what a queue left in Redis."""
    assert REDIS is not None
    client = redis.Redis.from_url(REDIS)
    for key in client.scan_iter(f"{queue}:*"):
        client.delete(key)
    client.close()


def event_of(log: Path, number: int) -> dict[str, Any]:
    """Wait for the event with a value in a log, and give it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lines = log.read_text().splitlines() if log.exists() else []
        for record in map(json.loads, lines):
            if record["type"] == "event" and record["value"] == number:
                return dict(record)
        time.sleep(0.05)
    output = (log.parent / "output.txt").read_text()
    raise AssertionError(f"The worker wrote no event {number}.\n{output}")


def test_a_worker_tracks_like_the_page(served: tuple[Flask, Path]) -> None:
    # One test for all: tests that are run side by side would each start a worker.
    app, log = served
    for kind, user in product(KINDS, ("anna", "bert")):
        number = uuid.uuid4().int % 2**31
        visit = Browser(app).visit(f"/order/{kind}/{number}", X_User=user)
        event = event_of(log, number)
        served_there = " ".join(event["variants"][key] for key in DEFINITIONS)
        told = (kind, event["units"], served_there)
        assert told == (kind, {"visitor": visit.visitor, "user": user}, visit.served)
