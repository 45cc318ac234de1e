"""Drafts and fields, changed by commands."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any, Protocol

import click
import pytest

from flask_abx.cli import editing
from flask_abx.runtime.state import state_of
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


class Write(Protocol):
    """Makes an editor that leaves texts behind, one each time it opens."""

    def __call__(self, *texts: str) -> None: ...


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Flask]:
    """Make an application without an experiment."""
    with stored_app(f"sqlite:///{tmp_path / 'app.db'}", tmp_path) as made:
        yield made


@pytest.fixture
def app(empty: Flask, run: Run) -> Flask:
    """Make an application with one draft."""
    assert run(empty, *CREATE).exit_code == 0
    return empty


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Let commands believe that somebody sits there, and write with an editor."""
    monkeypatch.setattr(editing, "is_interactive", lambda: True)
    seen, texts, script = (tmp_path / name for name in ("seen", "texts", "editor.py"))
    script.write_text(
        "import json, os, sys, time\n"
        f"texts = json.load(open({str(texts)!r}))\n"
        f"open({str(seen)!r}, 'w').write(open(sys.argv[1]).read())\n"
        "open(sys.argv[1], 'w').write(texts.pop(0))\n"
        f"json.dump(texts, open({str(texts)!r}, 'w'))\n"
        "os.utime(sys.argv[1], (time.time() + 9, time.time() + 9))\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(script)]))

    def prepare(*given: str) -> None:
        texts.write_text(json.dumps(given))

    return prepare


def test_what_is_created_is_a_draft(empty: Flask, run: Run) -> None:
    result = run(empty, *CREATE, "--format", "table")
    assert (result.exit_code, result.stderr) == (0, "")
    assert masked(result.stdout) == (
        "headline is a draft (version 1), from now on (each process asks every 2 s).\n"
    )


def test_every_option_of_create_is_a_field(empty: Flask, run: Run) -> None:
    options = (
        *("--variant", "control=1", "--variant", "bold=2.5", "--unit", "user"),
        *("--unit", "visitor", "--name", "The head", "--hypothesis", "Bold sells."),
        *("--metric", "signup", "--metric", "order", "--traffic", "0.5"),
        *("--set", "owner=anna", "--set", 'tags=["a"]', "--set", "sensitive=true"),
    )
    (change,) = data_of(run(empty, "create", "headline", *options))
    assert change["after"] == {
        "key": "headline",
        "name": "The head",
        "hypothesis": "Bold sells.",
        "owner": "anna",
        "tags": ["a"],
        "unit": ["user", "visitor"],
        "variants": [{"key": "control"}, {"key": "bold", "weight": 2.5}],
        "traffic": 0.5,
        "metrics": {"primary": ["signup", "order"]},
        "sensitive": True,
        "status": "draft",
        "iteration": 1,
    }


def test_a_dry_run_creates_nothing(empty: Flask, run: Run) -> None:
    result = run(empty, *CREATE, "--dry-run", "--format", "table")
    assert (result.exit_code, recorded_changes(empty)) == (0, ())
    assert masked(result.stdout) == (
        "headline would be a draft (version 1), "
        "from now on (each process asks every 2 s); "
        "nothing is written.\n"
    )


def test_a_key_is_created_once(app: Flask, run: Run) -> None:
    result = run(app, *CREATE)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "exists already" in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param((), "create headline --variant control", id="none"),
        pytest.param(("--variant", "a"), "two variants or more", id="one"),
        pytest.param(("--variant", "a", "--variant", "a"), "named twice", id="twice"),
        pytest.param(("--variant", "a=b"), "no number", id="weight"),
        pytest.param(("--variant", "a=NaN"), "no number", id="not-a-number"),
        pytest.param(("--variant", "a=true"), "no number", id="boolean"),
        pytest.param(("--set", "status=running"), "start headline", id="status"),
        pytest.param(("--set", "key=other"), "key stays", id="key"),
        pytest.param(("--set", "trafic=null"), "'traffic'", id="unknown-and-none"),
        pytest.param(("--set", "=1"), "FIELD=VALUE", id="no-field"),
        pytest.param(("--name", "x", "--set", "name=y"), "given twice", id="same"),
    ],
)
def test_wrong_usage_of_create_says_what_to_write(
    empty: Flask, run: Run, options: tuple[str, ...], told: str
) -> None:
    result = run(empty, "create", "headline", *options)
    assert (result.exit_code, recorded_changes(empty)) == (2, ())
    assert told in " ".join(result.stderr.split())


