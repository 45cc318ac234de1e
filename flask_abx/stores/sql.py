"""Definitions from the app's own database, the same in every process."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

from flask_abx.assignment.ruleset import NOT_READY
from flask_abx.experiments.model import Document
from flask_abx.stores.compiling import Compiler
from flask_abx.stores.polling import Poll
from flask_abx.stores.reading import read_snapshot
from flask_abx.stores.serving import Serving, Stretch

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from flask_abx.assignment.audience import SegmentRule
    from flask_abx.assignment.ruleset import Ruleset
    from flask_abx.events.tally import Tally
    from flask_abx.settings import Settings
    from flask_abx.stores.background import Background
    from flask_abx.stores.copy import Copied, DiskCopy
    from flask_abx.stores.database import Database
    from flask_abx.stores.serving import Served, Standing

#: After so many intervals without an answer the definitions count as stale.
STALE_AFTER = 3
#: How long the thread sleeps where requests of its process may want to go on.
_REST = 0.0002
_NOTHING = Document()


class SqlStore:
    """Serves what the background thread has read; a request never asks the database."""

    def __init__(
        self,
        database: Database,
        background: Background,
        settings: Settings,
        segments: Mapping[str, SegmentRule],
        find_copy: Callable[[], DiskCopy | None],
        tally: Tally,
        logger: logging.Logger,
    ) -> None:
        self.serving = Serving()
        self._database = database
        self._background = background
        self._tally = tally
        self._logger = logger
        self._find_copy = find_copy
        self._first_wait = settings.first_wait
        self._interval = settings.refresh_seconds
        self._compiler = Compiler(segments, lambda: sleep(_REST))
        self._poll = Poll(
            database, self.serving, self._compiler, find_copy, tally, logger
        )
        background.add(self._poll)

    def ruleset(self) -> Ruleset:
        """Give the compiled definitions that are in force at this moment."""
        served = self.serving.served
        if served is None:
            served = self._first()
        elif served.until is not None and monotonic() >= served.until:
            served = self.serving.advance()
        return NOT_READY if served is None else served.now.compiled.ruleset

    def document(self) -> Document:
        """Give the definitions that are in force at this moment."""
        served = self.serving.advance() or self.serving.fallback
        return _NOTHING if served is None else served.now.compiled.document

    def refresh(self) -> None:
        """Leave it to the background thread, which sees every change by itself."""

    def load(self) -> None:
        """Read the latest definitions now, in force or not: for commands.

        Raises:
            SetupError: If the tables are not there.
            DefinitionError: If what is there has faults.
        """
        engine = self._database.own
        with self._database.explained(engine):
            snapshot = read_snapshot(engine, self._database.tables)
        version = snapshot.mark.version
        compiled = self._compiler.compile(snapshot.bodies, str(version))
        self.serving.adopt(snapshot.mark, (Stretch(0, version, compiled),))
        self.serving.confirmed_at = monotonic()

    def copied(self) -> Copied | None:
        """Give what a process that starts without database would serve."""
        copy = self._find_copy()
        return None if copy is None else copy.read()

    @property
    def standing(self) -> Standing:
        """How sure it is of what it serves."""
        return self.serving.standing(STALE_AFTER * self._interval)

    def _first(self) -> Served | None:
        """Wait for the first answer, and give what is known then."""
        has_answered = self._background.wait(self._first_wait)
        served = self.serving.advance() or self.serving.fallback
        if not has_answered and self._tally.count("first_wait"):
            self._logger.warning(
                "The database has not answered within %g s (ABX_FIRST_WAIT): %s until "
                "it does. Under uWSGI the background thread needs enable-threads.",
                self._first_wait,
                "defaults are served" if served is None else "the copy on disk serves",
            )
        return served
