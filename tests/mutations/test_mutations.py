"""Property tests and mutations name each other, and no patch has gone stale."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

import flask_abx.assignment

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PATCHES = sorted(Path(__file__).parent.glob("*.patch"))
PROPERTIES = ("assignment/test_properties.py", "assignment/test_stability.py")


def kills_told_by(path: Path) -> dict[str, set[str]]:
    """Give the mutations named in the docstring of each test of a file."""
    found = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            told = re.search(r"Kills: ([\w\s,]+)", ast.get_docstring(node) or "")
            names = set(re.findall(r"\w+", told[1])) if told else set()
            found[f"{path.relative_to(ROOT).as_posix()}::{node.name}"] = names
    return found


def test_each_property_test_names_a_mutation() -> None:
    told = {}
    for name in PROPERTIES:
        told.update(kills_told_by(TESTS / name))
    assert told
    assert [test for test, names in told.items() if not names] == []


def test_tests_and_patches_name_each_other() -> None:
    told_by_tests = {
        (mutation, test)
        for path in (TESTS / "assignment").glob("test_*.py")
        for test, names in kills_told_by(path).items()
        for mutation in names
    }
    told_by_patches = {
        (patch.stem, test)
        for patch in PATCHES
        for test in re.findall(
            r"^# kills: (\S+)$", patch.read_text("utf-8"), re.MULTILINE
        )
    }
    assert told_by_tests == told_by_patches
    assert {mutation for mutation, _ in told_by_patches} == {p.stem for p in PATCHES}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_patch_fits_the_package(patch: Path) -> None:
    home = Path(flask_abx.assignment.__file__).parents[2]
    # Without the ceiling git would skip an installed package inside a repository.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(home.parent)}
    command = ["git", "apply", "--check", "-p1", str(patch)]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
