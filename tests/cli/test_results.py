"""The commands that look at experiments and read what was found."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.cli.results import refreshing
from flask_abx.errors import ChangeRefused
from flask_abx.results.judgement.remarks import BREAKDOWN
from flask_abx.results.looks.kept import Kept
from flask_abx.results.looks.stored import Look, store_look
from flask_abx.results.shapes import Results, VerdictCode
from flask_abx.stores.database import writing
from tests.cli.people import database_of
from tests.cli.signups import records
from tests.cli.stored import data_of, stored_app
from tests.databases import ENGINES, fresh_database
from tests.events.sql.exports import keep
from tests.results.shown import NOW, SHOWN, undecided, untrusted, winner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from flask_abx.runtime.state import State
    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
EXPERIMENTS = {
    "headline": TWO,
    "free_shipping": TWO,
    "checkout_button": TWO,
    "prices": {**TWO, "status": "concluded", "winner": "bold"},
    "next": {**TWO, "status": "draft"},
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with made(tmp_path) as app:
        yield app


def made(folder: Path, **config: object) -> Any:  # noqa: ANN401 - a context manager
    settings = {"ABX_EXPERIMENTS": EXPERIMENTS, **config}
    return stored_app(f"sqlite:///{folder / 'app.db'}", folder, **settings)


def looked(app: Flask, *told: Results) -> None:
    """Store looks, as if they had been made a moment ago."""
    database, now = database_of(app), datetime.now(UTC)
    with writing(database.own) as connection:
        for place, results in enumerate(told):
            at = now - timedelta(minutes=len(told) - place)
            shown = replace(results, as_of=at, computed_at=at)
            store_look(connection, database.tables, Look(shown, Kept()))


def broken_down() -> Results:
    whole = winner().metrics[0]
    part = replace(whole, dimension="country", dimension_value="DE")
    return replace(winner(), metrics=(*winner().metrics, part))


@pytest.mark.parametrize("code", VerdictCode)
def test_what_was_found_is_told(app: Flask, run: Run, code: VerdictCode) -> None:
    results = SHOWN[code]()
    looked(app, results)
    result = run(app, "results", results.experiment, "--format", "table")
    assert result.exit_code == 0
    assert f"{code.value.replace('_', ' ').upper()}  " in result.stdout


def test_in_a_pipe_it_is_json(app: Flask, run: Run) -> None:
    looked(app, winner())
    told = Results.from_dict(data_of(run(app, "results", "headline")))
    assert told.verdict == winner().verdict


def test_nothing_is_coloured_where_no_terminal_is(app: Flask, run: Run) -> None:
    looked(app, winner())
    result = run(app, "results", "headline", "--format", "table")
    assert "\x1b" not in result.stdout


def test_a_terminal_shows_colours(app: Flask) -> None:
    looked(app, winner())
    arguments = ["abx", "results", "headline", "--format", "table"]
    result = app.test_cli_runner().invoke(args=arguments, color=True)
    assert "\x1b[32m\x1b[1mWINNER\x1b[0m" in result.output


def test_a_terminal_that_wants_none_shows_none(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    looked(app, winner())
    arguments = ["abx", "results", "headline", "--format", "table"]
    result = app.test_cli_runner().invoke(args=arguments, color=True)
    assert "\x1b" not in result.output


def test_a_text_that_a_terminal_would_obey_is_written_out(app: Flask, run: Run) -> None:
    looked(app, replace(winner(), notes=("\x1b[2Jgone",)))
    result = run(app, "results", "headline", "--format", "table")
    assert "\\x1b[2Jgone" in result.stdout


def test_csv_and_markdown_are_written(app: Flask, run: Run) -> None:
    looked(app, winner())
    table = run(app, "results", "headline", "--format", "csv").stdout
    assert len([*csv.DictReader(StringIO(table))]) == len(winner().metrics)
    page = run(app, "results", "headline", "--format", "md").stdout
    assert page.startswith("## Headline\n\n**WINNER**")


def test_one_metric_is_told_with_all_its_figures(app: Flask, run: Run) -> None:
    looked(app, winner())
    arguments = ("headline", "--metric", "refunds", "--format", "table")
    written = run(app, "results", *arguments).stdout
    assert "bold against control: " in written
    assert "signup " not in written.partition("Health")[2]


def test_a_dimension_is_told_on_request(app: Flask, run: Run) -> None:
    looked(app, broken_down())
    arguments = ("results", "headline", "--format", "table")
    heading = "signup by country (exploratory"
    assert heading not in run(app, *arguments).stdout
    assert heading in run(app, *arguments, "--by", "country").stdout


@pytest.mark.parametrize(
    ("option", "name", "meant"),
    [("--metric", "signap", "signup"), ("--by", "county", "country")],
)
def test_a_name_that_is_not_known_is_told_with_the_one_that_may_be_meant(
    app: Flask, run: Run, option: str, name: str, meant: str
) -> None:
    looked(app, broken_down())
    result = run(app, "results", "headline", option, name)
    assert result.exit_code == 1
    assert f"did you mean {meant!r}?" in result.stderr


def test_an_earlier_run_is_told_on_request(app: Flask, run: Run) -> None:
    looked(app, winner(), replace(winner(), iteration=2))
    assert data_of(run(app, "results", "headline"))["iteration"] == 2
    told = data_of(run(app, "results", "headline", "--iteration", "1"))
    assert told["iteration"] == 1


def test_the_drawing_and_the_report_are_written_to_files(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    looked(app, winner())
    svg, html = tmp_path / "plot.svg", tmp_path / "report.html"
    files = ("--svg", str(svg), "--html", str(html))
    result = run(app, "results", "headline", *files)
    assert result.exit_code == 0, result.stderr
    assert svg.read_text("utf-8").startswith("<svg ")
    assert html.read_text("utf-8").lower().startswith("<!doctype html>")


def test_a_file_that_cannot_be_written_is_told(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    looked(app, winner())
    missing = str(tmp_path / "missing" / "plot.svg")
    result = run(app, "results", "headline", "--svg", missing)
    assert result.exit_code == 1
    assert "cannot be written (No such file or directory)" in result.stderr


def test_before_the_first_look_the_next_command_is_told(app: Flask, run: Run) -> None:
    result = run(app, "results", "headline")
    assert result.exit_code == 1
    assert "run `flask abx refresh headline`" in result.stderr


@pytest.mark.parametrize("command", ["results", "health"])
def test_an_experiment_that_is_not_defined_is_told_with_the_one_that_may_be_meant(
    app: Flask, run: Run, command: str
) -> None:
    result = run(app, command, "headlin")
    assert result.exit_code == 3
    assert "did you mean 'headline'?" in result.stderr


@pytest.mark.parametrize(
    "command", ["results", "results headline", "health", "refresh"]
)
def test_without_a_database_it_is_told(
    make_app: MakeApp, run: Run, command: str
) -> None:
    result = run(make_app(), *command.split())
    assert result.exit_code == 1
    assert "write ABX(app, db=db)" in result.stderr


def test_each_experiment_that_runs_gets_a_line(app: Flask, run: Run) -> None:
    long = replace(undecided().verdict, sentence="word " * 40)
    looked(app, winner(), replace(undecided(), verdict=long))
    written = run(app, "results", "--format", "table").stdout
    head, *lines = written.splitlines()
    assert head == "KEY              DAY    UNITS  VERDICT"
    assert [line.split()[0] for line in lines] == [
        "checkout_button",
        "free_shipping",
        "headline",
    ]
    assert "no look yet, run `flask abx refresh`" in lines[0]
    assert max(map(len, lines)) == 80


def test_each_is_told_as_json(app: Flask, run: Run) -> None:
    looked(app, winner())
    told = data_of(run(app, "results"))["experiments"]
    assert told[0] == {"experiment": "checkout_button", "verdict": None}
    assert told[2]["next_step"] == "flask abx conclude headline --winner bold"


def test_each_is_told_as_csv(app: Flask, run: Run) -> None:
    looked(app, winner(), undecided())
    rows = [*csv.DictReader(StringIO(run(app, "results", "--format", "csv").stdout))]
    assert {row["experiment"] for row in rows} == {"headline", "free_shipping"}


@pytest.mark.parametrize("option", ["--metric", "--by", "--svg", "--iteration"])
def test_what_is_about_one_experiment_needs_its_key(
    app: Flask, run: Run, option: str
) -> None:
    result = run(app, "results", option, "1")
    assert result.exit_code == 2
    assert f"{option} is about one experiment: name its KEY." in result.stderr


def test_where_nothing_runs_that_is_told(tmp_path: Path, run: Run) -> None:
    with made(tmp_path, ABX_EXPERIMENTS={"next": EXPERIMENTS["next"]}) as app:
        for command in ("results", "health", "refresh"):
            result = run(app, command, "--format", "table")
            assert "begin one with `flask abx start KEY`" in result.stdout


def test_without_experiments_the_command_that_makes_one_is_told(
    tmp_path: Path, run: Run
) -> None:
    with made(tmp_path, ABX_EXPERIMENTS={}) as app:
        result = run(app, "results", "--format", "table")
    assert "`flask abx create KEY`" in result.stdout


@pytest.mark.parametrize("kind", ENGINES)
def test_what_is_refreshed_can_be_read(kind: str, tmp_path: Path, run: Run) -> None:
    with (
        fresh_database(kind, tmp_path) as url,
        stored_app(url, tmp_path, ABX_EXPERIMENTS=EXPERIMENTS) as app,
    ):
        keep(database_of(app), *records())
        assert run(app, "refresh", "headline").exit_code == 0
        told = data_of(run(app, "results", "headline"))
    assert (told["looks"], told["verdict"]["code"]) == (1, "winner")


def test_results_are_computed_on_request(app: Flask, run: Run) -> None:
    keep(database_of(app), *records())
    run(app, "results", "headline", "--refresh")
    assert data_of(run(app, "results", "headline", "--refresh"))["looks"] == 2


@pytest.mark.parametrize(
    "command", ["results headline --refresh --chances", "refresh headline --chances"]
)
def test_chances_are_told_on_request(app: Flask, run: Run, command: str) -> None:
    keep(database_of(app), *records())
    run(app, "results", "headline", "--refresh")
    before = data_of(run(app, "results", "headline"))
    assert run(app, *command.split()).exit_code == 0
    after = data_of(run(app, "results", "headline"))
    [old, new] = (told["metrics"][0]["comparisons"][0] for told in (before, after))
    assert old["chance_to_beat"] is None
    assert new["chance_to_beat"] > 0.99
    assert any("not safe against peeking" in note for note in after["notes"])


def test_chances_that_nobody_computes_are_refused(app: Flask, run: Run) -> None:
    result = run(app, "results", "headline", "--chances")
    assert result.exit_code == 2
    assert "add --refresh" in result.stderr


def test_a_caution_about_dimensions_stands_only_beside_them(
    app: Flask, run: Run
) -> None:
    looked(app, replace(broken_down(), notes=(BREAKDOWN, "Another.")))
    assert data_of(run(app, "results", "headline"))["notes"] == ["Another."]
    told = data_of(run(app, "results", "headline", "--by", "country"))
    assert told["notes"] == [BREAKDOWN, "Another."]


def test_all_that_run_are_computed_on_request(app: Flask, run: Run) -> None:
    told = data_of(run(app, "results", "--refresh"))["experiments"]
    assert [each["verdict"] for each in told] == ["no_data"] * 3


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refresh without computing anything; the checkout fails."""
    keys: list[str] = []

    def refreshed(state: State, key: str, **options: object) -> Results:
        keys.append(key)
        if key == "checkout_button":
            raise ChangeRefused("Another process looks at it.")
        if key == "free_shipping":
            raise ZeroDivisionError("by zero")
        return replace(winner(), experiment=key)

    monkeypatch.setattr(refreshing, "refreshed", refreshed)
    return keys


