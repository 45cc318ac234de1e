"""The shape of the package: imports only go down, and no room outgrows itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import flask_abx

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(flask_abx.__path__[0])
FLOORS = (
    ("errors", "experiments", "assignment"),
    ("settings", "schema", "stores", "events", "results"),
    ("runtime",),
    ("web", "cli", "contrib", "testing"),
    ("extension", "__init__", "__main__"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ROOMS_APART = 3
LIBRARIES_OF_THE_GROUND = sys.stdlib_module_names | {"pydantic", "pydantic_core"}
CLOCK_CHANCE_AND_LOGGING = {"logging", "random", "secrets", "time", "warnings"}
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50


def modules(package: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Parse every module of the package."""
    for path in sorted(package.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"), str(path))


def room_of(path: Path, package: Path) -> str:
    """Name the room that a module stands in."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk over what Python executes, TYPE_CHECKING blocks apart."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith(
            "TYPE_CHECKING"
        ):
            for other in node.orelse:
                yield other
                yield from running(other)
        else:
            yield node
            yield from running(node)


def imported(node: ast.AST, path: Path, package: Path) -> list[str]:
    """Spell out every module that an import statement may reach."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    source = node.module or ""
    if node.level:
        parents = path.relative_to(package.parent).parts[: -node.level]
        source = ".".join([*parents, *filter(None, [source])])
    return [f"{source}.{alias.name}" for alias in node.names]


def room_reached(name: str, package: Path) -> str | None:
    """Name the room behind a dotted name, or None outside the package."""
    top, *rest = name.split(".")
    if top != package.name:
        return None
    return rest[0] if rest and rest[0] in FLOOR_OF else "__init__"


def wrong_imports(package: Path) -> list[str]:
    """List every import that goes up a floor, or from room to room on floor 3."""
    found = []
    for path, tree in modules(package):
        room = room_of(path, package)
        for node in running(tree):
            for name in imported(node, path, package):
                other = room_reached(name, package)
                if other is None or other == room:
                    continue
                own, reached = FLOOR_OF[room], FLOOR_OF[other]
                if reached > own or own == reached == ROOMS_APART:
                    line = getattr(node, "lineno", 0)
                    found.append(f"{path.relative_to(package)}:{line} -> {name}")
    return found


def strangers_on_the_ground(package: Path) -> list[str]:
    """List what the lowest floor imports besides Python itself and pydantic."""
    welcome = LIBRARIES_OF_THE_GROUND - CLOCK_CHANCE_AND_LOGGING | {package.name}
    return [
        f"{path.relative_to(package)} -> {name}"
        for path, tree in modules(package)
        if room_of(path, package) in FLOORS[0]
        for node in running(tree)
        for name in imported(node, path, package)
        if name.split(".")[0] not in welcome
    ]


def long_modules(package: Path) -> list[str]:
    """List the modules that have too many lines."""
    return [
        str(path.relative_to(package))
        for path in sorted(package.rglob("*.py"))
        if len(path.read_text("utf-8").splitlines()) > LONGEST_MODULE
    ]


def long_functions(package: Path) -> list[str]:
    """List the functions that have too many lines."""
    return [
        f"{path.relative_to(package)}:{node.lineno} {node.name}"
        for path, tree in modules(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(path, PACKAGE) for path in PACKAGE.rglob("*.py")}
    assert rooms <= set(FLOOR_OF)


def test_imports_only_go_down() -> None:
    assert wrong_imports(PACKAGE) == []


def test_the_lowest_floor_knows_python_and_pydantic_alone() -> None:
    assert strangers_on_the_ground(PACKAGE) == []


def test_no_module_is_too_long() -> None:
    assert long_modules(PACKAGE) == []


def test_no_function_is_too_long() -> None:
    assert long_functions(PACKAGE) == []


def build(folder: Path, place: str, source: str) -> Path:
    """Write a package with one module in it."""
    path = folder / "flask_abx" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")
    return folder / "flask_abx"


@pytest.mark.parametrize(
    ("place", "source"),
    [
        pytest.param("errors.py", "import flask_abx.settings", id="up"),
        pytest.param("errors.py", "from flask_abx import runtime", id="room-by-name"),
        pytest.param("runtime/unit.py", "from flask_abx import ABX", id="to-the-top"),
        pytest.param("events/sinks/log.py", "from ...cli import app", id="relative"),
        pytest.param("stores/sql.py", "from ..runtime.state import x", id="two-dots"),
        pytest.param("web/__init__.py", "from ..cli import x", id="across-floor-3"),
        pytest.param("runtime/a.py", "def f():\n import flask_abx.web", id="inside"),
    ],
)
def test_an_import_that_goes_up_is_found(
    tmp_path: Path, place: str, source: str
) -> None:
    assert len(wrong_imports(build(tmp_path, place, source))) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        pytest.param(
            "runtime/a.py", "from flask_abx.errors import ABXError", id="down"
        ),
        pytest.param("events/a.py", "import flask_abx.settings", id="same-floor"),
        pytest.param("web/api/a.py", "from ..problem import x", id="same-room"),
        pytest.param("__init__.py", "from .extension import ABX", id="top"),
        pytest.param(
            "errors.py",
            "import typing\nif typing.TYPE_CHECKING:\n"
            " from flask_abx.extension import ABX",
            id="typing-only",
        ),
    ],
)
def test_an_import_that_stays_or_goes_down_is_not(
    tmp_path: Path, place: str, source: str
) -> None:
    assert wrong_imports(build(tmp_path, place, source)) == []


def test_a_clock_on_the_lowest_floor_is_found(tmp_path: Path) -> None:
    package = build(tmp_path, "assignment/decide.py", "from time import time")
    assert strangers_on_the_ground(package) == ["assignment/decide.py -> time.time"]


def test_a_long_module_is_found(tmp_path: Path) -> None:
    package = build(tmp_path, "settings.py", "1\n" * (LONGEST_MODULE + 1))
    assert long_modules(package) == ["settings.py"]


def test_a_long_function_is_found(tmp_path: Path) -> None:
    source = "def f():\n" + " 1\n" * LONGEST_FUNCTION
    package = build(tmp_path, "runtime/unit.py", source)
    assert long_functions(package) == ["runtime/unit.py:1 f"]
