"""The two scripts that count: what they must not add up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPTS = {"count.py": "quickstart.md", "compare.py": "tracking.md"}


def exposed(
    experiment: str, unit: tuple[str, str], reason: str = "allocated"
) -> dict[str, object]:
    return {
        "type": "exposure",
        "at": "2030-01-07T09:00:00.000Z",
        "experiment": experiment,
        "variant": "control",
        "reason": reason,
        "unit_type": unit[0],
        "unit": unit[1],
        "units": dict([unit]),
    }


def signed_up(*units: tuple[str, str]) -> dict[str, object]:
    return {
        "type": "event",
        "id": "-".join(who for _, who in units),
        "at": "2030-01-07T09:00:01.000Z",
        "name": "signup",
        "value": None,
        "units": dict(units),
    }


def counted(script: str, folder: Path, records: list[dict[str, object]]) -> str:
    lines: Iterator[str] = (json.dumps(record) for record in records)
    (folder / "events.jsonl").write_text("\n".join(lines))
    blocks = blocks_of(DOCS / SCRIPTS[script])
    (folder / script).write_text(
        next(block.text for block in blocks if block.argument == script)
    )
    arguments = ["headline", "signup"] if script == "compare.py" else []
    done = subprocess.run(  # noqa: S603 - a script of our own pages
        [sys.executable, script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return " ".join(done.stdout.split())


EXPECTED = {
    "count.py": "control: 1 of 2 with signup",
    "compare.py": "control 2 units, 1 with signup:",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_control_of_another_experiment_is_not_added(
    script: str, tmp_path: Path
) -> None:
    records = [
        exposed("headline", ("visitor", "a")),
        exposed("headline", ("visitor", "b")),
        exposed("button", ("visitor", "c")),
        signed_up(("visitor", "a")),
        signed_up(("visitor", "c")),
    ]
    assert counted(script, tmp_path, records).startswith(EXPECTED[script])


@pytest.mark.parametrize("script", SCRIPTS)
def test_users_are_found_by_their_own_id(script: str, tmp_path: Path) -> None:
    records = [
        exposed("headline", ("user", "7")),
        exposed("headline", ("user", "8")),
        signed_up(("visitor", "8"), ("user", "7")),
    ]
    assert counted(script, tmp_path, records).startswith(EXPECTED[script])


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_a_test_chose_is_left_out(script: str, tmp_path: Path) -> None:
    records = [
        exposed("headline", ("visitor", "a")),
        exposed("headline", ("visitor", "b")),
        exposed("headline", ("visitor", "c"), reason="forced"),
        signed_up(("visitor", "a")),
        signed_up(("visitor", "c")),
    ]
    assert counted(script, tmp_path, records).startswith(EXPECTED[script])
