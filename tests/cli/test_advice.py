"""What commands say of experiments that the configuration defines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}


def lines_of(run: Run, app: Flask, *arguments: str) -> list[str]:
    result = run(app, *arguments, "--format", "table")
    assert result.exit_code == 4
    assert "which no command changes" in result.stderr
    return result.stdout.splitlines()


def test_a_toml_file_is_left_alone_and_its_lines_told(
    make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "experiments.toml"
    path.write_text('[experiments."a.b"]\nvariants = ["x", "y"]\n', "utf-8")
    app = make_app({}, ABX_DEFINITIONS=str(path))
    header = '[experiments."a.b"]'
    assert lines_of(run, app, "pause", "a.b") == [header, 'status = "paused"']
    assert lines_of(run, app, "close", "a.b", "y") == [
        header,
        'variants = [{ key = "x" }, { key = "y", closed = true }]',
    ]
    assert lines_of(run, app, "conclude", "a.b", "y") == [
        header,
        'status = "concluded"',
        'winner = "y"',
        'outcome = "shipped"',
    ]


@pytest.mark.parametrize(
    ("setting", "ends", "true"),
    [
        pytest.param("ABX_EXPERIMENTS", "", "True", id="experiments"),
        pytest.param("ABX_DEFINITIONS", "", "True", id="definitions"),
        pytest.param("experiments.json", ".json", "true", id="json"),
    ],
)
def test_a_mapping_is_left_alone_and_its_lines_told(
    make_app: MakeApp, run: Run, tmp_path: Path, setting: str, ends: str, true: str
) -> None:
    experiments: Any = {"headline": TWO}
    document: Any = {"experiments": experiments}
    path = tmp_path / setting
    if ends:
        path.write_text(json.dumps(document), "utf-8")
    app = (
        make_app(experiments)
        if setting == "ABX_EXPERIMENTS"
        else make_app({}, ABX_DEFINITIONS=str(path) if ends else document)
    )
    assert lines_of(run, app, "pause", "headline") == ['"status": "paused"']
    lines = lines_of(run, app, "conclude", "headline", "--keep-variants")
    assert lines == [
        '"status": "concluded",',
        '"outcome": "flat",',
        f'"keep_variants": {true}',
    ]
    assert setting in run(app, "pause", "headline").stderr


def test_what_has_to_go_is_told_too(make_app: MakeApp, run: Run) -> None:
    ending = {"status": "concluded", "winner": "bold", "outcome": "shipped"}
    app = make_app({"headline": {**TWO, **ending}})
    result = run(app, "reopen", "headline")
    data = json.loads(result.stdout)
    assert data == {
        "key": "headline",
        "source": "ABX_EXPERIMENTS",
        "fields": {"status": "running"},
        "dropped": ["winner", "outcome"],
        "lines": ['"status": "running"'],
    }
    assert result.stderr == (
        "Error: Experiment 'headline' is defined in ABX_EXPERIMENTS, which no command "
        "changes: write these lines there, take away winner and outcome and deploy.\n"
    )


def test_a_start_in_the_configuration_tells_what_is_missing(
    make_app: MakeApp, run: Run
) -> None:
    app = make_app({"headline": {"variants": ["a", "b"], "status": "draft"}})
    assert lines_of(run, app, "start", "headline") == ['"status": "running"']
    assert "no primary metric" in run(app, "start", "headline").stderr


def test_a_restart_in_the_configuration_brings_a_change_along(
    make_app: MakeApp, run: Run
) -> None:
    app = make_app({"headline": {**TWO, "salt": "mine"}})
    lines = lines_of(run, app, "restart", "headline", "--set", "unit=user")
    assert lines == ['"unit": "user",', '"iteration": 2']


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("resume", "headline"), 4, id="illegal"),
        pytest.param(("pause", "headlin"), 3, id="unknown"),
        pytest.param(("conclude", "headline", "gold"), 3, id="no-such-variant"),
        pytest.param(("reopen", "rival"), 1, id="clash"),
    ],
)
def test_what_is_impossible_in_the_configuration_is_refused_for_its_reason(
    make_app: MakeApp, run: Run, arguments: tuple[str, ...], code: int
) -> None:
    place = {"layer": "page", "range": [0.0, 0.5]}
    rival = {**TWO, **place, "status": "concluded"}
    app = make_app({"headline": {**TWO, **place}, "rival": rival})
    result = run(app, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert "which no command changes" not in result.stderr


def test_a_draft_for_the_configuration_is_written_out(
    make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "experiments.toml"
    path.write_text("", "utf-8")
    app = make_app({}, ABX_DEFINITIONS=str(path))
    options = ("--variant", "a=1", "--variant", "b=2", "--metric", "signup")
    audience = 'audience={"geo.land": {"$in": ["D\\u007f\\"E", 7]}, "x": true}'
    arguments = (*options, "--set", audience, "--format", "table")
    result = run(app, "create", "prices", *arguments)
    assert (result.exit_code, path.read_text("utf-8")) == (4, "")
    assert "add these lines there" in result.stderr
    assert result.stdout.splitlines() == [
        "[experiments.prices]",
        'status = "draft"',
        "variants = { a = 1, b = 2 }",
        'metrics = ["signup"]',
        'audience = { "geo.land" = { "$in" = ["D\\u007f\\"E", 7] }, x = true }',
    ]
    path.write_text(result.stdout, "utf-8")
    assert run(app, "validate", str(path)).exit_code == 0


@pytest.mark.parametrize("value", ["null", '"\\ud800"'])
def test_what_toml_cannot_hold_is_told(
    make_app: MakeApp, run: Run, tmp_path: Path, value: str
) -> None:
    path = tmp_path / "experiments.toml"
    lines = ("[experiments.headline]", 'status = "draft"', 'variants = ["a", "b"]')
    path.write_text("\n".join(lines), "utf-8")
    app = make_app({}, ABX_DEFINITIONS=str(path))
    audience = f'audience={{"x": {{"$in": [{value}]}}}}'
    result = run(app, "edit", "headline", "--set", audience)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "TOML has nothing for it" in result.stderr


def test_a_broken_text_is_written_out_escaped(make_app: MakeApp, run: Run) -> None:
    audience = 'audience={"x": "\\ud800", "y": null}'
    arguments = ("--set", audience, "--format", "table")
    app = make_app({"headline": {"variants": ["a", "b"], "status": "draft"}})
    result = run(app, "edit", "headline", *arguments)
    assert result.stdout == '"audience": {"x": "\\ud800", "y": None}\n'


def test_a_draft_for_a_mapping_is_written_out(make_app: MakeApp, run: Run) -> None:
    options = ("--variant", "a", "--variant", "b", "--set", "sensitive=true")
    result = run(make_app({}), "create", "prices", *options, "--format", "table")
    assert result.exit_code == 4
    assert result.stdout == (
        '"prices": {\n    "status": "draft",\n    "variants": ["a", "b"],\n'
        '    "sensitive": True\n}\n'
    )


def test_an_edit_of_the_configuration_is_written_out(
    make_app: MakeApp, run: Run
) -> None:
    app = make_app()
    fields = ("--set", "name=Head", "--set", "traffic=1", "--unset", "hypothesis")
    result = run(app, "edit", "headline", *fields, "--format", "table")
    assert (result.exit_code, result.stdout) == (4, '"name": "Head"\n')
    assert state_of(app).store.document().experiments["headline"].name == ""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(("create", "headline"), 4, "exists already", id="create-twice"),
        pytest.param(("edit", "headline"), 4, "ABX_EXPERIMENTS", id="edit-alone"),
        pytest.param(("edit", "headlin"), 3, "'headline'", id="edit-unknown"),
        pytest.param(("delete", "headline"), 4, "only a draft", id="delete-running"),
        pytest.param(("delete", "plan"), 4, "take all of it away", id="delete"),
        pytest.param(("delete", "plam"), 3, "'plan'", id="delete-unknown"),
        pytest.param(
            ("edit", "headline", "--set", "traffic=0.1"), 4, "fall out", id="unsafe"
        ),
        pytest.param(
            ("edit", "headline", "--set", "traffic=2"), 1, "fault", id="fault"
        ),
        pytest.param(("create", "New"), 1, "fault", id="bad-key"),
    ],
)
def test_what_cannot_be_done_to_the_configuration_is_told(
    make_app: MakeApp, run: Run, arguments: tuple[str, ...], code: int, told: str
) -> None:
    headline = {"variants": ["control", "bold"], "metrics": ["signup"]}
    app = make_app({"headline": headline, "plan": {**headline, "status": "draft"}})
    two = ("--variant", "a", "--variant", "b") if arguments[0] == "create" else ()
    result = run(app, *arguments, *two)
    assert (result.exit_code, result.stdout) == (code, "")
    assert told in result.stderr
