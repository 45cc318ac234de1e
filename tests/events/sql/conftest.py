"""A database of each kind that our tables are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import ENGINES, fresh_database
from tests.events.sql.ground import Ground
from tests.events.sql.people import Rows
from tests.stores.places import database_at, empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.stores.database import Database


@pytest.fixture(scope="module", params=ENGINES)
def stored_in(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Make the tables once for a module of tests."""
    folder = tmp_path_factory.mktemp("database")
    with fresh_database(request.param, folder) as url, database_at(url) as database:
        yield database


@pytest.fixture
def rows(stored_in: Database) -> Iterator[Rows]:
    """Write rows, and leave none behind."""
    yield Rows(stored_in)
    empty(stored_in)


@pytest.fixture
def ground(stored_in: Database) -> Ground:
    """Find the tables empty."""
    empty(stored_in)
    return Ground(stored_in)
