"""A fork while every lock is held, and two hundred threads while rulesets change."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder

from flask_abx.events.locks import ProcessLock
from flask_abx.experiments.lifecycle import Action
from flask_abx.runtime.state import State, state_of
from flask_abx.stores.change import Author, Edit
from flask_abx.stores.reading import Name
from tests.databases import ENGINES, fresh_database, run
from tests.drills.clients import percentile
from tests.drills.elsewhere import elsewhere
from tests.drills.shop import TEN, joined, make_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from flask_abx.stores.desk import Desk

pytestmark = pytest.mark.drill

REFRESH = 0.1
#: How long a child may take for all that is asked of it, in seconds.
CHILD = 2.0
FORKS = 20
THREADS = 200
REQUESTS = 50
#: How many each makes before, to tell what is usual.
QUIET_REQUESTS = 10
#: How many versions the threads meet at least.
VERSIONS = 5
#: How often the p99 of idle may be reached; the figure to look at is printed.
SLOWER = 4.0
VARIANTS = [f"v{number}" for number in range(7)]
ENVIRON = EnvironBuilder("/ten").get_environ()
LOCK, RLOCK = type(threading.Lock()), type(threading.RLock())
#: What is run in a process of its own, as a fork of a test would be a test too.
FORK = "from tests.drills.test_forks import fork_with_locks_held as run; run()"
STORM = "from tests.drills.test_forks import fork_under_load as run; run()"
CROWD = "from tests.drills.test_forks import read_in_many_threads as run; run()"


def _winner(version: int) -> str:
    return VARIANTS[version % len(VARIANTS)]


def _next(desk: Desk) -> Iterator[Edit]:
    """Conclude ten experiments for the variant that tells the version, at once."""
    winner = _winner(desk.snapshot.mark.version + 1)
    body = {"variants": VARIANTS, "status": "concluded", "winner": winner}
    for key in TEN:
        yield Edit(Name("experiment", key), Action.EDIT, body, is_urgent=True)


def _publish(state: State) -> int:
    assert state.editor is not None
    return state.editor.publish(_next, Author(f"process {os.getpid()}"))[0].version


def _read(app: Flask) -> tuple[int, set[str]]:
    """Ask for the page that reads ten experiments, and give what it shows."""
    status: list[str] = []
    # A client of werkzeug would cost more than all that is asked of the application.
    environ = {**ENVIRON, "wsgi.input": BytesIO(), "wsgi.errors": sys.stderr}
    body = app(environ, lambda line, *more: status.append(line))  # type: ignore[arg-type]
    content = b"".join(body)
    assert status == ["200 OK"], content
    told = json.loads(content)
    return int(told["version"] or 0), set(told["variants"].values())


def _read_until(app: Flask, version: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (seen := _read(app))[0] < version:
        assert time.monotonic() < deadline, f"{seen} after {seconds} s, not {version}"
        time.sleep(0.005)
    assert seen[1] == {_winner(seen[0])}, seen


def _rounds(state: State) -> int:
    background = state.storage.background
    assert background is not None
    return 0 if background.life is None else background.life.rounds


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Make a database with one version in it, and give the configuration."""
    with fresh_database(kind, folder) as url:
        if kind == "sqlite":
            run(url, "PRAGMA journal_mode=WAL")
        config = {"SQLALCHEMY_DATABASE_URI": url, "ABX_REFRESH_SECONDS": REFRESH}
        with joined(folder, config) as state:
            _publish(state)
        yield config


@pytest.mark.parametrize("kind", ENGINES)
def test_a_child_finds_every_lock_open(kind: str, tmp_path: Path) -> None:
    with _database(kind, tmp_path) as config:
        told = elsewhere(FORK, tmp_path, config)
    print(
        f"\n{kind}: {told['held']} locks held, of {len(told['owners'])} kinds; the "
        f"child served, published and polled within {told['child']:.2f} s, the parent "
        f"went on within {told['parent']:.2f} s"
    )
    print(f"  {', '.join(told['owners'])}")
    assert {"Background", "Serving", "Tally", "QueuePool"} <= set(told["owners"])
    assert told["child"] <= CHILD