def test_what_runs_or_has_just_ended_is_refreshed(
    app: Flask, run: Run, asked: list[str]
) -> None:
    run(app, "refresh")
    assert asked == ["checkout_button", "free_shipping", "headline", "prices"]


def test_what_was_looked_at_since_its_end_is_not(
    app: Flask, run: Run, asked: list[str]
) -> None:
    ended = replace(winner(), experiment="prices", status="concluded", ended_at=NOW)
    looked(app, ended)
    run(app, "refresh")
    assert "prices" not in asked


def test_one_that_fails_stops_no_other(app: Flask, run: Run, asked: list[str]) -> None:
    result = run(app, "refresh", "checkout_button", "headline")
    told = json.loads(result.stdout)
    assert [each["experiment"] for each in told["refreshed"]] == ["headline"]
    assert result.exit_code == 1
    assert (
        "checkout_button: Another process looks at it. The last numbers stay."
        in result.stderr
    )


def test_an_error_that_nobody_expected_stops_no_other_either(
    app: Flask, run: Run, asked: list[str]
) -> None:
    result = run(app, "refresh", "free_shipping", "headline")
    assert asked == ["free_shipping", "headline"]
    assert "It is not refreshed (ZeroDivisionError: by zero)." in result.stderr


def test_each_that_is_refreshed_gets_a_line(
    app: Flask, run: Run, asked: list[str]
) -> None:
    result = run(app, "refresh", "headline", "headline", "--format", "table")
    assert result.stdout == "headline  WINNER      218,800 visitors, look 14, 1.4 s\n"
    assert result.exit_code == 0


