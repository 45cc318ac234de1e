from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import MetaData, Table

from flask_abx.schema import fit_dialect, make_tables
from flask_abx.stores.inspection import differences, journal_mode, missing
from tests.databases import ENGINES, engine_of, fresh_database, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from sqlalchemy import Engine

    from flask_abx.schema import Tables

every_kind = pytest.mark.parametrize("kind", ENGINES)
_MIGRATE = (
    "run `flask db migrate` and `flask db upgrade`, or alter it by hand without "
    "Flask-Migrate."
)


def tables_for(dialect: str, schema: str | None = None) -> Tables:
    metadata = MetaData(schema=schema)

    def make(name: str, /, *items: Any, **options: Any) -> Table:
        return Table(name, metadata, *items, **options)

    tables = make_tables(make, "abx_")
    fit_dialect(tables, dialect)
    return tables


@contextmanager
def created(kind: str, folder: Path, *after: str) -> Iterator[tuple[Engine, Tables]]:
    """Make the tables in a database of their own, and run statements afterwards."""
    with fresh_database(kind, folder) as url, engine_of(url) as engine:
        tables = tables_for(engine.dialect.name)
        tables.state.metadata.create_all(engine)
        run(url, *after)
        yield engine, tables


def told(kind: str, folder: Path, *after: str) -> tuple[str, ...]:
    """Tell how tables differ after some statements."""
    with created(kind, folder, *after) as (engine, tables):
        return differences(engine, tables)


@every_kind
def test_tables_that_were_just_made_do_not_differ(kind: str, tmp_path: Path) -> None:
    assert told(kind, tmp_path) == ()


@every_kind
def test_an_empty_database_lacks_them_all_in_one_sentence(
    kind: str, tmp_path: Path
) -> None:
    with fresh_database(kind, tmp_path) as url, engine_of(url) as engine:
        tables = tables_for(engine.dialect.name)
        assert missing(engine, tables) == tables.all
        (sentence,) = differences(engine, tables)
    assert sentence.startswith("There is no table 'abx_state' in the database: run ")
    assert "`flask abx db create`" in sentence


def test_a_schema_is_looked_into(tmp_path: Path) -> None:
    tables = tables_for("postgresql", "shop")
    with created("postgresql", tmp_path, "CREATE SCHEMA shop") as (engine, _):
        assert missing(engine, tables) == tables.all
        tables.state.metadata.create_all(engine)
        assert differences(engine, tables) == ()


@every_kind
@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        pytest.param(
            "DROP TABLE abx_links",
            "There is no table 'abx_links' in the database: run `flask db migrate` and "
            "`flask db upgrade`, or `flask abx db create` without Flask-Migrate.",
            id="table",
        ),
        pytest.param(
            "ALTER TABLE abx_events DROP COLUMN value",
            f"There is no column 'abx_events.value': {_MIGRATE}",
            id="column",
        ),
        pytest.param(
            "ALTER TABLE abx_events ADD COLUMN country VARCHAR(2)",
            f"The column 'abx_events.country' is none of ours: {_MIGRATE}",
            id="extra-column",
        ),
    ],
)
def test_what_is_missing_or_too_much_is_told(
    kind: str, statement: str, sentence: str, tmp_path: Path
) -> None:
    assert told(kind, tmp_path, statement) == (sentence,)


@every_kind
def test_an_index_is_missed_with_the_statement_that_makes_it(
    kind: str, tmp_path: Path
) -> None:
    on_table = " ON abx_links" if kind == "mariadb" else ""
    (sentence,) = told(kind, tmp_path, f"DROP INDEX ix_abx_links_unit{on_table}")
    assert sentence.startswith("There is no index 'ix_abx_links_unit': run ")
    assert "`CREATE INDEX ix_abx_links_unit ON abx_links (unit)`" in sentence


def test_the_index_of_postgresql_alone_is_missed_there(tmp_path: Path) -> None:
    (sentence,) = told("postgresql", tmp_path, "DROP INDEX ix_abx_event_units_value")
    assert "(unit, name, at) INCLUDE (value)`" in sentence


