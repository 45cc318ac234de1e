"""What an error of a database means, by driver."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.mysql.pymysql import dialect
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import OperationalError as AlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from flask_abx.events.sql.faults import Trouble, is_conflict, trouble_of
from flask_abx.events.sql.rows import RecordRefused
from flask_abx.stores.database import writing
from tests.databases import ENGINES
from tests.events.sql.ground import V1, event

if TYPE_CHECKING:
    from pathlib import Path

    from tests.events.sql.ground import Ground

pymysql: Any = dialect.import_dbapi()
AGAIN, REFUSED, FAILED = Trouble.AGAIN, Trouble.REFUSED, Trouble.FAILED


class PsycopgError(Exception):
    """As `psycopg.Error` tells its state."""

    def __init__(self, state: str | None) -> None:
        self.sqlstate = state


class Psycopg2Error(Exception):
    """As `psycopg2.Error` tells its state."""

    def __init__(self, state: str | None) -> None:
        self.pgcode = state


class Pg8000Error(Exception):
    """As `pg8000.DatabaseError` tells its state."""

    def __init__(self, state: str | None) -> None:
        super().__init__({"S": "ERROR", "C": state, "M": "no"})


def wrapped(error: Exception) -> DBAPIError:
    """Wrap an error of a driver as SQLAlchemy does."""
    return AlchemyError("INSERT", {}, error)


STATES = [
    ("40001", AGAIN),
    ("40P01", AGAIN),
    ("55P03", AGAIN),
    ("22001", REFUSED),
    ("22003", REFUSED),
    ("22021", REFUSED),
    ("23502", REFUSED),
    ("23514", REFUSED),
    ("42804", REFUSED),
    ("44000", REFUSED),
    ("54000", REFUSED),
    ("P0001", REFUSED),
    ("08006", FAILED),
    ("25006", FAILED),
    ("25P02", FAILED),
    ("42501", FAILED),
    ("42P01", FAILED),
    ("53100", FAILED),
    ("57014", FAILED),
    ("57P01", FAILED),
    (None, FAILED),
]


@pytest.mark.parametrize("driver", [PsycopgError, Psycopg2Error, Pg8000Error])
@pytest.mark.parametrize(("state", "expected"), STATES)
def test_postgresql_tells_it_by_state(
    driver: type[Any], state: str | None, expected: Trouble
) -> None:
    assert trouble_of(wrapped(driver(state))) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (pymysql.OperationalError(1213, "deadlock"), AGAIN),
        (pymysql.OperationalError(1205, "lock wait"), AGAIN),
        (pymysql.OperationalError(1020, "changed since last read"), AGAIN),
        (pymysql.DataError(1406, "too long"), REFUSED),
        (pymysql.DataError(9999, "some other data"), REFUSED),
        (pymysql.IntegrityError(1048, "null"), REFUSED),
        (pymysql.OperationalError(1366, "incorrect string"), REFUSED),
        (pymysql.OperationalError(1267, "collations"), REFUSED),
        (pymysql.OperationalError(1300, "utf8"), REFUSED),
        (pymysql.OperationalError(1264, "out of range"), REFUSED),
        (pymysql.OperationalError(1292, "incorrect value"), REFUSED),
        (pymysql.OperationalError(1644, "signal"), REFUSED),
        (pymysql.OperationalError(3988, "conversion"), REFUSED),
        (pymysql.OperationalError(4025, "check"), REFUSED),
        (pymysql.OperationalError(1290, "read-only"), FAILED),
        (pymysql.OperationalError(2006, "gone away"), FAILED),
        (pymysql.OperationalError(2013, "lost"), FAILED),
        (pymysql.ProgrammingError(1146, "no table"), FAILED),
        (pymysql.OperationalError(1114, "table is full"), FAILED),
    ],
    ids=lambda each: str(each.args[0]) if isinstance(each, Exception) else "",
)
def test_mariadb_tells_it_by_number(error: Exception, expected: Trouble) -> None:
    assert trouble_of(wrapped(error)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(RecordRefused("no"), REFUSED, id="refused-by-us"),
        pytest.param(ValueError("A string cannot contain NUL."), REFUSED, id="value"),
        pytest.param(TypeError("no"), REFUSED, id="type"),
        pytest.param(KeyError("name"), REFUSED, id="key"),
        pytest.param(OverflowError("too large"), REFUSED, id="overflow"),
        pytest.param(
            StatementError("no", "", {}, ValueError()), REFUSED, id="statement"
        ),
        pytest.param(PoolTimeout("no connection"), FAILED, id="pool"),
        pytest.param(OSError(28, "No space left"), FAILED, id="disk"),
        pytest.param(ConnectionResetError(104, "reset"), FAILED, id="connection"),
        pytest.param(MemoryError(), FAILED, id="memory"),
        pytest.param(KeyboardInterrupt(), FAILED, id="interrupt"),
    ],
)
def test_other_errors_are_known_by_their_kind(
    error: BaseException, expected: Trouble
) -> None:
    assert trouble_of(error) is expected


def test_a_lost_connection_is_no_fault_of_the_data() -> None:
    error = DBAPIError(
        "", {}, pymysql.DataError(1406, "x"), connection_invalidated=True
    )
    assert trouble_of(error) is FAILED


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(PsycopgError("40001"), True, id="serialisation"),
        pytest.param(PsycopgError("40P01"), True, id="deadlock"),
        pytest.param(PsycopgError("55P03"), False, id="lock-timeout"),
        pytest.param(PsycopgError("23505"), False, id="unique"),
        pytest.param(pymysql.OperationalError(1213, ""), True, id="mariadb-deadlock"),
        pytest.param(pymysql.OperationalError(1020, ""), True, id="mariadb-snapshot"),
        pytest.param(pymysql.OperationalError(1205, ""), False, id="mariadb-timeout"),
        pytest.param(sqlite3.OperationalError("locked"), False, id="sqlite"),
        pytest.param(ValueError("no"), False, id="no-driver"),
    ],
)
def test_a_conflict_is_a_deadlock_or_a_failed_serialisation(
    error: Exception, *, expected: bool
) -> None:
    assert is_conflict(wrapped(error)) is expected


@pytest.mark.parametrize(
    ("statement", "value", "expected"),
    [
        pytest.param("INSERT INTO t VALUES (:it)", None, REFUSED, id="not-null"),
        pytest.param("INSERT INTO t VALUES (:it)", 10**30, REFUSED, id="too-large"),
        pytest.param("INSERT INTO t VALUES (:it)", "\ud800", REFUSED, id="surrogate"),
        pytest.param("INSERT INTO t VALUES (:it)", {}, REFUSED, id="no-type-for-it"),
        pytest.param("INSERT INTO gone VALUES (:it)", 1, FAILED, id="no-table"),
        pytest.param("PRAGMA query_only = :it", 1, FAILED, id="syntax"),
    ],
)
def test_sqlite_tells_it(statement: str, value: object, expected: Trouble) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a NOT NULL)"))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - drivers raise anything
            connection.execute(text(statement), {"it": value})
    engine.dispose()
    assert trouble_of(caught.value) is expected


def test_sqlite_tells_that_somebody_else_writes(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    one, other = (sqlite3.connect(path, timeout=0) for _ in range(2))
    one.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        other.execute("BEGIN IMMEDIATE")
    one.close()
    other.close()
    assert trouble_of(caught.value) is AGAIN


def test_sqlite_tells_that_nobody_may_write(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    sqlite3.connect(path).close()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert trouble_of(caught.value) is FAILED


# SQLite takes texts of every length.
@pytest.mark.parametrize("stored_in", ENGINES[1:], indirect=True)
def test_what_a_database_has_no_room_for_is_refused(ground: Ground) -> None:
    row = {**event(visitor=V1), "version": "v" * 100, "stored_at": 0, "at": 0}
    row.update(units="{}", properties="{}", variants="{}")
    row.pop("type")
    with (
        pytest.raises(DBAPIError) as caught,
        writing(ground.database.own) as connection,
    ):
        connection.execute(ground.tables.events.insert(), row)
    assert trouble_of(caught.value) is REFUSED


def test_a_missing_table_is_no_fault_of_the_data(ground: Ground) -> None:
    with (
        pytest.raises(DBAPIError) as caught,
        writing(ground.database.own) as connection,
    ):
        connection.execute(text("INSERT INTO abx_gone VALUES (1)"))
    assert trouble_of(caught.value) is FAILED
