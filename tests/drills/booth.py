"""The market with smaller pages: each does one thing to the spool of its process."""

from __future__ import annotations

import gc
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from flask import Flask, request

from flask_abx.runtime.state import state_of
from tests.drills import market
from tests.drills.market import SOLD
from tests.drills.shop import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flask_abx import ABX

TARGET = "tests.drills.booth:create_app()"
#: The one experiment of a booth.
HEADLINE = {
    "unit": ["user", "visitor"],
    "variants": ["control", "bold"],
    "status": "running",
}
#: Added to the number of a note by the child that is forked for it.
CHILD = 1_000_000


def create_app() -> Flask:
    """Make the booth that the environment describes; what gunicorn calls."""
    app = make_app(json.loads(os.environ[CONFIG]))
    gc.collect()
    gc.freeze()
    return app


def make_app(config: Mapping[str, Any]) -> Flask:
    """Make the booth: the market, and pages that leave one event each."""
    app = market.make_app(config)
    abx: ABX = app.jinja_env.globals["abx"]  # type: ignore[assignment]
    state = state_of(app)

    @app.get("/note/<int:number>")
    def note(number: int) -> dict[str, object]:
        durability: Any = request.args.get("durability")
        abx.track(SOLD, 1, id=number, durability=durability)
        return {}

    @app.get("/show/<int:number>")
    def show(number: int) -> dict[str, object]:
        shown = abx.variant("headline", "unknown")
        abx.track(SOLD, 1, id=number)
        return {"variant": shown}

    @app.get("/fork/<int:number>")
    def fork(number: int) -> dict[str, object]:
        abx.track(SOLD, 1, id=number)
        child = os.fork()
        if child == 0:
            try:
                status = app.test_client().get(f"/note/{CHILD + number}").status_code
            except BaseException:  # noqa: BLE001 - a child must not serve on
                status = 500
            os._exit(0 if status == 200 else 1)
        return {"child": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}

    @app.get("/tally")
    def tally() -> dict[str, object]:
        return {"counts": dict(state.tally.counts)}

    return app


class Run(Protocol):
    """Runs ``flask abx ...``, and gives the JSON that it prints."""

    def __call__(self, *arguments: str) -> Any: ...  # noqa: ANN401 - JSON


@contextmanager
def commanded(folder: Path, config: Mapping[str, Any]) -> Iterator[Run]:
    """Run commands of a booth in this process.

    Args:
        folder: The instance folder.
        config: The configuration with which the booth is served.
    """
    app = make_app({"INSTANCE": str(folder), **config})
    database = state_of(app).database
    assert database is not None

    def run(*arguments: str) -> Any:  # noqa: ANN401 - JSON
        result = app.test_cli_runner().invoke(args=["abx", *arguments])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    try:
        yield run
    finally:
        database.own.dispose()
        database.host.dispose()
