"""Telling the database what the configuration defines, so that its history is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask_abx.errors import ChangeRefused, DefinitionError
from flask_abx.experiments.definition import canonical_json, parse_entry
from flask_abx.experiments.lifecycle import Action, Status
from flask_abx.experiments.model import Document, Experiment
from flask_abx.stores.change import CONFIG, Author, Edit, content
from flask_abx.stores.compiling import Parser
from flask_abx.stores.database import reading
from flask_abx.stores.history import bodies_at
from flask_abx.stores.importing import action_between
from flask_abx.stores.preparing import prepare
from flask_abx.stores.reading import BLANK, Name, Stored, begin_lineage, read_mark
from flask_abx.stores.writing import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy import Engine

    from flask_abx.stores.base import Store
    from flask_abx.stores.database import Database
    from flask_abx.stores.life import Life
    from flask_abx.stores.reading import Mark

_TRIES = 100
_AUTHOR = Author(channel=CONFIG)


class Recording:
    """Keeps each document that the configuration brings; a job of the background.

    The history that results and the audit read is then the same for both stores.
    """

    name = "record the definitions of the configuration"

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._publisher = Publisher(database.tables, lambda mark: 0)
        self._parser = Parser(lambda: None)
        self._recorded: Document | None = None

    def run(self, life: Life) -> None:
        """Record the document, if it is another than the last one.

        Raises:
            SetupError: If the tables are not there.
            ChangeRefused: If something is too long to be stored, told once.
        """
        document = self._store.document()
        if document is self._recorded:
            return
        try:
            with self._database.explained(life.engine):
                is_there = self.record(life.engine, document, lambda: life.is_over)
        except ChangeRefused:
            self._recorded = document
            raise
        if is_there:
            self._recorded = document

    def record(
        self,
        engine: Engine,
        document: Document,
        is_over: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Write what is new in a document as changes, all of them or none.

        Args:
            engine: Whose connections are used.
            document: What the configuration defines.
            is_over: Tells whether somebody else has taken over meanwhile.

        Returns:
            False where it could not be written this time.

        Raises:
            ChangeRefused: If something is too long to be stored.
        """
        for _ in range(_TRIES):
            mark, told = self._told(engine)
            edits = tuple(_edits(document, told))
            before = Document.model_construct(experiments=_experiments(edits, told))
            prepared = prepare(edits, told, before, self._parser)
            if is_over():
                return False
            if not prepared:
                return True
            done = self._publisher.publish(engine, mark, prepared, _AUTHOR, keeps=False)
            if done is not None:
                return True
        return False

    def _told(self, engine: Engine) -> tuple[Mark, Mapping[Name, Stored]]:
        """Read what the history says is defined."""
        tables = self._database.tables
        with reading(engine) as connection:
            mark = read_mark(connection, tables)
        if mark == BLANK:
            # Another process may be ahead, and have published something already.
            mark = begin_lineage(engine, tables)
        with reading(engine) as connection:
            found = bodies_at(connection, tables, mark.version, is_config=True)
        return mark, {name: Stored(*each) for name, each in found.items()}


def _edits(document: Document, told: Mapping[Name, Stored]) -> Iterator[Edit]:
    """Compare a document with what was told last."""
    defined: set[Name] = set()
    for section in Document.model_fields:
        for key, entry in getattr(document, section).items():
            name, body = Name(section.removesuffix("s"), key), content(entry)
            defined.add(name)
            before = told.get(name)
            if before is None or before.body != canonical_json(body):
                yield Edit(name, _action(before, entry), body)
    for name in told:
        if name not in defined:
            yield Edit(name, Action.DELETE, None)


def _action(before: Stored | None, entry: object) -> Action:
    """Name what must have been done to a definition."""
    usual = Action.CREATE if before is None else Action.EDIT
    if not isinstance(entry, Experiment):
        return usual
    is_running = entry.status is Status.RUNNING
    if before is None:
        return Action.START if is_running else usual
    known = _experiment(entry.key, before)
    if known is None:
        return usual
    if is_running and entry.iteration > known.iteration:
        return Action.RESTART
    return action_between(known, entry, usual) or usual


def _experiments(
    edits: Iterable[Edit], told: Mapping[Name, Stored]
) -> dict[str, Experiment]:
    """Read the experiments of before that are edited."""
    names = [edit.name for edit in edits if edit.name.kind == "experiment"]
    found = ((key, _experiment(key, told.get(Name(kind, key)))) for kind, key in names)
    return {key: experiment for key, experiment in found if experiment is not None}


def _experiment(key: str, stored: Stored | None) -> Experiment | None:
    """Read an experiment; None where another release wrote it in its own way."""
    if stored is None:
        return None
    try:
        body = json.loads(stored.body)
        experiment: Experiment = parse_entry("experiments", key, body)
    except (DefinitionError, ValueError):
        return None
    return experiment
