"""Writers that are killed half-way, fail half-way, or write at the same time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError

from flask_abx.errors import ChangeRefused
from flask_abx.experiments.lifecycle import Action
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import Author
from flask_abx.stores.database import reading, writing
from flask_abx.stores.reading import read_mark
from tests.databases import ENGINES, fresh_database, run
from tests.drills.servers import ROOT
from tests.drills.shop import joined, make_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.runtime.state import State
    from flask_abx.stores.editor import Editor

pytestmark = pytest.mark.drill

EDITS = 100
HEADLINE = {"variants": ["control", "bold"], "metrics": ["signup"]}
#: What a refusal tells of the edit that came between.
DIFFERENCE = re.compile(r"since you read version \d+ \(name .+ -> '.+'\): nothing is")
#: How long another process may take, in seconds.
PATIENCE = 25.0
DIE = "from tests.drills.test_writing import write_and_die as run; run()"
RACE = "from tests.drills.test_writing import edit_again_and_again as run; run()"

#: The version, and what every table of definitions holds.
Held = dict[str, Any]


@contextmanager
def _database(
    kind: str, folder: Path, journal: str = "WAL"
) -> Iterator[tuple[dict[str, Any], State]]:
    """Make a database with a running experiment in it."""
    with fresh_database(kind, folder) as url:
        if kind == "sqlite":
            run(url, f"PRAGMA journal_mode={journal}")
        config = {"SQLALCHEMY_DATABASE_URI": url, "INSTANCE": str(folder)}
        with joined(folder, config) as state:
            _editor(state).apply({"experiments": {"headline": HEADLINE}})
            yield config, state


def _editor(state: State) -> Editor:
    assert state.editor is not None
    return state.editor


def _held(state: State) -> Held:
    """Read everything that a write may touch."""
    assert state.database is not None
    tables = state.database.tables
    with reading(state.database.own) as connection:
        found: Held = {"version": read_mark(connection, tables).version}
        for table in (tables.definitions, tables.changes, tables.epochs):
            query = select(table).order_by(*table.primary_key)
            found[table.name] = [tuple(row) for row in connection.execute(query)]
        return found


def _start(code: str, config: dict[str, Any], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(config), *more],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    with process:
        try:
            return process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ENGINES)
def test_a_writer_that_is_killed_leaves_nothing(kind: str, tmp_path: Path) -> None:
    points = {}
    with _database(kind, tmp_path) as (config, state):
        before = _held(state)
        for number in range(20):
            process = _start(DIE, config, str(number))
            out, err = _finish(process)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, err
            points[out.strip()] = _held(state) == before
        after = _held(state)
        if kind == "sqlite":
            _check_file(state)
    print(f"\n{kind}: killed before each of {len(points)} steps of a write:")
    for point, is_as_before in points.items():
        print(f"  {'nothing is there' if is_as_before else 'HALF IS THERE'}: {point}")
    assert all(points.values())
    assert {"COMMIT"} < points.keys()
    assert any("abx_changes" in point for point in points)
    assert after["version"] == before["version"] + 1
    assert len(after["abx_changes"]) == len(before["abx_changes"]) + 1


def _check_file(state: State) -> None:
    assert state.database is not None
    with reading(state.database.own) as connection:
        told = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
    assert told == "ok"


def write_and_die() -> None:
    """Publish one edit, and be killed just before one of its statements."""
    state = state_of(make_app(json.loads(sys.argv[1])))
    left = int(sys.argv[2])
    assert state.database is not None
    is_writing = False

    def step(name: str) -> None:
        nonlocal left, is_writing
        is_writing = is_writing or name.startswith("UPDATE abx_state")
        if not is_writing:
            return
        if left == 0:
            print(name, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def on_statement(*arguments: Any) -> None:
        step(" ".join(arguments[2].split()[:3]))

    event.listen(state.database.own, "before_cursor_execute", on_statement)
    event.listen(state.database.own, "commit", lambda _: step("COMMIT"))
    # It closes a variant, so that an epoch is written too.
    _editor(state).move("headline", Action.CLOSE, variant="bold")


@pytest.mark.parametrize("kind", ENGINES)
def test_an_audit_that_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    with _database(kind, tmp_path) as (_, state):
        assert state.database is not None
        before = _held(state)
        changes = state.database.tables.changes
        with writing(state.database.own) as connection:
            row = connection.execute(select(changes)).mappings().first()
            assert row is not None
            planted = {**row, "version": row["version"] + 1}
            connection.execute(changes.insert().values(planted))
        with pytest.raises(DBAPIError) as conflict:
            _editor(state).edit("headline", {"name": "Another"})
        with writing(state.database.own) as connection:
            is_planted = changes.c.version == planted["version"]
            connection.execute(changes.delete().where(is_planted))
        assert _held(state) == before
        (done,) = _editor(state).edit("headline", {"name": "Another"})
    print(f"\n{kind}: {type(conflict.value).__name__}, nothing is there")
    assert done.version == before["version"] + 1


@pytest.mark.parametrize("kind", ENGINES)
def test_two_writers_lose_nothing(kind: str, tmp_path: Path) -> None:
    with _database(kind, tmp_path) as (config, state):
        _race(kind, config, state)


def test_two_writers_of_a_file_without_wal_lose_nothing(tmp_path: Path) -> None:
    with _database("sqlite", tmp_path, "DELETE") as (config, state):
        _race("sqlite without WAL", config, state)


def _race(kind: str, config: dict[str, Any], state: State) -> None:
    before = _held(state)
    writers = [_start(RACE, config, name) for name in ("anna", "bert")]
    said = [_finish(writer) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], said
    assert [err for _, err in said if "Traceback" in err] == []
    told = [json.loads(out) for out, _ in said]
    stored = {version: name for each in told for version, name in each["stored"]}
    refused = [reason for each in told for reason in each["refused"]]
    audit = {
        row[0]: json.loads(row[5])["name"]
        for row in _held(state)["abx_changes"][len(before["abx_changes"]) :]
    }
    print(
        f"\n{kind}: {len(stored) + len(refused)} edits, stored "
        f"{[len(each['stored']) for each in told]}, refused "
        f"{[len(each['refused']) for each in told]}"
    )
    print(f"  {refused[0] if refused else 'none was refused'}")
    assert len(stored) + len(refused) == 2 * EDITS
    assert audit == stored
    assert _held(state)["version"] == before["version"] + len(stored)
    assert [each for each in refused if not DIFFERENCE.search(each)] == []
    assert min(len(each["stored"]) for each in told) > 0


def edit_again_and_again() -> None:
    """Edit what was read before, and tell which edits were stored."""
    state = state_of(make_app(json.loads(sys.argv[1])))
    editor, who = _editor(state), sys.argv[2]
    stored, refused = [], []
    for number in range(EDITS):
        name = f"{who} {number}"
        seen = editor.desk().version_of("headline")
        try:
            fields = {"name": name}
            (change,) = editor.edit("headline", fields, Author(who), expected=seen)
        except ChangeRefused as error:
            refused.append(str(error))
        else:
            stored.append((change.version, name))
    print(json.dumps({"stored": stored, "refused": refused}))
