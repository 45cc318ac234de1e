"""Flask-Login: who is logged in, and when that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.runtime.current import current_scope

if TYPE_CHECKING:
    from flask import Flask


def current_user_id(app: Flask) -> object:
    """Give the id of the user that Flask-Login knows on an application, or None."""
    if getattr(app, "login_manager", None) is None:
        return None
    from flask_login import current_user

    return current_user.get_id() if current_user.is_authenticated else None


def connect(app: Flask) -> None:
    """Ask again who it is when somebody logs in or out in mid-request."""
    if not hasattr(app, "login_manager"):
        return
    from flask_login import user_logged_in, user_logged_out

    for signal in (user_logged_in, user_logged_out):
        signal.connect(_forget, app)


def _forget(sender: Flask, **extra: object) -> None:
    del sender, extra
    current_scope().forget()
