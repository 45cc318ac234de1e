"""The frame round every request, outside all hooks of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.runtime.frame import ENVIRON_KEY, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask

    from flask_abx.runtime.state import State


class Middleware:
    """Frames each request: its headers are written, its records are delivered."""

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
        self._has_begun = False
        delivery = state.delivery
        self._flights = None if delivery is None else delivery.flights

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve one request."""
        if not self._has_begun:
            self._has_begun = True
            self._begin()
        if self._app.config["DEBUG"]:
            self._refresh()
        frame = Frame(self._app, self._state, environ, start_response)
        environ[ENVIRON_KEY] = frame
        try:
            body = self._fly(environ, frame)
        except BaseException:
            frame.finish()
            raise
        # A lazy middleware within starts the response when its body is read.
        if frame.is_streamed or not frame.is_started:
            if frame.scope is not None:
                frame.scope.deliver()
            return _Stream(body, frame)
        frame.finish()
        return body

    def _fly(self, environ: WSGIEnvironment, frame: Frame) -> Iterable[bytes]:
        """Call the application, and note that it is at work."""
        flights = self._flights
        if flights is None or not flights.are_counted:
            return self._inner(environ, frame)
        flights.begin(frame)
        try:
            return self._inner(environ, frame)
        finally:
            # Whoever waits for the database from here on holds no transaction.
            flights.end(frame)

    def _begin(self) -> None:
        try:
            self._on_first_request()
        except Exception:
            self._app.logger.exception("flask-abx could not look over its set-up.")

    def _refresh(self) -> None:
        try:
            self._state.store.refresh()
        except Exception:
            self._app.logger.exception(
                "The changed definitions are not taken; those of before stay in force."
            )


class _Stream:
    """A streamed body, whose records go when it is closed."""

    def __init__(self, body: Iterable[bytes], frame: Frame) -> None:
        self._body = body
        self._frame = frame

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._frame.finish()
