"""What comes with a task, and what goes with the tasks that it sends."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from flask import current_app, has_app_context, has_request_context

from flask_abx.runtime.carried import write
from flask_abx.runtime.carrying import CarriedScope, carry, packed, verified
from flask_abx.runtime.current import close_later, current_scope, task_load
from flask_abx.runtime.state import EXTENSION, state_of

if TYPE_CHECKING:
    from flask import Flask

    from flask_abx.runtime.current import Stays
    from flask_abx.runtime.scope import Scope


class TaskLoad:
    """What came with a task: whom it acts for in every context without a request.

    Args:
        text: What `carry` gave.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._scopes: dict[Flask, Scope] = {}
        self._stays: list[Stays] = []
        self._outer: TaskLoad | None = None

    def take_up(self) -> None:
        """Act for them from now on."""
        self._outer = task_load.get()
        task_load.set(self)

    def put_down(self) -> None:
        """Act for them no longer, and hand over what was recorded."""
        task_load.set(self._outer)
        for app, scope in self._scopes.items():
            try:
                scope.finish()
            except Exception:
                app.logger.exception("The records of a task were not delivered.")
            # A context that outlives the task must not collect them.
            for stays in self._stays:
                with suppress(ValueError):
                    stays.remove(scope)

    def scope_in(self, app: Flask) -> Scope:
        """Give the scope of the task in an application, in whatever context."""
        scope = self._scopes.get(app)
        if scope is None:
            state = state_of(app)
            carried = verified(self._text, app, state, is_strict=False)
            made = CarriedScope(app, state, state.ruleset(), carried, {})
            scope = self._scopes.setdefault(app, made)
            self._stays.append(close_later(app, scope))
        return scope

    def passed_on(self) -> str:
        """Give what the next task carries: the same, and what was met meanwhile."""
        scopes = list(self._scopes.values())
        return carry(scopes[0]) if len(scopes) == 1 else self._text


def luggage() -> str | None:
    """Give what a task carries that is published here, or None where nobody is.

    Raises:
        UsageError: If an id is too long to be carried, in debug and testing.
    """
    if not has_app_context() or EXTENSION not in current_app.extensions:
        load = task_load.get()
        return None if load is None else load.passed_on()
    scope = current_scope()
    carried = packed(scope)
    # Whoever sends a request is carried, a crawler without any id too.
    is_anybody = has_request_context() or isinstance(scope, CarriedScope)
    if not carried.units and not is_anybody:
        return None
    return write(carried, scope.state.cookie.carrying_keys)
