"""Interleaved rounds: every figure is compared with its neighbours of one moment."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Subject = Callable[[int], float]
    """Does so many calls and answers the nanoseconds of one."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The nanoseconds of each subject, one figure a round."""

    figures: Mapping[str, Sequence[float]]

    def microseconds(self, name: str) -> float:
        """The median of a subject."""
        return median(self.figures[name]) / 1_000

    def ratio(self, name: str, baseline: str, *, less: str | None = None) -> float:
        """The median of a subject's ratio to a baseline of the same round.

        Args:
            name: The subject.
            baseline: The subject that counts as 1.
            less: A subject whose time is taken off first.
        """
        taken = self.figures[less] if less else [0.0] * len(self.figures[name])
        rows = zip(self.figures[name], taken, self.figures[baseline], strict=True)
        return median((figure - off) / base for figure, off, base in rows)


def interleave(subjects: Mapping[str, Subject], *, rounds: int, calls: int) -> Rounds:
    """Measure subjects side by side, in an order that turns with every round."""
    names = list(subjects)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for subject in subjects.values():
        subject(calls)
    with quiet():
        for turn in range(rounds):
            first = turn % len(names)
            order = names[first:] + names[:first]
            for name in order if turn // len(names) % 2 else reversed(order):
                figures[name].append(subjects[name](calls))
            gc.collect()
    return Rounds(figures)


def timer_overhead() -> float:
    """The nanoseconds between two readings of the clock with nothing between."""
    clock = perf_counter_ns
    spans = []
    for _ in range(20_000):
        start = clock()
        spans.append(clock() - start)
    return median(spans)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the garbage collector out of what is timed."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
