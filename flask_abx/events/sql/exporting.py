"""Exporting what is stored: rows are read once, in one view, and never held."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from flask_abx.events.export.datasets import DATASETS, EPOCHS, time_text
from flask_abx.events.sql.selecting import Selection, Source, sources
from flask_abx.stores.database import clock, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from flask_abx.events.export.datasets import Dataset, Row, Writer
    from flask_abx.events.export.folder import Folder
    from flask_abx.stores.database import Database

#: A row is stamped before it is seen; so far back an export looks once more.
OVERLAP = 5 * 60_000
#: So many rows come from the database at a time.
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported.

    Attributes:
        experiment: The one whose units are wanted, or None for everything.
        since: From which moment of arrival on, in milliseconds, or None.
        is_counted: True to count first, so that `Step.total` is known.
    """

    experiment: str | None = None
    since: int | None = None
    is_counted: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What was exported.

    Attributes:
        rows: How many of each dataset.
        files: How many files hold them.
        next: The moment to name with ``--since`` next time.
    """

    rows: Mapping[str, int]
    files: int
    next: str


def export(
    database: Database,
    wanted: Wanted,
    folder: Folder,
    write: Callable[[Dataset, int], Writer],
    progress: Callable[[int, int], None] = lambda rows, total: None,
) -> Done:
    """Export rows into a folder that was opened.

    Args:
        database: Where they are.
        wanted: Which of them.
        folder: Where they go, once all of them are written.
        write: Makes the writer of a dataset, given the moment of this export.
        progress: Is told how many rows were written since it was told last, and how
            many there are, 0 where they are not counted.

    Raises:
        SetupError: If the tables are not there.
    """
    engine, tables = database.own, database.tables
    with (
        database.explained(engine),
        reading(engine, is_steady=True) as connection,
    ):
        now = clock(connection)
        since = None if wanted.since is None else max(wanted.since - OVERLAP, 0)
        selection = Selection.of(connection, tables, wanted.experiment, since)
        parts = sources(tables, selection)
        total = _count(connection, parts) if wanted.is_counted else 0
        rows = dict.fromkeys((each.name for each in DATASETS), 0)
        for dataset in DATASETS:
            with _finished(write(dataset, now)) as writer:
                for page in _pages(connection, parts[dataset]):
                    writer.write(page)
                    rows[dataset.name] += len(page)
                    progress(len(page), total)
    told = {
        "at": time_text(now),
        "since": None if wanted.since is None else time_text(wanted.since),
        "rows": rows,
    }
    return Done(rows, folder.publish(told, replaced=EPOCHS.name), time_text(now))


@contextmanager
def _finished(writer: Writer) -> Iterator[Writer]:
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def run_name(now: int) -> str:
    """Name an export by its moment, as ``20261123T224325123Z``."""
    return time_text(now).translate(str.maketrans("", "", "-:."))


def _count(connection: Connection, parts: Mapping[Dataset, Sequence[Source]]) -> int:
    counts = (
        select(func.count()).select_from(source.query.order_by(None).subquery())
        for each in parts.values()
        for source in each
    )
    return sum(connection.execute(query).scalar_one() for query in counts)


def _pages(connection: Connection, found: Sequence[Source]) -> Iterator[list[Row]]:
    """Read rows as the database gives them, a page at a time."""
    options: dict[str, Any] = {"stream_results": True, "yield_per": _PAGE}
    for source in found:
        # It is closed in any case: a driver would read what is left in its own time.
        with connection.execute(source.query, execution_options=options) as result:
            for page in result.partitions():
                yield [source.row(each) for each in page]
