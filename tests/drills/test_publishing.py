"""Fifty publishes under load: one version a page, and one moment for every process."""

from __future__ import annotations

import time
from itertools import cycle, pairwise
from typing import TYPE_CHECKING

import pytest

from flask_abx.experiments.lifecycle import Action
from flask_abx.stores.change import Author, Edit, milliseconds_of
from flask_abx.stores.database import clock, reading
from flask_abx.stores.reading import Name
from tests.databases import ENGINES, fresh_database, run
from tests.drills.clients import Visitor, load, newcomers, told, warm
from tests.drills.servers import serving
from tests.drills.shop import PAUSE, TEN, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Engine

    from flask_abx.runtime.state import State
    from flask_abx.stores.desk import Desk
    from tests.drills.clients import Answer

pytestmark = pytest.mark.drill

PROCESSES = 8
PUBLISHES = 50
#: The pause between two publishes, in seconds: many are on their way at any time.
EVERY = 0.2
VISITORS = 12
NEWCOMERS = 3
#: How exactly a process and this drill may know the clock of the database.
EXACT = 0.02
VARIANTS = [f"v{number}" for number in range(7)]

#: When each version takes effect, by `monotonic`.
Moments = dict[int, float]


@pytest.mark.parametrize("kind", ENGINES)
def test_pages_show_one_version_and_processes_change_at_one_moment(
    kind: str, tmp_path: Path
) -> None:
    with fresh_database(kind, tmp_path) as url:
        if kind == "sqlite":
            run(url, "PRAGMA journal_mode=WAL")
        config = {"SQLALCHEMY_DATABASE_URI": url}
        with joined(tmp_path, config) as state:
            pages, moments = _publish_under_load(tmp_path, config, state)
    print(f"\n{kind}: {len(pages)} pages, {len(moments)} publishes")
    assert {(page.status, str(page.body.get("error"))) for page in pages} == {
        (200, "None")
    }
    _check_one_version(pages)
    _check_visitors(pages)
    _check_moments(pages, moments)


def _publish_under_load(
    folder: Path, config: Mapping[str, object], state: State
) -> tuple[list[Answer], Moments]:
    assert state.editor is not None
    assert state.database is not None
    running = {"variants": ["control", "bold"]}
    state.editor.apply({"experiments": {**_concluded(1), "headline": running}})
    moments: Moments = {}
    with serving(folder, config, "--preload", workers=PROCESSES) as server:
        warm(server.port, PROCESSES)
        crowd = [Visitor(f"visitor-{number}") for number in range(VISITORS)]
        streams = [_walk(visitor, server.port) for visitor in crowd]
        streams += [
            newcomers(f"new-{number}", server.port, "/ten")
            for number in range(NEWCOMERS)
        ]
        zero = _zero_of(state.database.own)
        with load(streams, pause=0.01) as pages:
            began = time.monotonic()
            for turn in range(PUBLISHES):
                time.sleep(max(0.0, began + turn * EVERY - time.monotonic()))
                changes = state.editor.publish(_next, Author(f"drill-{turn}"))
                assert len(changes) == len(TEN)
                at = milliseconds_of(changes[0].effective_at) / 1000
                moments[changes[0].version] = zero + at
            time.sleep(max(moments.values()) + 0.5 - time.monotonic())
    return pages, moments


def _concluded(version: int) -> dict[str, dict[str, object]]:
    """Define ten experiments whose winner tells the version."""
    return {
        key: {"variants": VARIANTS, "status": "concluded", "winner": _winner(version)}
        for key in TEN
    }


def _winner(version: int) -> str:
    return VARIANTS[version % len(VARIANTS)]


def _next(desk: Desk) -> Iterator[Edit]:
    """Flip all ten in one version."""
    for key, body in _concluded(desk.snapshot.mark.version + 1).items():
        yield Edit(Name("experiment", key), Action.EDIT, body)


def _walk(visitor: Visitor, port: int) -> Callable[[], Answer]:
    paths = cycle(("/ten", "/"))
    return lambda: visitor.get(port, next(paths))


def _zero_of(engine: Engine) -> float:
    """Find where on `monotonic` the clock of the database shows 0."""
    found = []
    with reading(engine) as connection:
        for _ in range(50):
            asked = time.monotonic()
            now = clock(connection)
            answered = time.monotonic()
            found.append((answered - asked, (asked + answered) / 2 - now / 1000))
    return min(found)[1]


def _check_one_version(pages: list[Answer]) -> None:
    """Each of the ten is as the version says that the page prints."""
    read = [page for page in pages if page.path == "/ten"]
    mixed = [
        page for page in read if set(page.variants.values()) != {_winner(page.version)}
    ]
    versions = {page.version for page in read}
    print(f"pages of ten: {len(read)} of {len(versions)} versions, mixed {len(mixed)}")
    assert not mixed[:1]


def _check_visitors(pages: list[Answer]) -> None:
    """No visitor goes back to a version of before, or changes the variant."""
    backwards = []
    changed = set()
    for number in range(VISITORS):
        own = [page for page in pages if page.visitor == f"visitor-{number}"]
        backwards += [
            (before, after)
            for before, after in pairwise(own)
            if after.version < before.version
        ]
        variants = {page.variants["headline"] for page in own if page.path == "/"}
        if len(variants) != 1:
            changed.add(number)
    print(f"visitors: {VISITORS}, went back {len(backwards)}, changed {len(changed)}")
    assert not backwards[:1]
    assert not changed


def _check_moments(pages: list[Answer], moments: Moments) -> None:
    """Each process changes when it was told to: neither later nor earlier."""
    late, early, first = [], [], []
    for pid in {page.pid for page in pages}:
        own = [page for page in pages if page.pid == pid]
        for version, moment in moments.items():
            after = [page.began for page in own if page.version >= version]
            late.append(max(p.began for p in own if p.version < version) - moment)
            first.append(min(after) - moment)
    for page in pages:
        # Whatever it waited before, it had its version when it was done.
        done = page.began + page.took - (PAUSE if page.path == "/ten" else 0)
        if page.version in moments:
            early.append(moments[page.version] - done)
    print(f"{len(late)} changes of a process, after effective_at:")
    print(f"  last page of the old version: {told(late)}")
    print(f"  first page of the new version: {told(first)}")
    print(f"  a page too early by at most {max(early) * 1000:.1f} ms")
    assert max(early) <= EXACT
    assert sorted(late)[int(0.99 * len(late))] <= EXACT
