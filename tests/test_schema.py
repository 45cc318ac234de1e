from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, Table, func, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from flask_abx import ABX
from flask_abx.errors import SetupError
from flask_abx.schema import Tables, fit_dialect, make_tables
from tests.databases import CONVENTION, ENGINES, engine_of, fresh_database, run

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_PREFIX = "a_prefix_of_20_chars"
LONGEST_NAME = 63
CHANGE: dict[str, Any] = {
    "version": 1,
    "kind": "experiment",
    "key": "headline",
    "action": "create",
    "iteration": 1,
    "actor": "",
    "channel": "cli",
    "note": "",
    "at": 2**53 - 1,
    "effective_at": 0,
}
LINK: dict[str, Any] = {"visitor": "v", "unit": "user:7", "first": 1, "at": 0}


def tables_on(
    metadata: MetaData, prefix: str = "abx_", dialect: str = "sqlite"
) -> Tables:
    def make(name: str, /, *items: Any, **options: Any) -> Table:
        return Table(name, metadata, *items, **options)

    tables = make_tables(make, prefix)
    fit_dialect(tables, dialect)
    return tables


def names_of(tables: Tables) -> list[str]:
    """List the name of everything that has one."""
    found = [str(table.name) for table in tables.all]
    found += [str(table.primary_key.name) for table in tables.all]
    found += [str(index.name) for table in tables.all for index in table.indexes]
    return found


def test_ten_tables_are_made_on_the_metadata_of_the_host() -> None:
    db = SQLAlchemy()
    ABX(db=db)
    assert sorted(db.metadata.tables) == [
        "abx_changes",
        "abx_definitions",
        "abx_epochs",
        "abx_erasures",
        "abx_event_units",
        "abx_events",
        "abx_exposures",
        "abx_links",
        "abx_looks",
        "abx_state",
    ]


def test_no_name_is_longer_than_every_database_takes() -> None:
    tables = tables_on(MetaData(), LONGEST_PREFIX, "postgresql")
    assert max(map(len, names_of(tables))) <= LONGEST_NAME


def test_no_name_is_given_twice() -> None:
    metadata = MetaData()
    prefixes = ("abx_", "abx_event_", "event_", "x")
    names = [
        name
        for prefix in prefixes
        for name in names_of(tables_on(metadata, prefix, "postgresql"))
    ]
    assert len(names) == len(set(names))


def test_a_naming_convention_of_the_host_changes_no_name() -> None:
    plain = tables_on(MetaData(), dialect="postgresql")
    other = tables_on(MetaData(naming_convention=CONVENTION), dialect="postgresql")
    assert sorted(names_of(other)) == sorted(names_of(plain))


def test_a_convention_is_not_seen_in_the_statements() -> None:
    tables = tables_on(MetaData(naming_convention={"pk": "key_of_%(table_name)s"}))
    assert "CONSTRAINT pk_abx_state " in str(CreateTable(tables.state))


def test_every_type_is_built_in() -> None:
    tables = tables_on(MetaData())
    modules = {type(column.type).__module__ for t in tables.all for column in t.c}
    assert modules == {"sqlalchemy.sql.sqltypes"}


def test_a_second_extension_with_the_same_prefix_shares_the_tables() -> None:
    db = SQLAlchemy()
    first, second, other = ABX(db=db), ABX(db=db), ABX(db=db, table_prefix="other_")
    places = [abx._place for abx in (first, second, other)]
    states = [place.tables.state for place in places if place is not None]
    assert states[0] is states[1]
    assert states[2].name == "other_state"


def test_a_bind_has_tables_of_its_own() -> None:
    db = SQLAlchemy()
    ABX(db=db)
    ABX(db=db, bind_key="abx")
    assert "abx_state" in db.metadatas[None].tables
    assert "abx_state" in db.metadatas["abx"].tables


def test_a_model_of_the_host_of_the_same_name_is_refused() -> None:
    db = SQLAlchemy()
    db.Table("abx_events", db.Column("id", db.Integer, primary_key=True))
    with pytest.raises(
        SetupError, match=r"'abx_events' of its own.*table_prefix=.*\.$"
    ):
        ABX(db=db)


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param("", id="empty"),
        pytest.param("1abx_", id="begins-with-a-digit"),
        pytest.param("abx-", id="dash"),
        pytest.param("abx_\n", id="newline"),
        pytest.param("äbx_", id="umlaut"),
        pytest.param(LONGEST_PREFIX + "_", id="21-characters"),
        pytest.param(None, id="none"),
    ],
)
def test_a_prefix_that_some_database_refuses_is_refused(prefix: object) -> None:
    with pytest.raises(SetupError, match=r"table_prefix=.*\.$"):
        ABX(db=SQLAlchemy(), table_prefix=prefix)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ENGINES)
