"""The metrics, the roles that an experiment gives them, its plan and its analysis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from flask_abx.experiments.values import (
    Duration,
    EventName,
    EventNames,
    Form,
    Number,
    UnitType,
)

#: What of a metric changes only how people read it.
SHOWN = frozenset({"name", "description", "format", "currency", "decimals"})


class Kind(StrEnum):
    """What a metric takes from the events of a unit."""

    CONVERSION = "conversion"
    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    RATIO = "ratio"
    RETENTION = "retention"


class Direction(StrEnum):
    """Which way is good."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"


class Format(StrEnum):
    """How people read the number."""

    PERCENT = "percent"
    NUMBER = "number"
    CURRENCY = "currency"
    DURATION = "duration"


class PartOf(StrEnum):
    """What one part of a ratio adds up."""

    COUNT = "count"
    SUM = "sum"


def _as_wanted(value: object) -> object:
    """Spell numbers and booleans as JSON does, since properties compare as text."""
    if isinstance(value, Mapping):
        if [*value] == ["$exists"] and isinstance(value["$exists"], bool):
            return dict(value)
        items: list[object] = []
    else:
        items = list(value) if isinstance(value, list | tuple) else [value]
    if not items or not all(isinstance(item, str | int | float) for item in items):
        raise PydanticCustomError(
            "where", "must be a text, a list of texts, or {'$exists': true}"
        )
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


_Plain = str | bool | int | float
Wanted = Annotated[
    tuple[str, ...] | dict[Literal["$exists"], bool],
    BeforeValidator(
        _as_wanted,
        json_schema_input_type=_Plain | list[_Plain] | dict[Literal["$exists"], bool],
    ),
]
Where = dict[str, Wanted]


class RatioPart(Form):
    """The numerator or the denominator of a ratio."""

    event: EventName
    where: Where = Field(default_factory=dict)
    of: PartOf = PartOf.COUNT


def _one_margin(form: Metric | Guardrail) -> None:
    if form.margin is not None and form.margin_abs is not None:
        raise PydanticCustomError(
            "margin", "must have margin (relative) or margin_abs, not both"
        )


class Metric(Form):
    """A number per unit that is made from events."""

    kind: Kind = Kind.CONVERSION
    event: EventName | None = None
    where: Where = Field(default_factory=dict)
    min_value: Number | None = None
    max_value: Number | None = None
    numerator: RatioPart | None = None
    denominator: RatioPart | None = None
    unit: UnitType | None = None
    window: Duration | None = None
    delay: Duration = "0s"
    direction: Direction = Direction.HIGHER
    cap: Annotated[float, Field(strict=True, ge=0.9, le=1)] | None = None
    covariate: Duration | None = None
    margin: Annotated[float, Field(strict=True, gt=0)] | None = None
    margin_abs: Annotated[float, Field(strict=True, gt=0)] | None = None
    name: str = ""
    description: str = ""
    format: Format | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    decimals: Annotated[int, Field(strict=True, ge=0, le=12)] | None = None

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> Metric:
        is_ratio = self.kind is Kind.RATIO
        if is_ratio and (self.numerator is None or self.denominator is None):
            raise PydanticCustomError(
                "parts", "must have numerator and denominator, as its kind is 'ratio'"
            )
        if not is_ratio and (self.numerator or self.denominator):
            raise PydanticCustomError(
                "parts", "must have no numerator or denominator unless kind is 'ratio'"
            )
        if self.kind is Kind.RETENTION and (self.window is None or self.delay == "0s"):
            raise PydanticCustomError(
                "retention", "must have delay and window, as its kind is 'retention'"
            )
        _one_margin(self)
        return self


class Guardrail(Form):
    """A metric that must not get worse, and by how much it may."""

    metric: EventName
    margin: Annotated[float, Field(strict=True, gt=0)] | None = None
    margin_abs: Annotated[float, Field(strict=True, gt=0)] | None = None

    @model_validator(mode="after")
    def _has_one_margin(self) -> Guardrail:
        _one_margin(self)
        return self


def _as_guardrails(value: object) -> object:
    entries = [value] if isinstance(value, str | Mapping) else value
    if not isinstance(entries, list | tuple):
        return entries
    return [{"metric": item} if isinstance(item, str) else item for item in entries]


Guardrails = Annotated[
    tuple[Guardrail, ...],
    BeforeValidator(
        _as_guardrails,
        json_schema_input_type=EventName | Guardrail | list[EventName | Guardrail],
    ),
]


class MetricRoles(Form):
    """Which metrics decide an experiment, which explain it, which protect it."""

    primary: EventNames = ()
    secondary: EventNames = ()
    guardrail: Guardrails = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric that is named, in the order of the roles."""
        guarded = tuple(guardrail.metric for guardrail in self.guardrail)
        return (*self.primary, *self.secondary, *guarded)


def _as_roles(value: object) -> object:
    return {"primary": value} if isinstance(value, str | list | tuple) else value


Roles = Annotated[
    MetricRoles,
    BeforeValidator(
        _as_roles, json_schema_input_type=EventName | list[EventName] | MetricRoles
    ),
]


class Plan(Form):
    """How large a sample is planned: in units, in days, or by the effect to find."""

    units: Annotated[int, Field(strict=True, gt=0)] | None = None
    days: Annotated[int, Field(strict=True, gt=0)] | None = None
    mde: Annotated[float, Field(strict=True, gt=0)] | None = None
    power: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _is_one_plan(self) -> Plan:
        if sum(value is not None for value in (self.units, self.days, self.mde)) != 1:
            raise PydanticCustomError("plan", "must give one of units, days and mde")
        if self.power is not None and self.mde is None:
            raise PydanticCustomError("plan", "must give power only beside mde")
        return self


class AnalysisTest(StrEnum):
    """Which statistical test reads the primary metrics."""

    AUTO = "auto"
    ANY_TIME = "any_time"
    HYBRID = "hybrid"
    FIXED = "fixed"


class Mixed(StrEnum):
    """What becomes of units that met two variants."""

    FIRST = "first"
    EXCLUDE = "exclude"


def _as_time_zone(value: str) -> str:
    from zoneinfo import available_timezones

    if value not in available_timezones():
        raise PydanticCustomError(
            "time_zone", "must be a time zone such as 'UTC' or 'Europe/Berlin'"
        )
    return value


class Analysis(Form):
    """How the results of an experiment are computed."""

    test: AnalysisTest = AnalysisTest.AUTO
    alpha: Annotated[float, Field(strict=True, gt=0, lt=0.5)] = 0.05
    min_days: Annotated[int, Field(strict=True, ge=0)] = 7
    time_zone: Annotated[str, AfterValidator(_as_time_zone)] = "UTC"
    mixed: Mixed = Mixed.FIRST
