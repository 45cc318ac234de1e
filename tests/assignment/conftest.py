"""Fresh chance for each run, told on failure, and rules from a few words."""

from __future__ import annotations

import os
import secrets
from random import Random
from typing import TYPE_CHECKING

import pytest

from flask_abx.assignment.ruleset import compile_ruleset
from flask_abx.experiments.definition import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.assignment.ruleset import Rule


@pytest.fixture(scope="session")
def run_seed() -> str:
    """The seed of this run: a new one, or that of ABX_TEST_SEED."""
    return os.environ.get("ABX_TEST_SEED") or secrets.token_hex(8)


@pytest.fixture
def chance(run_seed: str, request: pytest.FixtureRequest) -> Random:
    """Chance of this test's own; pytest shows the line below where a test fails."""
    line = f"Repeat this run with ABX_TEST_SEED={run_seed}"
    request.node.add_report_section("setup", "seed", line)
    return Random(f"{run_seed} {request.node.name}")


@pytest.fixture
def make_rule(chance: Random) -> Callable[..., Rule]:
    """Compile one experiment under a key, and so a salt, that no run had before."""

    def make(key: str | None = None, **fields: object) -> Rule:
        name = key or f"{chance.getrandbits(64):016x}"
        experiment = {"unit": "user", "variants": ["control", "treatment"], **fields}
        document = parse({"experiments": {name: experiment}})
        return compile_ruleset(document, "test", {}).rules[name]

    return make
