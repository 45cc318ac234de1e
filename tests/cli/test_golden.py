"""What explain and doctor print, compared with the files in `golden/`.

Times and folders are masked. After a change of the wording, write the files anew with
`ABX_WRITE_GOLDEN=1 python -m pytest tests/cli/test_golden.py`, and read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.setups import SETUPS, Setup

if TYPE_CHECKING:
    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

GOLDEN = Path(__file__).parent / "golden"
NOW = re.compile(r"now it is [^.]+")


def transcript(run: Run, app: Flask, *arguments: str) -> str:
    result = run(app, *arguments, "--format", "table")
    return (
        f"$ flask abx {' '.join(arguments)}\n{result.stdout}"
        f"stderr: {result.stderr.strip() or 'nothing'}\nexit: {result.exit_code}\n"
    )


@pytest.mark.parametrize("name", SETUPS)
def test_explain_and_doctor_print_what_they_printed(
    name: str, make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    build, attributes = SETUPS[name]
    app = build(Setup(make_app, tmp_path))
    text = "\n".join(
        [
            transcript(run, app, "explain", "headline", "7", *attributes),
            transcript(run, app, "doctor"),
        ]
    )
    text = NOW.sub("now it is TIME", text.replace(str(tmp_path), "FOLDER"))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("ABX_WRITE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(SETUPS)
