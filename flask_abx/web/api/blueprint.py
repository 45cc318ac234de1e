"""The blueprint: experiments, one experiment, and its exposure by hand."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from flask_abx.runtime.client import is_own_origin
from flask_abx.runtime.current import current_scope
from flask_abx.runtime.payload import described, payload
from flask_abx.web.api.problems import problem
from flask_abx.web.api.results import show_results

if TYPE_CHECKING:
    from flask_abx.assignment.ruleset import Rule

NAME = "abx_api"


def create_blueprint(prefix: str) -> Blueprint:
    """Make the blueprint of one application."""
    blueprint = Blueprint(NAME, __name__, url_prefix=prefix)
    blueprint.get("/experiments")(list_experiments)
    blueprint.get("/experiments/<key>")(show_experiment)
    blueprint.get("/experiments/<key>/results")(show_results)
    blueprint.post("/experiments/<key>/exposure")(expose_experiment)
    return blueprint


def list_experiments() -> Response:
    """Tell every public experiment and flag; expose nobody."""
    return _revalidated(payload(current_scope(), (), expose=False))


def show_experiment(key: str) -> Response:
    """Tell one experiment; expose nobody."""
    if _public_rule(key) is None:
        return _not_found(key)
    return _revalidated(described(current_scope().assignment(key)))


def expose_experiment(key: str) -> Response:
    """Mark that this visitor has seen the variant; again changes nothing."""
    if not _is_our_own():
        return problem(
            HTTPStatus.FORBIDDEN,
            "foreign-origin",
            "An exposure is only taken from this site's own pages.",
        )
    if _public_rule(key) is None:
        return _not_found(key)
    scope = current_scope()
    scope.expose(scope.assignment(key))
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Cache-Control"] = "no-store"
    return response


def _public_rule(key: str) -> Rule | None:
    rule = current_scope().ruleset.rules.get(key)
    return None if rule is None or rule.private else rule


def _not_found(key: str) -> Response:
    return problem(
        HTTPStatus.NOT_FOUND,
        "unknown-experiment",
        f"There is no experiment {key!r:.80}.",
    )


def _revalidated(body: dict[str, Any]) -> Response:
    response = jsonify(body)
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]  # werkzeug types it as its own Response


def _is_our_own() -> bool:
    """Tell whether a page of this site sent the request, as the browser says."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return is_own_origin(request.environ, request.headers.get("Origin"))
