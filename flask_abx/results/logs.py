"""Results of a log alone: its records in tables that live as long as the question."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, create_engine, text

from flask_abx.errors import UnknownExperiment
from flask_abx.experiments.faults import suggestion
from flask_abx.results.refresh import Metrics, refresh
from flask_abx.schema import make_tables
from flask_abx.stores.database import Database
from flask_abx.stores.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.schema import SchemaItem

    from flask_abx.experiments.model import Document
    from flask_abx.results.shapes import Results
    from flask_abx.stores.base import Store


def log_results(
    store: Store,
    metrics: Metrics,
    key: str,
    load: Callable[[Database], None],
    iteration: int | None = None,
) -> Results:
    """Compute what a log says of an experiment, by the statement of every database.

    When something was planned or changed no log tells: a plan counts for nothing here,
    and the looks of earlier days are not known.

    Args:
        store: What is defined.
        metrics: What is measured.
        key: The experiment.
        load: Stores the records of the log in a database.
        iteration: Which of its runs; None is the current one.

    Raises:
        UnknownExperiment: If it is not defined.
    """
    document = store.document()
    if key not in document.experiments:
        raise UnknownExperiment(
            f"Experiment {key!r} is not defined{suggestion(key, document.experiments)}"
        )
    known = without_selects(document, key, metrics)
    with _passing() as database:
        Recording(database, store).record(database.own, known)
        load(database)
        declared = Metrics(metrics.declared, overruled=metrics.overruled)
        engine, tables = database.own, database.tables
        return refresh(engine, tables, known, declared, key, iteration)


def without_selects(document: Document, key: str, metrics: Metrics) -> Document:
    """Take the metrics out of an experiment that read tables of the application."""
    experiment = document.experiments[key]
    roles, selects = experiment.metrics, metrics.selects
    kept = roles.model_copy(
        update={
            "primary": tuple(each for each in roles.primary if each not in selects),
            "secondary": tuple(each for each in roles.secondary if each not in selects),
            "guardrail": tuple(
                each for each in roles.guardrail if each.metric not in selects
            ),
        }
    )
    changed = experiment.model_copy(update={"metrics": kept})
    experiments = {**document.experiments, key: changed}
    return document.model_copy(update={"experiments": experiments})


@contextmanager
def _passing() -> Iterator[Database]:
    """Make a database that is gone at the end."""
    metadata = MetaData()

    def make(name: str, /, *items: SchemaItem, **options: Any) -> Table:
        return Table(name, metadata, *items, **options)

    with tempfile.TemporaryDirectory(prefix="flask-abx-") as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'log.db'}")
        database = Database(make_tables(make, "abx_"), lambda: engine)
        try:
            with engine.begin() as connection:
                metadata.create_all(connection)
            with engine.connect() as connection:
                # Nobody else reads it, and after a crash it is of no use.
                connection.execute(text("PRAGMA journal_mode = WAL"))
            yield database
        finally:
            database.own.dispose()
            engine.dispose()
