"""Looking at a variant by hand, in debug and testing: ``?abx=headline:bold``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from flask_abx.errors import UnknownExperiment, UnknownVariant
from flask_abx.events.safe import shown
from flask_abx.experiments.faults import suggestion
from flask_abx.runtime.client import is_framed
from flask_abx.runtime.cookie import find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment

    from flask_abx.assignment.ruleset import Rule

PARAMETER = "abx"
COOKIE = "abx_preview"
RESET = "reset"


class Preview(NamedTuple):
    """What a tester asked for: variants by experiment, a reset, and what to keep."""

    variants: Mapping[str, str]
    is_reset: bool
    cookie: str | None
    faults: tuple[str, ...]


NONE = Preview({}, is_reset=False, cookie=None, faults=())


def is_asked_for(environ: WSGIEnvironment) -> bool:
    """Tell quickly whether a request may carry an override."""
    return f"{PARAMETER}=" in environ.get("QUERY_STRING", "") or COOKIE in environ.get(
        "HTTP_COOKIE", ""
    )


def preview_of(environ: WSGIEnvironment, rules: Mapping[str, Rule]) -> Preview:
    """Read the overrides of a request: those kept, and those that it brings.

    A page in a frame shows what it is told to without changing what is kept.
    """
    asked = parse_qs(environ.get("QUERY_STRING", "")).get(PARAMETER, [])
    if RESET in asked:
        return Preview(
            {}, is_reset=True, cookie=f"{COOKIE}=; Max-Age=0; Path=/", faults=()
        )
    kept = find(environ.get("HTTP_COOKIE", ""), COOKIE) or ""
    faults: list[str] = []
    variants = _parse(kept, rules, [])
    brought = _parse(",".join(asked), rules, faults)
    variants.update(brought)
    cookie = None
    if brought and not is_framed(environ):
        text = "~".join(f"{key}:{variant}" for key, variant in variants.items())
        cookie = f"{COOKIE}={text}; Path=/; HttpOnly; SameSite=Lax"
    return Preview(variants, is_reset=False, cookie=cookie, faults=tuple(faults))


def _parse(text: str, rules: Mapping[str, Rule], faults: list[str]) -> dict[str, str]:
    variants: dict[str, str] = {}
    for part in filter(None, text.replace("~", ",").split(",")):
        key, _, variant = part.partition(":")
        try:
            check_names(key, variant, rules)
        except (UnknownExperiment, UnknownVariant) as error:
            faults.append(str(error))
        else:
            variants[key] = variant
    return variants


def check_names(key: str, variant: str, rules: Mapping[str, Rule]) -> None:
    """Refuse what is not defined.

    Raises:
        UnknownExperiment: If there is no such experiment.
        UnknownVariant: If it has no such variant.
    """
    if key not in rules:
        raise UnknownExperiment(unknown_experiment(key, rules))
    if variant not in rules[key].variants:
        raise UnknownVariant(unknown_variant(key, variant, rules[key].variants))


def unknown_experiment(key: object, rules: Mapping[str, Rule]) -> str:
    """Say that an experiment is not defined, and which may be meant."""
    if not rules:
        return (
            f"Experiment {shown(key)} is not defined, as none is: set ABX_EXPERIMENTS "
            "or ABX_DEFINITIONS before ABX(app), or with ABX(app, db=db) run "
            "`flask abx create`."
        )
    return f"Experiment {shown(key)} is not defined{suggestion(key, rules)}"


def unknown_variant(key: str, variant: object, variants: Mapping[str, object]) -> str:
    """Say that an experiment has no such variant, and which it has."""
    named = ", ".join(repr(each) for each in variants)
    return f"Experiment {key!r} has no variant {variant!r}, its variants are {named}."
