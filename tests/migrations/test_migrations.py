from __future__ import annotations

import ast
import json
import logging.config
from typing import TYPE_CHECKING, Any

import flask_migrate
import pytest

from tests.databases import CONVENTION, ENGINES, fresh_database, run
from tests.migrations.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLES = 10
SETUPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "prefix": {"prefix": "Shop_experiments_a_b"},
    "convention": {"metadata": {"naming_convention": CONVENTION}},
    "schema": {
        "metadata": {"schema": "shop", "naming_convention": CONVENTION},
        "options": {"include_schemas": True},
    },
    "bind": {"bind": "abx"},
}
# The templates of Flask-Migrate ask Flask-SQLAlchemy in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated")


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep env.py from setting up the logging of the whole test run."""
    monkeypatch.setattr(logging.config, "fileConfig", lambda name: None)


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Set up a host on a database of its own."""
    kind, setup = request.param
    if setup == "schema" and kind != "postgresql":
        pytest.skip(f"A database of {kind} has no schemas.")
    with fresh_database(kind, tmp_path) as url:
        if setup == "schema":
            run(url, "CREATE SCHEMA shop")
        other = f"sqlite:///{tmp_path / 'other.db'}" if setup == "bind" else ""
        yield Host(tmp_path, url, other=other, **SETUPS[setup])


every_host = pytest.mark.parametrize(
    "host",
    [
        pytest.param((kind, setup), id=f"{kind}-{setup}")
        for kind in ENGINES
        for setup in SETUPS
    ],
    indirect=True,
)


def on(setup: str, *kinds: str) -> pytest.MarkDecorator:
    """Try one setup on some kinds of database."""
    rows = [pytest.param((kind, setup), id=kind) for kind in kinds]
    return pytest.mark.parametrize("host", rows, indirect=True)


def findings(host: Host, check: str) -> list[dict[str, str]]:
    """Run doctor, and give what one check found."""
    result = host.abx("doctor", "--format", "json")
    every: list[dict[str, str]] = json.loads(result.stdout)["findings"]
    return [each for each in every if each["check"] == check]


@every_host
def test_flask_migrate_makes_the_tables_and_then_proposes_nothing(host: Host) -> None:
    host.migrate_from_empty(multidb=host.bind is not None)
    assert host.differences() == ()
    host.run(flask_migrate.check)
    host.run(flask_migrate.migrate)
    assert len(host.migrations()) == 1
    host.run(flask_migrate.downgrade)
    assert host.missing() == TABLES


@every_host
def test_flask_migrate_proposes_nothing_after_db_create(host: Host) -> None:
    host.run(flask_migrate.init, multidb=host.bind is not None)
    assert host.abx("db", "create").exit_code == 0
    host.run(flask_migrate.migrate)
    assert [text for text in host.migrations() if f"{host.prefix}state" in text] == []


@on("plain", *ENGINES)
def test_a_migration_imports_nothing_of_ours(host: Host) -> None:
    host.migrate_from_empty()
    (source,) = host.migrations()
    nodes = list(ast.walk(ast.parse(source)))
    plain = {each.name for n in nodes if isinstance(n, ast.Import) for each in n.names}
    named = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert plain | named == {"alembic", "sqlalchemy", "sqlalchemy.dialects"}
    assert "flask_abx" not in source


@on("plain", "sqlite")
def test_a_host_with_migrations_is_told_to_run_them(host: Host) -> None:
    host.run(flask_migrate.init)
    (tables, *_) = findings(host, "tables")
    assert tables["paste"] == "flask db migrate && flask db upgrade"


@on("plain", "sqlite")
def test_nothing_is_said_of_migrations_that_see_the_tables(host: Host) -> None:
    host.migrate_from_empty()
    assert findings(host, "migrations") == []
    assert host.abx("db", "check").stderr == ""


@on("bind", *ENGINES)
def test_the_template_for_one_database_never_sees_a_bind(host: Host) -> None:
    host.migrate_from_empty()
    host.run(flask_migrate.check)
    assert host.missing() == TABLES
    assert "abx_state" not in host.migrations()[0]


@on("bind", "sqlite")
def test_that_is_what_db_check_says_and_what_to_do(host: Host) -> None:
    host.migrate_from_empty()
    result = host.abx("db", "check", "--format", "table")
    assert result.exit_code == 1
    assert "does not see the tables, as they are on the bind 'abx'" in result.stdout
    assert "`flask db init --multidb`" in result.stdout


@on("bind", "sqlite")
def test_that_is_what_doctor_says_and_what_to_do(host: Host) -> None:
    host.migrate_from_empty()
    (migrations,) = findings(host, "migrations")
    assert migrations["level"] == "fail"
    assert migrations["paste"] == "flask db init --multidb"
    (tables,) = findings(host, "tables")
    assert tables["paste"] == "flask abx db create"


@on("bind", "sqlite")
def test_it_is_a_warning_once_the_tables_are_there(host: Host) -> None:
    host.migrate_from_empty()
    host.abx("db", "create")
    result = host.abx("db", "check", "--format", "table")
    assert (result.exit_code, findings(host, "migrations")[0]["level"]) == (0, "warn")
    assert "does not see the tables" in result.stderr


@on("bind", "sqlite")
def test_the_template_for_many_databases_is_not_complained_of(host: Host) -> None:
    host.migrate_from_empty(multidb=True)
    assert findings(host, "migrations") == []


@on("bind", "sqlite", "postgresql")
def test_a_bind_of_the_default_database_would_be_dropped(host: Host) -> None:
    host.other = host.url
    host.abx("db", "create")
    host.run(flask_migrate.init)
    host.run(flask_migrate.migrate)
    (source,) = host.migrations()
    assert "def upgrade" in source.partition("op.drop_table('abx_state')")[0]
    (migrations,) = findings(host, "migrations")
    assert migrations["paste"] == "ABX(app, db=db)"


@on("schema", "postgresql")
def test_a_schema_that_migrations_do_not_look_into_is_told(host: Host) -> None:
    host.options = {}
    host.migrate_from_empty()
    with pytest.raises(SystemExit):
        host.run(flask_migrate.check)
    (migrations,) = findings(host, "migrations")
    assert migrations["paste"] == "Migrate(app, db, include_schemas=True)"
