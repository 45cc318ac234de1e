"""A database that went back, copies that are torn, rows that somebody broke by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import MetaData

from flask_abx.experiments.lifecycle import Action
from flask_abx.stores.change import Author, Edit
from flask_abx.stores.database import writing
from flask_abx.stores.reading import Name
from tests.databases import ENGINES, fresh_database, run
from tests.drills.clients import Visitor, load, newcomers, warm
from tests.drills.servers import ROOT, TARGET, serving
from tests.drills.shop import CONFIG, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from flask_abx.runtime.state import State
    from flask_abx.stores.desk import Desk
    from tests.drills.clients import Answer
    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

REFRESH = 0.2
#: After so long every process has asked at least twice, in seconds.
SOON = 3 * REFRESH
PATIENCE = 8.0
VARIANTS = [f"v{number}" for number in range(7)]
ALARM = "it was restored from a backup"
REFUSED = "cannot be taken, what was in force stays so"
NO_COPY = "cannot be kept for a start without database"
#: What a page shows where no definitions are ready.
DEFAULT = "unknown"


@dataclass(frozen=True, slots=True)
class Drill:
    """A database, the folder and the configuration of those who serve from it."""

    folder: Path
    config: Mapping[str, Any]
    state: State

    def publish(self) -> int:
        """Publish a version that everybody's page shows, and that counts at once."""
        assert self.state.editor is not None
        return self.state.editor.publish(_next, Author("drill"))[0].version

    def serve(self, name: str, workers: int = 2, **config: Any) -> Any:  # noqa: ANN401 - as of serving
        """Serve the shop, with a log of its own."""
        told = {**self.config, **config}
        return serving(self.folder / name, told, workers=workers)

    def flask_abx(self, *arguments: str) -> str:
        """Run a command as people do, and give what it prints."""
        command = [sys.executable, "-m", "flask", "--app", TARGET, "abx", *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, CONFIG: json.dumps(self.config)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def save(self) -> dict[str, list[dict[str, Any]]]:
        """Back all rows up."""
        database = self.state.database
        assert database is not None
        with database.own.connect() as connection:
            return {
                table.name: [
                    dict(row) for row in connection.execute(table.select()).mappings()
                ]
                for table in database.tables.all
            }

    def restore(self, saved: Mapping[str, list[dict[str, Any]]]) -> None:
        """Put a backup back in place of what is there."""
        database = self.state.database
        assert database is not None
        with writing(database.own) as connection:
            for table in database.tables.all:
                connection.execute(table.delete())
                if saved[table.name]:
                    connection.execute(table.insert(), saved[table.name])

    def create_anew(self) -> None:
        """Drop the tables and make them again."""
        database = self.state.database
        assert database is not None
        metadata = MetaData()
        metadata.reflect(database.host)
        metadata.drop_all(database.host)
        for table in database.tables.all:
            table.create(database.host)


def _winner(version: int) -> str:
    return VARIANTS[version % len(VARIANTS)]


def _next(desk: Desk) -> Iterator[Edit]:
    """Conclude for the variant that tells the version."""
    winner = _winner(desk.snapshot.mark.version + 1)
    body = {"variants": VARIANTS, "status": "concluded", "winner": winner}
    yield Edit(Name("experiment", "headline"), Action.EDIT, body, is_urgent=True)


@contextmanager
def drilling(
    kind: str, folder: Path, published: int = 3, **config: Any
) -> Iterator[Drill]:
    """Make a database with some versions in it."""
    with fresh_database(kind, folder) as url:
        if kind == "sqlite":
            run(url, "PRAGMA journal_mode=WAL")
        told = {
            "SQLALCHEMY_DATABASE_URI": url,
            "ABX_REFRESH_SECONDS": REFRESH,
            "ABX_FIRST_WAIT": 0.5,
            "INSTANCE": str(folder / "instance"),
            **config,
        }
        with joined(folder, told) as state:
            drill = Drill(folder, told, state)
            for _ in range(published):
                drill.publish()
            yield drill


def _see(server: Server, is_it: Callable[[Answer], bool], seconds: float) -> float:
    """Ask until each worker answers as wanted, and give the seconds that it took."""
    start = time.monotonic()
    workers = set(server.workers())
    last: dict[int, Answer] = {}
    with load([newcomers(str(number), server.port) for number in range(4)]) as answers:
        while time.monotonic() < start + seconds:
            last = {each.pid: each for each in tuple(answers)}
            if set(last) == workers and all(is_it(each) for each in last.values()):
                return time.monotonic() - start
            time.sleep(0.02)
    raise AssertionError(f"{[each.body for each in last.values()]}\n{server.said()}")


def _wait_for(server: Server, version: int) -> float:
    return _see(server, lambda it: _is_of(it, version), PATIENCE)


def _is_of(answer: Answer, version: int) -> bool:
    variant = answer.variants.get("headline")
    return answer.version == version and variant == _winner(version)


def _stays_at(server: Server, version: int) -> None:
    """See that nobody shows anything else for several rounds."""
    streams = [newcomers(f"later-{number}", server.port) for number in range(4)]
    with load(streams) as answers:
        time.sleep(2 * SOON)
    assert {each.pid for each in answers} == set(server.workers())
    others = [each.body for each in answers if not _is_of(each, version)]
    assert not others, others[:3]


def _files(drill: Drill) -> list[Path]:
    return sorted(drill.folder.joinpath("instance").glob("abx-*.json"))


@pytest.mark.parametrize("kind", ENGINES)
def test_an_older_backup_counts_only_once_it_is_accepted(
    kind: str, tmp_path: Path
) -> None:
    with drilling(kind, tmp_path) as drill, drill.serve("running") as running:
        warm(running.port, 2, "/")
        backup = drill.save()
        for _ in range(3):
            drill.publish()
        _wait_for(running, 6)
        time.sleep(SOON)
        drill.restore(backup)
        _stays_at(running, 6)
        with drill.serve("new", workers=1) as new:
            warm(new.port, 1, "/")
            _stays_at(new, 6)
            alarms = [server.said().count(ALARM) for server in (running, new)]
            told = drill.flask_abx("db", "accept")
            took = [_wait_for(server, 3) for server in (running, new)]
            drill.publish()
            later = [_wait_for(server, 4) for server in (running, new)]
    assert json.loads(told)["version"] == 3
    print(
        f"\n{kind}: restored at 3, all stay at 6, alarms {alarms}; accepted: all at 3 "
        f"after {max(took):.2f} s, the next publish after {max(later):.2f} s"
    )
    assert alarms == [2, 1]


@pytest.mark.parametrize("kind", ENGINES)
def test_a_database_that_is_made_anew_counts_at_once(kind: str, tmp_path: Path) -> None:
    with drilling(kind, tmp_path, 5) as drill, drill.serve("running") as running:
        warm(running.port, 2, "/")
        _wait_for(running, 5)
        drill.create_anew()
        assert drill.publish() == 1
        took = _wait_for(running, 1)
        with drill.serve("new", workers=1) as new:
            warm(new.port, 1, "/")
            _stays_at(new, 1)
        copies = len(_files(drill))
        assert ALARM not in running.said()
    print(
        f"\n{kind}: at 5, made anew, the publish of its version 1 is everywhere after "
        f"{took:.2f} s, copies on disk {copies}"
    )
    assert copies == 1


def _whole(path: Path) -> None:
    assert path.stat().st_size > 0


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _garbage(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _missing(path: Path) -> None:
    path.unlink()


def _link(path: Path) -> None:
    target = path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BROKEN = (_torn, _garbage, _empty, _missing, _link, _pipe)


def test_a_start_without_database_ignores_a_copy_that_is_broken(
    tmp_path: Path,
) -> None:
    with drilling("sqlite", tmp_path) as drill:
        with drill.serve("first", workers=1) as first:
            warm(first.port, 1, "/")
            time.sleep(SOON)
        (copy,) = _files(drill)
        content = copy.read_bytes()
        database = tmp_path / "app.db"
        # A file that is no database answers with an error at once.
        database.rename(tmp_path / "away.db")
        database.mkdir()
        found = {}
        for break_it in (_whole, *BROKEN):
            copy.unlink(missing_ok=True)
            copy.write_bytes(content)
            break_it(copy)
            name = break_it.__name__.strip("_")
            with drill.serve(name, workers=1) as server:
                found[name] = _first_of(server)
                said = server.said()
            assert "The copy on disk" not in said
            assert said.count(" ERROR ") == 1, said
        database.rmdir()
        database.with_name("away.db").rename(database)
    print("\nstarts without database, by the copy on disk:")
    for name, answers in found.items():
        print(f"  {name:<8} {[(x.variants['headline'], x.version) for x in answers]}")
    assert all(_is_of(each, 3) for each in found.pop("whole"))
    for answers in found.values():
        assert {each.status for each in answers} == {200}
        assert {each.variants["headline"] for each in answers} == {DEFAULT}
        assert not any(each.is_given_cookie for each in answers)
        assert answers[-1].body["recorded"] == 0


def _first_of(server: Server) -> list[Answer]:
    visitor = Visitor("first")
    return [visitor.get(server.port) for _ in range(3)]


def test_a_start_finds_the_database_when_it_is_back(tmp_path: Path) -> None:
    database, away = tmp_path / "app.db", tmp_path / "away.db"
    with drilling("sqlite", tmp_path, ABX_RULESET_CACHE=False) as drill:
        database.rename(away)
        database.mkdir()
        with drill.serve("server") as server:
            assert {x.variants["headline"] for x in _first_of(server)} == {DEFAULT}
            database.rmdir()
            away.rename(database)
            took = _wait_for(server, 3)
    print(f"\nthe database is back: every process serves it after {took:.2f} s")


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    instance = str(tmp_path / "file" / "instance")
    with (
        drilling("sqlite", tmp_path, INSTANCE=instance) as drill,
        drill.serve("server", workers=1) as server,
    ):
        warm(server.port, 1, "/")
        for _ in range(3):
            drill.publish()
            time.sleep(SOON)
        _wait_for(server, 6)
        warnings = server.said().count(NO_COPY)
        tracebacks = server.said().count("Traceback")
    print(f"\na folder below a file: warnings {warnings}, tracebacks {tracebacks}")
    assert (warnings, tracebacks) == (1, 0)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_every_publish_is_seen_whatever_the_host_reads(
    level: str, tmp_path: Path
) -> None:
    options = {"isolation_level": level}
    with (
        drilling("mariadb", tmp_path, SQLALCHEMY_ENGINE_OPTIONS=options) as drill,
        drill.serve("server") as server,
    ):
        warm(server.port, 2, "/")
        took = [_wait_for(server, drill.publish()) for _ in range(12)]
    print(f"\n{level}: 12 publishes seen by both after at most {max(took):.2f} s each")


@pytest.mark.parametrize("kind", ENGINES)
def test_a_row_that_is_broken_by_hand_changes_nothing(
    kind: str, tmp_path: Path
) -> None:
    with drilling(kind, tmp_path) as drill, drill.serve("running") as running:
        warm(running.port, 2, "/")
        _wait_for(running, 3)
        time.sleep(SOON)
        _break_by_hand(drill)
        _stays_at(running, 3)
        for pid in running.workers():
            os.kill(pid, signal.SIGKILL)
        # Whoever starts now has the copy on disk alone.
        warm(running.port, 2, "/")
        _stays_at(running, 3)
        errors = running.said().count(REFUSED)
        drill.flask_abx("rollback", "3", "--note", "mended")
        took = _see(running, lambda it: it.version == 5, PATIENCE)
        _see(running, lambda it: it.body["standing"] == "READY", PATIENCE)
        drill.publish()
        later = _wait_for(running, 6)
    print(
        f"\n{kind}: broken by hand, 2 workers and 2 new ones stay at 3, errors told "
        f"{errors}; rolled back after {took:.2f} s, next publish after {later:.2f} s"
    )
    assert errors == 4


def _break_by_hand(drill: Drill) -> None:
    database = drill.state.database
    assert database is not None
    tables = database.tables
    with writing(database.own) as connection:
        connection.execute(tables.definitions.update().values(body='{"variants": ['))
        version = tables.state.c.version + 1
        connection.execute(tables.state.update().values(version=version))