def test_every_check_is_told(app: Flask, run: Run) -> None:
    looked(app, untrusted())
    result = run(app, "health", "checkout_button", "--format", "table")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("checkout_button  1 error, 1 warning, ")
    assert lines[1].startswith("error    Sample ratio: express has 30.25 %")
    assert sum(line.startswith("ok  ") for line in lines) >= 10
    assert max(map(len, lines)) <= 80


def test_checks_are_told_as_json(app: Flask, run: Run) -> None:
    looked(app, untrusted(), winner())
    told = data_of(run(app, "health"))["checks"]
    assert {each["experiment"] for each in told} == {"checkout_button", "headline"}
    srm = next(each for each in told if each["level"] == "error")
    assert (srm["id"], srm["value"], srm["limit"]) == ("srm", 3e-12, 0.01)


@pytest.mark.parametrize(
    ("key", "level", "code"),
    [
        ("checkout_button", "error", 1),
        ("checkout_button", "warn", 1),
        ("free_shipping", "error", 0),
        ("free_shipping", "warn", 1),
    ],
)
def test_a_check_that_reaches_the_level_fails(
    app: Flask, run: Run, key: str, level: str, code: int
) -> None:
    looked(app, untrusted(), undecided())
    assert run(app, "health", key, "--fail-on", level).exit_code == code
    assert run(app, "health", key).exit_code == 0


def test_before_any_look_there_is_no_health(app: Flask, run: Run) -> None:
    result = run(app, "health")
    assert result.exit_code == 1
    assert "run `flask abx refresh`" in result.stderr
