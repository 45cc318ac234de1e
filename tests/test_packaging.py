"""What people install: one package, its types, and a source archive that is whole."""

from __future__ import annotations

import importlib.metadata
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from flit_core import buildapi

import flask_abx

ROOT = Path(__file__).resolve().parents[1]
has_sources = pytest.mark.skipif(
    not (ROOT / "flask_abx").is_dir(),
    reason="The package is installed and its sources are not here to build from.",
)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where a build front end stands: beside pyproject.toml."""
    monkeypatch.chdir(ROOT)


@has_sources
@pytest.mark.usefixtures("sources")
def test_the_wheel_holds_one_package(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        tops = {name.split("/")[0] for name in wheel.namelist()}
    (about,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops - {about} == {"flask_abx"}


@has_sources
@pytest.mark.usefixtures("sources")
def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("flask_abx/")}
    files = (path for path in (ROOT / "flask_abx").rglob("*") if path.is_file())
    kept = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    assert packed == kept


@has_sources
@pytest.mark.usefixtures("sources")
def test_the_sdist_holds_tests_and_docs(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / buildapi.build_sdist(str(tmp_path))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    beside = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"}
    asked = {"docs/index.md", "docs/conf.py", "tests/test_packaging.py"}
    assert beside | asked <= names
    assert not [name for name in names if "__pycache__" in name or "_build" in name]


def test_the_public_names_are_sorted_and_complete() -> None:
    public = {
        name
        for name, value in vars(flask_abx).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert list(flask_abx.__all__) == sorted(public - {"annotations"})


def test_the_version_is_that_of_the_distribution() -> None:
    assert flask_abx.__version__ == importlib.metadata.version("flask-abx")


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert Path(flask_abx.__path__[0], "py.typed").is_file()
