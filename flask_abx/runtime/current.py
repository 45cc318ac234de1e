"""Which scope is the current one."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

from flask import current_app, g, has_request_context, request

from flask_abx.runtime.frame import ENVIRON_KEY, Frame
from flask_abx.runtime.scope import Scope
from flask_abx.runtime.state import state_of
from flask_abx.runtime.unit import GivenIdentity

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask, Request


_OPEN = "_abx_open"
_OWN = "_abx_scope"

# The objects behind the proxies: five times faster than through them.
_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]  # noqa: SLF001
_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]  # noqa: SLF001

_entered: ContextVar[Scope | None] = ContextVar("flask_abx.as_unit", default=None)


def current_scope() -> Scope:
    """Give the scope of this request, this `as_unit` block or this context.

    Raises:
        RuntimeError: Outside an application context, as Flask does.
        SetupError: If the extension is not set up on the application.
    """
    app = _app()
    environ = _request().environ if has_request_context() else None
    entered = _entered.get()
    if entered is not None and entered.app is app and entered.within is environ:
        return entered
    if environ is None:
        return _of_context(app)
    key = ENVIRON_KEY
    frame: Frame | None = environ.get(key)
    if frame is not None and frame.app is not app:
        # The context of another application, within a request of the first.
        key = f"{ENVIRON_KEY}:{id(app)}"
        frame = environ.get(key) or _frame_within(frame, app, environ)
        environ[key] = frame
    # A frame that has another environ came in a copy of that request's.
    if frame is None or frame.is_of_another(environ):
        frame = environ[key] = Frame(app, state_of(app), environ)
        _close_later(app, frame)
    return frame.open(environ)


def _frame_within(outer: Frame, app: Flask, environ: WSGIEnvironment) -> Frame:
    """Frame another application within a request, whose response is not its own."""
    if outer.environ is not None:
        outer.open(outer.environ).is_resolved = True
    frame = Frame(app, state_of(app), environ)
    # It can set no cookie here, so it names no visitor either.
    frame.is_started = True
    _close_later(app, frame)
    return frame


def variant_of(key: str, default: str) -> str:
    """Give the variant of an experiment here and now, and expose the unit.

    Raises:
        RuntimeError: Outside an application context, as Flask does.
        SetupError: If the extension is not set up on the application.
        UnknownExperiment: If it is not defined, in debug and testing.
    """
    try:
        environ = _request().environ
    except RuntimeError:
        return current_scope().variant(key, default)
    frame: Frame | None = environ.get(ENVIRON_KEY)
    if frame is not None and frame.environ is environ and frame.app is _app():
        recalled = frame.recall(key) if _entered.get() is None else None
        if recalled is not None:
            return recalled
    return current_scope().variant(key, default)


def _of_context(app: Flask) -> Scope:
    """Give the scope of an application context without a request."""
    scope: Scope | None = g.get(_OWN)
    if scope is None:
        state, nobody = state_of(app), GivenIdentity(None, None, {})
        scope = Scope(app, state, None, state.ruleset(), nobody)
        setattr(g, _OWN, scope)
        _close_later(app, scope)
    return scope


def _close_later(app: Flask, stay: Frame | Scope) -> None:
    """Have a scope delivered when its context ends."""
    # Registered by whoever needs it first: a served request pays nothing for it.
    if _close_context not in app.teardown_appcontext_funcs:
        app.teardown_appcontext_funcs.append(_close_context)
    g.setdefault(_OPEN, []).append(stay)


def _close_context(error: BaseException | None = None) -> None:
    del error
    stays: list[Frame | Scope] = g.pop(_OPEN, [])
    for stay in stays:
        stay.finish()


class UnitBlock:
    """The block of `with abx.as_unit(...)`."""

    def __init__(self, identity: GivenIdentity) -> None:
        self._identity = identity
        self._stack: list[tuple[Scope, Scope | None, Token[Scope | None]]] = []

    def __enter__(self) -> None:
        outer = current_scope()
        within = _request().environ if has_request_context() else None
        # A request keeps its version; a job may run for days.
        ruleset = outer.state.ruleset() if within is None else outer.ruleset
        scope = Scope(outer.app, outer.state, None, ruleset, self._identity)
        scope.within = within
        is_nested = within is not None or _entered.get() is outer
        self._stack.append((scope, outer if is_nested else None, _entered.set(scope)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        scope, outer, token = self._stack.pop()
        try:
            _hand_over(scope, outer)
        finally:
            _leave(token)


def _hand_over(scope: Scope, outer: Scope | None) -> None:
    if outer is None:
        scope.finish()
        return
    outer.is_resolved |= scope.is_resolved
    # One request hands over one batch.
    outer.records.extend(scope.records)
    scope.records.clear()
    scope.finish()
    if outer.is_finished:
        outer.deliver()


def _leave(token: Token[Scope | None]) -> None:
    try:
        _entered.reset(token)
    except ValueError:
        # A generator that ends in another context than it began in.
        before = token.old_value
        _entered.set(None if before is Token.MISSING else before)
