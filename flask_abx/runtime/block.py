"""The block of `with abx.as_unit(...)`, in which somebody else is acted for."""

from __future__ import annotations

from contextvars import Token
from types import MappingProxyType
from typing import TYPE_CHECKING

from flask_abx.runtime.carrying import CarriedScope, verified
from flask_abx.runtime.current import current_environ, current_scope, entered
from flask_abx.runtime.scope import Scope
from flask_abx.runtime.unit import GivenIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from flask_abx.assignment.ruleset import Ruleset


class UnitBlock:
    """The block of `with abx.as_unit(...)`.

    Args:
        unit: Who it is, or what `carry` gave.
        attributes: What else is known about whoever was carried.
    """

    def __init__(
        self,
        unit: GivenIdentity | str,
        attributes: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self._unit = unit
        self._attributes = attributes
        self._stack: list[tuple[Scope, Scope | None, Token[Scope | None]]] = []

    def __enter__(self) -> None:
        outer = current_scope()
        within = current_environ()
        # A request keeps its version; a job may run for days.
        ruleset = outer.state.ruleset() if within is None else outer.ruleset
        scope = self._scope(outer, ruleset)
        scope.within = within
        is_nested = within is not None or entered.get() is outer
        self._stack.append((scope, outer if is_nested else None, entered.set(scope)))

    def _scope(self, outer: Scope, ruleset: Ruleset) -> Scope:
        app, state, unit = outer.app, outer.state, self._unit
        if isinstance(unit, GivenIdentity):
            return Scope(app, state, None, ruleset, unit)
        carried = verified(unit, app, state, is_strict=outer.is_dev)
        return CarriedScope(app, state, ruleset, carried, self._attributes)

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
    outer.is_awaited |= scope.is_awaited
    scope.records.clear()
    scope.finish()
    if outer.is_finished:
        outer.deliver()


def _leave(token: Token[Scope | None]) -> None:
    try:
        entered.reset(token)
    except ValueError:
        # A generator that ends in another context than it began in.
        before = token.old_value
        entered.set(None if before is Token.MISSING else before)
