"""Transactions that are tried again, and those that are not."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from flask_abx.events.sql import retrying
from flask_abx.events.sql.retrying import retried


def locked() -> OperationalError:
    """Make the error of a database that somebody else has locked."""
    cause = sqlite3.OperationalError("database is locked")
    cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return OperationalError("INSERT", {}, cause)


class Transaction:
    """A transaction that ends with one error after the other, then well."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.attempts = 0

    def __call__(self) -> str:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        return "stored"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(retrying, "sleep", made.append)
    return made


def test_what_goes_well_is_done_once(pauses: list[float]) -> None:
    transaction = Transaction()
    assert retried(transaction) == "stored"
    assert (transaction.attempts, pauses) == (1, [])


def test_what_somebody_was_in_the_way_of_is_done_again(pauses: list[float]) -> None:
    transaction = Transaction(locked(), locked(), locked())
    assert retried(transaction) == "stored"
    assert transaction.attempts == 4
    assert pauses == sorted(pauses)


def test_after_three_more_attempts_it_is_given_up(pauses: list[float]) -> None:
    transaction = Transaction(*(locked() for _ in range(9)))
    with pytest.raises(DBAPIError, match="database is locked"):
        retried(transaction)
    assert (transaction.attempts, len(pauses)) == (4, 3)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            OperationalError("INSERT", {}, sqlite3.IntegrityError("no")), id="refused"
        ),
        pytest.param(
            OperationalError("INSERT", {}, sqlite3.OperationalError("gone")),
            id="failed",
        ),
        pytest.param(ValueError("no"), id="no-database"),
    ],
)
def test_what_no_attempt_would_mend_is_raised_at_once(error: Exception) -> None:
    transaction = Transaction(error)
    with pytest.raises(type(error)) as caught:
        retried(transaction)
    assert (caught.value, transaction.attempts) == (error, 1)
