"""What a response is given: the cookie, and what keeps it out of shared caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.runtime.caching import keep_private
from flask_abx.runtime.client import is_secure

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

    from flask_abx.events.tally import Tally
    from flask_abx.runtime.caching import Headers
    from flask_abx.runtime.scope import Scope

_WITHOUT_BODY = frozenset({"204", "304"})


def is_made_later(status: str, headers: Headers) -> bool:
    """Tell whether a body is made after the headers, as its length is not known."""
    for name, _ in headers:
        if name == "Content-Length" or name.lower() == "content-length":
            return False
    return status[:3] not in _WITHOUT_BODY and status[:1] != "1"


def is_html(headers: Headers) -> bool:
    """Tell whether a response is a page."""
    return any(
        name.lower() == "content-type" and value.lower().startswith("text/html")
        for name, value in headers
    )


def write_headers(scope: Scope, headers: Headers) -> None:
    """Add what the request made necessary, and nothing else."""
    cookies = list(_cookies(scope)) if scope.has_cookies_to_set else ()
    headers.extend(("Set-Cookie", cookie) for cookie in cookies)
    if scope.is_resolved or cookies:
        make_private(headers, scope.state.tally, scope.app.logger)


def make_private(headers: Headers, tally: Tally, logger: logging.Logger) -> None:
    """Keep a response out of shared caches, and tell it where the app wanted it in."""
    if keep_private(headers) and tally.count("cache_downgraded"):
        logger.warning(
            "A response that depends on a variant was marked as public; it is sent as "
            "private. Leave 'public' and 's-maxage' out of its Cache-Control."
        )


def _cookies(scope: Scope) -> Iterator[str]:
    environ = scope.environ
    if environ is None:
        return
    preview = scope.preview
    if preview.cookie is not None:
        yield preview.cookie
    memory = scope.memory_to_store
    if memory is None:
        if preview.is_reset:
            yield from scope.state.cookie.removals(environ)
        return
    _tell_proxy(scope, environ)
    rules = scope.ruleset.rules

    def is_live(key: str) -> bool:
        return key in rules and rules[key].counted

    yield scope.state.cookie.header(memory, environ, is_live)


def _tell_proxy(scope: Scope, environ: WSGIEnvironment) -> None:
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO", "").lower()
    if forwarded != "https" or is_secure(environ):
        return
    if scope.state.tally.first("proxy_untold"):
        scope.app.logger.warning(
            "A proxy says https but Flask sees http. If the proxy is yours, add: "
            "from werkzeug.middleware.proxy_fix import ProxyFix; "
            "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)"
        )
