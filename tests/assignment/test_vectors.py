"""The vectors, which an independent script makes, are answered exactly."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.position import position
from flask_abx.assignment.ruleset import Rule, Ruleset, compile_ruleset
from flask_abx.experiments.definition import parse
from flask_abx.runtime.unit import GivenIdentity, first_unit

FOLDER = Path(__file__).parents[1] / "vectors"
SCRIPT = FOLDER / "make_vectors.py"
NAMES = ("assignments.json", "positions.json")
ASSIGNMENTS, POSITIONS = (
    json.loads((FOLDER / name).read_text("ascii")) for name in NAMES
)
EXPERIMENTS: dict[str, Any] = ASSIGNMENTS["document"]["experiments"]
NOW = datetime.fromisoformat(ASSIGNMENTS["now"])
HALVES = ["control", "treatment"]


@pytest.fixture(scope="module")
def ruleset() -> Ruleset:
    """The experiments of the vectors, compiled."""
    return compile_ruleset(parse(ASSIGNMENTS["document"]), "test", {})


def person_of(rule: Rule, row: dict[str, Any]) -> Person:
    """Read whom a row asks about."""
    facts, units = row.get("attributes", {}), row["units"]
    identity = GivenIdentity(units.get("visitor"), units.get("user"), facts)
    unit = first_unit(rule.unit, identity)
    memory = {rule.key: row["remembered"]} if "remembered" in row else {}
    return Person({unit.type: unit.id} if unit else {}, facts, memory)


def test_positions_are_those_of_the_vectors() -> None:
    """Every position is equal to the last bit.

    Kills: shift_by_twelve, crc_for_hash, salt_without_nul
    """
    for row in POSITIONS["rows"]:
        assert position(row["salt"], row["unit"]) == row["position"]


def test_variants_of_explicit_salts_are_those_of_the_vectors() -> None:
    """Two halves divide each salt of the vectors as told there."""
    rows = POSITIONS["rows"]
    salts = sorted({row["salt"] for row in rows})
    body = {"unit": "user", "variants": HALVES}
    document = {f"s{n}": {**body, "salt": salt} for n, salt in enumerate(salts)}
    rules = compile_ruleset(parse({"experiments": document}), "test", {}).rules
    for row in rows:
        rule = rules[f"s{salts.index(row['salt'])}"]
        decision = decide(rule, Person(units={"user": row["unit"]}), NOW)
        assert decision.variant == row["variant"]


@pytest.mark.parametrize("key", sorted(EXPERIMENTS))
def test_decisions_are_those_of_the_vectors(ruleset: Ruleset, key: str) -> None:
    """Variant, in the experiment or not, and reason are those of the contract.

    Kills: start_is_left_out, sum_is_compensated, closed_variant_open
    """
    rule = ruleset.rules[key]
    for row in ASSIGNMENTS["rows"]:
        if row["experiment"] == key:
            found = decide(rule, person_of(rule, row), NOW)
            told = (found.variant, found.in_experiment, found.reason.value)
            assert told == (row["variant"], row["in_experiment"], row["reason"]), row


def test_the_script_writes_what_is_stored(tmp_path: Path) -> None:
    """The script, run again, gives the same bytes."""
    command = [sys.executable, "-I", str(SCRIPT), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)  # noqa: S603 - our own script
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_the_script_imports_the_standard_library_alone() -> None:
    """A second telling of the contract is worth something only if it is independent."""
    imported = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names


def test_the_vectors_are_many_and_each_experiment_has_some() -> None:
    """A thinned file would pin less than it says."""
    rows = ASSIGNMENTS["rows"]
    assert len(rows) >= 300
    assert {row["experiment"] for row in rows} == set(EXPERIMENTS)
