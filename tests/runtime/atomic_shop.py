"""A small shop whose orders have events, on each kind of database."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import CheckConstraint, Column, String, delete, event, select

from flask_abx.events.records import Event
from flask_abx.events.tally import Tally
from flask_abx.runtime.address import Place, place_of
from flask_abx.runtime.atomic import Atomic
from tests.databases import database_url, engine_of, fresh_prefix, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine, Table

#: With "recipe", SQLite begins its transactions as SQLAlchemy's documentation proposes.
KINDS = ("sqlite", "recipe", "postgresql", "mariadb")
#: Where a savepoint is one: on stock SQLite the first one commits.
SAVEPOINTS = KINDS[1:]
SERVERS = KINDS[2:]
LOGGER = logging.getLogger("shop")


def purchase(key: str) -> Event:
    """Make the event that belongs to an order."""
    return Event(
        id=key,
        at=datetime.now(UTC),
        units={"user": "7"},
        version="c0",
        name="purchase",
        value=1,
        properties={},
        variants={},
    )


@dataclass(slots=True)
class Shop:
    """An application that sells, and what became of its orders and events."""

    app: Flask
    db: SQLAlchemy
    place: Place
    order_class: Any
    url: str
    tally: Tally = field(default_factory=Tally)
    delivered: list[str] = field(default_factory=list)

    @property
    def orders(self) -> Table:
        table: Table = self.order_class.__table__
        return table

    def order(self, key: str) -> None:
        self.db.session.execute(self.orders.insert().values(id=key))

    def insert(self, event: Event, deliver: Callable[[Event], None]) -> None:
        Atomic(self.place, self.tally, LOGGER).insert(event, deliver)

    def track(self, key: str, deliver: Callable[[Event], None] | None = None) -> None:
        self.insert(purchase(key), deliver or self.deliver)

    def buy(self, key: str, deliver: Callable[[Event], None] | None = None) -> None:
        self.order(key)
        self.track(key, deliver)

    def deliver(self, event: Event) -> None:
        self.delivered.append(event.id)

    def rows(self, table: Table | None = None) -> list[str]:
        """Read the keys of the stored orders, or of another table."""
        column = (self.orders if table is None else table).c.id
        with engine_of(self.url) as engine, engine.connect() as connection:
            return sorted(connection.scalars(select(column)))

    def story(self) -> tuple[list[str], list[str], list[str]]:
        """Tell the stored orders, the stored events and the delivered events."""
        return self.rows(), self.rows(self.place.tables.events), self.delivered

    def empty(self) -> None:
        with engine_of(self.url) as engine, engine.begin() as connection:
            for table in (self.orders, *self.place.tables.all):
                connection.execute(delete(table))
        self.delivered.clear()
        self.tally = Tally()


def begin_explicitly(engine: Engine) -> None:
    """Take the recipe that makes savepoints work on SQLite."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: object) -> None:  # noqa: ANN401
        del record
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


@contextmanager
def open_shop(
    kind: str, folder: Path, *, engine: dict[str, Any] | None = None, **session: Any
) -> Iterator[Shop]:
    """Open an application whose tables are taken away at the end.

    Args:
        kind: One of `KINDS`.
        folder: Where a SQLite file is put.
        engine: What its engine is made with.
        session: What its sessions are made with.
    """
    url = database_url("sqlite" if kind == "recipe" else kind, folder)
    app = Flask("shop", instance_path=str(folder))
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_BINDS"] = {"other": f"sqlite:///{folder / 'other.db'}"}
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine or {}
    db = SQLAlchemy(session_options=session)
    db.init_app(app)
    prefix = fresh_prefix()

    class Order(db.Model):  # type: ignore[name-defined,misc] # made by the host
        __tablename__ = f"{prefix}orders"
        __table_args__: ClassVar = {"mysql_engine": "InnoDB"}
        id = Column(String(32), primary_key=True)

    shop = Shop(app, db, place_of(db, prefix, None), Order, url)
    # What makes the database itself refuse an event, for as long as it costs so much.
    shop.place.tables.events.append_constraint(CheckConstraint("value < 1000"))
    with app.app_context():
        if kind == "recipe":
            begin_explicitly(db.engine)
        db.create_all(bind_key=None)
    try:
        yield shop
    finally:
        with app.app_context():
            db.drop_all(bind_key=None)
            for each in db.engines.values():
                each.dispose()


@contextmanager
def broken(shop: Shop) -> Iterator[None]:
    """Take away the table of the events for a while."""
    name = shop.place.tables.events.name
    run(shop.url, f"ALTER TABLE {name} RENAME TO {name}_away")
    try:
        yield
    finally:
        run(shop.url, f"ALTER TABLE {name}_away RENAME TO {name}")


@contextmanager
def conflict(shop: Shop) -> Iterator[None]:
    """Let every insert of an event end as a deadlock does."""
    name = shop.place.tables.events.name
    if shop.url.startswith("mysql"):
        fail = "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213"
        after = f"DROP TRIGGER {name}_t"
    else:
        fail = f"EXECUTE FUNCTION {name}_f()"
        after = f"DROP FUNCTION {name}_f() CASCADE"
        run(
            shop.url,
            f"CREATE FUNCTION {name}_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$",
        )
    run(
        shop.url, f"CREATE TRIGGER {name}_t BEFORE INSERT ON {name} FOR EACH ROW {fail}"
    )
    try:
        yield
    finally:
        run(shop.url, after)
