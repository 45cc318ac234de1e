"""Changing definitions in the database: checked, guarded, published, told."""

from __future__ import annotations

import json
from time import monotonic
from typing import TYPE_CHECKING, Any

from flask_abx.errors import ChangeRefused, UsageError
from flask_abx.experiments.checklist import unmet
from flask_abx.experiments.edits import refusals
from flask_abx.experiments.lifecycle import MOVES, Action, Status
from flask_abx.experiments.moves import apply_move
from flask_abx.stores.change import Author, Edit, content, entry_of, merged
from flask_abx.stores.compiling import Parser
from flask_abx.stores.database import reading
from flask_abx.stores.desk import EXPERIMENT, Desk
from flask_abx.stores.history import bodies_at
from flask_abx.stores.importing import edits_of
from flask_abx.stores.preparing import prepare
from flask_abx.stores.reading import (
    BLANK,
    Name,
    begin_lineage,
    new_lineage,
    read_mark,
    read_snapshot,
)
from flask_abx.stores.restoring import edits_back
from flask_abx.stores.writing import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping

    from sqlalchemy import Engine

    from flask_abx.stores.change import Change
    from flask_abx.stores.database import Database
    from flask_abx.stores.reading import Mark, Snapshot

#: How often a change is worked out anew because others published meanwhile.
_TRIES = 100
#: How long a new database is this process's own, in seconds.
_FRESH = 2.0
_NOBODY = Author()


