"""Every check that this release has to pass has a test."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTED = frozenset(
    {
        *range(1, 9), 10, *range(12, 19), 20, *range(22, 36), *range(76, 82),
        99, 104, 109, 110,
    }
)  # fmt: skip


def checks_in(source: str) -> Iterator[int]:
    """Find the numbers that the tests of a module are marked with."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == (
                "pytest.mark.check"
            ):
                for number in mark.args:
                    assert isinstance(number, ast.Constant)
                    assert isinstance(number.value, int)
                    yield number.value


def all_checks() -> set[int]:
    """Find the numbers that the tests beside this one are marked with."""
    modules = Path(__file__).parent.glob("test_*.py")
    return {number for module in modules for number in checks_in(module.read_text())}


def test_every_listed_check_has_a_test() -> None:
    assert sorted(LISTED - all_checks()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("@pytest.mark.check(7)\ndef test_a(): ...", {7}, id="marked"),
        pytest.param("@pytest.mark.check(7)\ndef helper(): ...", set(), id="no test"),
        pytest.param("def test_a(): ...", set(), id="unmarked"),
    ],
)
def test_only_marked_tests_count(source: str, found: set[int]) -> None:
    assert set(checks_in(source)) == found
