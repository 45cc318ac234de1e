"""A unit keeps its variant: across processes, threads, changes and restarts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

import flask_abx.assignment
from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.decision import Reason
from flask_abx.assignment.ruleset import Rule

if TYPE_CHECKING:
    from random import Random

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MakeRule = Callable[..., Rule]

IN_ANOTHER_PROCESS = """
import json, sys
from datetime import UTC, datetime
from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.ruleset import compile_ruleset
from flask_abx.experiments.definition import parse

asked = json.load(sys.stdin)
[rule] = compile_ruleset(parse(asked["document"]), "test", {}).rules.values()
people = (Person(units={"user": unit_id}) for unit_id in asked["ids"])
now = datetime(2030, 1, 1, tzinfo=UTC)
print(json.dumps([decide(rule, person, now).variant for person in people]))
"""


def variants_of(rule: Rule, ids: list[str]) -> list[str]:
    """Name the variant of each unit."""
    people = (Person(units={"user": unit_id}) for unit_id in ids)
    return [decide(rule, person, NOW).variant for person in people]


def some_ids(chance: Random, count: int) -> list[str]:
    """Draw ids of several kinds and lengths, some with Unicode."""
    tails = ["", "@example.com", "-é", "\ud800", "x" * 300]
    return [f"{chance.getrandbits(48)}{chance.choice(tails)}" for _ in range(count)]


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_a_variant_is_the_same_in_another_process(
    chance: Random, make_rule: MakeRule, hash_seed: str
) -> None:
    """Neither the process nor PYTHONHASHSEED has a say.

    Kills: built_in_hash
    """
    fields = {"unit": "user", "variants": ["control", "b", "c"], "layer": "shared"}
    rule, ids = make_rule(**fields), some_ids(chance, 300)
    home = str(Path(flask_abx.assignment.__file__).parents[2])
    told = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", IN_ANOTHER_PROCESS],
        input=json.dumps({"document": {"experiments": {rule.key: fields}}, "ids": ids}),
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": home},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(told.stdout) == variants_of(rule, ids)


def test_a_variant_is_the_same_in_64_threads(
    chance: Random, make_rule: MakeRule
) -> None:
    """Threads that ask at the same time get the answers of one that asks alone.

    Kills: buffer_shared_by_threads
    """
    rule, ids = make_rule(variants=["control", "b", "c"]), some_ids(chance, 200)
    alone, gate, interval = variants_of(rule, ids), Barrier(64), sys.getswitchinterval()

    def ask(_: int) -> list[str]:
        gate.wait(timeout=30)
        return [variant for _ in range(6) for variant in variants_of(rule, ids)]

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(max_workers=64) as pool:
            answers = list(pool.map(ask, range(64)))
    finally:
        sys.setswitchinterval(interval)
    assert all(answer == alone * 6 for answer in answers)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"variants": {"control": 1, "treatment": 99}}, id="weights"),
        pytest.param({"traffic": 0.01}, id="traffic"),
        pytest.param({"audience": {"country": "nowhere"}}, id="audience"),
        pytest.param({"layer": "full", "range": [0.0, 0.01]}, id="layer"),
        pytest.param({"closed": True}, id="closed"),
    ],
)
def test_an_exposed_unit_keeps_its_variant_through_a_change(
    chance: Random, make_rule: MakeRule, change: dict[str, Any]
) -> None:
    """What is remembered stands before weights, traffic, audience and layer.

    Kills: sticky_asked_last
    """
    first = make_rule()
    changed = make_rule(first.key, **change)
    for unit_id in some_ids(chance, 200):
        units = {"user": unit_id}
        met = decide(first, Person(units=units), NOW).variant
        again = decide(changed, Person(units=units, memory={first.key: met}), NOW)
        assert (again.variant, again.reason) == (met, Reason.STICKY)
        assert again.in_experiment


def test_a_new_unit_meets_what_an_exposed_one_was_spared(
    chance: Random, make_rule: MakeRule
) -> None:
    """Only the memory keeps a variant: who has none is not let in.

    Kills: audience_ignored
    """
    rule = make_rule(audience={"country": "nowhere"})
    people = (Person(units={"user": unit_id}) for unit_id in some_ids(chance, 200))
    assert {decide(rule, person, NOW).reason for person in people} == {Reason.AUDIENCE}
