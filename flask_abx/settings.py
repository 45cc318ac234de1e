"""Every ABX_* key once: its type, its default and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SkipValidation,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from flask_abx.errors import ConfigError
from flask_abx.experiments.faults import faults_of, suggestion
from flask_abx.experiments.model import Document
from flask_abx.experiments.values import Form, Switch

PREFIX = "ABX_"
#: Browsers keep no cookie longer than 400 days.
MAX_COOKIE_AGE = 34_560_000


def _matching(pattern: str, rule: str) -> AfterValidator:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise PydanticCustomError("text", f"must be {rule}")
        return value

    return AfterValidator(check)


CookieName = Annotated[
    str, _matching(r"[A-Za-z0-9_.-]{1,40}", "1 to 40 letters, digits, '_', '.' or '-'")
]
UrlPath = Annotated[str, _matching(r"/[^;,\s]*", "a path that begins with '/'")]
Prefix = Annotated[str, _matching(r"(/[^/\s]+)+", "a path such as '/api/v1', or None")]
Domain = Annotated[
    str,
    _matching(
        r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", "a domain such as 'example.com', or None"
    ),
]


def _as_folder(value: object) -> object:
    if value is None or value is False or isinstance(value, str | Path):
        return value
    raise PydanticCustomError("folder", "must be the path of a folder, None or False")


def _as_path(value: object) -> object:
    if value is None or isinstance(value, str | Path):
        return value
    raise PydanticCustomError("folder", "must be the path of a folder, or None")


SpoolFolder = Annotated[str | Path | None, BeforeValidator(_as_path)]
Folder = Annotated[str | Path | Literal[False] | None, BeforeValidator(_as_folder)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=60)]


class Settings(Form):
    """The settings of one application, read once and never changed."""

    enabled: Switch = Field(
        default=True,
        description="False serves everyone the control, or the winner of a concluded "
        "experiment, and records nothing.",
    )
    experiments: SkipValidation[Mapping[str, Any]] = Field(
        default_factory=dict, description="Experiments alone, by key."
    )
    definitions: str | Path | SkipValidation[Mapping[str, Any]] | None = Field(
        None,
        description="A whole document (experiments, layers, segments, metrics, flags): "
        "the path of a TOML or JSON file relative to `app.root_path`, or a mapping.",
    )
    store: Literal["config", "sql"] | None = Field(
        None,
        description='Where experiments are defined: "config" or "sql"; None is the '
        "configuration where it names any, else the database where there is one.",
    )
    first_wait: Seconds = Field(
        2.0,
        description="How long the first request of a process waits for the "
        "definitions of the database, in seconds.",
    )
    refresh_seconds: Annotated[float, Field(strict=True, ge=0.1, le=300)] = Field(
        2.0,
        description="How often a process asks the database for changed definitions, "
        "in seconds.",
    )
    ruleset_cache: Folder = Field(
        None,
        description="The folder that keeps the last known definitions for a start "
        "without database, relative to `app.root_path`; None is the instance folder, "
        "False keeps none.",
    )
    strict: Switch | None = Field(
        None,
        description="True raises on an experiment that is not defined; None does so in "
        "debug and testing.",
    )
    api_prefix: Prefix | None = Field(
        "/api/v1", description="Where the HTTP API lives; None turns it off."
    )
    cookie_name: CookieName = Field(
        "abx", description="The name of the cookie, before `__Host-` or `__Secure-`."
    )
    cookie_secure: Switch | None = Field(
        None, description="Send the cookie over HTTPS only; None follows the request."
    )
    cookie_domain: Domain | None = Field(
        None, description="The domain of the cookie; None is this host alone."
    )
    cookie_path: UrlPath = Field("/", description="The path of the cookie.")
    cookie_samesite: Literal["Lax", "Strict", "None"] = Field(
        "Lax", description="When other sites' pages send the cookie along."
    )
    cookie_max_age: Annotated[int, Field(strict=True, ge=1, le=MAX_COOKIE_AGE)] = Field(
        15_552_000, description="How long the browser keeps the cookie, in seconds."
    )
    event_log: Path | None = Field(
        None,
        description="A file that takes every record as a JSON line, whatever logging "
        "is set to; relative to `app.root_path`.",
    )
    sinks: list[Any] | None = Field(
        None,
        description='Where records go: "log", "sql", "memory", callables, or objects '
        "with `write(batch)`; None is the log, and the database where there is one.",
    )
    track_durability: Literal["spool", "request", "atomic"] = Field(
        "spool",
        description='What `track` promises where it is not told: "spool" survives the '
        'end of the process, "request" waits for the database, "atomic" is part of the '
        "application's own transaction.",
    )
    spool_dir: SpoolFolder = Field(
        None,
        description="The folder below which records wait for the database, relative to "
        "`app.root_path`; None is the instance folder, and a temporary one in tests.",
    )
    spool_max_bytes: Annotated[int, Field(strict=True, ge=1_024)] = Field(
        1_073_741_824,
        description="How much may wait in that folder, in bytes; what comes then is "
        "kept in memory as far as there is room.",
    )
    wait: Seconds = Field(
        0.25,
        description="How long a request waits for an answer of the database at most, "
        "in seconds.",
    )


def key_of(field: str) -> str:
    """Name the configuration key of a field of `Settings`."""
    return f"{PREFIX}{field.upper()}"


def _way_out(key: str, known: Mapping[str, str]) -> str:
    section = key.removeprefix(PREFIX).lower()
    if section in Document.model_fields:
        return f"; write {section!r} into ABX_DEFINITIONS."
    return suggestion(key, known)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Read the settings of an application.

    Raises:
        ConfigError: With every wrong value, and every unknown ``ABX_`` key.
    """
    known = {key_of(field): field for field in Settings.model_fields}
    given = {key: value for key, value in config.items() if key.startswith(PREFIX)}
    faults = [
        f"{key} is not a known setting{_way_out(key, known)}"
        for key in given
        if key not in known
    ]
    try:
        settings = Settings.model_validate(
            {known[key]: value for key, value in given.items() if key in known}
        )
    except ValidationError as error:
        for fault in faults_of(error, Settings):
            field, _, rest = fault.path.partition(".")
            faults.append(f"{key_of(field)}{'.' if rest else ''}{rest} {fault.message}")
    if faults:
        raise ConfigError("\n".join(faults))
    return settings
