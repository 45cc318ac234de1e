"""Orders and purchases: both or neither, and out into a folder of Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from sqlalchemy import event, func, select

from example_app.experiments import abx, db
from example_app.orders import Order
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

ADDRESS = {"name": "Mina", "email": "m@example.com", "address": "1", "city": "Bonn"}


class TillError(RuntimeError):
    """The order could not be stored."""


def break_till(session: object) -> None:
    raise TillError


def buy(client: FlaskClient) -> None:
    client.post("/basket", data={"tea": "oolong", "packs": 2})
    client.post("/checkout", data=ADDRESS)


def stored(shop: Flask) -> tuple[int, int]:
    """Count the orders, and the purchases."""
    database = state_of(shop).database
    assert database is not None
    events = database.tables.events
    purchases = select(func.count()).where(events.c.name == "purchase")
    with shop.app_context():
        assert abx.flush()
        orders = select(func.count()).select_from(Order)
        return (
            db.session.scalars(orders).one(),
            db.session.scalars(purchases).one(),
        )


def test_an_order_is_stored_with_its_purchase(
    shop: Flask, visitor: FlaskClient
) -> None:
    buy(visitor)
    assert stored(shop) == (1, 1)


def test_an_order_that_rolls_back_leaves_no_purchase(
    shop: Flask, visitor: FlaskClient
) -> None:
    event.listen(db.session, "before_commit", break_till)
    try:
        with pytest.raises(TillError):
            buy(visitor)
    finally:
        event.remove(db.session, "before_commit", break_till)
    assert stored(shop) == (0, 0)


def test_the_basket_is_still_full_after_an_order_that_failed(
    visitor: FlaskClient,
) -> None:
    event.listen(db.session, "before_commit", break_till)
    try:
        with pytest.raises(TillError):
            buy(visitor)
    finally:
        event.remove(db.session, "before_commit", break_till)
    assert "Nothing in it yet" not in visitor.get("/basket").text


def test_purchases_are_exported_for_duckdb(
    shop: Flask, visitor: FlaskClient, tmp_path: Path
) -> None:
    buy(visitor)
    folder = tmp_path / "exported"
    arguments = ["abx", "events", "export", "--format", "parquet", "-o", str(folder)]
    assert shop.test_cli_runner().invoke(args=arguments).exit_code == 0
    query = f"SELECT value FROM '{folder}/events/**/*.parquet' WHERE name = 'purchase'"  # noqa: S608 - a folder of the test
    with shop.app_context():
        (cents,) = db.session.scalars(select(Order.cents))
    with duckdb.connect() as connection:
        assert connection.sql(query).fetchall() == [(cents / 100,)]
