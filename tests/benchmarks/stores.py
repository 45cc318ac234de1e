"""What the database costs: a request beside it, a publish, the taking up of one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.experiments.lifecycle import Action
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import Author, Edit, content
from flask_abx.stores.desk import EXPERIMENT
from flask_abx.stores.reading import Name
from flask_abx.stores.sql import SqlStore
from tests.benchmarks.browser import ORDINARY, Browser
from tests.benchmarks.definitions import ATTRIBUTES, definitions, keys
from tests.benchmarks.report import BenchmarkError, Row, VoidRunError
from tests.benchmarks.timing import interleave
from tests.databases import fresh_database, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flask_abx.stores.desk import Desk
    from flask_abx.stores.editor import Editor

    Span = tuple[int, int]
    """From when to when, by the processor time of the process, in nanoseconds."""

READ = "/read"
DEFINED = 10
MANY = 1_000
#: A round is so many turns of all stores, so that they share each moment.
TURNS = 20
TOLERANCE = 0.02
ATTEMPTS = 3
KINDS = ("sqlite", "postgresql")
POSTGRES = "ABX_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test"
#: How long a published change may take to be there, in seconds.
PATIENCE = 30.0
#: How long requests are watched after a change was taken up, in seconds.
WINDOW = 1.0
#: Publishes what it is told, so that another process can be watched taking it up.
PUBLISHER = "from tests.benchmarks.stores import publish_as_told; publish_as_told()"


def measure(rounds: int, publishes: int) -> list[Row]:
    """Measure requests beside both stores, publishes, and requests beside these."""
    os.environ.setdefault(*POSTGRES)
    return [
        *_beside_the_database(rounds),
        *(_publishing(kind, publishes) for kind in KINDS),
        *_taking_up(publishes),
    ]


def _beside_the_database(rounds: int) -> list[Row]:
    """Measure a returning visitor's read; repeat where two equal stores differ."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        url = f"sqlite:///{folder / 'app.db'}"
        apps = {"config": _make_app(definitions(DEFINED))}
        for name in ("sql", "twin"):
            apps[name] = stack.enter_context(_stored(url, folder, DEFINED))
        subjects = {name: _returning(app).spend for name, app in apps.items()}
        for _ in range(ATTEMPTS):
            found = interleave(subjects, rounds=rounds * TURNS, calls=20)
            same = found.ratio("twin", "sql")
            if abs(same - 1) <= TOLERANCE:
                break
        else:
            raise VoidRunError(
                f"SQL store / SQL store is {same:.3f} at attempt {ATTEMPTS}, must be "
                f"within {TOLERANCE} of 1."
            )
    times = {name: f"{found.microseconds(name):.1f} us" for name in apps}
    return [
        Row("SQL store / SQL store: one read", same, note=_pair(times, "twin", "sql")),
        Row(
            "SQL store / config store: one read",
            found.ratio("sql", "config"),
            bar=1.05,
            note=_pair(times, "sql", "config"),
        ),
    ]


def _pair(times: Mapping[str, str], first: str, second: str) -> str:
    return f"{times[first]}, {times[second]}"


def _publishing(kind: str, publishes: int) -> Row:
    """Measure one edit by a process that has read nothing before, as a command is."""
    cold, warm = [], []
    with TemporaryDirectory() as name, fresh_database(kind, Path(name)) as url:
        folder = Path(name)
        with _stored(url, folder, MANY):
            pass
        for turn in range(publishes):
            with _joined(url, folder) as app:
                cold.append(_seconds_to_edit(app, f"cold {turn}"))
                warm.append(_seconds_to_edit(app, f"warm {turn}"))
    return Row(
        f"publish one change of 1,000 on {kind}, by a new process",
        median(cold),
        "s",
        bar=0.5,
        note=f"at most {max(cold):.3f} s; by the same once more {median(warm):.3f} s",
    )


def _seconds_to_edit(app: Flask, name: str) -> float:
    start = time.perf_counter()
    (change,) = _editor(app).edit(keys(MANY)[-1], {"name": name})
    end = time.perf_counter()
    if change.after["name"] != name:
        raise BenchmarkError(f"The edit made {change!r}.")
    return end - start


