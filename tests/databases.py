"""The kinds of database that tests run on, each with a place of one's own.

    @pytest.mark.parametrize("kind", ENGINES)
    def test_something(kind: str, tmp_path: Path) -> None:
        with fresh_database(kind, tmp_path) as url:
            ...

Where the environment does not tell a server, the test is skipped and says so.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import URL, Engine

ENGINES = ("sqlite", "postgresql", "mariadb")
#: The names that SQLAlchemy's own documentation proposes.
CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_VARIABLES = {
    "postgresql": ("ABX_TEST_POSTGRES_URL", "postgresql+psycopg"),
    "mariadb": ("ABX_TEST_MYSQL_URL", "mysql+pymysql"),
}


def database_url(kind: str, folder: Path) -> str:
    """Give the address of a database that other tests use too: take a `fresh_prefix`.

    Args:
        kind: One of `ENGINES`.
        folder: Where a SQLite file is put, which nobody shares.
    """
    if kind == "sqlite":
        return f"sqlite:///{folder / 'app.db'}"
    variable, driver = _VARIABLES[kind]
    address = os.environ.get(variable)
    if not address:
        pytest.skip(f"{variable} is not set, so nothing is tried on {kind}.")
    return _plain(make_url(address).set(drivername=driver))


def fresh_prefix() -> str:
    """Make a prefix for tables that no other test uses."""
    return f"t{secrets.token_hex(5)}_"


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """Make an empty database that nobody shares, and give its address."""
    url = database_url(kind, folder)
    if kind == "sqlite":
        yield url
        return
    name = f"abx_{secrets.token_hex(5)}"
    force = " WITH (FORCE)" if kind == "postgresql" else ""
    run(url, f"CREATE DATABASE {name}")
    try:
        yield _plain(make_url(url).set(database=name))
    finally:
        run(url, f"DROP DATABASE {name}{force}")


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    """Give an engine that keeps no connection open."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


def run(url: str, *statements: str) -> None:
    """Run statements, each a transaction of its own."""
    with engine_of(url) as engine, engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            alone.execute(text(statement))


def _plain(url: URL) -> str:
    return url.render_as_string(hide_password=False)
