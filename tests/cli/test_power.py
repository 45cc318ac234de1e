"""What power says: units and days, and where it has them from."""

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
SUM = {"kind": "sum", "event": "signup"}
HAND = ("power", "headline", "--baseline", "0.1", "--daily", "6000")
TABLE = ("--format", "table")


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Make an application whose experiment was met by many, and others by nobody."""
    folder = tmp_path_factory.mktemp("visited")
    experiments = {
        "headline": TWO,
        "next": {**TWO, "status": "draft", "traffic": 0.5},
        "tenants": {**TWO, "status": "draft", "unit": "tenant"},
    }
    definitions = {"experiments": experiments}
    url = f"sqlite:///{folder / 'app.db'}"
    with stored_app(url, folder, ABX_DEFINITIONS=definitions) as app:
        told = app.test_cli_runner().invoke(
            args=["abx", "simulate", "headline", "--units", "3000", "--seed", "3"]
        )
        assert told.exit_code == 0, told.output
        yield app


@pytest.fixture
def plain(make_app: MakeApp) -> Flask:
    """Make an application without a database."""
    return make_app({"headline": TWO})


def test_a_plan_by_hand_needs_no_database(plain: Flask, run: Run) -> None:
    data = data_of(run(plain, *HAND, "--mde", "0.05", "--format", "json"))
    assert data["source"] == "hand"
    assert data["units"] == pytest.approx(2 * 57_763 * 1.07, rel=1e-4)
    assert data["days"] == 21
    assert data["unplanned"] > data["units"]


def test_the_line_to_paste_is_told(plain: Flask, run: Run) -> None:
    told = run(plain, *HAND, *TABLE).stdout
    assert "To find +5.0 % of signup takes 123,614 visitors, 21 days." in told
    assert "plan = { units = 123614 }" in told
    assert max(map(len, told.splitlines())) <= 80


def test_what_units_find_is_told(plain: Flask, run: Run) -> None:
    data = data_of(run(plain, *HAND, "--units", "123614", "--format", "json"))
    assert data["units"] == 123_614
    assert data["effect"] == pytest.approx(0.05, rel=1e-4)


def test_what_days_find_is_told(plain: Flask, run: Run) -> None:
    data = data_of(run(plain, *HAND, "--days", "14", "--format", "json"))
    assert (data["units"], data["days"]) == (84_000, 14)
    assert data["sizes"][2]["units"] == 84_000


def test_a_plan_that_stands_says_what_it_finds(make_app: MakeApp, run: Run) -> None:
    app = make_app({"headline": {**TWO, "plan": {"units": 123_614}}})
    told = " ".join(run(app, *HAND, "--mde", "0.1", *TABLE).stdout.split())
    assert "Its plan of 123,614 visitors finds +5.0 %." in told


def test_a_planned_effect_is_what_is_asked_for(make_app: MakeApp, run: Run) -> None:
    app = make_app({"headline": {**TWO, "plan": {"mde": 0.1, "power": 0.9}}})
    data = data_of(run(app, *HAND, "--format", "json"))
    assert (data["effect"], data["power"]) == (0.1, 0.9)


def test_a_decrease_that_is_wanted_is_told_below_zero(
    make_app: MakeApp, run: Run
) -> None:
    definitions = {
        "experiments": {"headline": TWO},
        "metrics": {"signup": {"direction": "lower"}},
    }
    app = make_app(ABX_EXPERIMENTS={}, ABX_DEFINITIONS=definitions)
    assert "To find -5.0 % of signup takes" in run(app, *HAND, *TABLE).stdout


def test_more_power_takes_more_units(plain: Flask, run: Run) -> None:
    usual, sure = (
        data_of(run(plain, *HAND, "--power", each, "--format", "json"))["units"]
        for each in ("0.8", "0.95")
    )
    assert sure > 1.5 * usual


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mde", "0.05", "--days", "14"), "give one of them"),
        (("--units", "500", "--days", "14"), "give one of them"),
        (("--mde", "0"), "--mde"),
        (("--power", "1"), "--power"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    plain: Flask, run: Run, options: tuple[str, ...], message: str
) -> None:
    result = run(plain, *HAND, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_spread_without_a_mean_is_refused(plain: Flask, run: Run) -> None:
    result = run(plain, "power", "headline", "--sd", "3")
    assert result.exit_code == 2
    assert "--baseline" in result.stderr


def test_a_mean_needs_a_spread(make_app: MakeApp, run: Run) -> None:
    definitions = {"experiments": {"headline": TWO}, "metrics": {"signup": SUM}}
    app = make_app(ABX_EXPERIMENTS={}, ABX_DEFINITIONS=definitions)
    result = run(app, *HAND)
    assert result.exit_code == 2
    assert "add --sd" in result.stderr
    assert data_of(run(app, *HAND, "--sd", "0.3", "--format", "json"))["sd"] == 0.3


@pytest.mark.parametrize(
    ("arguments", "way_out"),
    [
        (("headline",), "--baseline 0.1 --daily 6000"),
        (("headline", "--metric", "sign"), "did you mean 'signup'"),
        (("headline", "--baseline", "0.1", "--days", "7"), "--daily 6000"),
        (("headline", "--baseline", "7"), "between 0 and 1"),
    ],
)
def test_what_cannot_be_told_comes_with_the_way_out(
    plain: Flask, run: Run, arguments: tuple[str, ...], way_out: str
) -> None:
    result = run(plain, "power", *arguments)
    assert result.exit_code == 1
    assert way_out in result.stderr


def test_an_unknown_experiment_is_told(plain: Flask, run: Run) -> None:
    assert run(plain, "power", "headlin").exit_code == 3


def test_an_experiment_without_metric_names_none(make_app: MakeApp, run: Run) -> None:
    result = run(make_app({"headline": {"variants": ["a", "b"]}}), "power", "headline")
    assert result.exit_code == 1
    assert "no primary metric" in result.stderr


def test_its_own_traffic_counts_first(visited: Flask, run: Run) -> None:
    data = data_of(run(visited, "power", "headline", "--format", "json"))
    assert (data["source"], data["source_experiment"]) == ("own", "headline")
    assert 100 < data["units_a_day"] < 300
    assert 0.02 < data["baseline"] < 0.5


def test_after_the_first_exposure_no_plan_counts(visited: Flask, run: Run) -> None:
    result = run(visited, "power", "headline", *TABLE)
    assert "a plan would not count any more" in " ".join(result.stdout.split())
    assert "WITHOUT A PLAN" not in result.stdout


def test_a_draft_says_whose_traffic_it_takes(visited: Flask, run: Run) -> None:
    result = run(visited, "power", "next", *TABLE)
    assert "headline is the busiest" in " ".join(result.stdout.split())
    own, draft = (
        data_of(run(visited, "power", key, "--format", "json"))["units_a_day"]
        for key in ("headline", "next")
    )
    assert draft == pytest.approx(own / 2, rel=0.01)


def test_units_that_nobody_knows_are_planned_by_hand(visited: Flask, run: Run) -> None:
    result = run(visited, "power", "tenants")
    assert result.exit_code == 1
    assert "flask abx power tenants --baseline 0.1 --daily 6000" in result.stderr


def test_a_definition_in_the_database_is_edited(tmp_path: Path, run: Run) -> None:
    with stored_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as app:
        created = run(
            app,
            *("create", "headline", "--variant", "control", "--variant", "bold"),
            *("--metric", "signup"),
        )
        assert created.exit_code == 0, created.stderr
        told = run(app, *HAND, *TABLE).stdout
        plan = """'plan={"units": 123614}'"""
        assert f"Next: flask abx edit headline --set {plan}" in told
