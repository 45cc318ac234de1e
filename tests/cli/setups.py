"""Eight applications in different states of health, and one unit of each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask_abx import ABX
from flask_abx.events.sinks.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flask import Flask

    from tests.conftest import MakeApp

STRONG = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}


class Setup:
    """An application on the way, and what is asked of it.

    Args:
        folder: An empty folder of its own.
    """

    def __init__(self, make_app: MakeApp, folder: Path) -> None:
        self._make_app = make_app
        self.folder = folder
        self.abx = ABX()

    def app(self, experiments: Mapping[str, Any], **config: object) -> Flask:
        """Make an application that keeps records in the log."""
        settings = {"SECRET_KEY": STRONG, "ABX_SINKS": None, **config}
        return self._make_app(experiments, abx=self.abx, **settings)


def bare(setup: Setup) -> Flask:
    return setup.app({}, SECRET_KEY="dev")


def allocated(setup: Setup) -> Flask:
    setup.abx.unit_loader(lambda: "7")
    setup.abx.attributes_loader(lambda: {"country": "DE"})
    headline = {
        **TWO,
        "unit": "user",
        "start_at": "2020-01-01T00:00:00Z",
        "end_at": "2099-12-31T23:00:00Z",
        "layer": "page",
        "range": [0.5, 1.0],
        "audience": {"country": {"$in": ["DE", "AT"]}},
    }
    app = setup.app(
        {"headline": headline}, ABX_EVENT_LOG=str(setup.folder / "events.jsonl")
    )
    app.config["SECRET_KEY_FALLBACKS"] = [STRONG[::-1]]
    return app


def layer(setup: Setup) -> Flask:
    """The file for records is a folder."""
    headline = {**TWO, "layer": "page", "range": [0.0, 0.5]}
    return setup.app({"headline": headline}, ABX_EVENT_LOG=str(setup.folder))


def audience(setup: Setup) -> Flask:
    """Neither attributes nor a segment are told."""
    condition = {"country": "DE", "$segment": "vip", "user": {"$inGroup": "staff"}}
    return setup.app({"headline": {**TWO, "audience": condition}})


def traffic(setup: Setup) -> Flask:
    """No primary metric, and a log that nobody sees."""
    logging.getLogger(LOGGER).disabled = True
    headline = {"variants": ["control", "bold"], "traffic": 0.5}
    return setup.app({"headline": headline})


def paused(setup: Setup) -> Flask:
    """Nobody says who the user is; browsers refuse the cookie."""
    headline = {**TWO, "unit": "user", "status": "paused"}
    mixed = {**TWO, "unit": ["user", "visitor"]}
    return setup.app(
        {"headline": headline, "prices": mixed},
        ABX_COOKIE_SAMESITE="None",
        ABX_COOKIE_SECURE=False,
    )


def concluded(setup: Setup) -> Flask:
    """A winner that is still defined, an earlier key that is weak."""
    headline = {**TWO, "status": "concluded", "winner": "bold", "keep_variants": True}
    app = setup.app({"headline": headline}, ABX_SINKS=["memory"])
    app.config["SECRET_KEY_FALLBACKS"] = ["change-me"]
    return app


def ended(setup: Setup) -> Flask:
    """Past its end, and another that asks for a consent that nothing gives."""
    headline = {**TWO, "end_at": "2020-02-01T08:30:00Z"}
    private = {**TWO, "sensitive": True}
    return setup.app({"headline": headline, "prices": private}, ABX_ENABLED=True)


SETUPS: Mapping[str, tuple[Callable[[Setup], Flask], tuple[str, ...]]] = {
    "bare": (bare, ()),
    "allocated": (allocated, ("--attr", "country=DE")),
    "layer": (layer, ()),
    "audience": (audience, ("--attr", "country=DE")),
    "traffic": (traffic, ()),
    "paused": (paused, ()),
    "concluded": (concluded, ()),
    "ended": (ended, ()),
}
