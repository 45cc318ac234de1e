"""Publishing: all of a version is written, or nothing of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from flask_abx.errors import ChangeRefused
from flask_abx.experiments.definition import canonical_json
from flask_abx.experiments.lifecycle import Action
from flask_abx.stores.change import Author, Edit
from flask_abx.stores.database import clock, reading, writing
from flask_abx.stores.reading import Mark, Name, begin_lineage, read_mark
from flask_abx.stores.writing import Prepared, Publisher
from tests.databases import ENGINES, fresh_database
from tests.stores.places import database_at, empty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask_abx.stores.database import Database

DELAY = 5_000
NAME = Name("experiment", "headline")
ANNA = Author("anna", "cli", "because")
HALVES = {"a": 0.5, "b": 0.5}


class Press:
    """A database, its publisher, and what a test asks of them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tables = database.tables
        self.mark = begin_lineage(database.own, self.tables)
        self.publisher = Publisher(self.tables, lambda mark: DELAY)

    def publish(self, *prepared: Prepared, **options: Any) -> int | None:
        """Publish after what this press has seen."""
        mark, own = self.mark, self.database.own
        at = self.publisher.publish(own, mark, prepared, ANNA, **options)
        if at is not None:
            self.mark = Mark(mark.lineage, mark.version + 1)
        return at

    def count(self) -> tuple[int, ...]:
        """Give the version, and the rows of definitions, changes and epochs."""
        tables = self.tables
        with reading(self.database.own) as connection:
            version = read_mark(connection, tables).version
            counts = (
                connection.execute(select(func.count()).select_from(each)).scalar_one()
                for each in (tables.definitions, tables.changes, tables.epochs)
            )
            return (version, *counts)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Read the rows of a table in the order of their keys."""
        found = getattr(self.tables, table)
        query = select(found).order_by(*found.primary_key)
        with reading(self.database.own) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    with database_at(f"sqlite:///{tmp_path / 'app.db'}") as database:
        yield Press(database)


@pytest.fixture(scope="module", params=ENGINES)
def any_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("writing")
    with fresh_database(request.param, folder) as url, database_at(url) as database:
        yield database


@pytest.fixture
def any_press(any_database: Database) -> Press:
    empty(any_database)
    return Press(any_database)


def body_of(traffic: float) -> str:
    return canonical_json({"key": "headline", "traffic": traffic})


def created(name: Name = NAME, **options: Any) -> Prepared:
    """Prepare the making of a running experiment."""
    edit = Edit(name, Action.CREATE, {})
    prepared = Prepared(edit, None, body_of(1), None, "running", 1, HALVES)
    return prepared._replace(**options)


def edited(previous: int = 1, **options: Any) -> Prepared:
    """Prepare an edit of it that leaves the weights alone."""
    edit = Edit(NAME, Action.EDIT, {})
    before, after = body_of(1), body_of(0.5)
    prepared = Prepared(edit, before, after, previous, "running", 1, HALVES)
    return prepared._replace(**options)


def deleted() -> Prepared:
    return Prepared(Edit(NAME, Action.DELETE, None), body_of(1), None, 1, "draft", 1)


def test_a_version_is_written_to_all_tables(any_press: Press) -> None:
    at = any_press.publish(created())
    assert at is not None
    assert any_press.count() == (1, 1, 1, 1)
    (definition,) = any_press.rows("definitions")
    assert definition == {
        "kind": "experiment",
        "key": "headline",
        "status": "running",
        "iteration": 1,
        "version": 1,
        "body": body_of(1),
    }
    (change,) = any_press.rows("changes")
    told = {name: change[name] for name in ("action", "actor", "channel", "note")}
    assert told == {
        "action": "create",
        "actor": "anna",
        "channel": "cli",
        "note": "because",
    }
    assert (change["at"], change["effective_at"]) == (at, at + DELAY)


def test_many_edits_are_one_version(any_press: Press) -> None:
    names = [Name("experiment", f"e{number}") for number in range(5)]
    any_press.publish(*(created(name) for name in names))
    assert any_press.count() == (1, 5, 5, 5)


def test_the_moment_is_that_of_the_database(press: Press) -> None:
    with reading(press.database.own) as connection:
        before = clock(connection)
    at = press.publish(created())
    with reading(press.database.own) as connection:
        assert at is not None
        assert before <= at <= clock(connection)


def test_an_urgent_edit_counts_at_once(press: Press) -> None:
    at = press.publish(created(edit=Edit(NAME, Action.PAUSE, {}, is_urgent=True)))
    (change,) = press.rows("changes")
    assert change["effective_at"] == at


def test_an_edit_replaces_the_content_and_keeps_the_history(any_press: Press) -> None:
    any_press.publish(created())
    any_press.publish(edited())
    assert any_press.count() == (2, 1, 2, 1)
    assert [row["body"] for row in any_press.rows("changes")] == [
        body_of(1),
        body_of(0.5),
    ]
    assert [row["previous"] for row in any_press.rows("changes")] == [None, 1]
    assert any_press.rows("definitions")[0]["version"] == 2


def test_a_deletion_takes_the_content_and_keeps_the_history(any_press: Press) -> None:
    any_press.publish(created())
    any_press.publish(deleted())
    assert any_press.count() == (2, 0, 2, 1)
    assert any_press.rows("changes")[1]["body"] is None


def test_other_weights_open_an_epoch(press: Press) -> None:
    press.publish(created())
    press.publish(edited())
    at = press.publish(edited(2, weights={"a": 1.0}))
    assert at is not None
    epochs = press.rows("epochs")
    assert [json.loads(epoch["weights"]) for epoch in epochs] == [HALVES, {"a": 1.0}]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert epochs[1]["started_at"] == at + DELAY


def test_an_epoch_begins_no_earlier_than_the_experiment(press: Press) -> None:
    later = 2**45
    press.publish(created(epoch_from=later))
    press.publish(edited(weights={"a": 1.0}, epoch_from=1))
    starts = [epoch["started_at"] for epoch in press.rows("epochs")]
    assert starts[0] == later
    assert 1 < starts[1] < later


def test_where_nobody_can_be_exposed_no_epoch_opens(press: Press) -> None:
    press.publish(created(weights=None))
    assert press.count() == (1, 1, 1, 0)


def test_what_the_configuration_holds_is_only_told(press: Press) -> None:
    press.publish(created(), keeps=False)
    assert press.count() == (1, 0, 1, 1)


def test_who_is_overtaken_writes_nothing(any_press: Press) -> None:
    other = Press(any_press.database)
    assert other.publish(created(Name("segment", "eu"), weights=None)) is not None
    assert any_press.publish(created()) is None
    assert any_press.count() == (1, 1, 1, 0)


def test_who_worked_on_another_database_writes_nothing(any_press: Press) -> None:
    any_press.mark = Mark("another", any_press.mark.version)
    assert any_press.publish(created()) is None
    assert any_press.count() == (0, 0, 0, 0)


@pytest.mark.parametrize("prepared", [edited(), deleted()], ids=["edit", "delete"])
def test_a_row_that_was_changed_by_hand_is_not_overwritten(
    any_press: Press, prepared: Prepared
) -> None:
    any_press.publish(created())
    with writing(any_press.database.own) as connection:
        connection.execute(any_press.tables.definitions.update().values(version=77))
    with pytest.raises(ChangeRefused, match=r"by hand.*nothing is written"):
        any_press.publish(prepared)
    assert any_press.count() == (1, 1, 1, 1)


def test_without_the_table_of_changes_nothing_is_written(any_press: Press) -> None:
    any_press.tables.changes.drop(any_press.database.host)
    with pytest.raises(DBAPIError):
        any_press.publish(created())
    any_press.tables.changes.create(any_press.database.host)
    assert any_press.count() == (0, 0, 0, 0)


def test_where_the_change_cannot_be_told_nothing_is_written(any_press: Press) -> None:
    any_press.publish(created())
    row = any_press.rows("changes")[0] | {"version": 2, "note": "planted"}
    with writing(any_press.database.own) as connection:
        connection.execute(any_press.tables.changes.insert().values(row))
    with pytest.raises(DBAPIError):
        any_press.publish(edited())
    assert any_press.count() == (1, 1, 2, 1)
    assert any_press.rows("definitions")[0]["body"] == body_of(1)


def test_where_one_of_many_cannot_be_told_none_is_written(any_press: Press) -> None:
    with pytest.raises(DBAPIError):
        any_press.publish(created(Name("experiment", "other")), created(), created())
    assert any_press.count() == (0, 0, 0, 0)


def test_where_the_epoch_cannot_be_opened_nothing_is_written(any_press: Press) -> None:
    any_press.tables.epochs.drop(any_press.database.host)
    with pytest.raises(DBAPIError):
        any_press.publish(created())
    any_press.tables.epochs.create(any_press.database.host)
    assert any_press.count() == (0, 0, 0, 0)


def test_the_next_one_can_write_after_one_that_failed(any_press: Press) -> None:
    with pytest.raises(DBAPIError):
        any_press.publish(created(), created())
    assert any_press.publish(created()) is not None
    assert any_press.count() == (1, 1, 1, 1)
