"""The moves of an experiment, made by commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_abx import Change, ChangeRefused
from flask_abx.cli import changing, lifecycle
from flask_abx.experiments.lifecycle import MOVES, Action, Status
from tests.cli.stored import (
    CREATE,
    data_of,
    masked,
    recorded_changes,
    stored_app,
    stored_body,
)
from tests.databases import ENGINES, fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run

#: What brings a draft into each state.
WAYS = {
    Status.DRAFT: (),
    Status.RUNNING: ("start",),
    Status.PAUSED: ("start", "pause"),
    Status.CONCLUDED: ("start", "conclude"),
    Status.ARCHIVED: ("start", "conclude", "archive"),
}
ARGUMENTS = {Action.TRAFFIC: ("0.9",)}
NOW = "from now on (each process asks every 2 s)"


@pytest.fixture
def app(tmp_path: Path, run: Run) -> Iterator[Flask]:
    """Make an application with one draft."""
    with stored_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as made:
        assert run(made, *CREATE).exit_code == 0
        yield made


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Make an application with one experiment in each state, named after it."""
    folder = tmp_path_factory.mktemp("stages")
    with stored_app(f"sqlite:///{folder / 'app.db'}", folder) as made:
        for status, way in WAYS.items():
            runner = made.test_cli_runner()
            create = ["abx", "create", status.value, *CREATE[2:]]
            commands = [create, *(["abx", each, status.value] for each in way)]
            assert not any(runner.invoke(args=each).exit_code for each in commands)
        yield made


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands believe that somebody sits there."""
    monkeypatch.setattr(lifecycle, "is_interactive", lambda: True)


def lead(app: Flask, run: Run, *commands: str) -> None:
    for command in commands:
        result = run(app, command, "headline")
        assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("way", "arguments", "expected"),
    [
        pytest.param("", "start headline", f"running (version 2), {NOW}", id="start"),
        pytest.param(
            "start", "pause headline", f"paused (version 3), {NOW}", id="pause"
        ),
        pytest.param(
            "start pause",
            "resume headline",
            f"running (version 4), {NOW}",
            id="resume",
        ),
        pytest.param(
            "start",
            "close headline",
            f"running, closed to new units (version 3), {NOW}",
            id="close",
        ),
        pytest.param(
            "start",
            "close headline bold",
            f"running, bold closed to new units (version 3), {NOW}",
            id="close-variant",
        ),
        pytest.param(
            "",
            "traffic headline 0.25",
            f"a draft, traffic 0.25 (version 2), {NOW}",
            id="traffic",
        ),
        pytest.param(
            "start",
            "conclude headline bold",
            f"concluded, bold won, shipped (version 3), {NOW}",
            id="treatment-won",
        ),
        pytest.param(
            "start",
            "conclude headline control",
            f"concluded, control won, rolled back (version 3), {NOW}",
            id="control-won",
        ),
        pytest.param(
            "start",
            "conclude headline --outcome did_not_finish",
            f"concluded, nothing won, did not finish (version 3), {NOW}",
            id="not-finished",
        ),
        pytest.param(
            "start conclude",
            "reopen headline",
            f"running (version 4), {NOW}",
            id="reopen",
        ),
        pytest.param(
            "start",
            "restart headline",
            f"running, iteration 2 (version 3), {NOW}",
            id="restart",
        ),
        pytest.param(
            "start conclude",
            "archive headline",
            f"archived, nothing won, flat (version 4), {NOW}",
            id="archive",
        ),
    ],
)
def test_a_move_says_what_the_experiment_is_now(
    app: Flask, run: Run, way: str, arguments: str, expected: str
) -> None:
    lead(app, run, *way.split())
    result = run(app, *arguments.split(), "--format", "table")
    assert masked(result.stdout) == f"headline is {expected}.\n"
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("action", [each.value for each in MOVES])
@pytest.mark.parametrize("status", [each.value for each in Status])
def test_a_command_follows_the_table_of_moves(
    stages: Flask, run: Run, status: str, action: str
) -> None:
    before = recorded_changes(stages)
    options = ARGUMENTS.get(Action(action), ())
    result = run(stages, action, status, *options, "--dry-run", "--format", "table")
    if Status(status) in MOVES[Action(action)].sources:
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith(f"{status} would be ")
        assert result.stdout.endswith("; nothing is written.\n")
    else:
        assert (result.exit_code, result.stdout) == (4, "")
        assert result.stderr.startswith(f"Error: Experiment '{status}' is {status}")
    assert recorded_changes(stages) == before


def test_an_illegal_move_writes_nothing(stages: Flask, run: Run) -> None:
    before = recorded_changes(stages)
    result = run(stages, "resume", "concluded")
    assert (result.exit_code, result.stdout) == (4, "")
    assert recorded_changes(stages) == before


@pytest.mark.parametrize("action", [each.value for each in MOVES])
def test_the_help_of_a_command_is_that_of_the_move(
    stages: Flask, run: Run, action: str
) -> None:
    words = run(stages, action, "--help").stdout.split()
    summary = MOVES[Action(action)].summary
    assert summary in " ".join(words)


def test_a_move_tells_its_change_as_data(app: Flask, run: Run) -> None:
    options = ("--note", "why not", "--actor", "anna")
    (change,) = data_of(run(app, "start", "headline", *options))
    moments = change.pop("at"), change.pop("effective_at")
    before = {
        "key": "headline",
        "variants": [{"key": "control"}, {"key": "bold"}],
        "metrics": {"primary": ["signup"]},
        "traffic": 0.5,
        "status": "draft",
        "iteration": 1,
    }
    assert moments[0] == moments[1]
    assert change == {
        "version": 2,
        "kind": "experiment",
        "key": "headline",
        "action": "start",
        "status": "running",
        "iteration": 1,
        "before": before,
        "after": {**before, "status": "running"},
        "actor": "anna",
        "channel": "cli",
        "note": "why not",
    }


def test_who_does_it_is_the_login_name(
    app: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changing, "getuser", lambda: "bert")
    (change,) = data_of(run(app, "start", "headline"))
    assert change["actor"] == "bert"


def test_nobody_does_it_where_there_is_no_login_name(
    app: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getuser() -> str:
        raise OSError

    monkeypatch.setattr(changing, "getuser", getuser)
    (change,) = data_of(run(app, "start", "headline"))
    assert change["actor"] == ""


def test_a_dry_run_of_a_start_is_refused_like_a_start(app: Flask, run: Run) -> None:
    unset = ("--unset", "metrics", "--set", 'audience={"$segment": "vip"}')
    assert run(app, "edit", "headline", *unset).exit_code == 0
    for options in ((), ("--dry-run",)):
        result = run(app, "start", "headline", *options)
        first, second = result.stderr.splitlines()
        assert (result.exit_code, result.stdout) == (4, "")
        assert "primary metric" in first
        assert "'vip'" in second


def test_a_guard_may_refuse(app: Flask, run: Run) -> None:
    abx: Any = app.jinja_env.globals["abx"]

    def guard(change: Change) -> None:
        if not change.note:
            raise ChangeRefused("Say why with --note.")

    abx.change_guard(guard)

    refused = run(app, "start", "headline")
    assert (refused.exit_code, refused.stderr) == (4, "Error: Say why with --note.\n")
    assert run(app, "start", "headline", "--note", "ready").exit_code == 0


@pytest.mark.parametrize("action", [each.value for each in MOVES])
def test_an_unknown_key_is_not_found_and_the_near_one_named(
    stages: Flask, run: Run, action: str
) -> None:
    options = ARGUMENTS.get(Action(action), ())
    result = run(stages, action, "drafd", *options)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "did you mean 'draft'?" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("traffic", "running"), id="no-share"),
        pytest.param(("traffic", "running", "50%"), id="percent"),
        pytest.param(("conclude", "running", "--outcome", "won"), id="outcome"),
        pytest.param(("restart", "running", "--set", "salt=x"), id="salt"),
        pytest.param(("restart", "running", "--set", "traffic"), id="no-value"),
    ],
)
def test_wrong_usage_exits_with_2(
    stages: Flask, run: Run, arguments: tuple[str, ...]
) -> None:
    assert run(stages, *arguments).exit_code == 2


@pytest.mark.parametrize("share", ["nan", "2", "0.5", "0.4"])
def test_traffic_that_lets_nobody_in_is_refused(
    app: Flask, run: Run, share: str
) -> None:
    lead(app, run, "start")
    assert run(app, "traffic", "headline", share).exit_code == 4


def test_a_note_that_no_terminal_should_obey_is_refused(app: Flask, run: Run) -> None:
    result = run(app, "start", "headline", "--note", "\x1b[31mred")
    assert (result.exit_code, len(recorded_changes(app))) == (4, 1)
    assert "\x1b" not in result.stderr


def test_a_restart_brings_a_change_along(app: Flask, run: Run) -> None:
    lead(app, run, "start")
    fields = ("--set", "unit=user", "--unset", "traffic")
    assert run(app, "restart", "headline", *fields).exit_code == 0
    body = stored_body(app)
    assert (body["iteration"], body["unit"], "traffic" in body) == (2, ["user"], False)


def test_conclude_asks_for_a_missing_note_on_a_terminal(
    app: Flask, run: Run, terminal: None
) -> None:
    lead(app, run, "start")
    runner = app.test_cli_runner()
    result = runner.invoke(args=["abx", "conclude", "headline"], input="it is flat\n")
    assert result.exit_code == 0
    assert recorded_changes(app)[0].note == "it is flat"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--note", ""), id="told"),
        pytest.param(("--dry-run",), id="nothing-is-written"),
        pytest.param(("gold",), id="no-such-variant"),
    ],
)
def test_conclude_asks_for_nothing_in_vain(
    app: Flask, run: Run, terminal: None, options: tuple[str, ...]
) -> None:
    lead(app, run, "start")
    assert "audit" not in run(app, "conclude", "headline", *options).output


def test_conclude_asks_for_nothing_in_a_pipe(app: Flask, run: Run) -> None:
    lead(app, run, "start", "conclude")
    assert recorded_changes(app)[0].note == ""


@pytest.mark.parametrize("kind", ENGINES)
def test_an_experiment_goes_all_the_way(kind: str, tmp_path: Path, run: Run) -> None:
    way = (
        "start headline",
        "traffic headline 0.9",
        "pause headline",
        "resume headline",
        "close headline bold",
        "conclude headline bold --note shipped",
        "reopen headline",
        "conclude headline --keep-variants",
        "archive headline",
    )
    with fresh_database(kind, tmp_path) as url, stored_app(url, tmp_path) as app:
        for command in (CREATE, *(each.split() for each in way)):
            result = run(app, *command)
            assert result.exit_code == 0, result.stderr
        body = stored_body(app)
        assert (body["status"], body["traffic"], body["keep_variants"]) == (
            "archived",
            0.9,
            True,
        )
        told = data_of(run(app, "audit", "headline"))
        assert [each["action"] for each in reversed(told)] == [
            "create",
            *(each.split()[0] for each in way),
        ]
        assert data_of(run(app, "show", "headline"))["status"] == "archived"


def test_the_winner_may_be_named(app: Flask, run: Run) -> None:
    run(app, "start", "headline")
    told = run(app, "conclude", "headline", "--winner", "bold", "--note", "It won.")
    assert told.exit_code == 0, told.stderr
    assert stored_body(app)["winner"] == "bold"


def test_two_winners_are_refused(app: Flask, run: Run) -> None:
    run(app, "start", "headline")
    told = run(app, "conclude", "headline", "control", "--winner", "bold")
    assert told.exit_code == 2
    assert "name one" in told.stderr
