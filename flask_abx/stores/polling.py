"""Asking the database again and again whether something was published."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from flask_abx.errors import DefinitionError
from flask_abx.stores.copy import Copied
from flask_abx.stores.database import clock, reading
from flask_abx.stores.reading import (
    BLANK,
    Mark,
    begin_lineage,
    read_mark,
    read_snapshot,
)
from flask_abx.stores.serving import Served, Stretch
from flask_abx.stores.timeline import eras

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from sqlalchemy import Engine

    from flask_abx.events.tally import Tally
    from flask_abx.stores.compiling import Compiler
    from flask_abx.stores.copy import DiskCopy
    from flask_abx.stores.database import Database
    from flask_abx.stores.life import Life
    from flask_abx.stores.serving import Serving
    from flask_abx.stores.timeline import Era


class Poll:
    """Brings what was published into this process; one of the background's jobs."""

    name = "read the definitions"

    def __init__(
        self,
        database: Database,
        serving: Serving,
        compiler: Compiler,
        find_copy: Callable[[], DiskCopy | None],
        tally: Tally,
        logger: logging.Logger,
    ) -> None:
        self._database = database
        self._serving = serving
        self._compiler = compiler
        self._find_copy = find_copy
        self._copy: DiskCopy | None = None
        self._tally = tally
        self._logger = logger
        self._is_copy_read = False
        self._eras: tuple[tuple[Era, Stretch], ...] = ()
        self._copied: Copied | None = None
        self._is_ahead = False

    def run(self, life: Life) -> None:
        """Ask once, on the connections of the background thread."""
        self._read_copy()
        self.ask(life.engine, lambda: life.is_over)
        if not life.is_over:
            self._write_copy()

    def ask(self, engine: Engine, is_over: Callable[[], bool]) -> None:
        """Ask how far the database is, and read it where it has moved.

        Args:
            engine: Whose connections are used.
            is_over: Tells whether somebody else has taken over meanwhile.
        """
        serving, tables = self._serving, self._database.tables
        with reading(engine) as connection:
            asked = monotonic()
            now = clock(connection)
            answered = monotonic()
            mark = read_mark(connection, tables)
        if is_over():
            return
        serving.offset.note(now, asked, answered)
        if mark == BLANK:
            mark = begin_lineage(engine, tables)
        if self._is_restored(mark):
            self._is_ahead = True
            return
        # A restored database may come to the same version with other content.
        if serving.served is None or mark != serving.mark or self._is_ahead:
            if not self._take(engine, is_over):
                return
            self._is_ahead = False
        else:
            serving.advance()
        serving.confirmed_at = monotonic()

    def _is_restored(self, mark: Mark) -> bool:
        """Tell whether the database went back behind what this process serves."""
        serving, known = self._serving, self._serving.known
        if mark.lineage != known.lineage or mark.version >= known.version:
            return False
        if serving.served is None and serving.fallback is not None:
            serving.mark, serving.served = known, serving.fallback
        if self._tally.count("restored"):
            self._logger.error(
                "The database is at version %d, but version %d was published: it was "
                "restored from a backup. Version %d stays in force; to take what the "
                "database holds, run `flask abx db accept`.",
                mark.version,
                known.version,
                known.version,
            )
        return True

    def _take(self, engine: Engine, is_over: Callable[[], bool]) -> bool:
        snapshot = read_snapshot(engine, self._database.tables)
        found = eras(snapshot)
        try:
            stretches = tuple(self._compiled(era, found[-1]) for era in found)
        except DefinitionError as error:
            if self._tally.count(f"refused_version:{snapshot.mark.version}"):
                self._logger.error(  # noqa: TRY400 - the faults are the message
                    "Version %d of the definitions cannot be taken, what was in force "
                    "stays so. %s",
                    snapshot.mark.version,
                    error,
                )
            return False
        if is_over():
            return False
        self._eras = tuple(zip(found, stretches, strict=True))
        self._serving.adopt(snapshot.mark, stretches)
        return True

    def _compiled(self, era: Era, last: Era) -> Stretch:
        for known, stretch in self._eras:
            if known.version == era.version and known.bodies == era.bodies:
                return Stretch(era.since, era.version, stretch.compiled)
        # Only the last was published as a whole: one before it may hold a part of what
        # belongs together, and is served all the same.
        compiled = self._compiler.compile(
            era.bodies, str(era.version), is_whole=era is last
        )
        return Stretch(era.since, era.version, compiled)

    def _read_copy(self) -> None:
        """Have the copy from disk ready, once, should the database not answer."""
        if self._is_copy_read:
            return
        self._is_copy_read = True
        self._copy = self._find_copy()
        copied = None if self._copy is None else self._copy.read()
        if copied is None or self._serving.served is not None:
            return
        version = copied.mark.version
        try:
            compiled = self._compiler.compile(copied.bodies, str(version))
        except DefinitionError as error:
            self._logger.warning("The copy on disk is of no use: %s", error)
            return
        self._copied = copied
        self._serving.fallback_mark = copied.mark
        self._serving.fallback = Served(Stretch(0, version, compiled))

    def _write_copy(self) -> None:
        """Keep what is in force on disk, where it changed."""
        served = self._serving.advance()
        if served is None or self._copy is None or self._serving.mark == BLANK:
            return
        mark = Mark(self._serving.mark.lineage, served.now.version)
        for era, stretch in self._eras:
            copied = Copied(mark, era.bodies)
            # An urgent change that overtakes a waiting one leaves it the same version.
            if stretch.compiled is not served.now.compiled or copied == self._copied:
                continue
            self._copied = copied
            try:
                self._copy.write(copied)
            except OSError as error:
                if self._tally.first("copy_not_written"):
                    self._logger.warning(
                        "The definitions cannot be kept for a start without database "
                        "(%s): let the folder be written to, or name another one in "
                        "ABX_RULESET_CACHE.",
                        error,
                    )
