"""The shop under test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from example_app import create_app
from example_app.experiments import db
from example_app.seed import seed
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seed a database once, for tests to copy."""
    file = tmp_path_factory.mktemp("seeded") / "kettle.db"
    shop = create_app({"TESTING": True, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{file}"})
    with shop.app_context():
        seed()
    close(shop)
    return file


@pytest.fixture
def sinks() -> list[str]:
    """Name where the records of the shop go."""
    return ["sql", "memory"]


@pytest.fixture
def shop(seeded: Path, tmp_path: Path, sinks: list[str]) -> Iterator[Flask]:
    """Make a shop of its own for each test."""
    file = shutil.copy(seeded, tmp_path / "kettle.db")
    place = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{file}"}
    shop = create_app({"TESTING": True, "ABX_SINKS": sinks, **place})
    yield shop
    close(shop)


@pytest.fixture
def visitor(shop: Flask) -> FlaskClient:
    """Come to the shop without a cookie."""
    return shop.test_client()


def close(shop: Flask) -> None:
    """End what a shop keeps open: its thread, and its connections."""
    storage = state_of(shop).storage
    assert storage.background is not None
    assert storage.database is not None
    storage.background.stop()
    storage.database.own.dispose()
    with shop.app_context():
        db.engine.dispose()
