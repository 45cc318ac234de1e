"""The callables that an application registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from flask_abx.errors import SetupError

if TYPE_CHECKING:
    from flask_abx.assignment.audience import SegmentRule
    from flask_abx.experiments.metric import Metric
    from flask_abx.stores.change import Change

UnitLoader: TypeAlias = Callable[[], Any]
AttributesLoader: TypeAlias = Callable[[], Mapping[str, Any] | None]
Consent: TypeAlias = Callable[[str], bool]
ChangeGuard: TypeAlias = "Callable[[Change], None]"
SegmentFunction: TypeAlias = Callable[[Mapping[str, Any]], bool]
Access: TypeAlias = "Callable[[], Actor | None]"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who is let in to results.

    Attributes:
        id: What your application knows the person by.
        name: What people call them.
    """

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class DeclaredMetric:
    """A metric that the code declares.

    Attributes:
        metric: What it computes.
        select: The statement over tables of the application; None where events count.
    """

    metric: Metric
    select: Any = None


@dataclass(slots=True)
class Hooks:
    """Who it is, what is known, what was agreed to: the application's answers."""

    unit_loader: UnitLoader | None = None
    attributes_loader: AttributesLoader | None = None
    consent: Consent | None = None
    change_guards: list[ChangeGuard] = field(default_factory=list)
    access: Access | None = None
    segments: dict[str, SegmentRule] = field(default_factory=dict)
    metrics: dict[str, DeclaredMetric] = field(default_factory=dict)
    is_frozen: bool = False

    def check(self, function: Callable[..., Any], role: str) -> None:
        """Refuse a hook that comes too late, or that would have to be awaited.

        Raises:
            SetupError: If a request was served before, or it is a coroutine function.
        """
        name = getattr(function, "__name__", repr(function))
        if self.is_frozen:
            raise SetupError(
                f"{role} {name!r} is registered after the first request, "
                "register it where the application is created."
            )
        if iscoroutinefunction(function):
            raise SetupError(
                f"{role} {name!r} is a coroutine function, must be a plain one: "
                "write 'def' instead of 'async def'."
            )
