"""The shop under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_app import create_app

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient


@pytest.fixture
def shop() -> Flask:
    """Make a shop of its own for each test."""
    return create_app({"TESTING": True, "ABX_SINKS": ["memory"]})


@pytest.fixture
def visitor(shop: Flask) -> FlaskClient:
    """Come to the shop without a cookie."""
    return shop.test_client()