class Editor:
    """Changes the definitions of one database; each call is one version, or nothing.

    Args:
        database: Where they are.
        registered: The segments that code registers.
        delay: Gives how long a change waits to take effect everywhere, in
            milliseconds.
        guard: Asked before each change is written; may raise `ChangeRefused`.
        tell: Called after the commit with what was done.
    """

    def __init__(
        self,
        database: Database,
        registered: Container[str],
        *,
        delay: Callable[[], int],
        guard: Callable[[Change], None],
        tell: Callable[[tuple[Change, ...]], None],
    ) -> None:
        self._database = database
        self._registered = registered
        self._publisher = Publisher(database.tables, self._delay)
        self._usual_delay = delay
        self._guard = guard
        self._tell = tell
        self._parser = Parser(lambda: None)
        self._founded: Mark | None = None
        self._founded_at = 0.0

    def _begin(self, engine: Engine) -> None:
        lineage = new_lineage()
        mark = begin_lineage(engine, self._database.tables, lineage)
        if mark.lineage == lineage:
            self._founded, self._founded_at = mark, monotonic()

    def _delay(self, mark: Mark) -> int:
        # What this process has just founded was hardly served by any other.
        is_fresh = monotonic() - self._founded_at < _FRESH
        return 0 if is_fresh and mark == self._founded else self._usual_delay()

    def desk(self) -> Desk:
        """Read the latest definitions.

        Raises:
            SetupError: If the tables are not there.
            DefinitionError: If what is there has faults.
        """
        snapshot = self._snapshot(self._database.own)
        return Desk(snapshot, self._parser.parse(snapshot.bodies))

    def _repair_desk(self) -> Desk:
        """Read the latest definitions without those that somebody broke by hand."""
        snapshot = self._snapshot(self._database.own)
        sound = self._parser.sound(snapshot.bodies)
        return Desk(snapshot, self._parser.parse(sound, is_whole=False))

    def create(
        self,
        key: str,
        fields: Mapping[str, Any],
        author: Author = _NOBODY,
        *,
        dry_run: bool = False,
    ) -> tuple[Change, ...]:
        """Make a draft.

        Raises:
            ChangeRefused: If the experiment exists, or is to be more than a draft.
            DefinitionError: With every fault of the fields.
        """
        status = fields.get("status", Status.DRAFT)
        if status != Status.DRAFT:
            raise ChangeRefused(
                f"status is {status!r}, but what is created is a draft: leave it out, "
                "and start the experiment when it is ready."
            )

        def plan(desk: Desk) -> Iterable[Edit]:
            if key in desk.document.experiments:
                raise ChangeRefused(
                    f"Experiment {key!r} exists already, change it with "
                    f"`flask abx edit {key}` or choose another key."
                )
            draft = entry_of(key, {**fields, "status": Status.DRAFT.value})
            yield Edit(Name(EXPERIMENT, key), Action.CREATE, content(draft))

        return self.publish(plan, author, dry_run=dry_run)

    def edit(
        self,
        key: str,
        fields: Mapping[str, Any],
        author: Author = _NOBODY,
        *,
        expected: int | None = None,
        dry_run: bool = False,
    ) -> tuple[Change, ...]:
        """Change fields of an experiment, where that is safe.

        Args:
            key: The experiment.
            fields: The new values; None takes a field back to its default.
            author: Who does it.
            expected: The version of the experiment that the author has seen; where
                another has changed it since, nothing is written.
            dry_run: True works everything out and writes nothing.

        Raises:
            UnknownExperiment: If there is none of this key.
            ChangeRefused: If the edit is stale, or unsafe for a running experiment.
            DefinitionError: With every fault of the new content.
        """

        def plan(desk: Desk) -> Iterable[Edit]:
            before = desk.experiment(key)
            if expected is not None and expected != desk.version_of(key):
                raise ChangeRefused(self._difference(desk, key, expected))
            after = entry_of(key, merged(before, fields))
            reasons = refusals(before, after, desk.now)
            if reasons:
                raise ChangeRefused(*reasons)
            yield Edit(Name(EXPERIMENT, key), Action.EDIT, content(after))

        return self.publish(plan, author, dry_run=dry_run)

    def delete(
        self, key: str, author: Author = _NOBODY, *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Take a draft away.

        Raises:
            UnknownExperiment: If there is none of this key.
            ChangeRefused: If it is no draft any more.
        """

        def plan(desk: Desk) -> Iterable[Edit]:
            status = desk.experiment(key).status
            if status is not Status.DRAFT:
                raise ChangeRefused(
                    f"Experiment {key!r} is {status}, only a draft can be deleted: "
                    "what has run is kept, and put away with `flask abx archive`."
                )
            yield Edit(Name(EXPERIMENT, key), Action.DELETE, None)

        return self.publish(plan, author, dry_run=dry_run)

    def move(
        self,
        key: str,
        action: Action,
        author: Author = _NOBODY,
        *,
        fields: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        **options: Any,
    ) -> tuple[Change, ...]:
        """Do what the table of moves allows.

        Args:
            key: The experiment.
            action: One of `MOVES`.
            author: Who does it.
            fields: New values that a restart brings along, as in `edit`.
            dry_run: True works everything out and writes nothing.
            options: What the action asks for, such as ``traffic`` or ``winner``.

        Raises:
            UsageError: If there is no such action.
            UnknownExperiment: If there is none of this key.
            UnknownVariant: If an option names no variant.
            ChangeRefused: If the state does not allow it; names what it allows.
            DefinitionError: If it would clash with another experiment.
        """
        if action not in MOVES:
            named = ", ".join(MOVES)
            raise UsageError(f"{str(action)!r} is no move, use one of {named}.")
        action = Action(action)

        def plan(desk: Desk) -> Iterable[Edit]:
            experiment = desk.experiment(key)
            if fields:
                options["definition"] = entry_of(key, merged(experiment, fields))
            after = apply_move(experiment, action, desk.now, **options)
            if action in {Action.START, Action.RESTART}:
                reasons = unmet(desk.as_draft(after), key, desk.now, self._registered)
                if reasons:
                    raise ChangeRefused(*reasons)
            is_urgent = action.is_urgent
            yield Edit(Name(EXPERIMENT, key), action, content(after), is_urgent)

        return self.publish(plan, author, dry_run=dry_run)

    def apply(
        self,
        source: Mapping[str, Any],
        author: Author = _NOBODY,
        *,
        dry_run: bool = False,
    ) -> tuple[Change, ...]:
        """Take over a whole document; what it does not name stays as it is.

        Status, salt, iteration and start are kept, so that nobody changes the variant.

        Raises:
            ChangeRefused: If it would do what is unsafe for a running experiment.
            DefinitionError: With every fault.
        """

        def plan(desk: Desk) -> Iterable[Edit]:
            return edits_of(source, desk.document, desk.now)

        return self.publish(plan, author, dry_run=dry_run)

    def rollback(
        self,
        version: int,
        author: Author = _NOBODY,
        *,
        keys: Collection[str] = (),
        dry_run: bool = False,
    ) -> tuple[Change, ...]:
        """Publish a new version with the content of an earlier one.

        Args:
            version: The one whose content comes back.
            author: Who does it.
            keys: The definitions that go back; all where none is named.
            dry_run: True works everything out and writes nothing.

        Raises:
            ChangeRefused: If there is no such version, or an experiment cannot go back
                because of what it has been through since.
        """

        def plan(desk: Desk) -> Iterable[Edit]:
            newest = desk.snapshot.mark.version
            if not 0 < version <= newest:
                raise ChangeRefused(
                    f"There is no version {version} to go back to, the versions are 1 "
                    f"to {newest}: look at them with `flask abx audit`."
                )
            then = self._bodies_at(version)
            return edits_back(then, desk.snapshot, desk.document, keys)

        return self.publish(plan, author, dry_run=dry_run, repairs=True)

    def publish(
        self,
        plan: Callable[[Desk], Iterable[Edit]],
        author: Author,
        *,
        dry_run: bool = False,
        repairs: bool = False,
    ) -> tuple[Change, ...]:
        """Work out edits, check all that comes of them, ask the guard, and write.

        Where others publish meanwhile it is worked out anew: no lock is held while
        code of the application runs.

        Args:
            plan: Gives the edits for the definitions that it is shown.
            author: Who does it.
            dry_run: True works everything out and writes nothing.
            repairs: True goes on where definitions were broken by hand.

        Returns:
            What was changed; nothing where the edits change nothing.
        """
        engine = self._database.own
        for _ in range(_TRIES):
            desk = self._repair_desk() if repairs else self.desk()
            snapshot = desk.snapshot
            edits = tuple(plan(desk))
            prepared = prepare(
                edits,
                snapshot.definitions,
                desk.document,
                self._parser,
                snapshot.pending,
            )
            if not prepared:
                return ()
            mark = snapshot.mark
            changes = self._publisher.changes(mark, prepared, author, snapshot.now)
            for change in changes:
                self._guard(change)
            if dry_run:
                return changes
            at = self._publisher.publish(engine, mark, prepared, author)
            if at is not None:
                done = self._publisher.changes(mark, prepared, author, at)
                self._tell(done)
                return done
        raise ChangeRefused(
            f"Others published {_TRIES} times meanwhile, nothing is written: try again."
        )

    def _snapshot(self, engine: Engine) -> Snapshot:
        tables = self._database.tables
        with self._database.explained(engine):
            with reading(engine) as connection:
                mark = read_mark(connection, tables)
            if mark == BLANK:
                self._begin(engine)
            return read_snapshot(engine, tables)

    def _bodies_at(self, version: int) -> dict[Name, str]:
        with reading(self._database.own) as connection:
            tables = self._database.tables
            found = bodies_at(connection, tables, version, is_config=False)
        return {name: body for name, (_, body) in found.items()}

    def _difference(self, desk: Desk, key: str, expected: int) -> str:
        """Say what has changed since a version, field by field."""
        body = self._bodies_at(expected).get(Name(EXPERIMENT, key))
        then: dict[str, Any] = {} if body is None else json.loads(body)
        now = content(desk.experiment(key))
        fields = sorted({*then, *now} - {"key"})
        told = ", ".join(
            f"{name} {then.get(name)!r} -> {now.get(name)!r}"
            for name in fields
            if then.get(name) != now.get(name)
        )
        return (
            f"Experiment {key!r} was changed in version {desk.version_of(key)} since "
            f"you read version {expected} ({told or 'nothing you can see'}): nothing "
            "is written, look at it and edit it again."
        )
