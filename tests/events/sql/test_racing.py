"""Several drains at once: nobody is in anybody's way for long, and all is stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from flask_abx.events.sql.faults import Trouble, trouble_of
from flask_abx.events.sql.storing import store
from flask_abx.stores.database import writing
from tests.events.sql.ground import KINDS, event, exposure
from tests.stores.places import empty

if TYPE_CHECKING:
    from tests.events.sql.ground import Ground

    Told = dict[str, Any]

DRAINS, ROUNDS, PEOPLE = 6, 17, 20


def chunk(drain: int, number: int) -> list[Told]:
    """Tell of forty hot units, in an order that no other chunk has."""
    told: list[Told] = []
    for each in map(str, range(PEOPLE)):
        at = (drain + 7 * number + int(each)) % 50
        told += [
            exposure("visitor", visitor=each, at=at),
            exposure("user", user=each, at=at + 1),
            event("order", at, visitor=each),
            event("refund", at, user=each),
        ]
    if number % 3 == 0:
        told += [
            event("login", visitor=each, user=each) for each in map(str, range(20))
        ]
    Random(f"{drain} {number}").shuffle(told)
    return told


def drain(ground: Ground, number: int) -> int:
    """Store chunks, and count how often one had to be tried again."""
    again = 0
    for each in range(ROUNDS):
        while not is_stored(ground, chunk(number, each)):
            again += 1
    return again


def is_stored(ground: Ground, told: list[Told]) -> bool:
    """Store a chunk, unless somebody else was in the way."""
    try:
        with writing(ground.database.own) as connection:
            store(connection, ground.tables, told, KINDS.__getitem__)
    except DBAPIError as error:
        if trouble_of(error) is not Trouble.AGAIN:
            raise
        return False
    return True


def test_six_drains_on_forty_hot_units_lose_nothing(ground: Ground) -> None:
    with ThreadPoolExecutor(DRAINS) as pool:
        list(pool.map(partial(drain, ground), range(DRAINS)))
    found = ground.everything(besides=["visitor"])
    empty(ground.database)
    told = [each for n in range(DRAINS) for r in range(ROUNDS) for each in chunk(n, r)]
    for begin in range(0, len(told), 500):
        ground.store(*told[begin : begin + 500])
    assert found == ground.everything(besides=["visitor"])
