"""The model of an experiment and of the document that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from flask_abx.experiments.lifecycle import Outcome, Status
from flask_abx.experiments.metric import Analysis, Metric, MetricRoles, Plan, Roles
from flask_abx.experiments.values import (
    CheckedFlagValue,
    EventName,
    FlagValue,
    Form,
    Identifier,
    Key,
    Moment,
    Salt,
    Share,
    Switch,
    UnitType,
    UnitTypes,
)


def _reserved(value: object) -> object:
    del value
    raise PydanticCustomError(
        "reserved", "is reserved for a later release, leave it out"
    )


Reserved = Annotated[None, BeforeValidator(_reserved)]
Weight = Annotated[float, Field(strict=True, ge=0)]


class Variant(Form):
    """One arm of an experiment."""

    key: Key
    name: str = ""
    weight: Weight = 1.0
    flags: dict[str, CheckedFlagValue] = Field(default_factory=dict)
    closed: Switch = False
    control: Switch = False


def _as_variants(value: object) -> object:
    """Take ``["a", "b"]`` and ``{"a": 90, "b": {...}}`` for a list of variants."""
    if isinstance(value, Mapping):
        return [_as_variant(key, body) for key, body in value.items()]
    if isinstance(value, list | tuple):
        return [{"key": item} if isinstance(item, str) else item for item in value]
    return value


def _as_variant(key: object, body: object) -> object:
    if isinstance(body, Mapping):
        return {**body, "key": key}
    return {"key": key, "weight": 1.0 if body is None else body}


def _at_least_two(variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
    if len(variants) < 2:
        raise PydanticCustomError("variants", "must have at least 2")
    return variants


Variants = Annotated[
    tuple[Variant, ...],
    BeforeValidator(
        _as_variants,
        json_schema_input_type=Annotated[list[Key | Variant], Field(min_length=2)]
        | dict[Key, Weight | dict[str, JsonValue] | None],
    ),
    AfterValidator(_at_least_two),
]


class Experiment(Form):
    """One question with its variants, its audience and its metrics."""

    key: Key = ""
    name: str = ""
    hypothesis: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    unit: UnitTypes = ("visitor",)
    variants: Variants
    traffic: Share = 1.0
    audience: dict[str, JsonValue] = Field(default_factory=dict)
    layer: Key | None = None
    range: tuple[Share, Share] | None = None
    start_at: Moment | None = None
    end_at: Moment | None = None
    metrics: Roles = MetricRoles()
    plan: Plan | None = None
    analysis: Analysis = Analysis()
    dimensions: Annotated[tuple[UnitType, ...], Field(max_length=5)] = ()
    sensitive: Switch = False
    consent: Annotated[str, Field(min_length=1)] | None = None
    forced: dict[Identifier, Key] = Field(default_factory=dict)
    private: Switch = False
    salt: Salt | None = None
    iteration: Annotated[int, Field(strict=True, ge=1, le=999_999_999)] = 1
    status: Status = Status.RUNNING
    closed: Switch = False
    winner: Key | None = None
    outcome: Outcome | None = None
    keep_variants: Switch = False
    holdout: Reserved = None
    prerequisites: Reserved = None

    @property
    def control(self) -> Variant:
        """The variant that everyone outside the experiment gets."""
        variants = self.variants
        for variant in variants:
            if variant.control:
                return variant
        return variants[0]

    @property
    def effective_salt(self) -> str:
        """The salt of this iteration, the explicit one or the default."""
        if self.salt is not None:
            return self.salt
        return self.key if self.iteration == 1 else f"{self.key}:{self.iteration}"

    @property
    def purposes(self) -> tuple[str, ...]:
        """The purposes that a unit must have consented to."""
        named = (self.consent,) if self.consent is not None else ()
        return ("sensitive", *named) if self.sensitive else named


class Layer(Form):
    """A group in which a unit meets at most one experiment."""

    name: str = ""
    salt: Salt | None = None


class FlagType(StrEnum):
    """The types of flag values, as OpenFeature names them."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    STRING = "string"
    OBJECT = "object"

    @classmethod
    def of(cls, value: object) -> FlagType:
        """Tell the type of a value."""
        if isinstance(value, bool):
            return cls.BOOLEAN
        if isinstance(value, int):
            return cls.INTEGER
        if isinstance(value, float):
            return cls.FLOAT
        return cls.STRING if isinstance(value, str) else cls.OBJECT

    def accepts(self, value: object) -> bool:
        """Tell whether a value is of this type; a whole number is a float too."""
        found = FlagType.of(value)
        return found is self or (self is FlagType.FLOAT and found is FlagType.INTEGER)


class Flag(Form):
    """A typed value that variants set and code reads."""

    type: FlagType
    default: CheckedFlagValue | None = None
    description: str = ""


def _as_flag(value: object) -> object:
    if isinstance(value, Mapping) and ("type" in value or "default" in value):
        if "type" in value or value.get("default") is None:
            return value
        return {"type": FlagType.of(value["default"]), **value}
    return value if value is None else {"type": FlagType.of(value), "default": value}


ShortFlag = Annotated[
    Flag, BeforeValidator(_as_flag, json_schema_input_type=Flag | FlagValue)
]


def _as_segment(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple) and all(
        isinstance(item, str | int) and not isinstance(item, bool) for item in value
    ):
        return tuple(str(item) for item in value)
    raise PydanticCustomError("segment", "must be a list of ids or a condition")


Segment = Annotated[
    tuple[str, ...] | dict[str, JsonValue],
    BeforeValidator(
        _as_segment, json_schema_input_type=list[str | int] | dict[str, JsonValue]
    ),
]


class Document(Form):
    """Everything that an application defines: experiments and what they refer to."""

    experiments: dict[Key, Experiment] = Field(default_factory=dict)
    layers: dict[Key, Layer] = Field(default_factory=dict)
    segments: dict[Key, Segment] = Field(default_factory=dict)
    metrics: dict[EventName, Metric] = Field(default_factory=dict)
    flags: dict[str, ShortFlag] = Field(default_factory=dict)

    def layer_salt(self, key: str) -> str:
        """The salt of a layer, declared or not."""
        layer = self.layers.get(key)
        if layer is not None and layer.salt is not None:
            return layer.salt
        return f"layer:{key}"

    def canonical(self) -> dict[str, Any]:
        """The document as plain JSON values, without what equals its default."""
        return {
            section: {key: plain(entry) for key, entry in entries.items()}
            for section in Document.model_fields
            if (entries := getattr(self, section))
        }


def plain(entry: Form | tuple[str, ...] | dict[str, JsonValue]) -> Any:  # noqa: ANN401 - JSON
    """Give one definition as plain JSON values, without what equals its default."""
    if isinstance(entry, Form):
        return entry.model_dump(mode="json", exclude_defaults=True)
    return list(entry) if isinstance(entry, tuple) else entry