def test_a_content_with_faults_is_told_and_not_written(empty: Flask, run: Run) -> None:
    fields = ("--set", "trafic=1", "--set", "sensitive=maybe")
    result = run(empty, *CREATE, *fields)
    assert (result.exit_code, recorded_changes(empty)) == (1, ())
    assert "did you mean 'traffic'?" in result.stderr
    assert "experiments.headline.sensitive" in result.stderr


def test_variants_may_be_given_as_a_field(empty: Flask, run: Run) -> None:
    variants = 'variants={"control": {"flags": {"size": 1}}, "bold": 2}'
    (change,) = data_of(run(empty, "create", "headline", "--set", variants))
    assert change["after"]["variants"][0]["flags"] == {"size": 1}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(("--set", "traffic=0.25"), {"traffic": 0.25}, id="number"),
        pytest.param(("--set", "name=1 or 2"), {"name": "1 or 2"}, id="text"),
        pytest.param(("--set", 'name="1"'), {"name": "1"}, id="quoted"),
        pytest.param(("--set", "name=a=b"), {"name": "a=b"}, id="second-sign"),
        pytest.param(("--set", "tags=[]", "--set", "name=x"), {"name": "x"}, id="two"),
        pytest.param(("--unset", "traffic"), {"traffic": None}, id="unset"),
        pytest.param(("--set", "traffic=null"), {"traffic": None}, id="null"),
    ],
)
def test_fields_are_json_or_else_text(
    app: Flask, run: Run, fields: tuple[str, ...], expected: dict[str, Any]
) -> None:
    before = stored_body(app)
    assert run(app, "edit", "headline", *fields).exit_code == 0
    merged = {**before, **expected}
    assert stored_body(app) == {k: v for k, v in merged.items() if v is not None}


def test_an_edit_names_the_fields_that_it_changed(app: Flask, run: Run) -> None:
    fields = ("--set", "owner=anna", "--set", "name=Head", "--unset", "traffic")
    result = run(app, "edit", "headline", *fields, "--format", "table")
    assert masked(result.stdout) == (
        "headline is a draft, changed in name, owner and traffic (version 2), "
        "from now on (each process asks every 2 s).\n"
    )


def test_an_edit_that_changes_nothing_says_so(app: Flask, run: Run) -> None:
    options = ("--set", "traffic=0.5", "--format", "table")
    result = run(app, "edit", "headline", *options)
    assert (result.exit_code, len(recorded_changes(app))) == (0, 1)
    assert result.stdout == "headline stays as it is, there is nothing to change.\n"


def test_an_edit_in_a_dry_run_writes_nothing(app: Flask, run: Run) -> None:
    run(app, "edit", "headline", "--set", "traffic=0.2", "--dry-run")
    assert len(recorded_changes(app)) == 1