def _taking_up(publishes: int) -> list[Row]:
    """Measure the slowest request while changes are taken up, and while none are."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'app.db'}"
        run(url, "PRAGMA journal_mode=WAL")
        often = {"ABX_REFRESH_SECONDS": 0.2}
        with (
            _stored(url, folder, MANY, **often) as app,
            _publisher(url, folder) as publish,
        ):
            visits = _Visits(app)
            calm = [visits.watch() for _ in range(publishes)]
            one = [visits.watch(publish, "one") for _ in range(publishes)]
            every = [visits.watch(publish, "all") for _ in range(publishes)]
    return [
        _slowest("1 of 1,000 is taken up", one, calm),
        _slowest("1,000 of 1,000 are taken up", every, calm),
    ]


def _slowest(what: str, found: list[Watched], calm: list[Watched]) -> Row:
    notes = [
        f"median {median(each.slowest for each in found):.1f} ms",
        f"with none {max(each.slowest for each in calm):.1f} ms",
        f"full collection {max(each.collected for each in found):.1f} ms",
    ]
    figure = max(each.slowest for each in found)
    label = f"slowest request while {what}"
    return Row(label, figure, "ms", bar=20, note=", ".join(notes))


@dataclass(frozen=True, slots=True)
class Watched:
    """What requests went through in a while, in milliseconds.

    Attributes:
        slowest: The slowest request, less what full collections of garbage took.
        collected: The longest of these: they stop every thread, and look through all
            that the process holds, whoever makes them due.
    """

    slowest: float
    collected: float


class _Visits:
    """A visitor who comes back again and again.

    The processor time of the whole process is counted, as a request waits for what
    the background thread computes, and not for what other processes do.
    """

    def __init__(self, app: Flask) -> None:
        self._browser = _returning(app)
        store = state_of(app).store
        assert isinstance(store, SqlStore)
        self._serving = store.serving

    def watch(
        self, publish: Callable[[str], None] | None = None, what: str = ""
    ) -> Watched:
        """Visit for a while, from before a change until it was taken up."""
        serving, before = self._serving, self._serving.mark
        clock, requests, start = time.process_time_ns, [], time.perf_counter()
        end = start + WINDOW
        with _collections() as collections:
            if publish is not None:
                publish(what)
            while time.perf_counter() < end:
                began = clock()
                self._browser.spend(1)
                requests.append((began, clock()))
                if publish is not None and serving.mark == before:
                    end = time.perf_counter() + WINDOW
                    if end > start + PATIENCE:
                        raise BenchmarkError(f"{what!r} is not taken up.")
        return _watched(requests, collections)


def _watched(requests: list[Span], collections: list[Span]) -> Watched:
    """Take the full collections out of the requests in which they fell."""
    slowest = max(
        end - start - sum(_overlap((start, end), each) for each in collections)
        for start, end in requests
    )
    longest = max((end - start for start, end in collections), default=0)
    return Watched(slowest / 1e6, longest / 1e6)


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


@contextmanager
def _collections() -> Iterator[list[Span]]:
    """Note when each full collection of garbage begins and ends."""
    found: list[Span] = []
    start = 0

    def note(phase: str, told: dict[str, int]) -> None:
        nonlocal start
        if phase == "start":
            start = time.process_time_ns()
        elif told["generation"] == 2:
            found.append((start, time.process_time_ns()))

    gc.callbacks.append(note)
    try:
        yield found
    finally:
        gc.callbacks.remove(note)


def publish_as_told() -> None:
    """Read a word from each line and publish that; what the other process runs."""
    url, folder = sys.argv[1:]
    with _joined(url, Path(folder)) as app:
        _editor(app).desk()
        for turn, line in enumerate(sys.stdin):
            count = 1 if line.strip() == "one" else MANY
            _editor(app).publish(_renaming(count, f"{line.strip()} {turn}"), Author())


def _renaming(count: int, name: str) -> Callable[[Desk], Iterator[Edit]]:
    def plan(desk: Desk) -> Iterator[Edit]:
        for key in keys(count):
            body = {**content(desk.experiment(key)), "name": name}
            yield Edit(Name(EXPERIMENT, key), Action.EDIT, body, is_urgent=True)

    return plan


@contextmanager
def _publisher(url: str, folder: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that has another process publish."""
    command = [sys.executable, "-c", PUBLISHER, url, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    line = process.stdin

    def publish(what: str) -> None:
        line.write(f"{what}\n")
        line.flush()

    try:
        yield publish
    finally:
        line.close()
        process.wait(PATIENCE)


@contextmanager
def _stored(url: str, folder: Path, defined: int, **config: object) -> Iterator[Flask]:
    """Make an application whose database defines so many experiments."""
    with _joined(url, folder, **config) as app:
        db = app.extensions["sqlalchemy"]
        with app.app_context():
            db.create_all()
        _editor(app).apply({"experiments": definitions(defined)})
        yield app


@contextmanager
def _joined(url: str, folder: Path, **config: object) -> Iterator[Flask]:
    """Make an application that reads its definitions from a database."""
    app = _make_app(None, folder, SQLALCHEMY_DATABASE_URI=url, **config)
    try:
        yield app
    finally:
        storage = state_of(app).storage
        assert storage.background is not None
        assert storage.database is not None
        storage.background.stop()
        storage.database.own.dispose()
        storage.database.host.dispose()


def _make_app(
    experiments: Mapping[str, object] | None,
    folder: Path | None = None,
    **config: object,
) -> Flask:
    """Make an application with a database, in which experiments are or are not."""
    app = Flask(__name__, instance_path=None if folder is None else str(folder))
    app.config.update(SECRET_KEY="benchmarks", SQLALCHEMY_DATABASE_URI="sqlite://")
    app.config.update(config, ABX_SINKS=["memory"])
    db = SQLAlchemy(app)
    if experiments is not None:
        app.config["ABX_EXPERIMENTS"] = experiments
    abx = ABX(app) if experiments is not None else ABX(app, db=db)
    abx.attributes_loader(lambda: dict(ATTRIBUTES))
    last = keys(DEFINED)[-1]

    @app.get(READ)
    def read() -> dict[str, str]:
        return {"variant": abx.variant(last)}

    return app


def _editor(app: Flask) -> Editor:
    editor = state_of(app).editor
    assert editor is not None
    return editor


def _returning(app: Flask) -> Browser:
    """A browser whose cookie the application gave before and wants unchanged."""
    browser = Browser(app, READ, ORDINARY)
    deadline = time.monotonic() + PATIENCE
    while not browser.visit():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{READ} sets no cookie at the first visit.")
        time.sleep(0.05)
    if browser.visit():
        raise BenchmarkError(f"{READ} sets a cookie at the second visit too.")
    return browser
