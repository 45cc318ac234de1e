"""Every simulation of the list is made here, or is left out for a reason."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parent
CASES = FOLDER.with_name("stat_cases.json")
LEFT_OUT = {
    "sim-power-gst": "group sequential tests are no method of the package",
    "sim-quantile": "quantiles are no metric of the package",
}


def test_every_simulation_is_made_or_left_out() -> None:
    listed = {
        each["id"] for each in json.loads(CASES.read_text("utf-8"))["simulations"]
    }
    others = {*FOLDER.glob("test_*.py")} - {Path(__file__)}
    made = "".join(path.read_text("utf-8") for path in others)
    assert {each for each in listed if each not in made} == set(LEFT_OUT)
