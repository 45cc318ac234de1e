"""Who may read results."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask_abx.runtime.hooks import Actor

if TYPE_CHECKING:
    from flask_abx.runtime.state import State


def refusal(state: State) -> HTTPStatus | None:
    """Tell why this request may not read results; None where it may.

    Only an `Actor` is let in: whatever else the callable gives keeps people out. An
    exception of the access callable is the application's own: it may send somebody
    to the login, or answer with an error.
    """
    ask = state.hooks.access
    if ask is None:
        return HTTPStatus.NOT_FOUND
    return None if isinstance(ask(), Actor) else HTTPStatus.FORBIDDEN
