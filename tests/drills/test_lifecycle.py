"""One experiment from draft to reopened, by commands, under the eyes of curl."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import parse_headers
from io import BytesIO
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from flask_abx.assignment.position import position
from flask_abx.experiments.lifecycle import Action, Status
from flask_abx.stores.change import Author
from flask_abx.stores.database import clock, reading
from tests.databases import fresh_database
from tests.drills.clients import Answer, load, warm
from tests.drills.servers import ROOT, TARGET, serving
from tests.drills.shop import CONFIG, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from flask_abx.runtime.state import State

pytestmark = pytest.mark.drill

REFRESH = 0.5
#: How long after its publication a pause may take to reach a worker, in seconds.
BRAKE = 2 * REFRESH + 1
#: How exactly a worker and this drill may know the clock of the database.
EXACT = 0.1
WORKERS = 2
STREAMS = 5
#: How many take turns in one stream.
VISITORS = 2
#: How long a stream rests between two calls, in seconds.
PAUSE = 0.2
#: How long the steady visitors of a stream may take to come round, in seconds.
ROUND = 10.0
WINNER = "bold"
DRAFT = {"variants": ["control", WINNER], "metrics": ["signup"]}
START = ("start", "headline", "--actor", "anna")
LATER = (
    ("pause", "headline", "--actor", "bert"),
    ("resume", "headline", "--actor", "bert"),
    ("conclude", "headline", WINNER, "--actor", "anna", "--note", "Loud wins."),
    ("reopen", "headline", "--actor", "clara"),
)
AUDIT = [
    ("create", "anna"),
    ("start", "anna"),
    ("pause", "bert"),
    ("resume", "bert"),
    ("conclude", "anna"),
    ("reopen", "clara"),
]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One version, and between which moments of `monotonic` a worker may begin it."""

    version: int
    status: Status
    published: float
    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Visitor:
    """A curl with a cookie jar."""

    name: str
    jar: Path

    @property
    def id(self) -> str | None:
        """What the cookie calls the visitor, if there is one."""
        text = self.jar.read_text() if self.jar.exists() else ""
        found = re.search(r"\t1~([0-9a-f]{32})", text)
        return None if found is None else found[1]

    def get(self, port: int) -> Answer:
        """Ask for the page."""
        sent_at = time.monotonic()
        jar, url = str(self.jar), f"http://127.0.0.1:{port}/"
        command = ["curl", "-sS", "-i", "--max-time", "10", "-b", jar, "-c", jar, url]
        done = subprocess.run(command, capture_output=True, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        headers = parse_headers(BytesIO(fields + b"\r\n\r\n"))
        return Answer(
            visitor=self.name,
            path=str(port),
            status=int(line.split()[1]),
            sent_at=sent_at,
            latency=time.monotonic() - sent_at,
            pid=int(headers["X-Pid"]),
            began=float(headers["X-Began"]),
            took=float(headers["X-Took"]),
            body=json.loads(body),
            is_given_cookie="Set-Cookie" in headers,
        )


class Crowd:
    """Everybody who comes: some all the time, others twice in a row."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self._folder = folder
        self._ports = ports
        self.visitors: dict[str, Visitor] = {}
        self.ids: dict[str, set[str]] = {}

    def streams(self) -> Iterator[Callable[[], Answer]]:
        """Give what asks for one page after the other, each for a thread."""
        for number in range(STREAMS):
            own = [self._arrive(f"old-{number}-{each}") for each in range(VISITORS)]
            yield self._steady(own)
        yield self._fresh()

    def _arrive(self, name: str) -> Visitor:
        visitor = self.visitors[name] = Visitor(name, self._folder / f"{name}.jar")
        self.ids[name] = set()
        return visitor

    def _ask(self, visitor: Visitor, port: int) -> Answer:
        answer = visitor.get(port)
        if visitor.id is not None:
            self.ids[visitor.name].add(visitor.id)
        return answer

    def _steady(self, own: Sequence[Visitor]) -> Callable[[], Answer]:
        turns = cycle([(each, port) for port in self._ports for each in own])
        return lambda: self._ask(*next(turns))

    def _fresh(self) -> Callable[[], Answer]:
        def turns() -> Iterator[tuple[Visitor, int]]:
            while True:
                visitor = self._arrive(f"new-{len(self.visitors)}")
                for port in self._ports:
                    yield visitor, port

        coming = turns()
        return lambda: self._ask(*next(coming))


def test_two_servers_do_what_the_table_of_the_lifecycle_promises(
    tmp_path: Path,
) -> None:
    with fresh_database("postgresql", tmp_path) as url:
        config = {"SQLALCHEMY_DATABASE_URI": url, "ABX_REFRESH_SECONDS": REFRESH}
        with joined(tmp_path, config) as state:
            assert state.editor is not None
            state.editor.create("headline", DRAFT, Author("anna"))
            answers, crowd, told = _live(tmp_path, config, state)
            stretches = _stretches(state)
    _check_variants(answers, crowd, stretches)
    _check_moments(answers, stretches)
    _check_steadiness(answers, stretches)
    audit = [(each["action"], each["actor"]) for each in json.loads(told)]
    assert audit == AUDIT[::-1]


def _live(
    folder: Path, config: Mapping[str, Any], state: State
) -> tuple[list[Answer], Crowd, str]:
    """Serve twice, and lead the experiment through its life under load."""
    with (
        serving(folder / "one", config, workers=WORKERS) as one,
        serving(folder / "two", config, "--preload", workers=WORKERS) as two,
    ):
        # It counts 5 s later: the workers meet it first as a draft, some as they boot.
        _flask_abx(folder, config, *START)
        ports = one.port, two.port
        for port in ports:
            warm(port, WORKERS, "/")
        crowd = Crowd(folder, ports)
        with load(crowd.streams(), PAUSE) as answers:
            _wait_for_everybody(answers, state)
            # What follows the pause is published before the first of it counts.
            for command in LATER:
                _flask_abx(folder, config, *command)
                time.sleep(VISITORS * PAUSE)
            audit = _flask_abx(folder, config, "audit", "headline")
            _wait_for_everybody(answers, state)
    return answers, crowd, audit


def _flask_abx(folder: Path, config: Mapping[str, Any], *arguments: str) -> str:
    """Run a command as people do, and give what it prints."""
    told = json.dumps({"INSTANCE": str(folder), **config})
    command = [sys.executable, "-m", "flask", "--app", TARGET, "abx", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, CONFIG: told},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _wait_for_everybody(answers: Sequence[Answer], state: State) -> None:
    """Look on until every steady visitor has met the last change."""
    last = _stretches(state)[-1]
    deadline = last.latest + ROUND
    met: set[str] = set()
    while len(met) < STREAMS * VISITORS and time.monotonic() < deadline:
        time.sleep(max(0.05, last.earliest - time.monotonic()))
        met = {
            answer.visitor
            for answer in tuple(answers)
            if answer.version == last.version and answer.visitor.startswith("old")
        }


def _stretches(state: State) -> list[Stretch]:
    """Read from the audit when each version may and must be served."""
    assert state.database is not None
    engine, changes = state.database.own, state.database.tables.changes
    with reading(engine) as connection:
        measured = []
        for _ in range(20):
            asked = time.monotonic()
            now = clock(connection)
            answered = time.monotonic()
            measured.append((answered - asked, (asked + answered) / 2 - now / 1000))
        rows = connection.execute(select(changes).order_by(changes.c.version)).all()
    zero = min(measured)[1]
    return [
        Stretch(
            version=row.version,
            status=Status(json.loads(row.body)["status"]),
            published=zero + row.at / 1000,
            earliest=zero + row.effective_at / 1000,
            latest=zero
            + row.effective_at / 1000
            + (BRAKE if Action(row.action).is_urgent else 0),
        )
        for row in rows
    ]


def _promised(status: Status, visitor: str | None) -> str:
    """Tell what the table of the lifecycle promises to a visitor."""
    if status is Status.RUNNING:
        assert visitor is not None
        return "control" if position("headline", visitor) < 0.5 else WINNER
    return WINNER if status is Status.CONCLUDED else "control"


def _check_variants(
    answers: Sequence[Answer], crowd: Crowd, stretches: Sequence[Stretch]
) -> None:
    """Each visitor keeps the name, and gets what the version promises."""
    statuses = {each.version: each.status for each in stretches}
    wrong = [
        answer
        for answer in answers
        if answer.variants["headline"]
        != _promised(statuses[answer.version], crowd.visitors[answer.visitor].id)
    ]
    renamed = [name for name, ids in crowd.ids.items() if len(ids) > 1]
    runs = [each.version for each in stretches if each.status is Status.RUNNING]
    seen = {(answer.visitor, answer.version) for answer in answers}
    back = [
        name
        for name in crowd.visitors
        if all((name, version) in seen for version in runs)
    ]
    print(
        f"\n{len(answers)} calls of curl, {len(crowd.visitors)} cookie jars; there "
        f"before the pause, after resume and after reopen: {len(back)}"
    )
    for each in stretches:
        own = [answer for answer in answers if answer.version == each.version]
        met = sorted(answer.variants["headline"] for answer in own)
        split = ", ".join(f"{met.count(key)} {key}" for key in dict.fromkeys(met))
        workers = len({answer.pid for answer in own})
        print(f"  {each.version} {each.status:<10} {split}, by {workers} workers")
    print(f"  against the table {len(wrong)}, renamed {len(renamed)}")
    assert {answer.status for answer in answers} == {200}
    assert {answer.version for answer in answers} == {*statuses}
    assert not wrong
    assert not renamed
    assert {name for name in crowd.visitors if name.startswith("old")} <= {*back}


def _check_moments(answers: Sequence[Answer], stretches: Sequence[Stretch]) -> None:
    """No response is of a version before its moment, or after that of the next."""
    worst = []
    for before, each in pairwise(stretches):
        old = [answer for answer in answers if answer.version == before.version]
        new = [answer for answer in answers if answer.version == each.version]
        early = max(each.earliest - answer.began - answer.took for answer in new)
        late = max(answer.began - each.latest for answer in old)
        last = max(answer.began for answer in old) - each.earliest
        delay = each.earliest - each.published
        print(
            f"  {each.version} {each.status:<10} counts {delay:.1f} s after it was "
            f"published; then the first new response at {-early * 1000:+.0f} ms, "
            f"the last old one at {last * 1000:+.0f} ms"
        )
        worst += [early, late]
    assert max(worst) <= EXACT


def _check_steadiness(answers: Sequence[Answer], stretches: Sequence[Stretch]) -> None:
    """Whoever comes again while a state lasts, or when it is back, gets the same."""
    statuses = {each.version: each.status for each in stretches}
    met: dict[tuple[str, Status], set[str]] = {}
    for answer in answers:
        place = answer.visitor, statuses[answer.version]
        met.setdefault(place, set()).add(answer.variants["headline"])
    changed = [place for place, variants in met.items() if len(variants) > 1]
    windows = [each for each in stretches if each.latest > each.earliest]
    back = _back(answers, lambda answer: answer.visitor)
    outside = [
        answer
        for answer in back
        if not any(
            each.earliest - EXACT <= answer.began <= each.latest + EXACT
            for each in windows
        )
    ]
    workers = _back(answers, lambda answer: answer.pid)
    print(
        f"  another variant in the same state {len(changed)}; back to a version of "
        f"before: visitors {len(back)}, outside of the window of a pause "
        f"{len(outside)}, workers {len(workers)}"
    )
    assert not changed
    assert not outside
    assert not workers


def _back(answers: Sequence[Answer], by: Callable[[Answer], str | int]) -> list[Answer]:
    """Find the answers that are of an earlier version than the one before."""
    groups: dict[str | int, list[Answer]] = {}
    for answer in sorted(answers, key=lambda answer: answer.began):
        groups.setdefault(by(answer), []).append(answer)
    return [
        after
        for group in groups.values()
        for before, after in pairwise(group)
        if after.version < before.version
    ]
