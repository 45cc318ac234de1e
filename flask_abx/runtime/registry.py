"""What an application registers: who is asking, who is let in, what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_abx.errors import SetupError
from flask_abx.experiments.definition import parse_entry
from flask_abx.runtime.hooks import DeclaredMetric, Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.runtime.hooks import (
        Access,
        AttributesLoader,
        ChangeGuard,
        Consent,
        SegmentFunction,
        UnitLoader,
    )


class Registry:
    """Takes the callables and the metrics of an application."""

    def __init__(self) -> None:
        self._hooks = Hooks()

    def unit_loader(self, function: UnitLoader) -> UnitLoader:
        """Register who is asking: a function that returns a user's id or None.

        Raises:
            SetupError: After the first request, or for a coroutine function.
        """
        self._hooks.check(function, "The unit loader")
        self._hooks.unit_loader = function
        return function

    def attributes_loader(self, function: AttributesLoader) -> AttributesLoader:
        """Register what is known: a function that returns a dict.

        Raises:
            SetupError: After the first request, or for a coroutine function.
        """
        self._hooks.check(function, "The attributes loader")
        self._hooks.attributes_loader = function
        return function

    def segment(self, name: str) -> Callable[[SegmentFunction], SegmentFunction]:
        """Register a segment: a function of the attributes that answers yes or no.

        Args:
            name: How audiences name it.

        Raises:
            SetupError: After the first request, or for a coroutine function.
        """
        if not isinstance(name, str):
            raise SetupError(
                f"@abx.segment got {name!r}, must get a name: "
                "write @abx.segment('name')."
            )

        def register(function: SegmentFunction) -> SegmentFunction:
            self._hooks.check(function, f"The segment {name!r}, function")
            self._hooks.segments[name] = function
            return function

        return register

    def consent(self, function: Consent) -> Consent:
        """Register what people agreed to: a function of a purpose, yes or no.

        Raises:
            SetupError: After the first request, or for a coroutine function.
        """
        self._hooks.check(function, "The consent callable")
        self._hooks.consent = function
        return function

    def change_guard(self, function: ChangeGuard) -> ChangeGuard:
        """Register who may refuse a change: a function of a `Change`.

        It is called before anything is written, and raises `ChangeRefused` to forbid
        it. Several are asked one after the other.

        Raises:
            SetupError: After the first request, or for a coroutine function.
        """
        self._hooks.check(function, "The change guard")
        self._hooks.change_guards.append(function)
        return function

    def access(self, function: Access) -> Access:
        """Register who may read results: a function that returns an `Actor` or None.

        Until one is registered the pages below ``/abx`` and the results of the API do
        not exist.

        Raises:
            SetupError: After the first request, or for a coroutine function.
        """
        self._hooks.check(function, "The access callable")
        self._hooks.access = function
        return function

    def metric(self, key: str, select: Any = None, /, **fields: Any) -> None:  # noqa: ANN401 - a statement of SQLAlchemy
        """Declare a metric, of events or of your own tables.

        Args:
            key: How experiments name it.
            select: A statement with the columns ``unit`` (the id), ``time`` and
                ``value``; None counts the events that are tracked.
            fields: As in a definition, such as ``kind="sum"`` and ``window="7d"``. A
                statement with a ``value`` is a sum where no kind is given. Where a
                metric of that name stands in the definitions, its fields count
                instead of these, over the rows of the statement; one that names
                ``event``, ``where``, ``numerator`` or ``denominator`` counts events,
                and the statement is not used.

        Raises:
            DefinitionError: With every fault of the fields.
            SetupError: If it was declared before, after the first request, or with
                what is no statement.
        """
        if self._hooks.is_frozen:
            raise SetupError(
                f"The metric {key!r} is declared after the first request, declare it "
                "where the application is created."
            )
        if key in self._hooks.metrics:
            raise SetupError(f"The metric {key!r} is declared twice, declare it once.")
        columns = getattr(select, "selected_columns", None)
        if select is not None and columns is None:
            raise SetupError(
                f"The metric {key!r} got {select!r:.80}, must get a statement: write "
                "select(Order.user_id.label('unit'), ...)."
            )
        if columns is not None and "value" in columns and "kind" not in fields:
            fields["kind"] = "sum"
        metric = parse_entry("metrics", key, fields)
        self._hooks.metrics[key] = DeclaredMetric(metric, select)
