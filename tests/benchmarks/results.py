"""What a look at a large experiment costs, beside pulling its rows into pandas."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.benchmarks import verdicts
from tests.benchmarks.crowd import AGO, DAY, fill
from tests.benchmarks.exporting import ADDRESSES
from tests.benchmarks.looks import begin
from tests.benchmarks.report import BenchmarkError, Row
from tests.databases import ENGINES, fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator

UNITS = 600_000
EVENTS = 2_000_000
LARGE = 10
#: How often faster than pandas, where there is a bar.
FASTER = {"sqlite": 2.0, "postgresql": 2.5}
#: Megabytes, of the whole process.
MOST = 100
MOST_MARIADB = 3
MOST_TIME = 12
MOST_GROWTH = 1.5
LOOK = "from tests.benchmarks.looks import refresh_as_told; refresh_as_told()"
PULL = "from tests.benchmarks.frames import pull_as_told; pull_as_told()"

Told = dict[str, Any]


def measure(
    units: int = UNITS, events: int = EVENTS, rounds: int = 3, *, is_large: bool = False
) -> list[Row]:
    """Measure looks on every kind of database, and the engine of verdicts alone.

    Args:
        units: How many are exposed.
        events: How many events they have.
        rounds: How often each is tried, in turn with pandas.
        is_large: True to see what ten times the events of as many units cost.
    """
    for name, address in ADDRESSES.items():
        os.environ.setdefault(name, address)
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    for kind in ENGINES:
        for row, taken in _on(kind, units, events, rounds):
            rows.append(row)
            seconds[kind] = taken
    ratio = seconds["mariadb"] / seconds["sqlite"]
    note = f"{seconds['mariadb']:.1f} s and {seconds['sqlite']:.1f} s"
    rows.append(
        Row("refresh on mariadb beside sqlite", ratio, bar=MOST_MARIADB, note=note)
    )
    if is_large:
        rows += _growth(units, events)
    return rows + verdicts.measure()


def _on(kind: str, units: int, events: int, rounds: int) -> Iterator[tuple[Row, float]]:
    with TemporaryDirectory() as name, fresh_database(kind, Path(name)) as url:
        folder = Path(name)
        _prepare(kind, url, folder, units, events)
        looks: list[Told] = []
        pulls: list[Told] = []
        for _ in range(rounds):
            looks.append(_child(LOOK, url, str(folder)))
            pulls.append(_child(PULL, url))
            _compare(looks[-1], pulls[-1])
    seconds = median(each["seconds"] for each in looks)
    pulling = median(each["pulling"] for each in pulls)
    ratio = median(
        pull["seconds"] / look["seconds"]
        for look, pull in zip(looks, pulls, strict=True)
    )
    what = f"refresh on {kind}"
    note = (
        f"{seconds:.1f} s, pandas {median(each['seconds'] for each in pulls):.1f} s, "
        f"{pulling:.1f} of them to pull the rows"
    )
    bar = FASTER.get(kind)
    pandas = max(each["peak"] for each in pulls)
    for row in (
        Row(f"{what}: faster than pandas", ratio, bar=bar, at_least=True, note=note),
        Row(
            f"{what}: peak",
            max(each["peak"] for each in looks),
            "MB",
            bar=MOST,
            note=f"pandas {pandas:,.0f} MB",
        ),
        Row(f"{what}: a second reading", looks[-1]["again"], "ms", bar=10),
    ):
        yield row, seconds


def _growth(units: int, events: int) -> list[Row]:
    """See on SQLite what many more events of as many units cost."""
    told = {}
    for count in (events, LARGE * events):
        with TemporaryDirectory() as name, fresh_database("sqlite", Path(name)) as url:
            _prepare("sqlite", url, Path(name), units, count)
            told[count] = _child(LOOK, url, name)
    few, many = told[events], told[LARGE * events]
    what = f"refresh on sqlite, {LARGE} times the events"
    return [
        Row(
            f"{what}: time",
            many["seconds"] / few["seconds"],
            bar=MOST_TIME,
            note=f"{few['seconds']:.0f} s and {many['seconds']:.0f} s",
        ),
        Row(
            f"{what}: memory",
            many["peak"] / few["peak"],
            bar=MOST_GROWTH,
            note=f"{few['peak']:.0f} MB and {many['peak']:.0f} MB",
        ),
    ]


def _prepare(kind: str, url: str, folder: Path, units: int, events: int) -> None:
    now = round(time.time() * 1000)
    fill(kind, url, units, events, now)
    begin(url, folder, now - (AGO + 1) * DAY)


def _child(script: str, *arguments: str) -> Told:
    """Run a script in a process of its own, which prints what it found."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchmarkError(f"A look failed: {done.stdout}{done.stderr}")
    found: Told = json.loads(done.stdout)
    return found


def _compare(look: Told, pull: Told) -> None:
    """Void the run if the two found different figures."""
    if look["checks"] == 0 or look["totals"].keys() != pull["totals"].keys():
        raise BenchmarkError(f"The look is not whole: {look!r}")
    for name, figures in look["totals"].items():
        for one, other in zip(figures, pull["totals"][name], strict=True):
            if one != other and not math.isclose(one, other, rel_tol=1e-9):
                raise BenchmarkError(f"{name} is {one!r}, and {other!r} in pandas.")
