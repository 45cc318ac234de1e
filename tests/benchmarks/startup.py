"""What starting costs: the import, the first ``ABX(app)``, a thousand experiments."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from flask_abx.assignment.ruleset import Ruleset, compile_ruleset
from flask_abx.experiments.definition import parse, version_of
from tests.benchmarks.definitions import definitions
from tests.benchmarks.report import Row
from tests.benchmarks.timing import quiet

if TYPE_CHECKING:
    from collections.abc import Callable

DEFINED = 1_000
TIMED = """
import json, time
import flask, flask_sqlalchemy
app = flask.Flask("shop")
app.config.update(SECRET_KEY="benchmarks")
app.config["ABX_EXPERIMENTS"] = {"headline": {"variants": ["control", "bold"]}}
start = time.perf_counter()
from flask_abx import ABX
imported = time.perf_counter()
ABX(app)
end = time.perf_counter()
print(json.dumps([(imported - start) * 1e3, (end - imported) * 1e3]))
"""
WATCHED = """
import json, os, sys, threading
import flask, flask_sqlalchemy
app = flask.Flask("shop")
app.config.update(SECRET_KEY="benchmarks")
app.config["ABX_EXPERIMENTS"] = {"headline": {"variants": ["control", "bold"]}}
found = []
def watch(event, arguments):
    if event.startswith("socket.__new__") or event == "_thread.start_new_thread":
        found.append(event)
    elif event == "open" and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR) and ".pyc" not in str(arguments[0]):
            found.append(f"open {arguments[0]}")
before = set(os.listdir("/proc/self/fd"))
sys.addaudithook(watch)
from flask_abx import ABX
ABX(app)
opened = set(os.listdir("/proc/self/fd")) - before
found += [f"file {name}" for name in opened]
found += [f"thread {thread.name}" for thread in threading.enumerate()[1:]]
print(json.dumps(found))
"""


def measure(processes: int) -> list[Row]:
    """Measure the start in fresh processes, and the compilation in this one."""
    _run(TIMED)
    times = [_run(TIMED) for _ in range(processes)]
    imported = median(first for first, _ in times)
    made = median(second for _, second in times)
    started = _run(WATCHED)
    return [
        Row(
            "import flask_abx and ABX(app), one experiment",
            median(sum(pair) for pair in times),
            "ms",
            bar=250,
            note=f"import {imported:.0f} ms, ABX(app) {made:.0f} ms",
        ),
        Row(
            "threads, sockets, files opened by it",
            len(started),
            "",
            bar=0,
            note=", ".join(started) or "none",
        ),
        *_compiling(),
    ]


def _run(script: str) -> list[Any]:
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[Any] = json.loads(done.stdout)
    return found


def _compiling() -> list[Row]:
    mapping = {"experiments": definitions(DEFINED)}
    document = parse(mapping)
    version = version_of(document)

    def compiled() -> Ruleset:
        return compile_ruleset(document, version, {})

    label = "1,000 experiments"
    return [
        Row(f"{label} compiled: time", _milliseconds(compiled), "ms", bar=100),
        Row(f"{label} compiled: memory", _megabytes(compiled), "MB", bar=8),
        Row(
            f"{label} parsed and validated", _milliseconds(lambda: parse(mapping)), "ms"
        ),
    ]


def _milliseconds(work: Callable[[], object]) -> float:
    spans = []
    with quiet():
        for _ in range(7):
            start = perf_counter_ns()
            work()
            spans.append(perf_counter_ns() - start)
            gc.collect()
    return median(spans) / 1e6


def _megabytes(work: Callable[[], object]) -> float:
    work()
    gc.collect()
    tracemalloc.start()
    kept = work()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return size / 1e6
