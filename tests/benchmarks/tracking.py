"""What an event costs the request that tracks it."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from posthog import Posthog

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from tests.benchmarks.browser import ORDINARY, Browser
from tests.benchmarks.definitions import definitions, keys
from tests.benchmarks.draining import PROPERTIES, event, load
from tests.benchmarks.report import BenchmarkError, Row
from tests.benchmarks.timing import interleave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFINED = 10
READ, TRACK, WRITE, CAPTURE = "/read", "/track", "/write", "/capture"


def tracking(rounds: int) -> list[Row]:
    """Measure a request that tracks, less the same request that does not.

    The background thread is stopped, so that no draining is measured. What it is
    compared with happens once in such a request too: in a loop of its own, where code
    and data are in the caches of the processor, everything takes a fraction of that.
    """
    with TemporaryDirectory() as name:
        url = f"sqlite:///{Path(name) / 'app.db'}"
        with application(url, Path(name), ["sql"]) as app, _others(app, name) as alone:
            browser = returning(app)
            _stopdraining(app)
            subjects = {
                path: Browser(app, path, browser.jar).spend
                for path in (READ, TRACK, WRITE, CAPTURE)
            }
            found = interleave(subjects | alone, rounds=rounds, calls=20)
    cost = {
        path: median(
            one - bare
            for one, bare in zip(found.figures[path], found.figures[READ], strict=True)
        )
        / 1_000
        for path in (TRACK, WRITE, CAPTURE)
    }
    loops = {name: found.microseconds(name) for name in alone}
    track = f"{cost[TRACK]:.1f} us"
    return [
        Row(
            "track() / one encoding and one write, in a request",
            cost[TRACK] / cost[WRITE],
            bar=3,
            note=f"{track}, {cost[WRITE]:.1f} us, load {load()}",
        ),
        Row(
            "track() / one encoding and one write, in a loop",
            cost[TRACK] / loops["write"],
            note=f"{track}, {loops['write']:.1f} us",
        ),
        Row(
            "track() / posthog's capture, in a request",
            cost[TRACK] / cost[CAPTURE],
            bar=0.5,
            note=f"{track}, {cost[CAPTURE]:.1f} us, load {load()}",
        ),
        Row(
            "track() / posthog's capture, in a loop",
            cost[TRACK] / loops["capture"],
            note=f"{track}, {loops['capture']:.1f} us",
        ),
    ]


@contextmanager
def _others(app: Flask, folder: str) -> Iterator[dict[str, Callable[[int], float]]]:
    """Add pages that write or capture, and give the same in a loop."""
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
    descriptor = os.open(Path(folder) / "bare.log", flags)
    record = {**event(0), "variants": {keys(DEFINED)[-1]: "control"}}
    # Without consumers nothing leaves the queue, and nobody is asked for anything.
    client = Posthog(
        "none", host="http://127.0.0.1:9", thread=0, max_queue_size=10_000_000
    )

    def write() -> None:
        os.write(descriptor, json.dumps(record).encode() + b"\n")

    def capture() -> None:
        told = {"value": 49.0, **PROPERTIES}
        client.capture("purchase", distinct_id="0" * 32, properties=told)

    def page(act: Callable[[], None]) -> Callable[[], dict[str, str]]:
        def view() -> dict[str, str]:
            variant = app.extensions["benchmark"].variant(keys(DEFINED)[-1])
            act()
            return {"variant": variant}

        return view

    def loop(act: Callable[[], None]) -> Callable[[int], float]:
        def spend(calls: int) -> float:
            start = time.process_time_ns()
            for _ in range(calls):
                act()
            return (time.process_time_ns() - start) / calls

        return spend

    for path, act in ((WRITE, write), (CAPTURE, capture)):
        app.add_url_rule(path, path, page(act))
    try:
        yield {"write": loop(write), "capture": loop(capture)}
    finally:
        os.close(descriptor)
        while not client.queue.empty():
            client.queue.get()
            client.queue.task_done()


def _stopdraining(app: Flask) -> None:
    background = state_of(app).storage.background
    assert background is not None
    background.stop()
    # The next request would start it again.
    background.touch = lambda: None  # type: ignore[method-assign] # it rests


@contextmanager
def application(url: str, folder: Path, sinks: list[str]) -> Iterator[Flask]:
    """Make an application with pages that read, and read and track."""
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(SECRET_KEY="benchmarks", SQLALCHEMY_DATABASE_URI=url)
    app.config.update(ABX_SINKS=sinks, ABX_EXPERIMENTS=definitions(DEFINED))
    db, numbers = SQLAlchemy(app), count()
    abx = app.extensions["benchmark"] = ABX(app, db=db)
    with app.app_context():
        db.create_all()
    last = keys(DEFINED)[-1]

    @app.get(READ)
    def look() -> dict[str, str]:
        return {"variant": abx.variant(last)}

    @app.get(TRACK)
    def track() -> dict[str, str]:
        variant = abx.variant(last)
        abx.track("purchase", value=49.0, properties=PROPERTIES)
        next(numbers)
        return {"variant": variant}

    # Reading it counts one too many, so it is read once.
    app.extensions["tracked"] = lambda: next(numbers)
    try:
        yield app
    finally:
        storage = state_of(app).storage
        assert storage.background is not None
        assert storage.database is not None
        storage.background.stop()
        storage.database.own.dispose()
        storage.database.host.dispose()


def returning(app: Flask) -> Browser:
    """A browser that was exposed before and holds the cookie."""
    browser = Browser(app, READ, ORDINARY)
    browser.visit()
    if browser.visit() or len(browser.jar) == len(ORDINARY):
        raise BenchmarkError(f"{READ} does not set a cookie at the first visit alone.")
    return browser
