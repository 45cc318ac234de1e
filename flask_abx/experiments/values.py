"""The plain types that definitions are made of."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

FlagValue: TypeAlias = bool | int | float | str | list[JsonValue] | dict[str, JsonValue]

KEY_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
UNIT_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.-]{0,39}$"
DURATION_PATTERN = r"^[0-9]+(s|m|h|d)$"


class Form(BaseModel):
    """A part of a definition: immutable, and strict about names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True
    )


def _as_text(value: object) -> object:
    # Settings from the environment turn `12345` into a number.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def _as_salt(value: str) -> str:
    if not value or "\0" in value:
        raise PydanticCustomError(
            "salt", "must be a text that is not empty, without NUL"
        )
    return value


def _as_event_name(value: str) -> str:
    if not value or len(value) > 100 or "\0" in value:
        raise PydanticCustomError(
            "event", "must be the name of an event, 1 to 100 characters without NUL"
        )
    return value


def _as_moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime) and moment.utcoffset() is not None:
            return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        moment = None
    if isinstance(moment, date):
        raise PydanticCustomError(
            "naive",
            "must have a time zone: end it with 'Z' or an offset such as '+01:00'",
        )
    raise PydanticCustomError("moment", "must be a time such as '2030-01-31T09:00:00Z'")


def _as_flag_value(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        # One fault instead of one for each type that it might have been.
        raise PydanticCustomError(
            "flag_value",
            "must be true, false, a finite number, a text, a list or a table",
        ) from None


def _as_duration(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError(
            "duration", "must be a duration such as '7d', '12h', '30m' or '45s'"
        )
    return value


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("unique", "must not name anything twice")
    return values


def as_list(value: object) -> object:
    """Take one bare text for a list of one."""
    return [value] if isinstance(value, str) else value


Key = Annotated[str, Field(pattern=KEY_PATTERN)]
Moment = Annotated[
    datetime, BeforeValidator(_as_moment, json_schema_input_type=AwareDatetime)
]
CheckedFlagValue = Annotated[FlagValue, WrapValidator(_as_flag_value)]
UnitType = Annotated[str, Field(pattern=UNIT_PATTERN)]
Duration = Annotated[
    str,
    BeforeValidator(_as_duration, json_schema_input_type=str),
    Field(pattern=DURATION_PATTERN),
]
Identifier = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=str | int),
    Field(min_length=1),
]
Salt = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=str | int),
    AfterValidator(_as_salt),
]
EventName = Annotated[str, AfterValidator(_as_event_name)]
EventNames = Annotated[
    tuple[EventName, ...],
    BeforeValidator(as_list, json_schema_input_type=EventName | list[EventName]),
    AfterValidator(_unique),
]
UnitTypes = Annotated[
    tuple[UnitType, ...],
    BeforeValidator(as_list, json_schema_input_type=UnitType | list[UnitType]),
    Field(min_length=1),
    AfterValidator(_unique),
]
Number = Annotated[float, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Switch = Annotated[bool, Field(strict=True)]
