"""Errors as RFC 9457 wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, json

if TYPE_CHECKING:
    from http import HTTPStatus


def problem(status: HTTPStatus, kind: str, detail: str) -> Response:
    """Make an answer of type ``application/problem+json``."""
    body = {
        "type": f"urn:flask-abx:problem:{kind}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    response = Response(
        json.dumps(body), status=status, mimetype="application/problem+json"
    )
    response.headers["Cache-Control"] = "no-store"
    return response
