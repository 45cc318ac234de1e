"""Definitions as files, and back: nothing is lost on the way, and nobody is moved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.experiments.definition import parse, read
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flask_abx.stores.editor import Editor
    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
HEADLINE = """
[experiments.headline]
variants = ["control", "bold"]
metrics = ["signup"]
"""


class MakeShop(Protocol):
    """Makes an application whose definitions are in its database."""

    def __call__(self, name: str = "shop", **config: object) -> Flask: ...


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[MakeShop]:
    made: list[Flask] = []

    def make(name: str = "shop", **config: object) -> Flask:
        db, app = SQLAlchemy(), Flask(name, instance_path=str(tmp_path))
        app.config.update(SECRET_KEY="secret", TESTING=True, ABX_SINKS=["memory"])
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / name}.db"
        app.config.update(config)
        db.init_app(app)
        app.extensions["test_abx"] = ABX(app, db=db)
        with app.app_context():
            db.create_all()
            db.engine.dispose()
        made.append(app)
        return app

    yield make
    for app in made:
        storage = state_of(app).storage
        assert storage.database is not None
        assert storage.background is not None
        storage.background.stop()
        storage.database.own.dispose()


@pytest.fixture
def sql(make_shop: MakeShop) -> Flask:
    return make_shop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiments.toml"
    path.write_text(HEADLINE, "utf-8")
    return path


def editor_of(app: Flask) -> Editor:
    editor = state_of(app).editor
    assert editor is not None
    return editor


def applied(app: Flask, source: Mapping[str, Any]) -> None:
    editor_of(app).apply(source)


def version_of(app: Flask) -> int:
    return editor_of(app).desk().snapshot.mark.version


WHOLE: dict[str, Any] = {
    "experiments": {
        "headline": {**TWO, "name": 'Say "é"', "unit": ["user", "visitor"]},
        "prices": {
            "variants": {"low": 30, "high": {"weight": 10, "flags": {"price": 9.5}}},
            "status": "concluded",
            "winner": "high",
            "start_at": "2020-01-31T09:00:00.123456+01:00",
            "metrics": {"primary": "order", "guardrail": ["error"]},
            "audience": {"user.name": {"$in": ["a\nb", "\x00\x7f"]}, "$or": [{}, {}]},
            "iteration": 2,
            "unit": "user",
        },
        "later": {**TWO, "status": "draft", "layer": "top", "plan": {"days": 14}},
    },
    "layers": {"top": {"salt": "pepper"}},
    "segments": {"staff": ["1", "2"], "local": {"country": "DE"}},
    "metrics": {"order": {"kind": "sum", "where": {"paid": {"$exists": True}}}},
    "flags": {"new ui": {"type": "object", "default": {"a": [1, 2.0, True, ""]}}},
}


@pytest.mark.parametrize("form", ["toml", "json"])
def test_a_dump_is_a_file_with_the_same_content(
    sql: Flask, run: Run, tmp_path: Path, form: str
) -> None:
    applied(sql, WHOLE)
    result = run(sql, "dump", "--format", form)
    path = tmp_path / f"dump.{form}"
    path.write_text(result.stdout, "utf-8")
    assert read(path) == parse(WHOLE)
    assert run(sql, "validate", str(path)).exit_code == 0
    assert run(sql, "diff", str(path)).exit_code == 0
    assert run(sql, "apply", str(path)).stdout == "[]\n"
    assert version_of(sql) == 1


def test_a_dump_is_toml_also_in_a_pipe(sql: Flask, run: Run) -> None:
    applied(sql, {"experiments": {"headline": TWO}})
    assert run(sql, "dump").stdout == (
        "[experiments.headline]\n"
        'status = "running"\n'
        'variants = [\n    "control",\n    "bold",\n]\n'
        'metrics = [\n    "signup",\n]\n'
    )


def test_nothing_is_dumped_as_nothing(sql: Flask, run: Run) -> None:
    assert run(sql, "dump").stdout == ""


def test_a_difference_is_a_line_for_each_field(
    sql: Flask, run: Run, file: Path
) -> None:
    headline = {**TWO, "traffic": 0.5, "hypothesis": "x" * 100}
    applied(sql, {"experiments": {"headline": headline, "old": TWO}})
    new = '[experiments.new]\nvariants = ["a", "b"]\n'
    file.write_text(f"{HEADLINE}traffic = 0.8\nunit = 'user'\n{new}", "utf-8")
    result = run(sql, "diff", str(file), "--format", "table")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f'experiments.headline.hypothesis: "{"x" * 76}... -> ""',
        'experiments.headline.unit: ["visitor"] -> ["user"]',
        "experiments.headline.traffic: 0.5 -> 0.8",
        "experiments.new: only in the file",
        "experiments.old: only in the database",
    ]


def test_variants_are_compared_one_by_one(
    make_app: MakeApp, run: Run, file: Path
) -> None:
    app = make_app({"headline": {**TWO, "variants": {"control": 1, "bold": 3}}})
    result = run(app, "diff", str(file), "--format", "table")
    assert result.stdout == "experiments.headline.variants[1].weight: 3.0 -> 1.0\n"


def test_other_variants_are_one_difference(
    make_app: MakeApp, run: Run, file: Path
) -> None:
    app = make_app({"headline": {**TWO, "variants": ["control", "gold"]}})
    (told,) = json.loads(run(app, "diff", str(file)).stdout)["differences"]
    assert told["path"] == "experiments.headline.variants"
    assert [each["key"] for each in told["file"]] == ["control", "bold"]


def test_what_apply_keeps_is_no_difference(sql: Flask, run: Run, file: Path) -> None:
    kept = {"status": "paused", "iteration": 2, "salt": "x", "closed": True}
    applied(sql, {"experiments": {"headline": {**TWO, **kept}}})
    result = run(sql, "diff", str(file))
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {"ok": True, "differences": []},
    )


def test_a_file_that_is_not_there_is_told(sql: Flask, run: Run) -> None:
    for command in ("diff", "apply"):
        result = run(sql, command, "nothing.toml")
        assert (result.exit_code, result.stdout) == (3, "")
        assert "'nothing.toml'" in result.stderr


@pytest.mark.parametrize("command", ["diff", "apply"])
def test_every_fault_of_a_file_is_told(
    sql: Flask, run: Run, file: Path, command: str
) -> None:
    file.write_text(f"{HEADLINE}traffic = 2\ntrafic = 1\n", "utf-8")
    result = run(sql, command, str(file))
    assert result.exit_code == 1
    assert "have 2 faults" in result.stderr
    assert "did you mean 'traffic'" in result.stderr


def test_apply_tells_what_it_did(sql: Flask, run: Run, file: Path) -> None:
    result = run(sql, "apply", str(file), "--note", "why", "--actor", "anna")
    (change,) = json.loads(result.stdout)
    assert (result.exit_code, change["version"], change["key"]) == (0, 1, "headline")
    assert (change["action"], change["actor"], change["note"], change["channel"]) == (
        "apply",
        "anna",
        "why",
        "cli",
    )
    assert (change["before"], change["after"]["status"]) == (None, "running")


def test_apply_writes_a_line_for_each_field(sql: Flask, run: Run, file: Path) -> None:
    applied(sql, {"experiments": {"headline": {**TWO, "traffic": 0.5}}})
    new = '[experiments.new]\nvariants = ["a", "b"]\nstatus = "draft"\n'
    file.write_text(f"{HEADLINE}status = 'paused'\n{new}", "utf-8")
    head, *lines = run(sql, "apply", str(file), "--format", "table").stdout.splitlines()
    assert head == "Version 2 counts from now on (each process asks every 2 s):"
    assert lines == [
        "experiments.headline: pause",
        "  traffic: 0.5 -> 1.0",
        '  status: "running" -> "paused"',
        "experiments.new: apply, new",
    ]


def test_a_dry_run_tells_the_same_and_writes_nothing(
    sql: Flask, run: Run, file: Path
) -> None:
    result = run(sql, "apply", str(file), "--dry-run", "--format", "table")
    assert result.stdout == (
        "Nothing is written. Version 1 would be:\nexperiments.headline: apply, new\n"
    )
    assert version_of(sql) == 0


def test_nothing_different_makes_no_version(sql: Flask, run: Run, file: Path) -> None:
    run(sql, "apply", str(file))
    result = run(sql, "apply", str(file), "--format", "table")
    assert (result.exit_code, result.stdout) == (
        0,
        "Nothing is different, no version is published.\n",
    )
    assert version_of(sql) == 1


def test_the_checklist_only_warns(sql: Flask, run: Run, file: Path) -> None:
    file.write_text(
        '[experiments.one]\nvariants = ["a", "b"]\naudience = {"$segment" = "vip"}\n'
        '[experiments.two]\nvariants = ["a", "b"]\nstatus = "draft"\n',
        "utf-8",
    )
    result = run(sql, "apply", str(file))
    assert result.exit_code == 0
    assert "'one' has no primary metric" in result.stderr
    assert "'vip'" in result.stderr
    assert "'two'" not in result.stderr
    assert run(sql, "apply", str(file)).stderr == ""


def test_a_dry_run_warns_too(sql: Flask, run: Run, file: Path) -> None:
    file.write_text('[experiments.one]\nvariants = ["a", "b"]\n', "utf-8")
    result = run(sql, "apply", str(file), "--dry-run")
    assert "'one' has no primary metric" in result.stderr


def test_what_is_unsafe_is_refused(sql: Flask, run: Run, file: Path) -> None:
    applied(sql, {"experiments": {"headline": TWO}})
    file.write_text(f"{HEADLINE}traffic = 0.1\nunit = 'user'\n", "utf-8")
    result = run(sql, "apply", str(file))
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.count("restart it") == 2
    assert version_of(sql) == 1


@pytest.mark.parametrize("command", [["apply", "x.toml"], ["rollback", "1"]], ids=str)
def test_what_the_configuration_defines_is_not_changed(
    shop: Flask, run: Run, command: list[str]
) -> None:
    result = run(shop, *command)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "ABX_EXPERIMENTS" in result.stderr
    assert "ABX(app, db=db)" in result.stderr


def test_a_definitions_file_is_named(make_app: MakeApp, run: Run, file: Path) -> None:
    app = make_app({}, ABX_DEFINITIONS=str(file))
    assert str(file) in run(app, "apply", str(file)).stderr


def test_a_rollback_publishes_the_old_content(sql: Flask, run: Run) -> None:
    for traffic in (0.5, 0.8):
        headline = {**TWO, "status": "draft", "traffic": traffic}
        applied(sql, {"experiments": {"headline": headline}})
    result = run(sql, "rollback", "1", "--format", "table", "--note", "oh")
    assert result.stdout.splitlines()[1:] == [
        "experiments.headline: rollback",
        "  traffic: 0.8 -> 0.5",
    ]
    desk = editor_of(sql).desk()
    assert (desk.snapshot.mark.version, desk.experiment("headline").traffic) == (3, 0.5)


def test_a_rollback_may_be_tried_and_limited(sql: Flask, run: Run) -> None:
    for name in ("old", "new"):
        drafts = {
            key: {**TWO, "status": "draft", "name": name} for key in ("one", "two")
        }
        applied(sql, {"experiments": drafts})
    result = run(sql, "rollback", "1", "two", "--dry-run")
    (change,) = json.loads(result.stdout)
    assert (change["key"], change["after"]["name"]) == ("two", "old")
    assert version_of(sql) == 2


def test_a_rollback_that_harms_is_refused(sql: Flask, run: Run) -> None:
    applied(sql, {"experiments": {"headline": TWO}})
    applied(sql, {"experiments": {"later": TWO}})
    result = run(sql, "rollback", "1")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "'later' did not exist then" in result.stderr
    assert run(sql, "rollback", "1", "headlin").exit_code == 3
    assert run(sql, "rollback", "7").exit_code == 4


MOVING: dict[str, Any] = {
    "experiments": {
        "plain": TWO,
        "weighted": {**TWO, "variants": {"a": 5, "b": 3, "c": 2}, "traffic": 0.4},
        "second": {**TWO, "iteration": 2},
        "salted": {**TWO, "salt": "pepper", "unit": "user"},
        "half": {**TWO, "variants": ["a", {"key": "b", "closed": True}, "c"]},
        "shut": {**TWO, "closed": True},
        "won": {**TWO, "status": "concluded", "winner": "bold"},
        "kept": {**TWO, "status": "concluded", "keep_variants": True},
        "idle": {**TWO, "status": "paused"},
        "planned": {**TWO, "status": "draft"},
        "left": {**TWO, "layer": "top", "range": [0.0, 0.4]},
        "right": {**TWO, "layer": "top", "range": [0.4, 1.0]},
        "lower": {**TWO, "layer": "usual", "range": [0.0, 0.7]},
        "local": {**TWO, "audience": {"id": {"$inGroup": "even"}}},
    },
    "layers": {"top": {"salt": "chili"}},
    "segments": {"even": [str(number) for number in range(0, 2_000, 2)]},
}


def served(app: Flask, abx: ABX) -> list[dict[str, tuple[str, str]]]:
    """Ask for everybody what each experiment serves, and why."""
    told = []
    with app.app_context():
        for number in range(2_000):
            with abx.as_unit(str(number), visitor=f"{number:032x}", id=str(number)):
                told.append(
                    {
                        key: (each.variant, str(each.reason))
                        for key, each in abx.assignments().items()
                    }
                )
    return told


def test_moving_into_the_database_moves_nobody(
    make_app: MakeApp, make_shop: MakeShop, run: Run, tmp_path: Path
) -> None:
    abx = ABX()
    before = make_app({}, abx=abx, ABX_DEFINITIONS=MOVING)
    path = tmp_path / "moving.toml"
    path.write_text(run(before, "dump").stdout, "utf-8")
    after = make_shop()
    assert run(after, "apply", str(path)).exit_code == 0
    known = served(before, abx)
    assert len({tuple(sorted(each.items())) for each in known}) > 100
    assert served(after, after.extensions["test_abx"]) == known
