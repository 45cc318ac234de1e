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
_GIVEN_BY_DEFAULT = frozenset({STORAGE, MEASUREMENT})


def ask(consent: Consent | None, purpose: str, logger: logging.Logger) -> bool:
    """Ask the application; a callable that raises means no."""
    if consent is None:
        return purpose in _GIVEN_BY_DEFAULT
    try:
        return bool(consent(purpose))
    except Exception:
        logger.exception("The consent callable raised for %r, taken as no.", purpose)
        return False
