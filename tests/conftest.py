"""What the tests of every room share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
from flask import Flask

from flask_abx import ABX

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADLINE = {"headline": {"variants": ["control", "bold"], "metrics": ["signup"]}}


class MakeApp(Protocol):
    """Makes an application with experiments and settings of one's own."""

    def __call__(
        self,
        experiments: Mapping[str, Any] | None = None,
        *,
        abx: ABX | None = None,
        **config: object,
    ) -> Flask: ...


@pytest.fixture
def make_app() -> MakeApp:
    """Make a small application: `/` reads, `/signup` tracks, `/plain` does nothing."""

    def make(
        experiments: Mapping[str, Any] | None = None,
        *,
        abx: ABX | None = None,
        **config: object,
    ) -> Flask:
        app = Flask(__name__)
        app.config["SECRET_KEY"] = "secret"
        app.config["ABX_SINKS"] = ["memory"]
        app.config["ABX_EXPERIMENTS"] = HEADLINE if experiments is None else experiments
        app.config.update(config)
        extension = ABX() if abx is None else abx
        extension.init_app(app)

        @app.get("/")
        def index() -> str:
            return extension.variant("headline")

        @app.post("/signup")
        def signup() -> str:
            extension.track("signup", value=1)
            return "thanks"

        @app.get("/plain")
        def plain() -> str:
            return "plain"

        return app

    return make
