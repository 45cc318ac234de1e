"""The log is seen out of the box, or says why it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flask_abx.events.sinks.log import LOGGER

if TYPE_CHECKING:
    from pathlib import Path

# The snippet of Flask's own page on logging.
DICT_CONFIG = """
from logging.config import dictConfig
dictConfig({
    'version': 1,
    'formatters': {'default': {
        'format': '[%(asctime)s] %(levelname)s in %(module)s: %(message)s',
    }},
    'handlers': {'wsgi': {
        'class': 'logging.StreamHandler',
        'stream': 'ext://flask.logging.wsgi_errors_stream',
        'formatter': 'default'
    }},
    'root': {
        'level': 'INFO',
        'handlers': ['wsgi']
    }
})
"""
SHOP = """
import json, logging, sys
from flask import Flask
from flask_abx import ABX
from flask_abx.runtime.state import state_of
{before}
app = Flask("shop")
app.config.update(SECRET_KEY="x", ABX_EXPERIMENTS={{"e": {{"variants": ["a", "b"]}}}})
app.config.update({config})
abx = ABX(app)
app.get("/")(lambda: abx.variant("e"))
# Asking for the logger would make it.
handlers = len(getattr(logging.root.manager.loggerDict.get("{logger}"), "handlers", ()))
client = app.test_client()
for step in {steps}:
    exec(step)
    client.get("/", headers={{"User-Agent": "Mozilla"}})
    client.delete_cookie("abx")
print(json.dumps({{"before": handlers, "counts": state_of(app).tally.counts}}))
"""


KEPT = "'version': 1, 'disable_existing_loggers': False,"


class Ran:
    """What an application wrote, and what it counted."""

    def __init__(self, out: str, err: str) -> None:
        self.err = err
        told = json.loads(out.splitlines()[-1])
        self.handlers_before = told["before"]
        self.silent = told["counts"].get("log_silent", 0)
        self.records = [
            json.loads(line[line.index("{") :])
            for line in err.splitlines()
            if '"type": "exposure"' in line
        ]


def run(before: str = "", *steps: str, **config: object) -> Ran:
    """Serve one page to a new visitor after each step, in a process of its own."""
    code = SHOP.format(
        before=before, config=config, steps=list(steps or ("",)), logger=LOGGER
    )
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return Ran(done.stdout, done.stderr)


def test_a_logger_without_level_and_handler_gets_both_at_the_first_record() -> None:
    ran = run("", "", "")
    assert ran.handlers_before == 0
    assert len(ran.records) == 2
    assert ran.silent == 0
    # Nothing but the JSON: a line may be piped into another program.
    assert all(line.startswith("{") for line in ran.err.splitlines())


def test_a_logger_without_level_gets_one_and_keeps_the_handlers_of_the_root() -> None:
    ran = run("logging.basicConfig(format='root: %(message)s')")
    assert len(ran.records) == 1
    assert ran.err.startswith('root: {"type": "exposure"')


def test_a_logger_with_a_level_gets_a_handler() -> None:
    ran = run(f"logging.getLogger({LOGGER!r}).setLevel(logging.DEBUG)")
    assert len(ran.records) == 1


@pytest.mark.parametrize("first", ["before", "after"])
def test_the_snippet_of_flask_before_the_first_record_hides_nothing(
    first: str,
) -> None:
    ran = run(DICT_CONFIG) if first == "before" else run("", DICT_CONFIG)
    assert len(ran.records) == 1
    assert "INFO in log: {" in ran.err
    assert ran.silent == 0


def test_the_snippet_of_flask_after_a_record_is_told_once_and_counted() -> None:
    ran = run("", "", DICT_CONFIG, "", "")
    assert len(ran.records) == 1
    assert ran.silent == 3
    told = (
        f"flask-abx: The logger {LOGGER!r} is disabled, so records are not in the log."
    )
    assert ran.err.count(told) == 1


@pytest.mark.parametrize(
    "trouble",
    [DICT_CONFIG, f"logging.getLogger({LOGGER!r}).setLevel(logging.WARNING)"],
    ids=["disabled", "level"],
)
def test_the_line_that_is_told_mends_it(trouble: str) -> None:
    told = run("", "", trouble).err.strip().rpartition("Add: ")[2]
    ran = run("", "", trouble, told, "")
    assert ran.silent == 1
    assert len(ran.records) == 3


def test_handlers_that_come_later_double_nothing() -> None:
    kept = DICT_CONFIG.replace("'version': 1,", KEPT)
    ran = run("", "", kept, "")
    assert len({record["id"] for record in ran.records}) == len(ran.records) == 3
    assert ran.err.count("INFO in log: {") == 2


@pytest.mark.parametrize(
    "above",
    [
        f"logging.getLogger({LOGGER!r}).setLevel(logging.WARNING)",
        "logging.disable(logging.INFO)",
    ],
    ids=["level", "disable"],
)
def test_a_logger_above_info_is_told_once_and_counted(above: str) -> None:
    ran = run(above, "", "")
    assert ran.records == []
    assert ran.silent == 2
    assert ran.err.count("is above INFO, so records are not in the log") == 1


def test_a_file_of_our_own_does_not_depend_on_logging(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    ran = run("logging.disable(logging.CRITICAL)", "", "", ABX_EVENT_LOG=str(path))
    assert ran.records == []
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["exposure", "exposure"]
