"""What the log says of a spool in trouble, with the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from flask_abx.events.spool.process import Trouble
    from flask_abx.events.tally import Tally

_WAYS_OUT = {
    "disk": "make room on the disk of ABX_SPOOL_DIR, or mend its rights.",
    "size": "see with `flask abx doctor` why it is not drained, or raise "
    "ABX_SPOOL_MAX_BYTES.",
    "folder": "see `flask abx doctor`.",
}


def tell_refused(
    tally: Tally, logger: logging.Logger, trouble: Trouble, number: int
) -> None:
    """Count records that no file could take, and say so once a minute."""
    if tally.count(f"spool_refused:{trouble.why}", number):
        logger.error(
            "The spool takes no records, they are in memory only (%s): %s",
            trouble.fault.rstrip("."),
            _WAYS_OUT[trouble.why],
        )


def tell_dropped(tally: Tally, logger: logging.Logger, number: int) -> None:
    """Count records for which there was no room in memory either."""
    if tally.count("record_dropped:spool", number):
        logger.error(
            "%d records were lost: the spool takes none and the queue in memory is "
            "full, see `flask abx doctor`.",
            number,
        )


def tell_lost(tally: Tally, logger: logging.Logger, number: int) -> None:
    """Count records that were in memory only when the process ended."""
    tally.count("record_dropped:spool", number)
    logger.error(
        "%d records were in memory only when the process ended and are lost: see "
        "`flask abx doctor` for what keeps them from the disk.",
        number,
    )


def tell_passed(tally: Tally, logger: logging.Logger, why: str, message: str) -> None:
    """Count a file of the folder that is passed over, and say why."""
    if tally.count(f"spool_passed:{why}"):
        logger.error("A file of the spool is passed over. %s", message)
