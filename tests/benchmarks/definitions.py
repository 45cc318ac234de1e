"""The same experiments for every system: three variants, an audience, two flags."""

from __future__ import annotations

import json
from typing import Any

from eppo_client import AssignmentLogger, ClientConfig, Configuration, EppoClient
from eppo_client import init as init_eppo
from growthbook import Experiment

VARIANTS = ("control", "b", "c")
COUNTRIES = ["DE", "AT", "CH"]
AUDIENCE: dict[str, Any] = {
    "country": {"$in": COUNTRIES},
    "plan": "pro",
    "age": {"$gte": 18},
}
ATTRIBUTES: dict[str, str | int] = {"country": "AT", "plan": "pro", "age": 34}


def keys(defined: int) -> list[str]:
    """The keys of so many experiments, in the order of definition."""
    return [f"experiment-{number:04}" for number in range(defined)]


def flags(key: str, variant: str) -> dict[str, Any]:
    """The two flag values that a variant of an experiment sets."""
    name = key.replace("-", "_")
    place = VARIANTS.index(variant)
    return {f"{name}_price": 9.5 + place, f"{name}_label": f"label {variant}"}


def definition(key: str, unit: str) -> dict[str, Any]:
    """One experiment as an application writes it."""
    return {
        "unit": unit,
        "audience": AUDIENCE,
        "variants": [
            {"key": variant, "flags": flags(key, variant)} for variant in VARIANTS
        ],
    }


def definitions(defined: int, unit: str = "visitor") -> dict[str, Any]:
    """So many experiments as an application writes them."""
    return {key: definition(key, unit) for key in keys(defined)}


def growthbook_experiment(key: str, hash_version: int) -> Experiment[dict[str, Any]]:
    """The same experiment for the ``growthbook`` SDK."""
    return Experiment(
        key=key,
        variations=[flags(key, variant) for variant in VARIANTS],
        weights=[1 / 3, 1 / 3, 1 / 3],
        meta=[{"key": variant} for variant in VARIANTS],
        condition=AUDIENCE,
        hashVersion=hash_version,
    )


def eppo_client(defined: int) -> EppoClient:
    """A client of ``eppo-server-sdk`` that holds the same experiments."""
    document = {
        "createdAt": "2026-01-01T00:00:00.000Z",
        "format": "SERVER",
        "environment": {"name": "benchmarks"},
        "flags": {key: _eppo_flag(key) for key in keys(defined)},
    }
    configuration = Configuration(flags_configuration=json.dumps(document).encode())
    return init_eppo(
        ClientConfig(
            api_key="none",
            base_url="http://127.0.0.1:9",
            assignment_logger=AssignmentLogger(),
            poll_interval_seconds=None,
            initial_configuration=configuration,
        )
    )


def _eppo_flag(key: str) -> dict[str, Any]:
    bounds = [0, 3_333, 6_666, 10_000]
    conditions = [
        {"attribute": "country", "operator": "ONE_OF", "value": COUNTRIES},
        {"attribute": "plan", "operator": "ONE_OF", "value": ["pro"]},
        {"attribute": "age", "operator": "GTE", "value": 18},
    ]
    splits = [
        {
            "variationKey": variant,
            "shards": [{"salt": key, "ranges": [{"start": start, "end": end}]}],
        }
        for variant, start, end in zip(VARIANTS, bounds, bounds[1:], strict=False)
    ]
    allocation = {
        "key": "all",
        "rules": [{"conditions": conditions}],
        "splits": splits,
        "doLog": False,
    }
    return {
        "key": key,
        "enabled": True,
        "variationType": "STRING",
        "variations": {name: {"key": name, "value": name} for name in VARIANTS},
        "totalShards": 10_000,
        "allocations": [allocation],
    }
