"""What aa says: two counts side by side, on the application's own history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.stored import data_of, stored_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Make an application with four experiments, of which many met one."""
    folder = tmp_path_factory.mktemp("visited")
    experiments = {
        "headline": TWO,
        "idle": TWO,
        "silent": {"variants": ["control", "bold"]},
    }
    definitions = {"experiments": experiments}
    url = f"sqlite:///{folder / 'app.db'}"
    with stored_app(url, folder, ABX_DEFINITIONS=definitions) as app:
        told = app.test_cli_runner().invoke(
            args=["abx", "simulate", "headline", "--units", "6000", "--effect", "0.3"]
        )
        assert told.exit_code == 0, told.output
        yield app


def test_ours_is_fooled_less_than_an_ordinary_test(visited: Flask, run: Run) -> None:
    (found,) = data_of(run(visited, "aa", "headline", "--format", "json"))["metrics"]
    assert found["splits"] == 500
    assert found["ordinary_wins"] > 0.12 * 500
    assert found["our_wins"] <= 0.05 * 500


def test_the_sentence_has_both_numbers(visited: Flask, run: Run) -> None:
    told = run(visited, "aa", "headline", "--format", "table").stdout
    (found,) = data_of(run(visited, "aa", "headline", "--format", "json"))["metrics"]
    words = " ".join(told.split())
    assert f"is wrong in {found['ordinary_wins']} of 500 cases" in words
    assert f"whoever asks flask-abx in {found['our_wins']}" in words
    assert max(map(len, told.splitlines())) <= 80


def test_the_same_seed_says_the_same(visited: Flask, run: Run) -> None:
    one, again, other = (
        data_of(run(visited, "aa", "headline", "--splits", "60", "--seed", seed))
        for seed in ("1", "1", "2")
    )
    assert one == again
    assert one["metrics"] != other["metrics"]


def test_fewer_days_are_fewer_looks(visited: Flask, run: Run) -> None:
    data = data_of(run(visited, "aa", "headline", "--days", "5", "--splits", "20"))
    assert len(data["metrics"][0]["days"]) == 5


def test_both_counts_are_drawn(visited: Flask, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "aa.svg"
    result = run(visited, "aa", "headline", "--splits", "20", "--svg", str(path))
    assert result.exit_code == 0, result.stderr
    assert path.read_text("utf-8").startswith("<svg")


def test_a_folder_that_is_not_there_is_told(
    visited: Flask, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "gone" / "aa.svg"
    result = run(visited, "aa", "headline", "--splits", "1", "--svg", str(path))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("idle", "flask abx simulate idle"),
        ("silent", "no primary metric"),
    ],
)
def test_what_cannot_be_replayed_is_told(
    visited: Flask, run: Run, key: str, message: str
) -> None:
    result = run(visited, "aa", key)
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_short_history_is_told(visited: Flask, run: Run) -> None:
    result = run(visited, "aa", "headline", "--days", "2")
    assert result.exit_code == 1
    assert "too little happened" in result.stderr


def test_without_a_database_there_is_no_history(make_app: MakeApp, run: Run) -> None:
    result = run(make_app({"headline": TWO}), "aa", "headline")
    assert result.exit_code == 1
    assert "ABX(app, db=db)" in result.stderr
