"""Run the measures and print them as a table and as JSON lines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import (
    decisions,
    delivery,
    exporting,
    results,
    served,
    startup,
    stores,
    visits,
)
from tests.benchmarks.report import BenchmarkError, json_lines, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.report import Row


def measures(
    *, is_quick: bool, is_large: bool = False
) -> dict[str, Callable[[], list[Row]]]:
    """The measures by name, in the order of the table."""
    if is_quick:
        return {
            "decisions": lambda: decisions.measure(rounds=40),
            "visits": lambda: visits.measure(rounds=80),
            "served": lambda: served.measure(pairs=3, window=0.5),
            "startup": lambda: startup.measure(processes=3),
            "stores": lambda: stores.measure(rounds=30, publishes=3),
            "delivery": lambda: delivery.measure(rounds=200, stored=100_000, seconds=5),
            "exporting": lambda: exporting.measure(small=20_000, large=200_000),
            "results": lambda: results.measure(60_000, 200_000, rounds=1),
        }
    return {
        "decisions": lambda: decisions.measure(rounds=200),
        "visits": lambda: visits.measure(rounds=400),
        "served": lambda: served.measure(pairs=7, window=1.5),
        "startup": lambda: startup.measure(processes=7),
        "stores": lambda: stores.measure(rounds=30, publishes=7),
        "delivery": lambda: delivery.measure(rounds=600, stored=500_000, seconds=20),
        "exporting": exporting.measure,
        "results": lambda: results.measure(is_large=is_large),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for and answer the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    names = list(measures(is_quick=True))
    parser.add_argument("only", nargs="*", metavar="MEASURE", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--large", action="store_true", help="many more events, too")
    parser.add_argument("--strict", action="store_true", help="a miss is a failure")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write JSON lines here"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(names):
        parser.error(f"{sorted(unknown)!r} must be among {', '.join(names)}.")
    rows: list[Row] = []
    wanted = measures(is_quick=options.quick, is_large=options.large)
    for name, measure in wanted.items():
        if not options.only or name in options.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                rows += measure()
            except BenchmarkError as error:
                print(f"The run is void: {error}", file=sys.stderr)
                return 2
    lines = json_lines(rows)
    print(table(rows), lines, sep="\n\n")
    if options.json is not None:
        options.json.write_text(f"{lines}\n")
    return 1 if options.strict and not all(row.is_met for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
