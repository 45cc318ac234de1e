"""Changing definitions: checked, guarded, all or nothing, nothing lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func, select

from flask_abx import (
    ABX,
    Change,
    ChangeRefused,
    DefinitionError,
    UnknownExperiment,
    UnknownVariant,
    UsageError,
    experiment_changed,
)
from flask_abx.experiments.definition import parse
from flask_abx.experiments.lifecycle import Action
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import Author, Edit
from flask_abx.stores.database import reading, writing
from flask_abx.stores.reading import Name
from flask_abx.stores.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Table

    from flask_abx.schema import Tables
    from flask_abx.stores.desk import Desk
    from flask_abx.stores.editor import Editor

HEADLINE: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
ANNA = Author("anna", "python", "because")


class House:
    """An application with its database, and what a test asks of them."""

    def __init__(self, folder: Path) -> None:
        db = SQLAlchemy()
        self.abx = ABX(db=db)
        self.app = Flask(__name__, instance_path=str(folder))
        self.app.config.update(
            SECRET_KEY="secret",
            TESTING=True,
            ABX_SINKS=["memory"],
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'app.db'}",
        )
        db.init_app(self.app)
        self.abx.init_app(self.app)
        with self.app.app_context():
            db.create_all()
            db.engine.dispose()

    @property
    def editor(self) -> Editor:
        editor = state_of(self.app).editor
        assert editor is not None
        return editor

    def rows(self, pick: Callable[[House], Table]) -> int:
        database = state_of(self.app).database
        assert database is not None
        with reading(database.own) as connection:
            query = select(func.count()).select_from(pick(self))
            return connection.execute(query).scalar_one()

    def spoil(self, key: str) -> None:
        """Break a definition by hand."""
        database = state_of(self.app).database
        assert database is not None
        table = self.tables.definitions
        with writing(database.own) as connection:
            broken = table.update().where(table.c.key == key).values(body="{broken")
            connection.execute(broken)

    @property
    def changes(self) -> int:
        return self.rows(lambda house: house.tables.changes)

    def epoch_starts(self) -> list[int]:
        database = state_of(self.app).database
        assert database is not None
        with reading(database.own) as connection:
            query = select(self.tables.epochs.c.started_at)
            return [*connection.execute(query).scalars()]

    def settle(self) -> None:
        background = state_of(self.app).storage.background
        assert background is not None
        assert background.settle(10)

    @property
    def epochs(self) -> int:
        return self.rows(lambda house: house.tables.epochs)

    @property
    def tables(self) -> Tables:
        database = state_of(self.app).database
        assert database is not None
        return database.tables

    def close(self) -> None:
        storage = state_of(self.app).storage
        assert storage.database is not None
        storage.database.own.dispose()
        assert storage.background is not None
        storage.background.stop()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture
def editor(house: House) -> Editor:
    house.editor.create("headline", HEADLINE, ANNA)
    return house.editor


def test_what_is_created_is_a_draft(editor: Editor) -> None:
    experiment = editor.desk().experiment("headline")
    assert (experiment.status, experiment.metrics.primary) == ("draft", ("signup",))


def test_a_key_is_created_once(house: House, editor: Editor) -> None:
    with pytest.raises(ChangeRefused, match="exists already"):
        editor.create("headline", HEADLINE)
    assert house.changes == 1


def test_a_content_with_faults_is_not_written(house: House) -> None:
    with pytest.raises(DefinitionError) as caught:
        house.editor.create("Head line", {"variants": ["one"], "traffic": 2})
    assert len(caught.value.faults) == 3
    assert house.changes == 0


def test_a_change_is_told_with_everything(editor: Editor) -> None:
    (change,) = editor.edit("headline", {"traffic": 0.5}, ANNA)
    assert (change.version, change.previous, change.action) == (2, 1, "edit")
    assert (change.before["variants"], change.after["traffic"]) == (
        [{"key": "control"}, {"key": "bold"}],
        0.5,
    )
    assert (change.actor, change.channel, change.note) == ("anna", "python", "because")


def test_an_edit_that_changes_nothing_makes_no_version(
    house: House, editor: Editor
) -> None:
    assert editor.edit("headline", {"traffic": 1.0}) == ()
    assert house.changes == 1


def test_none_takes_a_field_back_to_its_default(editor: Editor) -> None:
    editor.edit("headline", {"traffic": 0.5})
    (change,) = editor.edit("headline", {"traffic": None})
    assert "traffic" not in change.after


def test_a_stale_edit_is_refused_with_the_difference(
    house: House, editor: Editor
) -> None:
    seen = editor.desk().version_of("headline")
    editor.edit("headline", {"traffic": 0.5}, expected=seen)
    with pytest.raises(ChangeRefused, match=r"traffic None -> 0\.5"):
        editor.edit("headline", {"name": "Headline"}, expected=seen)
    assert house.changes == 2


def test_an_unknown_key_is_suggested(editor: Editor) -> None:
    with pytest.raises(UnknownExperiment, match="'headline'"):
        editor.move("headlin", Action.START)


def test_a_draft_can_be_deleted(editor: Editor) -> None:
    (change,) = editor.delete("headline")
    assert (change.action, change.after) == ("delete", None)
    assert not editor.desk().document.experiments


def test_what_has_run_cannot_be_deleted(editor: Editor) -> None:
    editor.move("headline", Action.START)
    with pytest.raises(ChangeRefused, match="archive"):
        editor.delete("headline")


def test_a_start_is_refused_with_every_reason(house: House) -> None:
    house.editor.create(
        "headline",
        {"variants": ["control", "bold"], "audience": {"$segment": "vip"}},
    )
    with pytest.raises(ChangeRefused) as caught:
        house.editor.move("headline", Action.START)
    assert len(caught.value.reasons) == 2


def test_a_closed_draft_is_not_started(house: House) -> None:
    house.editor.create("headline", {**HEADLINE, "closed": True})
    with pytest.raises(ChangeRefused, match="closed to new units"):
        house.editor.move("headline", Action.START)


def test_what_is_created_cannot_run_already(house: House) -> None:
    with pytest.raises(ChangeRefused, match="is a draft"):
        house.editor.create("headline", {**HEADLINE, "status": "running"})
    assert house.changes == 0


def test_an_action_that_is_no_move_is_told(editor: Editor) -> None:
    with pytest.raises(UsageError, match="'begin' is no move, use one of start"):
        editor.move("headline", "begin")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "reason"), [(1, "not_started"), (3, "allocated"), (5, "ended")]
)
def test_a_scheduled_start_and_end_act_by_themselves(
    house: House, editor: Editor, day: int, reason: str
) -> None:
    schedule = {"start_at": "2040-01-02T00:00:00Z", "end_at": "2040-01-04T00:00:00Z"}
    editor.edit("headline", schedule)
    editor.move("headline", Action.START)
    with (
        house.app.test_request_context(),
        time_machine.travel(datetime(2040, 1, day, tzinfo=UTC), tick=False),
    ):
        assert house.abx.assignment("headline").reason == reason


def test_an_illegal_move_writes_nothing(house: House, editor: Editor) -> None:
    with pytest.raises(ChangeRefused, match="start it first"):
        editor.move("headline", Action.PAUSE)
    editor.move("headline", Action.START)
    with pytest.raises(UnknownVariant):
        editor.move("headline", Action.CONCLUDE, winner="gold")
    assert house.changes == 2


def test_two_running_experiments_may_not_drive_one_flag(editor: Editor) -> None:
    driving = {
        "variants": {"control": {"flags": {"new": False}}, "on": {"flags": {"new": 1}}},
        "metrics": ["signup"],
    }
    driving["variants"]["on"] = {"flags": {"new": True}}  # type: ignore[index]
    for key in ("one", "two"):
        editor.create(key, driving)
    editor.move("one", Action.START)
    with pytest.raises(ChangeRefused, match="'new'"):
        editor.move("two", Action.START)


def test_a_dry_run_writes_nothing(house: House, editor: Editor) -> None:
    (change,) = editor.move("headline", Action.START, dry_run=True)
    assert change.after["status"] == "running"
    assert house.changes == 1


def test_a_guard_may_refuse(house: House) -> None:
    asked: list[Change] = []

    @house.abx.change_guard
    def guard(change: Change) -> None:
        asked.append(change)
        raise ChangeRefused("Not on a Friday.")

    with pytest.raises(ChangeRefused, match="Friday"):
        house.editor.create("headline", HEADLINE, ANNA)
    assert (asked[0].actor, asked[0].action, house.changes) == ("anna", "create", 0)


def test_receivers_hear_of_it_after_the_commit(house: House) -> None:
    heard: list[tuple[int, int]] = []

    def receiver(app: Flask, change: Change) -> None:
        del app
        heard.append((change.version, house.changes))

    with experiment_changed.connected_to(receiver, house.app):
        house.editor.create("headline", HEADLINE)
    assert heard == [(1, 1)]


def test_a_receiver_that_raises_harms_nothing(house: House) -> None:
    def receiver(app: Flask, change: Change) -> None:
        raise RuntimeError

    with experiment_changed.connected_to(receiver, house.app):
        house.editor.create("headline", HEADLINE)
    assert house.changes == 1


def test_epochs_begin_with_a_run_and_with_other_variants(
    house: House, editor: Editor
) -> None:
    editor.move("headline", Action.START)
    editor.move("headline", Action.PAUSE)
    editor.move("headline", Action.RESUME)
    assert house.epochs == 1
    editor.move("headline", Action.RESTART)
    assert house.epochs == 2


def test_somebody_who_publishes_meanwhile_makes_it_be_worked_out_anew(
    house: House, editor: Editor
) -> None:
    seen: list[int] = []

    def plan(desk: Desk) -> list[Edit]:
        seen.append(desk.snapshot.mark.version)
        if len(seen) == 1:
            editor.edit("headline", {"name": "meanwhile"})
        content = {**HEADLINE, "name": desk.experiment("headline").name + "!"}
        return [Edit(Name("experiment", "copy"), Action.CREATE, content)]

    (change,) = editor.publish(plan, ANNA)
    assert (seen, change.version, change.after["name"]) == ([1, 2], 3, "meanwhile!")


def test_what_was_broken_by_hand_goes_back_to_what_was_published(
    house: House, editor: Editor
) -> None:
    house.spoil("headline")
    with pytest.raises(DefinitionError):
        editor.desk()
    (change,) = editor.rollback(1, ANNA, keys=["headline"])
    assert (change.version, change.before) == (2, "{broken")
    assert editor.desk().experiment("headline").status == "draft"


def test_going_back_never_brings_what_only_the_configuration_had(house: House) -> None:
    database = state_of(house.app).database
    assert database is not None
    document = parse({"experiments": {"old": HEADLINE}})
    Recording(database, state_of(house.app).store).record(database.own, document)
    house.editor.create("headline", HEADLINE)
    house.editor.edit("headline", {"traffic": 0.5})
    house.editor.rollback(2)
    assert set(house.editor.desk().document.experiments) == {"headline"}


def test_a_close_waits_for_the_start_that_it_builds_upon(
    house: House, editor: Editor
) -> None:
    house.app.testing = False
    (start,) = editor.move("headline", Action.START)
    (close,) = editor.move("headline", Action.CLOSE)
    assert close.effective_at == start.effective_at > close.at


def test_the_brake_waits_for_nothing(house: House, editor: Editor) -> None:
    house.app.testing = False
    editor.move("headline", Action.START)
    (pause,) = editor.move("headline", Action.PAUSE)
    assert pause.effective_at == pause.at


def test_an_epoch_that_has_not_begun_moves_with_the_experiment(
    house: House, editor: Editor
) -> None:
    editor.edit("headline", {"start_at": "2040-01-02T00:00:00Z"})
    editor.move("headline", Action.START)
    later = house.epoch_starts()
    editor.edit("headline", {"start_at": None})
    (now,) = house.epoch_starts()
    assert later == [2_209_075_200_000]
    assert now < later[0]


def test_a_brake_is_heard_while_others_are_half_way(house: House) -> None:
    def flags(value: object) -> dict[str, Any]:
        return {
            "variants": {"control": {"flags": {"f": value}}, "on": {"flags": {"f": 1}}},
            "metrics": ["signup"],
        }

    house.editor.apply({"experiments": {"b": flags(0)}})
    house.editor.create("a", flags(0))
    house.app.testing = False
    house.editor.move("b", Action.CONCLUDE)
    house.editor.move("a", Action.START)
    house.editor.move("a", Action.PAUSE)
    house.settle()
    rules = state_of(house.app).store.ruleset().rules
    assert (rules["a"].status, rules["b"].status) == ("paused", "running")


@pytest.mark.parametrize("text", ["a\0b", "\x1b[31mred", "\ud800", "x" * 10_001])
def test_a_note_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(ChangeRefused, match="note"):
        Author("anna", "cli", text)


def test_a_definition_that_is_too_long_is_refused(house: House) -> None:
    with pytest.raises(ChangeRefused, match=r"1,000,000"):
        house.editor.create("headline", {**HEADLINE, "name": "x" * 1_000_001})
    assert house.changes == 0
