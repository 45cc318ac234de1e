"""Every kind of server, and a command: each process follows while it is alive."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import click
import pytest
from flask import request
from sqlalchemy import text

from flask_abx.experiments.lifecycle import Action
from flask_abx.runtime.frame import ENVIRON_KEY
from flask_abx.runtime.state import state_of
from tests.databases import fresh_database
from tests.drills.clients import load, newcomers, percentile, warm
from tests.drills.servers import ROOT, serving
from tests.drills.shop import CONFIG, joined, make_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask import Flask

    from flask_abx import ABX
    from flask_abx.runtime.state import State
    from flask_abx.stores.life import Life
    from tests.drills.clients import Answer
    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

TARGET = "tests.drills.test_servers:create_app()"
REFRESH = 0.2
#: How much later than told a process may follow, in seconds.
LATE = 1.0
WORKERS = 2
CLASSES: dict[str, tuple[str, ...]] = {
    "sync": (),
    "gthread": ("--worker-class=gthread", "--threads=4"),
    "gevent": ("--worker-class=gevent",),
}
BOTH = {"control", "bold"}
#: What is served to new visitors from each move on.
MOVES = ((Action.START, BOTH), (Action.PAUSE, {"control"}), (Action.RESUME, BOTH))
#: A worker hangs for so long, and nobody waits longer than that, in seconds.
HANG, BRIEF = 3.0, 0.5


@dataclass(frozen=True, slots=True)
class Move:
    """A move that was made.

    Attributes:
        moment: When it counts, by `monotonic`.
        variants: What new visitors are served from then on.
    """

    action: Action
    version: int
    moment: float
    variants: set[str]


def create_app() -> Flask:
    """Make the shop, with a command that reads and a job that may hang."""
    config = json.loads(os.environ[CONFIG])
    app = make_app(config)

    @app.cli.command("follow")
    @click.argument("seconds", type=float)
    def follow(seconds: float) -> None:
        """Read the variant of one user after the other, each with its version."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            print(json.dumps({**_read(app), "at": time.monotonic()}), flush=True)
            time.sleep(0.02)

    background = state_of(app).storage.background
    assert background is not None
    background.add(_Hanging(Path(config["INSTANCE"]) / "hang"))
    return app


def _read(app: Flask) -> dict[str, str]:
    """Read as a new visitor would."""
    abx: ABX = app.jinja_env.globals["abx"]  # type: ignore[assignment]
    with app.test_request_context("/"):
        variant = abx.variant("headline", "unknown")
        frame = request.environ[ENVIRON_KEY]
        return {"variant": variant, "version": frame.ruleset.version}


class _Hanging:
    """A job that hangs in the database where a file says so."""

    name = "hang"

    def __init__(self, switch: Path) -> None:
        self._switch = switch

    def run(self, life: Life) -> None:
        if self._switch.exists():
            self._switch.unlink()
            with life.engine.connect() as connection:
                connection.execute(text(f"SELECT pg_sleep({HANG})"))


@contextmanager
def _draft(folder: Path) -> Iterator[tuple[dict[str, Any], State]]:
    """Make a database with a draft in it."""
    with fresh_database("postgresql", folder) as url:
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "ABX_REFRESH_SECONDS": REFRESH,
            "INSTANCE": str(folder / "instance"),
        }
        with joined(folder, config) as state:
            assert state.editor is not None
            fields = {"variants": sorted(BOTH, reverse=True), "metrics": ["signup"]}
            state.editor.create("headline", fields)
            yield config, state


def _move(state: State, action: Action, variants: set[str]) -> Move:
    assert state.editor is not None
    now = time.monotonic(), time.time()
    (change,) = state.editor.move("headline", action)
    moment = now[0] + change.effective_at.timestamp() - now[1]
    return Move(action, change.version, moment, variants)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_worker_follows_while_it_is_alive(kind: str, tmp_path: Path) -> None:
    forms = {"late": CLASSES[kind], "early": (*CLASSES[kind], "--preload")}
    with _draft(tmp_path) as (config, state), ExitStack() as stack:
        servers = [
            stack.enter_context(serving(tmp_path / name, config, *options))
            for name, options in forms.items()
        ]
        for server in servers:
            warm(server.port, WORKERS, "/")
        ports = [server.port for server in servers] * 2
        streams = [newcomers(f"new-{n}", port) for n, port in enumerate(ports)]
        with load(streams, pause=0.01) as answers:
            met = []
            for action, variants in MOVES:
                move = _move(state, action, variants)
                _wait_until(move.moment + LATE)
                met.append((move, {pid for each in servers for pid in each.workers()}))
                if action is Action.START:
                    for server in servers:
                        _renew(server)
            time.sleep(0.5)
        said = "".join(server.said() for server in servers)
    lost = sum(each.status == 0 for each in answers)
    print(
        f"\n{kind}: {len(answers)} answers of {len({x.pid for x in answers})} "
        f"processes, and none to {lost} as the workers were killed"
    )
    for move, workers in met:
        _check_move(answers, move, workers)
    assert {each.status for each in answers} <= {0, 200}
    assert lost <= len(ports) * WORKERS
    assert "Traceback" not in said, said