def test_keys_are_told_apart_byte_by_byte(kind: str, tmp_path: Path) -> None:
    tables = tables_on(MetaData())
    links = tables.links
    keys = ["user:a", "user:A", "user:á", "user:\N{GRINNING FACE}", "user:ß", "user:ss"]
    with fresh_database(kind, tmp_path) as url, engine_of(url) as engine:
        links.create(engine)
        with engine.begin() as connection:
            connection.execute(links.insert(), [{**LINK, "unit": key} for key in keys])
            found = connection.execute(select(links.c.unit).where(links.c.at == 0))
            assert sorted(found.scalars()) == sorted(keys)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_key_is_stored_once(kind: str, tmp_path: Path) -> None:
    links = tables_on(MetaData()).links
    with fresh_database(kind, tmp_path) as url, engine_of(url) as engine:
        links.create(engine)
        with engine.begin() as connection:
            connection.execute(links.insert(), LINK)
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(links.insert(), LINK)


@pytest.mark.parametrize("kind", ENGINES)
def test_long_bodies_and_large_numbers_come_back_whole(
    kind: str, tmp_path: Path
) -> None:
    changes = tables_on(MetaData()).changes
    body = "\N{GRINNING FACE}" * 50_000
    with fresh_database(kind, tmp_path) as url, engine_of(url) as engine:
        changes.create(engine)
        with engine.begin() as connection:
            connection.execute(changes.insert(), {**CHANGE, "body": body})
            row = connection.execute(select(changes)).one()
            length = connection.execute(select(func.length(changes.c.body))).scalar()
    assert (row.body, row.at) == (body, CHANGE["at"])
    assert length


def test_five_tables_are_kept_in_the_order_of_their_key_on_sqlite() -> None:
    metadata = MetaData()
    tables = tables_on(metadata)
    with engine_of("sqlite://") as engine:
        found = [
            table.name
            for table in tables.all
            if "WITHOUT ROWID" in str(CreateTable(table).compile(engine))
        ]
    assert found == [table.name for table in tables.all[-5:]]


@pytest.mark.parametrize(
    ("kind", "count"), [("sqlite", 1), ("postgresql", 2), ("mariadb", 1)]
)
def test_values_are_in_an_index_on_postgresql_alone(
    kind: str, count: int, tmp_path: Path
) -> None:
    # Another application keeps the same tables in PostgreSQL.
    event_units = tables_on(MetaData(), dialect="postgresql").event_units
    with fresh_database(kind, tmp_path) as url, engine_of(url) as engine:
        event_units.create(engine)
        assert len(inspect(engine).get_indexes("abx_event_units")) == count


def test_the_scheme_of_the_address_decides_about_that_index() -> None:
    app, db = Flask(__name__), SQLAlchemy()
    app.config["SECRET_KEY"] = "secret"
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://nobody@nowhere/x"
    db.init_app(app)
    ABX(app, db=db)
    names = {index.name for index in db.metadata.tables["abx_event_units"].indexes}
    assert "ix_abx_event_units_value" in names


def test_tables_are_made_in_the_schema_of_the_host(tmp_path: Path) -> None:
    tables = tables_on(MetaData(schema="shop"), dialect="postgresql")
    with fresh_database("postgresql", tmp_path) as url, engine_of(url) as engine:
        run(url, "CREATE SCHEMA shop")
        tables.state.metadata.create_all(engine)
        assert len(inspect(engine).get_table_names(schema="shop")) == len(tables.all)
        assert inspect(engine).get_table_names() == []


@pytest.mark.parametrize("driver", ["mysql", "mariadb"])
def test_both_names_of_mariadb_make_the_same_tables(
    driver: str, tmp_path: Path
) -> None:
    with fresh_database("mariadb", tmp_path) as url:
        run(url, "ALTER DATABASE CHARACTER SET latin1")
        with engine_of(url.replace("mysql", driver, 1)) as engine:
            tables = tables_on(MetaData(), dialect=engine.dialect.name)
            tables.state.metadata.create_all(engine)
            query = text("SHOW CREATE TABLE abx_changes")
            with engine.connect() as connection:
                (_, made) = connection.execute(query).one()
    assert "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin" in made
    assert "`body` mediumtext" in made
