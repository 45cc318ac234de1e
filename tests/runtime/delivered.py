"""A small shop whose records go to a database, on each kind of database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event, select
from sqlalchemy.pool import Pool

from flask_abx import ABX
from flask_abx.runtime.state import Delivery, State, state_of
from tests.databases import database_url, fresh_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flask.testing import FlaskClient
#: Long enough for any machine; nothing here waits for it where all is well.
PATIENCE = 10.0
RUNNING: Mapping[str, Any] = {"variants": ["control", "bold"], "status": "running"}
#: One experiment on each kind of unit.
EXPERIMENTS: Mapping[str, Any] = {
    "headline": RUNNING,
    "price": {**RUNNING, "unit": ["user", "visitor"]},
    "account": {**RUNNING, "unit": "user"},
    "plan": {**RUNNING, "unit": "tenant"},
}


@dataclass(frozen=True, slots=True)
class Shop:
    """An application and its database."""

    app: Flask
    abx: ABX
    db: SQLAlchemy
    prefix: str

    @property
    def state(self) -> State:
        return state_of(self.app)

    @property
    def delivery(self) -> Delivery:
        delivery = self.state.delivery
        assert delivery is not None
        return delivery

    def client(self) -> FlaskClient:
        """Give a browser of its own."""
        return self.app.test_client()

    def settle(self) -> None:
        """Wait until all that was recorded is in the tables."""
        assert self.delivery.sink.flush(PATIENCE)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Read a table, in the order of its key."""
        database = self.state.database
        assert database is not None
        table = getattr(database.tables, name)
        query = select(table).order_by(*table.primary_key.columns)
        with database.own.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def variant_of(self, key: str, **who: str) -> str:
        """Give the variant that a page shows to a new client without cookies."""
        client = self.app.test_client(use_cookies=False)
        return client.get(f"/{key}", query_string=who).text


@contextmanager
def open_shop(
    kind: str,
    folder: Path,
    experiments: Mapping[str, Any] = EXPERIMENTS,
    **config: object,
) -> Iterator[Shop]:
    """Open a shop whose tables are there: `/KEY` reads an experiment, `/buy` tracks.

    Who it is stands in the query: ``user`` and ``tenant``.

    Args:
        kind: One of `ENGINES`, or ``memory``.
        folder: The instance folder.
        experiments: What it tests.
        config: More of its configuration.
    """
    url = "sqlite://" if kind == "memory" else database_url(kind, folder)
    with _opened(url, folder, experiments, config) as shop:
        yield shop


@contextmanager
def _opened(
    url: str, folder: Path, experiments: Mapping[str, Any], config: Mapping[str, object]
) -> Iterator[Shop]:
    app = Flask("shop", instance_path=str(folder))
    app.config.update(
        SECRET_KEY="secret",
        SQLALCHEMY_DATABASE_URI=url,
        ABX_SINKS=["sql"],
        ABX_EXPERIMENTS=experiments,
    )
    app.config.update(config)
    db, prefix = SQLAlchemy(app), fresh_prefix()
    shop = Shop(app, ABX(app, db=db, table_prefix=prefix), db, prefix)
    _add_pages(shop)
    with app.app_context():
        db.create_all()
    try:
        yield shop
    finally:
        _close(shop)


def _close(shop: Shop) -> None:
    state = shop.state
    assert state.storage.background is not None
    shop.delivery.sink.close()
    state.storage.background.stop()
    with shop.app.app_context():
        shop.db.session.remove()
        shop.db.drop_all()
        for engine in shop.db.engines.values():
            engine.dispose()
    assert state.database is not None
    if not state.database.is_in_memory:
        state.database.own.dispose()


def _add_pages(shop: Shop) -> None:
    app, abx = shop.app, shop.abx

    @abx.unit_loader
    def user() -> str | None:
        return request.args.get("user")

    @abx.attributes_loader
    def attributes() -> dict[str, str]:
        tenant = request.args.get("tenant")
        return {} if tenant is None else {"tenant": tenant}

    @app.get("/<key>")
    def read(key: str) -> str:
        return abx.variant(key)

    @app.get("/all")
    def read_all() -> str:
        return ",".join(abx.variant(key) for key in shop.state.ruleset().rules)

    @app.get("/buy")
    def buy() -> str:
        durability: Any = request.args.get("durability")
        abx.track("purchase", 9.5, durability=durability)
        return "thanks"


@dataclass(slots=True)
class Traffic:
    """What was sent to databases: in the thread of the requests, and in ours."""

    here: list[str] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)


@contextmanager
def traffic() -> Iterator[Traffic]:
    """Watch every engine and every pool; a connection that is lent may be pinged."""
    found, here = Traffic(), get_ident()

    def on_execute(*told: Any) -> None:
        statement = str(told[2])
        if get_ident() == here:
            found.here.append(statement)
        elif statement.startswith("SELECT") and "exposures" in statement:
            found.lookups.append(statement)

    def on_checkout(*told: Any) -> None:
        del told
        if get_ident() == here:
            found.here.append("a connection is lent")

    event.listen(Engine, "before_cursor_execute", on_execute)
    event.listen(Pool, "checkout", on_checkout)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)
        event.remove(Pool, "checkout", on_checkout)
