"""What the engine of verdicts costs: its import, and judging one metric."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from time import process_time_ns

from flask_abx.experiments.metric import Kind, Metric
from flask_abx.results.judgement.judging import judge
from flask_abx.results.looks.kept import Kept
from flask_abx.results.metrics import measures
from tests.benchmarks.report import Row
from tests.benchmarks.timing import quiet
from tests.results.judged import NOW, found, run, values

PROCESSES = 7
ROUNDS = 15
LOOKS = 40
IMPORTED = """
import json, time
import flask_abx
start = time.process_time()
import flask_abx.results.inference, flask_abx.results.sequential
import flask_abx.results.power, flask_abx.results.verdict
print(json.dumps((time.process_time() - start) * 1e3))
"""
NAMES = tuple(f"m{place}" for place in range(8))


def measure() -> list[Row]:
    """Measure the import in fresh processes, and judging in this one."""
    imported = [_import() for _ in range(PROCESSES)][1:]
    two, three = _judging("control", "bold"), _judging("control", "bold", "calm")
    note = f"of eight; {two * 1000:.0f} microseconds with two variants"
    return [
        Row("import of the verdict engine", median(imported), "ms", bar=30),
        Row("verdict of three variants, a metric", three, "ms", bar=0.1, note=note),
    ]


def _import() -> float:
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def _judging(*variants: str) -> float:
    """Judge eight metrics in all roles, and give the milliseconds of one."""
    roles = {
        "primary": NAMES[:2],
        "secondary": NAMES[2:6],
        "guardrail": [{"metric": NAMES[6], "margin": 0.1}, NAMES[7]],
    }
    iteration = run(variants=variants, metrics=roles)
    asked = measures(
        iteration.experiment, {name: Metric(kind=Kind.SUM) for name in NAMES}, {}
    )
    data = found(
        {
            name: {
                variant: values(110_000, 20 + place * 0.05, 40, third=1e5)
                for place, variant in enumerate(variants)
            }
            for name in NAMES
        }
    )
    kept = judge(iteration, asked, data, now=NOW, kept=Kept()).kept
    revision = kept.revision
    spans = []
    with quiet():
        for _ in range(ROUNDS):
            start = process_time_ns()
            for _ in range(LOOKS):
                judge(iteration, asked, data, now=NOW, kept=kept, revision=revision)
            spans.append(process_time_ns() - start)
    return min(spans) / LOOKS / len(NAMES) / 1e6