@pytest.mark.parametrize("kind", ENGINES)
def test_forks_in_the_midst_of_work_disturb_nobody(kind: str, tmp_path: Path) -> None:
    with _database(kind, tmp_path) as config:
        told = elsewhere(STORM, tmp_path, config)
    print(
        f"\n{kind}: {FORKS} forks while the parent served {told['served']}, published "
        f"{told['published']} and polled {told['rounds']} times; the slowest child "
        f"took {told['slowest']:.2f} s"
    )
    assert told["slowest"] <= CHILD
    assert min(told["served"], told["published"], told["rounds"]) > FORKS


@pytest.mark.parametrize("kind", ENGINES)
def test_two_hundred_threads_read_whole_versions(kind: str, tmp_path: Path) -> None:
    with _database(kind, tmp_path) as config, joined(tmp_path, config) as state:
        told = elsewhere(CROWD, tmp_path, config, lambda: _publish(state))
    ratio = told["busy"] / told["idle"]
    print(
        f"\n{kind}: {THREADS} threads x {REQUESTS} requests met {told['versions']} "
        f"versions: mixed {told['mixed']}; p99 {told['busy'] * 1000:.0f} ms, idle "
        f"{told['idle'] * 1000:.0f} ms, ratio {ratio:.2f}"
    )
    assert told["requests"] == THREADS * REQUESTS
    assert told["mixed"] == 0
    assert told["versions"] >= VERSIONS
    assert ratio < SLOWER


def fork_with_locks_held() -> None:
    """Hold every lock in another thread, fork, and see parent and child go on."""
    app = make_app(json.loads(sys.argv[1]))
    state = state_of(app)
    _read_until(app, 1, 5)
    # The connections of all engines are made before.
    _publish(state)
    with app.app_context():
        app.extensions["sqlalchemy"].engine.connect().close()
    with _all_locks_held(app) as owners:
        start = time.monotonic()
        child = _fork(lambda: _do_all(app))
        took = _wait(child, CHILD + 5) - start
    start = time.monotonic()
    before = _rounds(state)
    _read_until(app, _publish(state), 5)
    assert _rounds(state) > before
    end = time.monotonic()
    told = {
        "held": len(owners),
        "owners": sorted(set(owners)),
        "child": took,
        "parent": end - start,
    }
    print(json.dumps(told), flush=True)


def _do_what_can_be_done(app: Flask) -> None:
    """Do all, or where SQLite knows only what its locks were in the parent, serve."""
    if app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
        assert _read(app)[0] > 0
    else:
        _do_all(app)


def _do_all(app: Flask) -> None:
    """Serve, publish and poll as a process that has just begun."""
    state = state_of(app)
    _read(app)
    _read_until(app, _publish(state), CHILD)
    assert _rounds(state) > 0


@contextmanager
def _all_locks_held(app: Flask) -> Iterator[list[str]]:
    """Have a thread take every lock that can be reached from our objects."""
    held: list[str] = []
    locks = list(_locks(app))
    are_held, release = threading.Event(), threading.Event()

    def hold() -> None:
        taken = []
        for owner, lock in locks:
            # What another thread holds already is held when it comes to the fork.
            if lock.acquire(timeout=0.5):
                taken.append(lock)
            held.append(owner)
        are_held.set()
        release.wait(20)
        for lock in reversed(taken):
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    are_held.wait(20)
    try:
        yield held
    finally:
        release.set()
        holder.join()


def _locks(app: Flask) -> Iterator[tuple[str, Any]]:
    """Find the locks in the modules of the extension and below its state."""
    modules = [
        vars(module)
        for name, module in tuple(sys.modules.items())
        if name.startswith("flask_abx")
    ]
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("module", each) for each in modules]
    waiting.append(("State", state_of(app)))
    while waiting:
        owner, thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, ProcessLock):
            # It is made when it is first taken.
            with thing:
                pass
        if isinstance(thing, LOCK | RLOCK):
            yield owner, thing
        else:
            waiting += _below(owner, thing)


