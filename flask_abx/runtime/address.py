"""Where an application keeps the tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from flask_sqlalchemy import SQLAlchemy

from flask_abx.errors import SetupError
from flask_abx.schema import make_tables

if TYPE_CHECKING:
    from flask_abx.schema import Tables
    from flask_abx.stores.database import Database


@dataclass(frozen=True, slots=True)
class Place:
    """Where an application keeps the tables."""

    db: SQLAlchemy
    tables: Tables
    prefix: str
    bind_key: str | None


def place_of(db: object, prefix: str, bind_key: str | None) -> Place:
    """Make the tables on the metadata of a host.

    Raises:
        SetupError: If it is no Flask-SQLAlchemy, or has such tables already.
    """
    if not isinstance(db, SQLAlchemy):
        raise SetupError(
            f"ABX got db={db!r}, must get the SQLAlchemy object of Flask-SQLAlchemy: "
            "write ABX(db=db)."
        )
    # A second ABX on the same object shares the tables of the first.
    make = partial(db.Table, bind_key=bind_key, keep_existing=True)
    return Place(db, make_tables(make, prefix), prefix, bind_key)


def address_of(place: Place, database: Database) -> str:
    """Name the tables of one database: 16 digits that tell no password."""
    address = database.host.url.render_as_string(hide_password=True)
    data = f"{address.replace(':***@', '@')}\0{place.bind_key}\0{place.prefix}"
    return blake2b(data.encode(), digest_size=8).hexdigest()
