"""The frame round every request, outside all hooks of the application."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask_abx.runtime.caching import keep_private
from flask_abx.runtime.client import is_secure
from flask_abx.runtime.current import ENVIRON_KEY, current_scope
from flask_abx.runtime.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask, Response

    from flask_abx.runtime.caching import Headers
    from flask_abx.runtime.state import State


class Middleware:
    """Opens the scope of a request, writes its headers and delivers its records."""

    def __init__(
        self,
        app: Flask,
        state: State,
        inner: WSGIApplication,
        on_first_request: Callable[[], None],
    ) -> None:
        self._app = app
        self._state = state
        self._inner = inner
        self._on_first_request = on_first_request

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve one request."""
        if not self._state.hooks.is_frozen:
            self._on_first_request()
        if self._app.debug:
            self._refresh()
        scope = environ[ENVIRON_KEY] = Scope(self._app, self._state, environ)
        start = partial(_start, scope, start_response)
        try:
            body = self._inner(environ, start)
        except BaseException:
            _finish(scope)
            raise
        if scope.is_streamed:
            return _Stream(body, scope)
        _finish(scope)
        return body

    def _refresh(self) -> None:
        try:
            self._state.store.refresh()
        except Exception:
            self._app.logger.exception(
                "The changed definitions are not taken; those of before stay in force."
            )


class _Stream:
    """A streamed body, whose records go when it is closed."""

    def __init__(self, body: Iterable[bytes], scope: Scope) -> None:
        self._body = body
        self._scope = scope

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            _finish(self._scope)


def _finish(scope: Scope) -> None:
    try:
        if scope.peeked:
            _tell_peeked(scope)
        scope.finish()
    except Exception:
        scope.app.logger.exception("The records of a request could not be delivered.")
    # The environ holds the scope: without this the two would wait for a collection.
    scope.environ = None


def _tell_peeked(scope: Scope) -> None:
    for key in scope.peeked or ():
        if not scope.was_exposed(key) and scope.state.tally.first(f"peeked:{key}"):
            scope.app.logger.warning(
                "g.abx[%r] was read but nobody was exposed: branch on "
                "abx.variant(%r), or call abx.expose(%r).",
                key,
                key,
                key,
            )


def _start(
    scope: Scope,
    start_response: StartResponse,
    status: str,
    headers: Headers,
    exc_info: OptExcInfo | None = None,
) -> Callable[[bytes], object]:
    try:
        if scope.is_touched:
            write_headers(scope, headers)
    except Exception:
        scope.app.logger.exception("The headers of a response could not be written.")
    if exc_info is None:
        return start_response(status, headers)
    return start_response(status, headers, exc_info)


def write_headers(scope: Scope, headers: Headers) -> None:
    """Write the cookie and what keeps the response out of shared caches."""
    cookies = list(_cookies(scope))
    headers.extend(("Set-Cookie", cookie) for cookie in cookies)
    is_ours = bool(cookies) or scope.is_resolved
    if (
        is_ours
        and keep_private(headers)
        and scope.state.tally.count("cache_downgraded")
    ):
        scope.app.logger.warning(
            "A response that depends on a variant was marked as public; it is sent as "
            "private. Leave 'public' and 's-maxage' out of its Cache-Control."
        )


def _cookies(scope: Scope) -> Iterator[str]:
    environ = scope.environ
    if environ is None:
        return
    override = scope.override
    if override.cookie is not None:
        yield override.cookie
    memory = scope.memory_to_store
    if memory is None:
        if override.is_reset:
            yield from scope.state.cookie.removals(environ)
        return
    if scope.state.cookie.is_secure(environ) and not is_secure(environ):
        _tell_insecure(scope)
        return
    _tell_proxy(scope, environ)
    rules = scope.ruleset.rules

    def is_live(key: str) -> bool:
        return key in rules and rules[key].counted

    yield scope.state.cookie.header(memory, environ, is_live)


def _tell_insecure(scope: Scope) -> None:
    if scope.state.tally.first("cookie_withheld"):
        scope.app.logger.warning(
            "ABX_COOKIE_SECURE is True but the request came over http, so no cookie is "
            "set. Serve HTTPS, or leave ABX_COOKIE_SECURE out."
        )


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


def note_stream(response: Response) -> Response:
    """Prepare a streamed response: what it will resolve comes after the headers."""
    if response.is_streamed and not response.direct_passthrough:
        scope = current_scope()
        scope.is_streamed = ENVIRON_KEY in (scope.environ or {})
        if response.mimetype == "text/html" and scope.ruleset.uses_visitors:
            scope.is_resolved = True
            scope.identity.visitor()
    return response
