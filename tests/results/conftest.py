"""A database of each kind, in each way in which results are added up there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import fresh_database
from tests.results.tilled import MODES, Field
from tests.stores.places import database_at, empty

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=MODES)
def tilled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Field]:
    """Make the tables once for a module of tests."""
    folder = tmp_path_factory.mktemp("database")
    kind = MODES[request.param]
    with fresh_database(kind, folder) as url, database_at(url) as database:
        yield Field(database, request.param)


@pytest.fixture
def ground(tilled: Field) -> Field:
    """Find the tables empty."""
    empty(tilled.database)
    return Field(tilled.database, tilled.mode)
