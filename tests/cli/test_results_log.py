"""Results of a log, without a database: results --log."""

from __future__ import annotations

import gzip
import json
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.experiments.metric import Kind, Metric
from flask_abx.results.shapes import Results, VerdictCode
from flask_abx.runtime.hooks import DeclaredMetric
from flask_abx.runtime.state import state_of
from tests.cli.signups import records
from tests.cli.stored import data_of
from tests.events.sql.exports import event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result
    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

ROLES = {"primary": ["signup"], "secondary": ["refunds"]}
HEADLINE = {"headline": {"variants": ["control", "bold"], "metrics": ROLES}}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(HEADLINE)


def written(path: Path, told: Iterator[dict[str, Any]]) -> str:
    text = "".join(f"{json.dumps(each)}\n" for each in told).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def read(app: Flask, run: Run, *files: str, key: str = "headline") -> Result:
    options = [part for file in files for part in ("--log", file)]
    return run(app, "results", key, *options)


def test_a_log_is_judged_without_a_database(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    result = read(app, run, written(tmp_path / "events.jsonl", records()))
    told = Results.from_dict(data_of(result))
    assert told.verdict.code is VerdictCode.WINNER
    assert {each.variant: each.units for each in told.variants} == {
        "control": 200,
        "bold": 200,
    }
    assert [each.total for each in told.metrics[0].samples] == [40, 100]
    assert "400 exposures and 140 events are read." in result.stderr


def test_a_rotated_and_compressed_log_gives_the_same(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    told = [*records()]
    older = written(tmp_path / "events.1.gz", iter(told[:300]))
    newer = written(tmp_path / "events", iter(told[300:]))
    result = read(app, run, newer, older)
    assert Results.from_dict(data_of(result)).verdict.code is VerdictCode.WINNER


def test_no_log_tells_when_a_plan_was_made(
    make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    planned = {"headline": {**HEADLINE["headline"], "plan": {"units": 400}}}
    result = read(make_app(planned), run, written(tmp_path / "log", records()))
    told = Results.from_dict(data_of(result))
    assert told.plan is not None
    assert not told.plan.is_valid


def test_a_metric_over_tables_of_the_application_is_left_out(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    select = DeclaredMetric(Metric(kind=Kind.SUM), "a statement")
    state_of(app).hooks.metrics["refunds"] = select
    result = read(app, run, written(tmp_path / "log", records()))
    told = Results.from_dict(data_of(result))
    assert [each.metric for each in told.metrics] == ["signup"]
    assert "Left out: refunds, for no log has the tables" in result.stderr


def test_what_cannot_be_read_is_counted(app: Flask, run: Run, tmp_path: Path) -> None:
    bad = event("signup", at="yesterday")
    result = read(app, run, written(tmp_path / "log", iter([*records(), bad])))
    assert result.exit_code == 0
    assert "1 record cannot be read, the first is " in result.stderr


def test_an_empty_log_has_no_data(app: Flask, run: Run, tmp_path: Path) -> None:
    result = read(app, run, written(tmp_path / "log", iter(())))
    assert Results.from_dict(data_of(result)).verdict.code is VerdictCode.NO_DATA


def test_the_next_look_reads_a_log_too(app: Flask, run: Run, tmp_path: Path) -> None:
    log = written(tmp_path / "my log", records(20))
    told = Results.from_dict(data_of(read(app, run, log)))
    assert told.verdict.next_step == f"flask abx results headline --log '{log}'"
    shown = run(app, "results", "headline", "--log", log, "--format", "table").stdout
    assert "let it run; next: flask abx results headline" in shown


def test_an_experiment_that_is_not_defined_is_told(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    log = written(tmp_path / "log", records(2))
    result = read(app, run, log, key="headlin")
    assert result.exit_code == 3
    assert "did you mean 'headline'?" in result.stderr


def test_nothing_is_left_on_the_disk(
    app: Flask, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = written(tmp_path / "log", records())
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert read(app, run, log).exit_code == 0
    assert not [path for path in folder.iterdir() if path.is_dir()]
