"""A batch of which a part is refused: the rest is stored, whatever stands beside."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from flask_abx.events.sql.halving import halved

if TYPE_CHECKING:
    from collections.abc import Sequence


class Table:
    """Takes numbers, all of a transaction or none."""

    def __init__(self, *refused: int) -> None:
        self.refused = set(refused)
        self.stored: list[int] = []
        self.transactions = 0

    def store(self, items: Sequence[int]) -> None:
        self.transactions += 1
        for bad in self.refused.intersection(items):
            raise IntegrityError(
                "INSERT", {}, sqlite3.IntegrityError(f"{bad}\n is bad")
            )
        self.stored += items


def test_what_is_sound_goes_in_one_transaction() -> None:
    table = Table()
    assert halved(range(100), table.store) == []
    assert (table.stored, table.transactions) == ([*range(100)], 1)


def test_of_nothing_nothing_is_done() -> None:
    table = Table()
    assert halved([], table.store) == []
    assert table.transactions == 0


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param((0,), id="first"),
        pytest.param((99,), id="last"),
        pytest.param((49, 50), id="both-sides"),
        pytest.param(tuple(range(100)), id="all"),
    ],
)
def test_what_is_refused_stands_alone(refused: tuple[int, ...]) -> None:
    table = Table(*refused)
    found = halved(range(100), table.store)
    assert found == [(number, f"{number} is bad") for number in refused]
    assert table.stored == [each for each in range(100) if each not in refused]


def test_one_bad_record_costs_few_transactions() -> None:
    table = Table(37)
    halved(range(512), table.store)
    assert table.transactions == 1 + 2 * 9


def test_an_item_that_no_row_can_be_made_of_is_refused() -> None:
    def store(items: Sequence[str]) -> None:
        for each in items:
            int(each)

    ((bad, reason),) = halved(["1", "x", "3"], store)
    assert (bad, reason.split(":")[0]) == (
        "x",
        "invalid literal for int() with base 10",
    )


def test_a_failure_of_anything_else_ends_it() -> None:
    def store(items: Sequence[int]) -> None:
        raise ConnectionError(f"{len(items)}")

    with pytest.raises(ConnectionError, match="4"):
        halved([1, 2, 3, 4], store)
