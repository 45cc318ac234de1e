"""Keeps long simulations out of ordinary runs; they are asked for by their marker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

LONG = "simulation"


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave them out, as if they were not there, unless the marker is asked for."""
    if LONG in config.getoption("markexpr"):
        return
    items[:] = [each for each in items if each.get_closest_marker(LONG) is None]
