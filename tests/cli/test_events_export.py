"""`flask abx events export`, as a shell runs it."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from flask_abx.runtime.state import state_of
from flask_abx.stores.database import writing
from tests.cli.stored import CREATE, stored_app
from tests.databases import ENGINES, fresh_database
from tests.events.sql.exports import ANNAS, event, exposure, keep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from flask_abx.stores.database import Database
    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

EXPORT = ("events", "export")


@pytest.fixture(params=ENGINES)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """Make an application in whose database a visitor was exposed and bought."""
    with (
        fresh_database(request.param, tmp_path) as url,
        stored_app(url, tmp_path) as made,
    ):
        keep(database_of(made), exposure(), event(), event("=visit", value=None))
        yield made


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Flask]:
    """Make the same on SQLite alone."""
    with stored_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as made:
        keep(database_of(made), exposure(), event())
        yield made


def database_of(app: Flask) -> Database:
    database = state_of(app).database
    assert database is not None
    return database


def test_duckdb_reads_the_parquet_folder(app: Flask, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out"
    result = run(app, *EXPORT, "--format", "parquet", "-o", str(path))
    assert result.exit_code == 0, result.stderr

    def source(name: str) -> str:
        files = f"{path}/{name}/**/*.parquet"
        return f"read_parquet('{files}', hive_partitioning=true)"

    with duckdb.connect() as connection:
        exposures, units = (
            connection.sql(f"FROM {source(name)}")
            for name in ("exposures", "event_units")
        )
        joined = exposures.join(units, "unit_type, unit")
        found = joined.aggregate("variant, sum(value)")
        assert found.fetchall() == [("bold", 49.9)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_text_is_a_file_for_each_dataset(
    form: str, app: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    run(app, *EXPORT, "--format", form, "-o", str(path))
    names = {file.stem for file in path.iterdir()} - {"_export"}
    assert names == {"events", "exposures", "event_units", "links", "epochs"}


def test_the_summary_counts_and_names_the_next_moment(
    lite: Flask, run: Run, tmp_path: Path
) -> None:
    result = run(lite, *EXPORT, "--format", "csv", "-o", str(tmp_path / "out"))
    told = json.loads(result.stdout)
    assert told["rows"] == {
        "events": 1,
        "exposures": 1,
        "event_units": 1,
        "links": 0,
        "epochs": 0,
    }
    assert (told["files"], told["since"], result.stderr) == (5, None, "")


def test_people_read_a_table(lite: Flask, run: Run, tmp_path: Path) -> None:
    arguments = ("--format", "csv", "-o", str(tmp_path / "out"), "--summary", "table")
    result = run(lite, *EXPORT, *arguments)
    assert "event_units  1\n" in result.stdout
    assert "What is new next time: --since 2" in result.stdout


def test_what_is_new_stands_beside_what_was_there(
    lite: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    first = run(lite, *EXPORT, "--format", "jsonl", "-o", str(path))
    database = database_of(lite)
    with writing(database.own) as connection:
        connection.execute(database.tables.events.update().values(stored_at=0))
    keep(database, event("later", units={"visitor": ANNAS}))
    since = ("--since", json.loads(first.stdout)["next"])
    run(lite, *EXPORT, "--format", "jsonl", "-o", str(path), *since)
    (added,) = path.glob("events-*.jsonl")
    assert json.loads(added.read_text())["name"] == "later"
    assert len(list(path.glob("epochs*"))) == 1


@pytest.mark.parametrize("since", ["2d", "6h", "2020-01-01", "2020-01-01T00:00:00Z"])
def test_since_is_a_moment_or_an_age(
    since: str, lite: Flask, run: Run, tmp_path: Path
) -> None:
    arguments = ("--format", "jsonl", "-o", str(tmp_path / "out"), "--since", since)
    result = run(lite, *EXPORT, *arguments)
    assert json.loads(result.stdout)["rows"]["events"] == 1


@pytest.mark.parametrize("since", ["soon", "2999-01-01", "2w"])
def test_any_other_since_is_refused(
    since: str, lite: Flask, run: Run, tmp_path: Path
) -> None:
    arguments = ("--format", "jsonl", "-o", str(tmp_path / "out"), "--since", since)
    result = run(lite, *EXPORT, *arguments)
    assert result.exit_code == 2
    assert "--since is" in result.stderr


def test_an_unknown_experiment_is_suggested_for(
    lite: Flask, run: Run, tmp_path: Path
) -> None:
    run(lite, *CREATE)
    arguments = ("--format", "csv", "-o", str(tmp_path / "out"))
    result = run(lite, *EXPORT, *arguments, "--experiment", "headlin")
    assert result.exit_code == 3
    assert "did you mean 'headline'?" in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_experiment_that_is_gone_but_has_rows_is_exported(
    lite: Flask, run: Run, tmp_path: Path
) -> None:
    arguments = ("--format", "csv", "-o", str(tmp_path / "out"))
    result = run(lite, *EXPORT, *arguments, "--experiment", "headline")
    assert json.loads(result.stdout)["rows"]["exposures"] == 1


def test_a_file_in_the_way_is_told_in_a_sentence(
    lite: Flask, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    result = run(lite, *EXPORT, "--format", "csv", "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "is a file, must be a folder" in result.stderr


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_full_disk_is_told_in_a_sentence(
    form: str, lite: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    keep(database_of(lite), *(event(f"e{number}") for number in range(500)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, limits[1]))
    try:
        result = run(lite, *EXPORT, "--format", form, "-o", str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert result.exit_code == 1
    assert "cannot be written (File too large), nothing of it is kept" in result.stderr
    assert list(path.iterdir()) == []


def test_a_killed_export_leaves_nothing_that_looks_whole(
    lite: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    arguments = ["abx", *EXPORT, "--format", "parquet", "-o", str(path)]
    script = (
        "import os, signal, sys\n"
        "from flask_abx.events.export.parquet import ParquetWriter\n"
        "from tests.cli.stored import stored_app\n"
        "write = ParquetWriter.write\n"
        "def killed(self, rows):\n"
        "    write(self, rows)\n"
        "    self._write_group(next(iter(self._rows)))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "ParquetWriter.write = killed\n"
        f"with stored_app(sys.argv[1], __import__('pathlib').Path({str(tmp_path)!r})) "
        "as app:\n"
        f"    app.test_cli_runner().invoke(args={arguments!r})\n"
    )
    url = f"sqlite:///{tmp_path / 'app.db'}"
    command = [sys.executable, "-c", script, url]
    done = subprocess.run(command, check=False)  # noqa: S603 - our own
    assert done.returncode == -signal.SIGKILL
    assert [each.name for each in path.iterdir()] == ["_flask_abx_unfinished"]
    assert run(lite, *arguments[1:]).exit_code == 0
    assert not (path / "_flask_abx_unfinished").exists()


def test_without_a_database_there_is_nothing_to_export(
    make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    result = run(make_app(), *EXPORT, "--format", "csv", "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "ABX(app, db=db)" in result.stderr
