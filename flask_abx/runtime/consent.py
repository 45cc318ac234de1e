"""What the person agreed to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from flask_abx.runtime.hooks import Consent

#: The purpose of our cookie.
STORAGE = "storage"
#: The purpose of our records.
MEASUREMENT = "measurement"
#: What counts as given where the application registers no callable.
GIVEN = frozenset({STORAGE, MEASUREMENT})


def ask(consent: Consent, purpose: str, logger: logging.Logger) -> bool:
    """Ask the application; a callable that raises means no."""
    try:
        return bool(consent(purpose))
    except Exception:
        logger.exception("The consent callable raised for %r, taken as no.", purpose)
        return False
