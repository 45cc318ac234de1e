"""Every setting: its default, what it takes, and what it says to anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from pydantic import ValidationError

from flask_abx.errors import ConfigError
from flask_abx.settings import MAX_COOKIE_AGE, Settings, key_of, read_settings

DEFAULTS: dict[str, object] = {
    "ABX_ENABLED": True,
    "ABX_EXPERIMENTS": {},
    "ABX_DEFINITIONS": None,
    "ABX_STORE": None,
    "ABX_FIRST_WAIT": 2.0,
    "ABX_REFRESH_SECONDS": 2.0,
    "ABX_RULESET_CACHE": None,
    "ABX_STRICT": None,
    "ABX_API_PREFIX": "/api/v1",
    "ABX_COOKIE_NAME": "abx",
    "ABX_COOKIE_SECURE": None,
    "ABX_COOKIE_DOMAIN": None,
    "ABX_COOKIE_PATH": "/",
    "ABX_COOKIE_SAMESITE": "Lax",
    "ABX_COOKIE_MAX_AGE": 15_552_000,
    "ABX_EVENT_LOG": None,
    "ABX_SINKS": None,
    "ABX_TRACK_DURABILITY": "spool",
    "ABX_SPOOL_DIR": None,
    "ABX_SPOOL_MAX_BYTES": 1_073_741_824,
    "ABX_WAIT": 0.25,
}


def refused(**config: object) -> str:
    """Read settings that must be refused, and give what is told."""
    with pytest.raises(ConfigError) as caught:
        read_settings(config)
    return str(caught.value)


def test_the_keys_and_their_defaults_are_those_of_the_contract() -> None:
    settings = read_settings({})
    found = {key_of(name): getattr(settings, name) for name in Settings.model_fields}
    assert found == DEFAULTS


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_default_may_be_written_out(key: str) -> None:
    assert read_settings({key: DEFAULTS[key]}) == read_settings({})


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), name


TAKEN: list[tuple[str, object]] = [
    ("ABX_ENABLED", False),
    ("ABX_STORE", "config"),
    ("ABX_STORE", "sql"),
    ("ABX_FIRST_WAIT", 0),
    ("ABX_REFRESH_SECONDS", 1),
    ("ABX_RULESET_CACHE", False),
    ("ABX_RULESET_CACHE", "instance"),
    ("ABX_STRICT", True),
    ("ABX_STRICT", False),
    ("ABX_API_PREFIX", None),
    ("ABX_API_PREFIX", "/shop/api/v2"),
    ("ABX_COOKIE_NAME", "shop.abx-1"),
    ("ABX_COOKIE_SECURE", True),
    ("ABX_COOKIE_DOMAIN", ".example.com"),
    ("ABX_COOKIE_DOMAIN", "localhost"),
    ("ABX_COOKIE_PATH", "/shop"),
    ("ABX_COOKIE_SAMESITE", "None"),
    ("ABX_COOKIE_MAX_AGE", 1),
    ("ABX_COOKIE_MAX_AGE", MAX_COOKIE_AGE),
    ("ABX_DEFINITIONS", "abx.toml"),
    ("ABX_DEFINITIONS", Path("abx.toml")),
    ("ABX_EVENT_LOG", Path("events.log")),
    ("ABX_SINKS", []),
    ("ABX_SINKS", ["log", print]),
]


@pytest.mark.parametrize(("key", "value"), TAKEN, ids=repr)
def test_a_right_value_is_kept(key: str, value: object) -> None:
    name = key.removeprefix("ABX_").lower()
    assert getattr(read_settings({key: value}), name) == value


WRONG: list[tuple[str, object, str]] = [
    ("ABX_ENABLED", "false", "must be a valid boolean."),
    ("ABX_ENABLED", 0, "must be a valid boolean."),
    ("ABX_STORE", "redis", "must be 'config' or 'sql'."),
    ("ABX_FIRST_WAIT", -1, "must be greater than or equal to 0."),
    ("ABX_RULESET_CACHE", True, "must be the path of a folder, None or False."),
    ("ABX_REFRESH_SECONDS", 0, "must be greater than or equal to 0.1."),
    ("ABX_REFRESH_SECONDS", 301, "must be less than or equal to 300."),
    ("ABX_STRICT", "yes", "must be a valid boolean."),
    ("ABX_API_PREFIX", "api", "must be a path such as '/api/v1', or None."),
    ("ABX_API_PREFIX", "/", "must be a path such as '/api/v1', or None."),
    ("ABX_API_PREFIX", "/api/", "must be a path such as '/api/v1', or None."),
    ("ABX_API_PREFIX", False, "must be a valid string."),
    ("ABX_COOKIE_NAME", "a b", "must be 1 to 40 letters, digits, '_', '.' or '-'."),
    ("ABX_COOKIE_NAME", "abx\n", "must be 1 to 40 letters, digits, '_', '.' or '-'."),
    ("ABX_COOKIE_NAME", "", "must be 1 to 40 letters, digits, '_', '.' or '-'."),
    ("ABX_COOKIE_SECURE", "auto", "must be a valid boolean."),
    ("ABX_COOKIE_DOMAIN", "a;b", "must be a domain such as 'example.com', or None."),
    ("ABX_COOKIE_PATH", "shop", "must be a path that begins with '/'."),
    ("ABX_COOKIE_PATH", "/a;b", "must be a path that begins with '/'."),
    ("ABX_COOKIE_SAMESITE", "lax", "must be 'Lax', 'Strict' or 'None'."),
    ("ABX_COOKIE_SAMESITE", None, "must be 'Lax', 'Strict' or 'None'."),
    ("ABX_COOKIE_MAX_AGE", 0, "must be greater than or equal to 1."),
    ("ABX_COOKIE_MAX_AGE", "60", "must be a valid integer."),
    ("ABX_COOKIE_MAX_AGE", True, "must be a valid integer."),
    ("ABX_COOKIE_MAX_AGE", 10**9, "must be less than or equal to 34560000."),
    ("ABX_EVENT_LOG", 7, "must be a path."),
    ("ABX_SINKS", "log", "must be a list."),
    ("ABX_SINKS", {"log": 1}, "must be a list."),
]


@pytest.mark.parametrize(("key", "value", "told"), WRONG, ids=repr)
def test_a_wrong_value_is_told_with_the_way_out(
    key: str, value: object, told: str
) -> None:
    # A mapping is shown as what it was given as.
    assert refused(**{key: value}) == f"{key} is {value!r}, {told}"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("ABX_EXPERIMENT", "; did you mean 'ABX_EXPERIMENTS'?"),
        ("ABX_COOKIE_MAXAGE", "; did you mean 'ABX_COOKIE_MAX_AGE'?"),
        ("ABX_ZZZ", "."),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest(key: str, told: str) -> None:
    assert refused(**{key: 1}) == f"{key} is not a known setting{told}"


def test_every_wrong_setting_is_told_at_once() -> None:
    told = refused(ABX_ENABLED=2, ABX_ZZZ=1, ABX_COOKIE_MAX_AGE=-1, ABX_SINK=[])
    assert told.splitlines() == [
        "ABX_ZZZ is not a known setting.",
        "ABX_SINK is not a known setting; did you mean 'ABX_SINKS'?",
        "ABX_ENABLED is 2, must be a valid boolean.",
        "ABX_COOKIE_MAX_AGE is -1, must be greater than or equal to 1.",
    ]


def test_other_keys_are_not_ours() -> None:
    config = {"SECRET_KEY": "x", "ABXY": 1, "abx_enabled": 2, "MY_ABX_ENABLED": 3}
    assert read_settings(config) == read_settings({})


ENVIRONMENT: list[tuple[str, str, object]] = [
    ("ENABLED", "false", False),
    ("STRICT", "true", True),
    ("API_PREFIX", "null", None),
    ("API_PREFIX", "/ab", "/ab"),
    ("COOKIE_MAX_AGE", "3600", 3600),
    ("COOKIE_NAME", "shop", "shop"),
    ("EVENT_LOG", "logs/events.jsonl", Path("logs/events.jsonl")),
    ("SINKS", '["log"]', ["log"]),
    ("EXPERIMENTS", '{"e": {"salt": 12345}}', {"e": {"salt": 12345}}),
]


@pytest.mark.parametrize(("key", "text", "value"), ENVIRONMENT, ids=repr)
def test_values_from_the_environment_are_taken(
    monkeypatch: pytest.MonkeyPatch, key: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"FLASK_ABX_{key}", text)
    app = Flask("shop")
    app.config.from_prefixed_env()
    assert getattr(read_settings(app.config), key.lower()) == value


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings({}).enabled = False