@pytest.mark.parametrize(
    ("kind", "statement", "fault"),
    [
        pytest.param(
            "postgresql",
            "ALTER TABLE abx_events ALTER COLUMN version TYPE VARCHAR(10)",
            "'abx_events.version' is VARCHAR(10), must be VARCHAR(20)",
            id="postgresql-length",
        ),
        pytest.param(
            "postgresql",
            "ALTER TABLE abx_events ALTER COLUMN at TYPE INTEGER",
            "'abx_events.at' is INTEGER, must be BIGINT",
            id="postgresql-type",
        ),
        pytest.param(
            "postgresql",
            "ALTER TABLE abx_events ALTER COLUMN at DROP NOT NULL",
            "'abx_events.at' takes NULL, must be NOT NULL",
            id="postgresql-null",
        ),
        pytest.param(
            "mariadb",
            "ALTER TABLE abx_events MODIFY version VARCHAR(10) NOT NULL",
            "'abx_events.version' is VARCHAR(10), must be VARCHAR(20)",
            id="mariadb-length",
        ),
        pytest.param(
            "mariadb",
            "ALTER TABLE abx_events MODIFY units TEXT NOT NULL",
            "'abx_events.units' is TEXT, must be MEDIUMTEXT",
            id="mariadb-type",
        ),
        pytest.param(
            "mariadb",
            "ALTER TABLE abx_events MODIFY value DOUBLE NOT NULL",
            "'abx_events.value' is NOT NULL, must take NULL",
            id="mariadb-null",
        ),
    ],
)
def test_a_column_of_another_kind_is_told(
    kind: str, statement: str, fault: str, tmp_path: Path
) -> None:
    assert told(kind, tmp_path, statement) == (f"The column {fault}: {_MIGRATE}",)


def test_a_table_that_was_made_by_hand_on_sqlite_is_told(tmp_path: Path) -> None:
    sentences = told(
        "sqlite",
        tmp_path,
        "DROP TABLE abx_erasures",
        "CREATE TABLE abx_erasures (digest TEXT, erased_at BIGINT NOT NULL)",
    )
    assert [sentence.partition(":")[0] for sentence in sentences] == [
        "The column 'abx_erasures.digest' is TEXT, must be VARCHAR(64)",
        "The column 'abx_erasures.digest' takes NULL, must be NOT NULL",
        "The primary key of 'abx_erasures' is missing, must be (digest)",
    ]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_key_in_another_order_is_told(kind: str, tmp_path: Path) -> None:
    drop = "CONSTRAINT pk_abx_links" if kind == "postgresql" else "PRIMARY KEY"
    (sentence,) = told(
        kind,
        tmp_path,
        f"ALTER TABLE abx_links DROP {drop}",
        "ALTER TABLE abx_links ADD PRIMARY KEY (unit, visitor)",
    )
    assert "is (unit, visitor), must be (visitor, unit): " in sentence


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        pytest.param(
            "ALTER TABLE abx_epochs ENGINE=MyISAM",
            "The engine of 'abx_epochs' is MyISAM, must be InnoDB: run "
            "`ALTER TABLE abx_epochs ENGINE=InnoDB`.",
            id="engine",
        ),
        pytest.param(
            "ALTER TABLE abx_links CONVERT TO CHARACTER SET utf8mb4 "
            "COLLATE utf8mb4_general_ci",
            "The texts of 'abx_links' are compared by utf8mb4_general_ci, must be by "
            "utf8mb4_bin: run `ALTER TABLE abx_links CONVERT TO CHARACTER SET utf8mb4 "
            "COLLATE utf8mb4_bin`.",
            id="table",
        ),
        pytest.param(
            "ALTER TABLE abx_links MODIFY unit VARCHAR(361) "
            "CHARACTER SET latin1 NOT NULL",
            "The texts of 'abx_links' are compared by latin1_swedish_ci, must be by "
            "utf8mb4_bin: run `ALTER TABLE abx_links CONVERT TO CHARACTER SET utf8mb4 "
            "COLLATE utf8mb4_bin`.",
            id="column",
        ),
    ],
)
def test_what_mariadb_stores_in_another_way_is_told_with_the_statement(
    statement: str, fault: str, tmp_path: Path
) -> None:
    assert told("mariadb", tmp_path, statement) == (fault,)
    repair = fault.partition("`")[2].rpartition("`")[0]
    assert told("mariadb", tmp_path, statement, repair) == ()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(
            "ALTER TABLE abx_events MODIFY units LONGTEXT NOT NULL", id="larger"
        ),
        pytest.param("ALTER TABLE abx_links COLLATE utf8mb4_general_ci", id="default"),
    ],
)
def test_what_does_no_harm_on_mariadb_is_not_told(
    statement: str, tmp_path: Path
) -> None:
    assert told("mariadb", tmp_path, statement) == ()


def test_other_tables_and_indexes_of_the_host_are_not_told(tmp_path: Path) -> None:
    sentences = told(
        "sqlite",
        tmp_path,
        "CREATE TABLE abx_notes (id INTEGER)",
        "CREATE INDEX ix_reports ON abx_events (name, at)",
    )
    assert sentences == ()


def test_the_journal_of_a_file_is_told(tmp_path: Path) -> None:
    with engine_of(f"sqlite:///{tmp_path / 'app.db'}") as engine:
        assert journal_mode(engine) == "delete"


@pytest.mark.parametrize("kind", ["memory", "postgresql"])
def test_there_is_no_journal_elsewhere(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind.replace("memory", "sqlite"), tmp_path) as url:
        place = "sqlite://" if kind == "memory" else url
        with engine_of(place) as engine:
            assert journal_mode(engine) is None
