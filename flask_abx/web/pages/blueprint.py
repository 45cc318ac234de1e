"""The blueprint of the pages: every experiment, and the report of one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, current_app, url_for

from flask_abx.errors import ResultsNotReady, SetupError, UnknownExperiment
from flask_abx.runtime.state import state_of
from flask_abx.web.access import refusal

if TYPE_CHECKING:
    from flask_abx.runtime.state import State

NAME = "abx_pages"
PREFIX = "/abx"
_UNSEEN = "Nobody has looked at it yet: run `flask abx refresh {}`."
#: Nothing is loaded from anywhere, and nobody may frame the page.
_POLICY = (
    "default-src 'none'; style-src {}; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def create_blueprint() -> Blueprint:
    """Make the blueprint of one application."""
    blueprint = Blueprint(NAME, __name__, url_prefix=PREFIX)
    blueprint.get("")(list_experiments)
    blueprint.get("/<key>")(show_report)
    return blueprint


def list_experiments() -> Response:
    """Show the experiments with what the last look at each said."""
    state = _admitted()
    # Who serves no report never loads SQLAlchemy.
    from flask_abx.results.showing.page import list_page
    from flask_abx.runtime import results

    document = state.store.document()
    try:
        found = results.latest(state)
    except SetupError as error:
        abort(HTTPStatus.NOT_FOUND, str(error))
    without = [
        (key, document.experiments[key].status.value, _UNSEEN.format(key))
        for key, each in found.items()
        if each is None
    ]
    told = [each for each in found.values() if each is not None]
    base = url_for(".list_experiments")
    return _page(list_page(told, without, base=f"{base}/"))


def show_report(key: str) -> Response:
    """Show the report of the last look at an experiment."""
    state = _admitted()
    from flask_abx.runtime import results

    try:
        found = results.stored(state, key, series=True)
    except (ResultsNotReady, SetupError, UnknownExperiment) as error:
        abort(HTTPStatus.NOT_FOUND, str(error))
    return _page(found.to_html())


def _admitted() -> State:
    state = state_of(current_app)
    status = refusal(state)
    if status is not None:
        abort(status)
    return state


def _page(text: str) -> Response:
    from flask_abx.results.showing.page import style_hash

    response = Response(text, mimetype="text/html")
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Security-Policy"] = _POLICY.format(style_hash())
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response