def _below(owner: str, thing: object) -> Iterator[tuple[str, object]]:
    """Give what a thing holds, with the name of the nearest thing that is no part."""
    if isinstance(thing, dict):
        yield from ((owner, each) for each in tuple(thing.values()))
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from ((owner, each) for each in tuple(thing))
    elif _is_searched(thing):
        name = type(thing).__name__
        names = {*getattr(thing, "__dict__", ())}
        for kind in type(thing).__mro__:
            names |= {*_slots(kind)}
        for each in names:
            # What is made when it is first asked for is not there yet.
            with suppress(AttributeError):
                found = object.__getattribute__(thing, each)
                yield owner if name in PARTS else name, found


#: What belongs to whoever holds it.
PARTS = {"Condition", "Event", "Queue", "ProcessLock", "Process", "Life"}


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_searched(thing: object) -> bool:
    """Tell whether a thing may hold locks of ours, or of connections of ours."""
    module = type(thing).__module__.partition(".")[0]
    return module in {"flask_abx", "sqlalchemy", "threading", "psycopg"} and not (
        isinstance(thing, type | threading.Thread)
    )


def _fork(work: Callable[[], None]) -> int:
    """Fork, and have the child do some work; it exits with 0 where all went well."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except Exception:  # noqa: BLE001 - told, and the exit code tells the parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, seconds: float) -> float:
    """Wait for a child, and give the moment of its end; kill it where it hangs."""
    descriptor = os.pidfd_open(child)
    try:
        is_done = bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
    if not is_done:
        os.kill(child, signal.SIGKILL)
    end = time.monotonic()
    _, status = os.waitpid(child, 0)
    assert is_done, f"The child hangs after {seconds} s."
    assert os.waitstatus_to_exitcode(status) == 0, "The child failed."
    return end


def fork_under_load() -> None:
    """Fork again and again while threads serve, publish and poll."""
    app = make_app(json.loads(sys.argv[1]))
    state = state_of(app)
    _read_until(app, 1, 5)
    served, published, faults, is_over = [0], [0], [], threading.Event()

    def keep(count: list[int], work: Callable[[], object]) -> None:
        while not is_over.is_set():
            try:
                work()
            except BaseException as error:
                faults.append(repr(error))
                raise
            count[0] += 1

    works = [(served, lambda: _read(app))] * 3 + [(published, lambda: _publish(state))]
    threads = [threading.Thread(target=keep, args=each, daemon=True) for each in works]
    for thread in threads:
        thread.start()
    took = []
    for number in range(FORKS):
        time.sleep(0.013 * (number % 5))
        start = time.monotonic()
        took.append(_wait(_fork(lambda: _do_what_can_be_done(app)), CHILD + 5) - start)
    is_over.set()
    for thread in threads:
        thread.join()
    assert not faults, faults
    _read_until(app, _publish(state), 5)
    told = {
        "served": served[0],
        "published": published[0],
        "rounds": _rounds(state),
        "slowest": max(took),
    }
    print(json.dumps(told), flush=True)


def read_in_many_threads() -> None:
    """Read in two hundred threads, first in peace, then while versions come."""
    app = make_app(json.loads(sys.argv[1]))
    _read_until(app, 1, 5)
    idle, _ = _crowd(app, QUIET_REQUESTS)
    print("from now on versions come", flush=True)
    busy, seen = _crowd(app, REQUESTS)
    told = {
        "requests": len(busy),
        "mixed": sum(variants != {_winner(version)} for version, variants in seen),
        "versions": len({version for version, _ in seen}),
        "idle": percentile(idle, 0.99),
        "busy": percentile(busy, 0.99),
    }
    print(json.dumps(told), flush=True)


def _crowd(app: Flask, requests: int) -> tuple[list[float], list[tuple[int, set[str]]]]:
    """Have many threads read, and give how long each read took and what it saw."""
    took: list[float] = []
    seen: list[tuple[int, set[str]]] = []
    together = threading.Barrier(THREADS)

    def read() -> None:
        together.wait(20)
        for _ in range(requests):
            start = time.monotonic()
            seen.append(_read(app))
            took.append(time.monotonic() - start)

    threads = [threading.Thread(target=read) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, seen
