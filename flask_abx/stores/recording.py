"""Telling the database what the configuration defines, so that its history is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.experiments.lifecycle import MOVES, Action, Status
from flask_abx.stores.change import CONFIG, Author, Edit, content
from flask_abx.stores.compiling import Parser
from flask_abx.stores.database import reading
from flask_abx.stores.history import bodies_at
from flask_abx.stores.preparing import prepare
from flask_abx.stores.reading import BLANK, Name, Stored, begin_lineage, read_mark
from flask_abx.stores.writing import Publisher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from flask_abx.experiments.model import Document, Experiment
    from flask_abx.stores.background import Life
    from flask_abx.stores.base import Store
    from flask_abx.stores.database import Database

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
        """Record the document, if it is another than the last one."""
        document = self._store.document()
        if document is not self._recorded:
            self.record(life.engine, document)
            self._recorded = document

    def record(self, engine: Engine, document: Document) -> None:
        """Write what is new in a document as changes, all of them or none."""
        tables = self._database.tables
        for _ in range(_TRIES):
            with reading(engine) as connection:
                mark = read_mark(connection, tables)
                if mark != BLANK:
                    told = bodies_at(connection, tables, mark.version)
            if mark == BLANK:
                mark, told = begin_lineage(engine, tables), {}
            known = {name: Stored(*each) for name, each in told.items()}
            before = self._parser.parse({name: it.body for name, it in known.items()})
            edits = tuple(_edits(document, before))
            prepared = prepare(edits, known, before, self._parser)
            if not prepared:
                return
            done = self._publisher.publish(engine, mark, prepared, _AUTHOR, keeps=False)
            if done is not None:
                return


def _edits(document: Document, before: Document) -> Iterator[Edit]:
    for section in type(document).model_fields:
        kind = section.removesuffix("s")
        now, then = getattr(document, section), getattr(before, section)
        for key, entry in now.items():
            action = Action.CREATE if key not in then else Action.EDIT
            if kind == "experiment":
                action = _action(then.get(key), entry)
            yield Edit(Name(kind, key), action, content(entry))
        for key in then:
            if key not in now:
                yield Edit(Name(kind, key), Action.DELETE, None)


def _action(before: Experiment | None, after: Experiment) -> Action:
    """Name what must have been done to an experiment."""
    if before is None:
        is_running = after.status is Status.RUNNING
        return Action.START if is_running else Action.CREATE
    if before.status is after.status and before.iteration == after.iteration:
        return Action.EDIT
    for action, move in MOVES.items():
        is_restart = action is Action.RESTART
        if is_restart is not (after.iteration > before.iteration):
            continue
        if before.status in move.sources and move.target is after.status:
            return action
    return Action.APPLY
