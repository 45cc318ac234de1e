"""Which scope is the current one."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

from flask import current_app, g, has_request_context, request

from flask_abx.runtime.frame import ENVIRON_KEY, Frame
from flask_abx.runtime.scope import Scope
from flask_abx.runtime.state import state_of
from flask_abx.runtime.unit import GivenIdentity

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask, Request

    from flask_abx.runtime.task import TaskLoad

Stays: TypeAlias = "list[Frame | Scope]"

_OPEN = "_abx_open"
_OWN = "_abx_scope"

# The objects behind the proxies: five times faster than through them.
_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]  # noqa: SLF001
_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]  # noqa: SLF001

#: The scope of the innermost `as_unit` block.
entered: ContextVar[Scope | None] = ContextVar("flask_abx.as_unit", default=None)
#: What came with the task that runs.
task_load: ContextVar[TaskLoad | None] = ContextVar("flask_abx.task", default=None)


def current_scope() -> Scope:
    """Give the scope of this request, this `as_unit` block or this context.

    Raises:
        RuntimeError: Outside an application context, as Flask does.
        SetupError: If the extension is not set up on the application.
    """
    app = _app()
    environ = current_environ()
    inner = entered.get()
    if inner is not None and inner.app is app and inner.within is environ:
        return inner
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
        close_later(app, frame)
    return frame.open(environ)


def current_environ() -> WSGIEnvironment | None:
    """Give the environ of this request, or None outside of one."""
    return _request().environ if has_request_context() else None


def _frame_within(outer: Frame, app: Flask, environ: WSGIEnvironment) -> Frame:
    """Frame another application within a request, whose response is not its own."""
    if outer.environ is not None:
        outer.open(outer.environ).is_resolved = True
    frame = Frame(app, state_of(app), environ)
    # It can set no cookie here, so it names no visitor either.
    frame.is_started = True
    close_later(app, frame)
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
        recalled = frame.recall(key) if entered.get() is None else None
        if recalled is not None:
            return recalled
    return current_scope().variant(key, default)


def _of_context(app: Flask) -> Scope:
    """Give the scope of an application context without a request."""
    load = task_load.get()
    if load is not None:
        return load.scope_in(app)
    scope: Scope | None = g.get(_OWN)
    if scope is None:
        state, nobody = state_of(app), GivenIdentity(None, None, {})
        scope = Scope(app, state, None, state.ruleset(), nobody)
        setattr(g, _OWN, scope)
        close_later(app, scope)
    return scope


def close_later(app: Flask, stay: Frame | Scope) -> Stays:
    """Have a scope delivered when its context ends; gives all that are by then."""
    # Registered by whoever needs it first: a served request pays nothing for it.
    if _close_context not in app.teardown_appcontext_funcs:
        app.teardown_appcontext_funcs.append(_close_context)
    stays: Stays = g.setdefault(_OPEN, [])
    stays.append(stay)
    return stays


def _close_context(error: BaseException | None = None) -> None:
    del error
    stays: Stays = g.pop(_OPEN, [])
    for stay in stays:
        stay.finish()
