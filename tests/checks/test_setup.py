"""Keys that sign: what `init_app` refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask

from flask_abx import ABX, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADLINE = {"headline": {"variants": ["control", "bold"]}}


def refused(config: Mapping[str, object]) -> str:
    """Set up an application that must be refused, and see that it stays bare."""
    app = Flask("shop")
    app.config["ABX_EXPERIMENTS"] = HEADLINE
    app.config.update(config)
    app.get("/")(lambda: "bare")
    with pytest.raises(ConfigError) as caught:
        ABX(app)
    response = app.test_client().get("/")
    assert (response.status_code, response.text) == (200, "bare")
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers
    assert app.extensions == {}
    return str(caught.value)


@pytest.mark.check(6)
@pytest.mark.parametrize("fallbacks", ["old", b"old"], ids=["text", "bytes"])
def test_fallback_keys_must_be_a_list(fallbacks: str | bytes) -> None:
    message = refused({"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": fallbacks})
    assert message.startswith("SECRET_KEY_FALLBACKS is one text, must be a list")


@pytest.mark.check(7)
@pytest.mark.parametrize("key", [None, "", b""])
def test_a_secret_key_is_needed_from_the_start(key: str | bytes | None) -> None:
    message = refused({"SECRET_KEY": key})
    assert message.startswith(f"SECRET_KEY is {key!r}, must be a long random text")
