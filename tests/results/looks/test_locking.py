"""One refresh of an experiment at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine

from flask_abx.errors import ChangeRefused
from flask_abx.results.looks.locking import locked
from tests.databases import ENGINES, fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(params=ENGINES)
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Engine]]:
    """Give two engines to one database, as two processes have them."""
    with fresh_database(request.param, tmp_path) as url:
        made = [create_engine(url) for _ in range(2)]
        yield made
        for engine in made:
            engine.dispose()


def test_the_second_is_told_that_another_is_at_it(engines: list[Engine]) -> None:
    first, second = engines
    with (
        locked(first, "headline"),
        pytest.raises(ChangeRefused, match="being computed by another process"),
        locked(second, "headline", patience=0.2),
    ):
        pass


def test_the_lock_is_given_back(engines: list[Engine]) -> None:
    first, second = engines
    with locked(first, "headline"):
        pass
    with locked(second, "headline", patience=0.2):
        pass


def test_it_is_given_back_after_an_error_too(engines: list[Engine]) -> None:
    first, second = engines
    with pytest.raises(ZeroDivisionError), locked(first, "headline"):
        raise ZeroDivisionError
    with locked(second, "headline", patience=0.2):
        pass


def test_another_experiment_is_not_waited_for(engines: list[Engine]) -> None:
    first, second = engines
    with locked(first, "headline"), locked(second, "prices", patience=0.2):
        pass


def test_no_file_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with locked(engine, "headline"):
        assert len([*tmp_path.glob("*.lock")]) == 1
    assert [*tmp_path.glob("*.lock")] == []