def test_an_unsafe_edit_is_refused_with_every_reason(app: Flask, run: Run) -> None:
    run(app, "start", "headline")
    unsafe = ("--set", "unit=user", "--set", "traffic=0.1", "--set", "status=paused")
    result = run(app, "edit", "headline", *unsafe)
    reasons = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, len(reasons)) == (4, "", 3)
    assert any("use pause instead" in reason for reason in reasons)
    assert len(recorded_changes(app)) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("headline",), 2, id="nothing"),
        pytest.param(("headline", "--unset", "trafic"), 2, id="unknown-field"),
        pytest.param(("headline", "--unset", "key"), 2, id="key"),
        pytest.param(("headline", "--set", "traffic=2"), 1, id="fault"),
        pytest.param(("headlin", "--set", "name=x"), 3, id="unknown-key"),
        pytest.param(("headlin",), 3, id="unknown-key-alone"),
    ],
)
def test_an_edit_that_is_none_writes_nothing(
    app: Flask, run: Run, arguments: tuple[str, ...], code: int
) -> None:
    result = run(app, "edit", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(recorded_changes(app)) == 1


def test_nothing_to_edit_names_the_option_in_a_pipe(app: Flask, run: Run) -> None:
    assert "edit headline --set" in run(app, "edit", "headline").stderr


def test_an_editor_opens_with_the_definition(
    app: Flask, run: Run, write: Write, tmp_path: Path
) -> None:
    write('{"variants": ["control", "bold"], "name": "New", "owner": null}')
    result = run(app, "edit", "headline", "--note", "by hand")
    assert json.loads((tmp_path / "seen").read_text()) == {
        "variants": [{"key": "control"}, {"key": "bold"}],
        "traffic": 0.5,
        "metrics": {"primary": ["signup"]},
    }
    (change,) = data_of(result)
    assert set(change["after"]) == {"key", "variants", "name", "status", "iteration"}


def test_an_edit_that_somebody_overtook_is_refused_with_the_difference(
    app: Flask, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit(text: str, extension: str) -> str:
        editor = state_of(app).editor
        assert editor is not None
        editor.edit("headline", {"name": "meanwhile"})
        return text.replace("0.5", "0.4")

    monkeypatch.setattr(click, "edit", edit)
    result = run(app, "edit", "headline")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "name None -> 'meanwhile'" in result.stderr
    assert stored_body(app)["traffic"] == 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("{", "is no JSON", id="no-json"),
        pytest.param("[]", "must be an object", id="no-object"),
        pytest.param('{"key": "x"}', "leave it out", id="key"),
        pytest.param('{"variants": ["a"]}', "must have at least 2", id="fault"),
    ],
)
def test_a_faulty_text_can_be_mended(
    app: Flask, write: Write, tmp_path: Path, text: str, told: str
) -> None:
    write(text, '{"variants": ["control", "bold"]}')
    arguments = ["abx", "edit", "headline"]
    result = app.test_cli_runner().invoke(args=arguments, input="y\n")
    assert (result.exit_code, len(recorded_changes(app))) == (0, 2)
    assert told in result.output
    assert (tmp_path / "seen").read_text().strip() == text


def test_a_faulty_text_can_be_given_up(app: Flask, write: Write) -> None:
    write("{")
    arguments = ["abx", "edit", "headline"]
    result = app.test_cli_runner().invoke(args=arguments, input="n\n")
    assert (result.exit_code, len(recorded_changes(app))) == (1, 1)


def test_an_editor_that_is_left_changes_nothing(
    app: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "is_interactive", lambda: True)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "true")
    assert data_of(run(app, "edit", "headline")) == []


def test_a_draft_can_be_deleted(app: Flask, run: Run) -> None:
    dry = run(app, "delete", "headline", "--dry-run", "--format", "table")
    assert "headline would be deleted (version 2)" in dry.stdout
    (change,) = data_of(run(app, "delete", "headline"))
    assert (change["action"], change["status"], change["after"]) == (
        "delete",
        None,
        None,
    )
    assert run(app, "show", "headline").exit_code == 3


def test_what_has_run_cannot_be_deleted(app: Flask, run: Run) -> None:
    run(app, "start", "headline")
    result = run(app, "delete", "headline")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "archive" in result.stderr


@pytest.mark.parametrize("kind", ENGINES)
def test_drafts_come_and_go_on_each_database(
    kind: str, tmp_path: Path, run: Run
) -> None:
    with fresh_database(kind, tmp_path) as url, stored_app(url, tmp_path) as app:
        for command in (
            CREATE,
            ("edit", "headline", "--set", "name=Größe 🫖", "--note", "naïve 🫖"),
            ("delete", "headline"),
        ):
            result = run(app, *command)
            assert result.exit_code == 0, result.stderr
        last, edit, _ = recorded_changes(app)
        assert (last.action, edit.note) == ("delete", "naïve 🫖")
        assert last.before["name"] == "Größe 🫖"
