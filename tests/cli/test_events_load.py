"""`flask abx events load`: nobody starts from zero who adds a database."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from flask_abx.runtime.state import state_of
from flask_abx.stores.database import reading
from tests.cli.stored import stored_app
from tests.databases import ENGINES, fresh_database
from tests.events.sql.exports import DAY, NEXT_DAY, event, exposure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

LOAD = ("events", "load")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with stored_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as made:
        yield made


def counts(app: Flask) -> tuple[int, ...]:
    database = state_of(app).database
    assert database is not None
    tables = database.tables
    with reading(database.own) as connection:
        return tuple(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.exposures, tables.events, tables.event_units)
        )


def lines(*records: object) -> bytes:
    return "".join(f"{json.dumps(each)}\n" for each in records).encode()


@pytest.mark.parametrize("kind", ENGINES)
def test_a_log_from_before_the_database_is_counted_once(
    kind: str, make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    log = tmp_path / "events.jsonl"
    before = make_app(ABX_SINKS=None, ABX_EVENT_LOG=str(log))
    client = before.test_client()
    client.get("/")
    client.post("/signup")
    with fresh_database(kind, tmp_path) as url, stored_app(url, tmp_path) as app:
        for _ in range(2):
            result = run(app, *LOAD, str(log))
            assert result.exit_code == 0, result.stderr
            told = json.loads(result.stdout)
            assert (told["exposures"], told["events"]) == (1, 1)
            assert counts(app) == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("events.jsonl.1", bytes),
        ("events.jsonl.2.gz", gzip.compress),
        ("events.jsonl.bz2", bz2.compress),
        ("events.jsonl.xz", lzma.compress),
    ],
    ids=["rotated", "gz", "bz2", "xz"],
)
def test_rotated_and_compressed_files_are_taken(
    name: str, packed: Callable[[bytes], bytes], app: Flask, run: Run, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(packed(lines(exposure(), event())))
    assert run(app, *LOAD, str(tmp_path / name)).exit_code == 0
    assert counts(app) == (1, 1, 1)


def test_the_oldest_file_comes_first(app: Flask, run: Run, tmp_path: Path) -> None:
    new, old = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    new.write_bytes(lines(exposure(variant="control", at=NEXT_DAY)))
    old.write_bytes(b"other\n" + lines(exposure(variant="bold", at=DAY)))
    run(app, *LOAD, str(new), str(old))
    database = state_of(app).database
    assert database is not None
    with reading(database.own) as connection:
        each = database.tables.exposures.c
        (row,) = connection.execute(select(each.variant, each.mixed))
    assert tuple(row) == ("bold", 1)


def test_the_standard_input_is_taken(app: Flask) -> None:
    result = app.test_cli_runner().invoke(
        args=["abx", *LOAD, "-"], input=lines(event())
    )
    assert result.exit_code == 0
    assert counts(app) == (0, 1, 1)


def test_other_lines_are_skipped_and_counted(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"GET / 200\nINFO " + lines(event()) + b"bye\n")
    told = json.loads(run(app, *LOAD, str(path)).stdout)
    assert (told["events"], told["skipped"]) == (1, 2)


def test_a_bad_record_is_told_and_the_rest_is_stored(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(event(), event("bad", at="soon"), event("third")))
    result = run(app, *LOAD, str(path), "--format", "table")
    assert result.exit_code == 1
    assert f"{path}, line 2: " in result.stderr
    assert "and 2 events are stored, 1 record is refused." in result.stdout


def test_a_file_that_was_cut_off_is_told(app: Flask, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    packed = gzip.compress(lines(*(event(f"e{number}") for number in range(2_000))))
    path.write_bytes(packed[: len(packed) // 2])
    result = run(app, *LOAD, str(path))
    assert result.exit_code == 1
    assert "cannot be read to its end" in result.stderr


def test_a_file_that_is_not_there_is_told(app: Flask, run: Run) -> None:
    assert run(app, *LOAD, "nowhere.jsonl").exit_code == 2


def test_what_was_exported_is_taken_back(app: Flask, run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(lines(event(), event("visit", value=None)))
    run(app, *LOAD, str(tmp_path / "log"))
    out = tmp_path / "out"
    run(app, "events", "export", "--format", "jsonl", "-o", str(out))
    told = json.loads(run(app, *LOAD, str(out / "events.jsonl")).stdout)
    assert (told["events"], told["refused"]) == (2, 0)
    assert counts(app) == (0, 2, 2)
