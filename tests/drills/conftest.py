"""Keeps the drills out of ordinary runs: they are asked for with ``-m drill``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the drills alone unless the marker is asked for."""
    is_drill = collection_path.name.startswith("test_")
    is_asked_for = "drill" in config.getoption("markexpr")
    return True if is_drill and not is_asked_for else None
