"""The results of an experiment, for those who are let in."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, current_app, jsonify, request

from flask_abx.errors import Missing, ResultsNotReady, SetupError, UnknownExperiment
from flask_abx.runtime.state import state_of
from flask_abx.web.access import refusal
from flask_abx.web.api.problems import problem

if TYPE_CHECKING:
    from flask_abx.results.shapes import Results

_KINDS = {
    Missing.RESULTS: "no-results-yet",
    Missing.METRIC: "unknown-metric",
    Missing.DIMENSION: "unknown-dimension",
}


def show_results(key: str) -> Response:
    """Tell what the last look at an experiment found; nothing is computed."""
    state = state_of(current_app)
    status = refusal(state)
    if status is not None:
        return problem(
            status,
            "no-access",
            "Results are for those whom the application lets in with `@abx.access`.",
        )
    # Who serves no results never loads SQLAlchemy.
    from flask_abx.runtime import results

    told = request.args
    iteration = told.get("iteration")
    if iteration is not None and not (iteration.isdecimal() and len(iteration) < 10):
        return problem(
            HTTPStatus.BAD_REQUEST,
            "bad-iteration",
            f"iteration is {iteration!r:.80}, must be a number such as 1.",
        )
    try:
        found = results.stored(
            state,
            key,
            metric=told.get("metric"),
            by=told.get("by"),
            series=told.get("series") in {"1", "true"},
            iteration=None if iteration is None else int(iteration),
        )
    except UnknownExperiment as error:
        return problem(HTTPStatus.NOT_FOUND, "unknown-experiment", str(error))
    except ResultsNotReady as error:
        return problem(HTTPStatus.NOT_FOUND, _KINDS[error.missing], str(error))
    except SetupError as error:
        return problem(HTTPStatus.NOT_FOUND, _KINDS[Missing.RESULTS], str(error))
    return _revalidated(found)


def _revalidated(results: Results) -> Response:
    response = jsonify(results.to_dict())
    response.headers["Cache-Control"] = "private, no-cache"
    # Each address has a tag of its own, so what is asked for need not be in it.
    response.set_etag(f"{results.as_of.isoformat()}-{results.method.revision}")
    return response.make_conditional(request)  # type: ignore[return-value]  # werkzeug types it as its own Response
