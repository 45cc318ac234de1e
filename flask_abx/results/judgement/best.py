"""Which of several winners is the best: they are compared with each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from flask_abx.results.judgement.comparing import (
    is_judged,
    parts,
    two_sided,
    untested,
    weigh,
)
from flask_abx.results.judgement.planning import Yardstick, n_star_of
from flask_abx.results.judgement.readings import read
from flask_abx.results.shapes import Basis, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask_abx.results.judgement.comparing import Evidence
    from flask_abx.results.judgement.readings import Bench
    from flask_abx.results.judgement.sampling import Pools
    from flask_abx.results.looks.iteration import Iteration
    from flask_abx.results.looks.kept import Kept
    from flask_abx.results.metrics import Measure
    from flask_abx.results.shapes import Comparison

_OTHER = {Reading.BETTER: Reading.WORSE, Reading.WORSE: Reading.BETTER}


def pairs_of(
    iteration: Iteration,
    primaries: Sequence[Measure],
    pools: Pools,
    bench: Bench,
    kept: Kept,
    winners: Sequence[str],
) -> dict[str, tuple[Comparison, ...]]:
    """Compare every two winners on every primary metric, as one family of their own.

    They are compared by the any-time test at the whole of alpha, on the data of now:
    which of them would win was not known when the final look was planned, and under a
    fixed test, too, they are compared anew at each look.
    """
    test = Yardstick(Basis.ANY_TIME, bench.alpha, bench.alpha)
    pairs = [*combinations(winners, 2)]
    family = len(pairs) * len(primaries)
    own = replace(bench, live=test, last=None, to_come=None)
    found: dict[str, tuple[Comparison, ...]] = {}
    for measure in primaries:
        told = []
        for one, other in pairs:
            n_star = n_star_of(iteration, kept, one, other)
            pool = pools.shared(measure, one, other)
            evidence = weigh(measure, pool, one, other, n_star)
            told.append(_compared(own, evidence, test, family))
        found[measure.key] = tuple(told)
    return found


def best_of(
    winners: Sequence[str], pairs: Mapping[str, Sequence[Comparison]]
) -> str | None:
    """Give the winner that beats each other one; None where none does."""
    if len(winners) == 1:
        return winners[0]
    for winner in winners:
        others = [other for other in winners if other != winner]
        if all(_beats(winner, other, pairs) for other in others):
            return winner
    return None


def _beats(winner: str, other: str, pairs: Mapping[str, Sequence[Comparison]]) -> bool:
    """Tell whether one is better on any primary metric, and worse on none."""
    readings = set()
    for told in pairs.values():
        for each in told:
            if (each.variant, each.baseline) == (winner, other):
                readings.add(each.reading)
            elif (each.variant, each.baseline) == (other, winner):
                readings.add(_OTHER.get(each.reading, each.reading))
    return Reading.BETTER in readings and Reading.WORSE not in readings


def _compared(
    bench: Bench, evidence: Evidence, test: Yardstick, family: int
) -> Comparison:
    row = untested(evidence)
    if is_judged(evidence):
        p = test.p_value(parts(evidence)[0], evidence.n_star)
        row = two_sided(evidence, test, family, p, family * p)
    return read(bench, evidence, row, None, family=family)
