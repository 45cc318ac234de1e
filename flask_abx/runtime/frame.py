"""What stands for a request before anybody asks for a variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.events.locks import ProcessLock
from flask_abx.runtime.client import is_bot
from flask_abx.runtime.cookie import UNREAD
from flask_abx.runtime.headers import (
    is_html,
    is_made_later,
    make_private,
    write_headers,
)
from flask_abx.runtime.override import is_asked_for
from flask_abx.runtime.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

    from flask_abx.runtime.caching import Headers
    from flask_abx.runtime.cookie import Entries, Reading, Unread
    from flask_abx.runtime.state import State

ENVIRON_KEY = "flask_abx.request"
_opening = ProcessLock()


class Frame:
    """Holds the scope of one request, made when it is first asked for.

    It lives in the environ, and is the `start_response` that the application calls.

    Most reads are of visitors who were exposed before: those it answers by itself.

    Attributes:
        environ: The request; None once all is handed over.
        ruleset: The one version of the definitions that the request sees.
        is_started: True once the headers are sent.
        is_streamed: True where the body is made after the headers.
    """

    __slots__ = (
        "_is_recalled",
        "_place",
        "_reading",
        "_recalled",
        "_start_response",
        "app",
        "environ",
        "is_started",
        "is_streamed",
        "ruleset",
        "scope",
        "state",
    )

    def __init__(
        self,
        app: Flask,
        state: State,
        environ: WSGIEnvironment,
        start_response: StartResponse | None = None,
    ) -> None:
        self.app = app
        self.state = state
        self.environ: WSGIEnvironment | None = environ
        # Where the environ stands tells it from its copies when all is over.
        self._place = id(environ)
        self.ruleset = state.ruleset()
        self.is_started = False
        self.is_streamed = False
        self.scope: Scope | None = None
        self._reading: Reading | Unread | None = UNREAD
        self._recalled: Entries | None = None
        self._is_recalled = False
        self._start_response = start_response

    def is_of_another(self, environ: WSGIEnvironment) -> bool:
        """Tell whether it stands for another request than this one."""
        live = self.environ
        if live is None:
            return self._place != id(environ)
        if live is environ:
            return False
        # A middleware within may hand on a copy: it has the same body and cookies.
        is_same_body = environ.get("wsgi.input") is live.get("wsgi.input")
        is_same_jar = environ.get("HTTP_COOKIE") == live.get("HTTP_COOKIE")
        return not (is_same_body and is_same_jar)

    def open(self, environ: WSGIEnvironment) -> Scope:
        """Give the scope of the request."""
        scope = self.scope
        if scope is None:
            # Copied contexts may ask at the same time, from several threads.
            with _opening:
                return self.scope or self._make(environ)
        if scope.environ is None:
            scope.environ = environ
        return scope

    def _make(self, environ: WSGIEnvironment) -> Scope:
        scope = Scope(self.app, self.state, environ, self.ruleset)
        scope.is_resolved = bool(self._recalled)
        scope.reading = self._reading
        scope.is_started = self.is_started
        scope.is_finished = self.environ is None
        self.scope = scope
        return scope

    def recall(self, key: str) -> str | None:
        """Give the variant that the visitor met before; None where more must be asked.

        It is what `decide` gives, as the experiments in question ask nothing else.
        """
        if not self._is_recalled:
            self._is_recalled = True
            self._recalled = self._entries()
        if self._recalled is None:
            return None
        entry, rule = self._recalled.get(key), self.ruleset.recalled.get(key)
        if entry is None or rule is None or self.state.forced.variants:
            return None
        iteration, variant, _ = entry
        is_of_now = iteration == rule.iteration and variant in rule.variants
        return variant if is_of_now else None

    def _entries(self) -> Entries | None:
        """Read what the cookie remembers of the visitor, where nothing forbids it."""
        state, environ, config = self.state, self.environ, self.app.config
        if environ is None or config["DEBUG"] or config["TESTING"]:
            return None
        if state.hooks.consent is not None or not state.settings.enabled:
            return None
        reading = self._reading = state.cookie.read(environ)
        if reading is None or reading.is_outdated or is_bot(environ):
            return None
        # Now and then it is asked who has logged in meanwhile.
        if state.delivery is not None and state.company.is_due(reading.memory.visitor):
            return None
        return reading.memory.entries or None

    def __call__(
        self, status: str, headers: Headers, exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Start the response, with the headers that the request made necessary."""
        try:
            headers = self._with_ours(status, headers)
        except Exception:
            self.app.logger.exception("The headers of a response were not written.")
        self.is_started = True
        if self.scope is not None:
            self.scope.is_started = True
        start_response = self._start_response
        assert start_response is not None  # noqa: S101 - only the middleware is called
        if exc_info is None:
            return start_response(status, headers)
        return start_response(status, headers, exc_info)

    def _with_ours(self, status: str, headers: Headers) -> Headers:
        scope, environ = self.scope, self.environ
        if environ is None:
            return headers
        if is_made_later(status, headers):
            self.is_streamed = True
            # Another application that is mounted within frames its own pages.
            if environ.get(ENVIRON_KEY) is self:
                scope = self._prepare_stream(environ, headers)
        if scope is None and environ.get("QUERY_STRING") and is_asked_for(environ):
            scope = self._ask_for_override(environ)
        if scope is None and not self._recalled:
            return headers
        # The list is the caller's, who may send it again.
        headers = list(headers)
        if scope is not None:
            scope.is_resolved |= bool(self._recalled)
            write_headers(scope, headers)
        else:
            make_private(headers, self.state.tally, self.app.logger)
        return headers

    def _ask_for_override(self, environ: WSGIEnvironment) -> Scope | None:
        config = self.app.config
        if config["DEBUG"] or config["TESTING"]:
            return self.open(environ)
        if self.state.tally.first("override_ignored"):
            self.app.logger.warning(
                "?abx= is ignored: it works in debug and testing only."
            )
        return None

    def _prepare_stream(
        self, environ: WSGIEnvironment, headers: Headers
    ) -> Scope | None:
        """Mint the visitor now: what a page resolves in its stream comes too late."""
        if self.ruleset.rules and is_html(headers):
            scope = self.open(environ)
            scope.is_resolved = True
            if self.ruleset.uses_visitors:
                scope.identity.visitor()
        return self.scope

    def finish(self) -> None:
        """Hand over the records of the request."""
        scope = self.scope
        # The environ holds this: without a cut the two would wait for a collection.
        self.environ = None
        if scope is None:
            return
        try:
            scope.finish()
        except Exception:
            self.app.logger.exception("The records of a request were not delivered.")
        scope.environ = None
