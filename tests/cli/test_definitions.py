from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import flask_abx
from flask_abx import ABX

if TYPE_CHECKING:
    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

ROOT = Path(flask_abx.__path__[0]).parent
GOOD = '[experiments.headline]\nvariants = ["control", "bold"]\n'
BAD = '[experiments.headline]\nvariants = ["control"]\ntrafic = 2\n'
VIP = GOOD + 'audience = { "$segment" = "vip" }\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiments.toml"
    path.write_text(GOOD, "utf-8")
    return path


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - Python itself
        [sys.executable, "-m", "flask_abx", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )


def test_a_good_file_passes(shop: Flask, run: Run, file: Path) -> None:
    result = run(shop, "validate", str(file))
    data: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (data["ok"], data["experiments"], data["faults"]) == (True, 1, [])
    assert data["version"].startswith("c")


def test_every_fault_of_a_file_is_told(shop: Flask, run: Run, file: Path) -> None:
    file.write_text(BAD, "utf-8")
    result = run(shop, "validate", str(file), "--format", "table")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert "did you mean 'traffic'?" in result.stdout


def test_a_missing_file_is_not_found(shop: Flask, run: Run, tmp_path: Path) -> None:
    result = run(shop, "validate", str(tmp_path / "nothing.toml"))
    assert (result.exit_code, result.stdout) == (3, "")


def test_the_definitions_of_the_application_are_checked(shop: Flask, run: Run) -> None:
    result = run(shop, "validate", "--format", "table")
    assert result.stdout.startswith("The definitions: 2 experiments without a fault")


def test_a_segment_that_nothing_defines_is_a_fault(
    shop: Flask, run: Run, file: Path
) -> None:
    file.write_text(VIP, "utf-8")
    result = run(shop, "validate", str(file))
    assert result.exit_code == 1
    assert "@abx.segment('vip')" in result.stdout


def test_a_segment_of_the_code_is_known(
    make_app: MakeApp, run: Run, file: Path
) -> None:
    abx = ABX()
    abx.segment("vip")(lambda attributes: attributes.get("vip") is True)
    file.write_text(VIP, "utf-8")
    assert run(make_app(abx=abx), "validate", str(file)).exit_code == 0


def test_schema_is_that_of_definition_files(shop: Flask, run: Run) -> None:
    schema = json.loads(run(shop, "schema").stdout)
    assert {"experiments", "segments", "flags"} <= set(schema["properties"])


def test_a_file_is_checked_without_an_application(file: Path) -> None:
    file.write_text(VIP, "utf-8")
    result = run_module("validate", str(file), "--format", "json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["ok"] is True
    assert "@abx.segment('vip')" in result.stderr


def test_a_terminal_gets_text_instead_of_json(file: Path) -> None:
    pty = pytest.importorskip("pty")
    outer, inner = pty.openpty()
    try:
        subprocess.run(  # noqa: S603 - Python itself
            [sys.executable, "-m", "flask_abx", "validate", str(file)],
            stdout=inner,
            timeout=60,
            check=True,
            cwd=ROOT,
        )
        assert b"1 experiment without a fault" in os.read(outer, 4096)
    finally:
        os.close(outer)
        os.close(inner)


def test_faults_fail_without_an_application(file: Path) -> None:
    file.write_text(BAD, "utf-8")
    assert run_module("validate", str(file)).returncode == 1


def test_the_schema_needs_no_application() -> None:
    assert "experiments" in json.loads(run_module("schema").stdout)["properties"]
