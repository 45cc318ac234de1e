"""What a tracked event costs: in its request, on its way into SQL, beside others."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import sessionmaker

from flask_abx.runtime.atomic import Waiting
from flask_abx.runtime.state import state_of
from tests.benchmarks.browser import Browser
from tests.benchmarks.draining import draining, load
from tests.benchmarks.exporting import ADDRESSES
from tests.benchmarks.report import BenchmarkError, Row
from tests.benchmarks.timing import interleave
from tests.benchmarks.tracking import TRACK, application, returning, tracking
from tests.databases import fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

KINDS = ("sqlite", "postgresql")
#: Events a second beside requests, and how soon after them all must be stored.
EVENTS = 500
RECOVERY = 10.0


def measure(rounds: int, stored: int, seconds: float) -> list[Row]:
    """Measure a tracked event, a drain, a drain beside requests, and a session.

    Args:
        rounds: How often each kind of request is measured.
        stored: How many rows each table holds before a drain.
        seconds: How long events are tracked beside requests.
    """
    for name, address in ADDRESSES.items():
        os.environ.setdefault(name, address)
    print(f"load of the machine: {load()}")
    return [
        *tracking(rounds),
        *(row for kind in KINDS for row in _draining(kind, stored)),
        *_beside(seconds),
        _sessions(),
    ]


def _draining(kind: str, stored: int) -> Iterator[Row]:
    with (
        TemporaryDirectory() as name,
        fresh_database(kind, Path(name)) as url,
        application(url, Path(name), ["sql"]) as app,
    ):
        yield from draining(app, kind, url, stored)


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen while requests tracked.

    Attributes:
        request: The median of a request, in seconds.
        lag: The greatest age of a record that was not stored, in seconds.
        recovery: How long after the last request all were stored, in seconds.
    """

    request: float
    lag: float
    recovery: float


def _beside(seconds: float) -> Iterator[Row]:
    """Measure the same load with the database as sink, and before and after in memory.

    The requests are made in this process, beside the thread that drains.
    """
    with (
        TemporaryDirectory() as name,
        fresh_database("postgresql", Path(name)) as url,
        application(url, Path(name), ["sql"]) as app,
        application(url, Path(name), ["memory"]) as other,
    ):
        before, ours, after = (_watch(each, seconds) for each in (other, app, other))
        _check_stored(app)
    what = f"{EVENTS} events/s for {seconds:g} s on postgresql"
    base = (before.request + after.request) / 2
    times = [f"{each.request * 1e6:.0f} us" for each in (ours, before, after)]
    note = f"load {load()}"
    yield Row(f"{what}: greatest lag", ours.lag, "s", bar=5, note=note)
    yield Row(f"{what}: all stored after", ours.recovery, "s", bar=RECOVERY, note=note)
    yield Row(
        f"{what}: request / memory sink",
        ours.request / base,
        bar=1.2,
        note=", ".join(times),
    )


def _watch(app: Flask, seconds: float) -> Watched:
    """Send requests at an even pace, and look at what is not stored yet."""
    jar = returning(app).jar
    browser, state = Browser(app, TRACK, jar), state_of(app)
    delivery, lags, is_over = state.delivery, [0.0], Event()
    waiting: deque[tuple[int, float]] = deque()

    def look() -> None:
        while delivery is not None and not is_over.wait(0.05):
            settled = delivery.spool.settled
            while waiting and waiting[0][0] <= settled:
                waiting.popleft()
            if waiting:
                lags.append(time.monotonic() - waiting[0][1])

    watcher = Thread(target=look)
    watcher.start()
    spans, start = [], time.monotonic()
    for number in range(round(EVENTS * seconds)):
        time.sleep(max(0.0, start + number / EVENTS - time.monotonic()))
        spans.append(_seconds(app, browser.environ()))
        if delivery is not None:
            waiting.append((delivery.spool.appended, time.monotonic()))
    end = time.monotonic()
    while waiting and time.monotonic() < end + 2 * RECOVERY:
        time.sleep(0.01)
    recovery = time.monotonic() - end
    is_over.set()
    watcher.join()
    return Watched(median(spans), max(lags), recovery)


def _seconds(app: Flask, environ: WSGIEnvironment) -> float:
    start = time.perf_counter()
    response = app.wsgi_app(environ, lambda *told: bytes)
    for _ in response:
        pass
    response.close()  # type: ignore[attr-defined] # a page of this application
    return time.perf_counter() - start


def _check_stored(app: Flask) -> None:
    state = state_of(app)
    assert state.database is not None
    query = select(func.count()).select_from(state.database.tables.events)
    with state.database.own.connect() as connection:
        stored = connection.execute(query).scalar_one()
    if stored != app.extensions["tracked"]():
        raise BenchmarkError(f"{stored!r} events are stored, must be all.")


def _sessions() -> Row:
    """Measure what listening to a session costs, which only atomic events need."""
    make = sessionmaker()

    def spend(calls: int, *, is_heard: bool) -> float:
        start = time.process_time_ns()
        for _ in range(calls):
            with make() as session:
                if is_heard:
                    Waiting.of(session)
        return (time.process_time_ns() - start) / calls

    found = interleave(
        {
            "bare": lambda calls: spend(calls, is_heard=False),
            "heard": lambda calls: spend(calls, is_heard=True),
        },
        rounds=50,
        calls=100,
    )
    bare, heard = (found.microseconds(name) for name in ("bare", "heard"))
    note = f"{heard:.1f} us, a bare session {bare:.1f} us"
    return Row(
        "listening to a session that tracks atomically", heard - bare, "us", note=note
    )
