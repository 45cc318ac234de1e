"""Which scope is the current one."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from flask import current_app, g, has_request_context, request

from flask_abx.errors import SetupError
from flask_abx.runtime.scope import Scope
from flask_abx.runtime.state import EXTENSION
from flask_abx.runtime.unit import GivenIdentity

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from flask_abx.runtime.state import State

ENVIRON_KEY = "flask_abx.request"
_OPEN = "_abx_open"
_OWN = "_abx_scope"

_entered: ContextVar[Scope | None] = ContextVar("flask_abx.as_unit", default=None)


def current_scope() -> Scope:
    """Give the scope of this request, this `as_unit` block or this context.

    Raises:
        RuntimeError: Outside an application context, as Flask does.
        SetupError: If the extension is not set up on the application.
    """
    # The objects behind the proxies: five times faster than through them.
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        state: State = app.extensions[EXTENSION]
    except KeyError:
        raise SetupError(
            f"flask-abx is not set up on {app.name!r}, call `abx.init_app(app)`."
        ) from None
    environ = _environ() if has_request_context() else None
    entered = _entered.get()
    if entered is not None and entered.app is app and entered.within is environ:
        return entered
    if environ is None:
        return _of_context(app, state)
    scope: Scope | None = environ.get(ENVIRON_KEY)
    if scope is not None and scope.app is app:
        if scope.environ is environ:
            return scope
        if scope.environ is None:
            scope.environ = environ
            return scope
    return _of_request(app, state, environ)


def _environ() -> WSGIEnvironment:
    environ: WSGIEnvironment = request._get_current_object().environ  # type: ignore[attr-defined]  # noqa: SLF001
    return environ


def _of_request(app: Flask, state: State, environ: WSGIEnvironment) -> Scope:
    """Make the scope of a request that no WSGI call of ours frames."""
    scope = environ[ENVIRON_KEY] = Scope(app, state, environ)
    _open_scopes().append(scope)
    return scope


def _of_context(app: Flask, state: State) -> Scope:
    """Give the scope of an application context without a request."""
    scope: Scope | None = g.get(_OWN)
    if scope is None:
        scope = Scope(app, state, None, GivenIdentity(None, None, {}))
        setattr(g, _OWN, scope)
        _open_scopes().append(scope)
    return scope


def _open_scopes() -> list[Scope]:
    scopes: list[Scope] = g.setdefault(_OPEN, [])
    return scopes


def close_context(error: BaseException | None = None) -> None:
    """Deliver, at the end of a context, what no WSGI call of ours delivers."""
    del error
    scopes: list[Scope] = g.pop(_OPEN, [])
    for scope in scopes:
        scope.finish()
        scope.environ = None


class UnitBlock:
    """The block of `with abx.as_unit(...)`."""

    def __init__(self, identity: GivenIdentity) -> None:
        self._identity = identity
        self._stack: list[tuple[Scope, Scope | None, Token[Scope | None]]] = []

    def __enter__(self) -> None:
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        has_request = has_request_context()
        outer = current_scope()
        scope = Scope(app, outer.state, None, self._identity)
        scope.within = _environ() if has_request else None
        is_nested = has_request or _entered.get() is outer
        self._stack.append((scope, outer if is_nested else None, _entered.set(scope)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        scope, outer, token = self._stack.pop()
        _entered.reset(token)
        if outer is not None and not outer.is_finished:
            # One request hands over one batch.
            outer.records.extend(scope.records)
            scope.records = []
        scope.finish()
