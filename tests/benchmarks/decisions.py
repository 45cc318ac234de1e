"""What one decision for one fresh unit costs, beside the SDKs of other systems."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import count
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING

from flask import Flask
from growthbook import GrowthBook

from flask_abx import ABX
from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.ruleset import compile_ruleset
from flask_abx.experiments.definition import parse, version_of
from tests.benchmarks.definitions import (
    ATTRIBUTES,
    VARIANTS,
    definitions,
    eppo_client,
    growthbook_experiment,
    keys,
)
from tests.benchmarks.report import BenchmarkError, Row
from tests.benchmarks.timing import interleave, timer_overhead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eppo_client import Attributes

    from tests.benchmarks.timing import Subject

    Decision = Callable[[str], tuple[int, str]]
    """Decides for one unit: the nanoseconds it took, the variant."""

DEFINED = 100
KEY = keys(DEFINED)[-1]


def measure(rounds: int) -> list[Row]:
    """Measure one read of the last of 100 experiments, each time for a new unit."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY="benchmarks")
    app.config["ABX_EXPERIMENTS"] = definitions(DEFINED, unit="user")
    abx = ABX(app)
    decisions: dict[str, Decision] = {
        "public": _public(abx),
        "engine": _engine(),
        "growthbook": _growthbook(hash_version=1),
        "growthbook 2": _growthbook(hash_version=2),
        "eppo": _eppo(),
    }
    overhead = timer_overhead()
    units = (f"user-{number}" for number in count())
    subjects = {
        name: _subject(decision, units, overhead)
        for name, decision in decisions.items()
    }
    with app.app_context():
        for name, decision in decisions.items():
            _check(name, decision)
        found = interleave(subjects, rounds=rounds, calls=40)

    def row(label: str, name: str, peer: str, bar: float | None) -> Row:
        times = f"{found.microseconds(name):.2f} us, {found.microseconds(peer):.2f} us"
        ratio = found.ratio(peer, name)
        return Row(label, ratio, bar=bar, at_least=True, note=times)

    public, engine = "abx.assignment()", "decide()"
    return [
        row(f"{public}: times faster than growthbook", "public", "growthbook", 3.5),
        row(f"{engine}: times faster than growthbook", "engine", "growthbook", 8),
        row(f"{public}: growthbook, hash version 2", "public", "growthbook 2", None),
        row(f"{engine}: growthbook, hash version 2", "engine", "growthbook 2", None),
        row(f"{public}: eppo-server-sdk", "public", "eppo", None),
        row(f"{engine}: eppo-server-sdk", "engine", "eppo", None),
    ]


def _subject(decision: Decision, units: Iterator[str], overhead: float) -> Subject:
    def subject(calls: int) -> float:
        spans = [
            decision(unit)[0] for unit, _ in zip(units, range(calls), strict=False)
        ]
        return median(spans) - overhead

    return subject


def _public(abx: ABX) -> Decision:
    clock = perf_counter_ns

    def decision(unit: str) -> tuple[int, str]:
        with abx.as_unit(unit, **ATTRIBUTES):
            start = clock()
            assignment = abx.assignment(KEY)
            end = clock()
        return end - start, assignment.variant

    return decision


def _engine() -> Decision:
    clock = perf_counter_ns
    document = parse({"experiments": definitions(DEFINED, unit="user")})
    rules = compile_ruleset(document, version_of(document), {}).rules
    now = datetime.now(UTC)

    def decision(unit: str) -> tuple[int, str]:
        person = Person(units={"user": unit}, facts=dict(ATTRIBUTES))
        start = clock()
        assignment = decide(rules[KEY], person, now)
        end = clock()
        return end - start, assignment.variant

    return decision


def _growthbook(*, hash_version: int) -> Decision:
    clock = perf_counter_ns
    experiments = {
        key: growthbook_experiment(key, hash_version) for key in keys(DEFINED)
    }
    growthbook = GrowthBook()

    def decision(unit: str) -> tuple[int, str]:
        growthbook.set_attributes({"id": unit, **ATTRIBUTES})
        experiment = experiments[KEY]
        start = clock()
        result = growthbook.run(experiment)
        end = clock()
        return end - start, result.key

    return decision


def _eppo() -> Decision:
    clock = perf_counter_ns
    client = eppo_client(DEFINED)

    def decision(unit: str) -> tuple[int, str]:
        attributes: Attributes = {**ATTRIBUTES}
        start = clock()
        variant = client.get_string_assignment(KEY, unit, attributes, "none")
        end = clock()
        return end - start, variant

    return decision


def _check(name: str, decision: Decision) -> None:
    """Refuse to measure a system that does not divide its units."""
    counts = Counter(decision(f"check-{number}")[1] for number in range(600))
    if set(counts) != set(VARIANTS) or min(counts.values()) < 120:
        raise BenchmarkError(f"{name} splits 600 units into {dict(counts)!r}.")
