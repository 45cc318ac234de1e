"""Who hands out hauls and takes them back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.events.spool.haul import Haul
from flask_abx.events.spool.orphans import look
from flask_abx.events.spool.segment import NotOurs, adopt
from flask_abx.events.spool.telling import tell_passed

if TYPE_CHECKING:
    import logging
    from pathlib import Path

    from flask_abx.events.spool.process import Process
    from flask_abx.events.spool.segment import Segment
    from flask_abx.events.tally import Tally


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps the hauls of one process, and finds those of dead ones."""

    process: Process
    tally: Tally
    logger: logging.Logger

    def done(self, haul: Haul) -> None:
        """Remove the file of a haul whose rows are committed, and forget it."""
        if haul.is_over:
            return
        segment = haul.segment
        if segment is not None and not segment.drop():
            # It would come back in every round.
            self.process.passed.add(haul.name)
            self._tell(
                "unlink",
                f"{str(segment.path)!r} is stored but cannot be removed: remove it.",
            )
        self.process.finish(haul)

    def release(self, haul: Haul) -> None:
        """Take a haul back: an own one stays first, an adopted one loses its lock."""
        if haul.is_adopted and haul.segment is not None and not haul.is_over:
            haul.segment.release()
            self.process.finish(haul)

    def adopt(self, folder: Path) -> Haul | None:
        """Lock the next file whose owner has died."""
        orphans = self.process.orphans
        if orphans is None:
            orphans = self.process.orphans = self._look(folder)
        while orphans:
            segment = self._adopt(orphans.popleft())
            if segment is not None and segment.size == 0:
                segment.drop()
            elif segment is not None:
                haul = Haul(None, segment, (), self)
                self.process.adopted.append(haul)
                return haul
        self.process.orphans = None
        return None

    def measure(self, folder: Path) -> set[str]:
        """See how much the folder holds; the names of the files that are not ours."""
        process = self.process
        try:
            found = look(folder, process.descriptors)
        except OSError as error:
            self._tell("disk", f"{str(folder)!r} cannot be read: {error.strerror}.")
            return set()
        return found.keys() - process.measure(found)

    def _look(self, folder: Path) -> deque[Path]:
        names = sorted(self.measure(folder) - self.process.passed)
        return deque(folder / name for name in names)

    def _adopt(self, path: Path) -> Segment | None:
        try:
            return adopt(path, self.process.descriptors)
        except NotOurs as error:
            self.process.passed.add(path.name)
            self._tell(error.why, str(error))
        except OSError as error:
            self._tell(
                "disk",
                f"{str(path)!r} cannot be opened and locked now ({error.strerror}) and "
                "is tried again: see to the disk and to the limit of open files.",
            )
        return None

    def _tell(self, why: str, message: str) -> None:
        tell_passed(self.tally, self.logger, why, message)
