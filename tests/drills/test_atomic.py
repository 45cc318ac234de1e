"""Hundreds of sessions on each kind of database, and no order without its event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runtime.atomic_shop import SAVEPOINTS
from tests.runtime.test_atomic_states import EXAMPLES, buy_and_compare

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.drill


@pytest.mark.parametrize("kind", SAVEPOINTS)
def test_orders_and_events_share_one_fate(kind: str, tmp_path: Path) -> None:
    buy_and_compare(kind, tmp_path, 10 * EXAMPLES)
