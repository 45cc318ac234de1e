"""The reference pages leave nothing out, and name nothing that is not there."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import Context

import flask_abx
from flask_abx import Reason, results
from flask_abx.assignment import audience
from flask_abx.cli.group import create_group
from flask_abx.experiments.lifecycle import MOVES, Status
from flask_abx.experiments.metric import Metric
from flask_abx.experiments.model import Experiment
from flask_abx.schema import Tables
from flask_abx.settings import Settings, key_of
from flask_abx.testing import recorded

if TYPE_CHECKING:
    from tests.conftest import MakeApp

DOCS = Path(__file__).resolve().parents[2] / "docs"


def named_in_tables(page: str) -> set[str]:
    """Collect what the first columns of a page's tables name as code."""
    text = (DOCS / page).read_text()
    cells = re.findall(r"^\| (.*?) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def directive(name: str) -> Any:  # noqa: ANN401 - a module of the documentation
    """Load a directive of ours."""
    spec = spec_from_file_location(name, DOCS / f"_ext/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_is_in_the_table_with_its_meaning() -> None:
    rows = list(directive("settings_table").rows())
    keys = [f"`{key_of(field)}`" for field in Settings.model_fields]
    assert [row[0] for row in rows] == keys
    assert all(all(row) for row in rows)


def test_every_move_is_in_the_table_with_its_states() -> None:
    rows = list(directive("moves_table").rows())
    expected = [
        (f"`{action}`", ", ".join(move.sources), move.target or "as it was")
        for action, move in MOVES.items()
    ]
    assert [row[:3] for row in rows] == expected
    assert all(row[3] for row in rows)
    assert "```{moves-table}" in (DOCS / "lifecycle.md").read_text()


def test_every_state_is_in_the_table() -> None:
    named = named_in_tables("lifecycle.md")
    assert named >= {status.value for status in Status}


def test_every_field_of_an_experiment_is_in_the_table_of_changes() -> None:
    named = named_in_tables("lifecycle.md")
    commanded = {"key", "status", "iteration", "winner", "outcome", "keep_variants"}
    told = {"variants", "metrics", "closed"}
    reserved = {"holdout", "prerequisites"}
    assert named >= {*Experiment.model_fields} - commanded - told - reserved


def test_every_table_of_the_database_is_told() -> None:
    names = {field.name for field in fields(Tables)}
    assert {f"abx_{name}" for name in names} <= named_in_tables("database.md")


def test_every_operator_is_in_the_table() -> None:
    named = {name for name in named_in_tables("targeting.md") if name[0] == "$"}
    assert named == {*audience._ON_VALUES, *audience._ON_CONDITIONS}


def test_every_reason_is_in_the_table() -> None:
    named = named_in_tables("how-assignment-works.md")
    assert named == {reason.value for reason in Reason}


def test_every_field_of_an_experiment_is_in_the_table() -> None:
    named = named_in_tables("adding-an-experiment.md")
    reserved = {"holdout", "prerequisites"}
    assert named == {*Experiment.model_fields} - reserved - {"key"}


def test_every_field_of_a_record_is_in_the_table(make_app: MakeApp) -> None:
    app = make_app()
    client = app.test_client()
    with recorded(app) as records:
        client.get("/")
        client.post("/signup")
    given = {field for record in records for field in record.to_dict()}
    assert named_in_tables("tracking.md") == given


def test_every_command_is_in_the_table() -> None:
    named = named_in_tables("cli.md")
    commands = {each.split()[2] for each in named if each.startswith("flask abx")}
    group = create_group()
    assert commands == set(group.list_commands(Context(group)))


def test_every_public_name_is_on_the_page() -> None:
    text = (DOCS / "api.md").read_text()
    named = set(re.findall(r"^\.\. auto\w+:: (\w+)(?:\(\))?$", text, re.MULTILINE))
    named |= set(re.findall(r"^\.\. data:: (\w+)$", text, re.MULTILINE))
    assert named - {"flask_abx"} == set(flask_abx.__all__)


def test_every_shape_of_results_is_on_the_page() -> None:
    text = (DOCS / "api.md").read_text()
    named = re.findall(
        r"^\.\. autoclass:: flask_abx\.results\.(\w+)", text, re.MULTILINE
    )
    assert {*named} == {*results.__all__}


def test_every_field_of_a_metric_is_in_the_table() -> None:
    section = (DOCS / "metrics.md").read_text().partition("## Every field")[2]
    cells = re.findall(r"^\| (.*?) \|", section, flags=re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert named == {*Metric.model_fields}
