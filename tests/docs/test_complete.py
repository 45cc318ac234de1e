"""The reference pages leave nothing out, and name nothing that is not there."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import Context

import flask_abx
from flask_abx import Reason
from flask_abx.assignment import audience
from flask_abx.cli.group import create_group
from flask_abx.experiments.model import Experiment
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


def settings_table() -> Any:  # noqa: ANN401 - a module of the documentation
    """Load the directive of the configuration page."""
    spec = spec_from_file_location("settings_table", DOCS / "_ext/settings_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_is_in_the_table_with_its_meaning() -> None:
    rows = list(settings_table().rows())
    keys = [f"`{key_of(field)}`" for field in Settings.model_fields]
    assert [row[0] for row in rows] == keys
    assert all(all(row) for row in rows)


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
    fields = {field for record in records for field in record.to_dict()}
    assert named_in_tables("tracking.md") == fields


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
