"""The orders of the shop, each stored together with its purchase."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from example_app.experiments import abx, db

if TYPE_CHECKING:
    from example_app.basket import Basket


class Order(db.Model):  # type: ignore[name-defined,misc] # made by the extension
    """What somebody has bought.

    Attributes:
        cents: What is to be paid; SQLite has no exact decimal numbers.
    """

    __tablename__ = "orders"

    number = db.Column(db.String(12), primary_key=True)
    name = db.Column(db.String(200), nullable=False)
    city = db.Column(db.String(200), nullable=False)
    packs = db.Column(db.Integer, nullable=False)
    cents = db.Column(db.Integer, nullable=False)


def place(bought: Basket, name: str, city: str, *, is_gift: bool = False) -> str:
    """Store an order and its purchase, both or neither; gives its number."""
    number = f"K-{secrets.token_hex(3).upper()}"
    db.session.add(
        Order(
            number=number,
            name=name[:200],
            city=city[:200],
            packs=bought.packs,
            cents=int(bought.total * 100),
        )
    )
    abx.track(
        "purchase",
        value=bought.total,
        properties={"packs": bought.packs, "gift": is_gift},
        id=number,
        durability="atomic",
    )
    db.session.commit()
    return number