def _renew(server: Server) -> None:
    """Kill every worker, and wait until others serve in their place."""
    before = server.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 8
    while set(server.workers()) & set(before) or len(server.workers()) < WORKERS:
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.02)
    warm(server.port, WORKERS, "/")


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _check_move(answers: Sequence[Answer], move: Move, workers: set[int]) -> None:
    """Each process that was alive then has followed in time, and serves as told."""
    late = []
    for pid in workers:
        own = [each for each in answers if each.pid == pid]
        began = [each.began for each in own if each.version >= move.version]
        late.append(min(began) - move.moment)
        of_it = [each for each in own if each.version == move.version]
        assert {each.variants["headline"] for each in of_it} == move.variants
    print(
        f"  {move.action:<7} {len(workers)} workers, from {min(late):+.2f} to "
        f"{max(late):+.2f} s after it counts"
    )
    assert max(late) <= LATE


def test_a_command_follows_while_it_runs(tmp_path: Path) -> None:
    with _draft(tmp_path) as (config, state):
        command = [sys.executable, "-m", "flask", "--app", TARGET, "follow", "13"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, CONFIG: json.dumps(config)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        killing = Timer(25, process.kill)
        killing.start()
        with process:
            assert process.stdout is not None
            first = process.stdout.readline()
            moves = []
            for action, variants in MOVES:
                moves.append(_move(state, action, variants))
                _wait_until(moves[-1].moment + LATE)
            out, err = process.communicate()
        killing.cancel()
    assert (process.returncode, err.count("Traceback")) == (0, 0), err
    lines = [json.loads(line) for line in [first, *out.splitlines()]]
    print(f"\na command: {len(lines)} reads")
    for move in moves:
        own = [each for each in lines if each["version"] == str(move.version)]
        late = own[0]["at"] - move.moment
        print(
            f"  {move.action:<7} {len(own)} reads, first {late:+.2f} s after it counts"
        )
        assert {each["variant"] for each in own} == move.variants
        assert late <= LATE


def test_a_hung_query_stops_no_greenlet(tmp_path: Path) -> None:
    with _draft(tmp_path) as (config, _):
        switch = Path(config["INSTANCE"]) / "hang"
        with _one_gevent_worker(tmp_path, config) as server:
            calm, meanwhile = _watch(server, switch.touch)
    _check_greenlets("SELECT pg_sleep(3)", calm, meanwhile)


def test_a_locked_file_stops_no_greenlet(tmp_path: Path) -> None:
    # SQLite waits in C, where no greenlet can take over.
    path = tmp_path / "app.db"
    config = {
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}",
        "ABX_REFRESH_SECONDS": REFRESH,
        "INSTANCE": str(tmp_path / "instance"),
    }
    with joined(tmp_path, config) as state:
        assert state.editor is not None
        headline = {"variants": sorted(BOTH)}
        state.editor.apply({"experiments": {"headline": headline}})
        with _one_gevent_worker(tmp_path, config) as server, _lock_of(path) as lock:
            calm, meanwhile = _watch(server, lock)
    _check_greenlets("a file that is locked", calm, meanwhile)


@contextmanager
def _one_gevent_worker(folder: Path, config: dict[str, Any]) -> Iterator[Server]:
    options = CLASSES["gevent"]
    with serving(folder, config, *options, workers=1, target=TARGET) as server:
        warm(server.port, 1, "/")
        yield server


@contextmanager
def _lock_of(path: Path) -> Iterator[Callable[[], object]]:
    """Give a function that locks a SQLite file, until the block ends."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield lambda: connection.execute("BEGIN EXCLUSIVE")
    finally:
        connection.close()


def _watch(
    server: Server, hang: Callable[[], object]
) -> tuple[list[Answer], list[Answer]]:
    """Give what came before the database hangs, and while it does."""
    streams = [newcomers(f"new-{n}", server.port, "/standing") for n in range(4)]
    with load(streams) as answers:
        time.sleep(1.0)
        calm = list(answers)
        hang()
        # The round after the next one hangs at the latest.
        time.sleep(2 * REFRESH)
        before = len(answers)
        time.sleep(HANG - 1)
        meanwhile = answers[before:]
    return calm, meanwhile


def _check_greenlets(what: str, calm: list[Answer], meanwhile: list[Answer]) -> None:
    assert len(meanwhile) > 20
    rounds = {each.body["rounds"] for each in meanwhile}
    slow = max(each.latency for each in meanwhile)
    usual = percentile([each.latency for each in calm], 0.5)
    print(
        f"\ngevent and {what}: rounds {sorted(rounds)}, {len(meanwhile)} requests "
        f"meanwhile, slowest {slow * 1000:.0f} ms, usual {usual * 1000:.0f} ms"
    )
    assert {each.status for each in calm + meanwhile} == {200}
    assert len(rounds) == 1, "The job did not hang."
    assert slow < BRIEF
