"""Random splits of units that all had the same: how often a test finds a difference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from flask_abx.results.figures.normal import beyond
from flask_abx.results.inference import Estimate, difference
from flask_abx.results.judgement.comparing import SETTLED_DAYS
from flask_abx.results.judgement.gates import LEAST_EVENTS, LEAST_UNITS
from flask_abx.results.judgement.planning import UNPLANNED
from flask_abx.results.judgement.sampling import moments_of
from flask_abx.results.scanning.sums import Sums
from flask_abx.results.sequential import anytime_multiplier
from flask_abx.results.simulation.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flask_abx.results.metrics import Measure
    from flask_abx.results.scanning.sums import Day

_ADDED = ("n", "y", "yy", "d", "yd", "dd")
#: The least that is worth splitting.
LEAST_SPLIT, LEAST_DAYS = 1_000, 2
#: Progress is told after so many splits.
_STEP = 10


@dataclass(frozen=True, slots=True)
class Slots:
    """What the units of each slot added to a metric, day after day.

    Attributes:
        measure: The metric.
        days: Every day from the first to the last.
        added: Of each slot, the sums of each day behind one another.
    """

    measure: Measure
    days: tuple[date, ...]
    added: Mapping[str, tuple[float, ...]]

    @property
    def units(self) -> int:
        """All units that were judged."""
        return round(self._total("n"))

    @property
    def is_enough(self) -> bool:
        """True where both tests would look at the last day at least."""
        if self.units < LEAST_SPLIT or len(self.days) < LEAST_DAYS:
            return False
        found = self._total("y")
        if not self.measure.is_indicator:
            return self._total("yy") > 0
        return min(found, self.units - found) >= 2 * LEAST_EVENTS

    def _total(self, name: str) -> float:
        start, width = _ADDED.index(name), len(_ADDED)
        return sum(sum(each[start::width]) for each in self.added.values())


@dataclass(frozen=True, slots=True)
class Replay:
    """How often two tests found a difference where there is none.

    Attributes:
        metric: Its key.
        name: What people call it.
        units: The units that were split.
        splits: How often they were.
        days: The days, at the end of each of which both tests looked.
        ordinary: The splits in which a fixed test had found something by each day.
        ours: The same for the any-time test.
    """

    metric: str
    name: str
    units: int
    splits: int
    days: tuple[date, ...]
    ordinary: tuple[int, ...]
    ours: tuple[int, ...]

    @property
    def ordinary_wins(self) -> int:
        """The splits in which a fixed test found something on any day."""
        return self.ordinary[-1] if self.ordinary else 0

    @property
    def our_wins(self) -> int:
        """The splits in which the any-time test did."""
        return self.ours[-1] if self.ours else 0


def slots_of(
    measure: Measure, series: Mapping[Day, Sums], most_days: int | None = None
) -> Slots:
    """Line up what each slot added each day.

    Args:
        measure: The metric.
        series: What was added, the slot standing where the variant does.
        most_days: Leave out what came later than so many days; None keeps all.
    """
    known = sorted({day.day.toordinal() for day in series})
    if not known:
        return Slots(measure, (), {})
    first, last = known[0], known[-1]
    if most_days is not None:
        last = min(last, first + most_days - 1)
    width = len(_ADDED)
    lines: dict[str, list[float]] = {}
    for day, sums in series.items():
        place = day.day.toordinal() - first
        if place > last - first:
            continue
        line = lines.setdefault(day.variant, [0.0] * (width * (last - first + 1)))
        for offset, name in enumerate(_ADDED):
            line[width * place + offset] += getattr(sums, name)
    days = tuple(date.fromordinal(each) for each in range(first, last + 1))
    return Slots(measure, days, {slot: tuple(lines[slot]) for slot in sorted(lines)})


def replayed(
    slots: Slots,
    *,
    splits: int,
    seed: int,
    alpha: float,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Replay:
    """Split units at random again and again, and look at the end of every day.

    Both tests wait alike for the first units and events, and have the whole of alpha;
    they differ in nothing but in whether they allow for looking again.

    Args:
        slots: What the units did.
        splits: How many random splits.
        seed: The same seed is the same splits.
        alpha: Error probability of both tests.
        tell: Is told how many more splits are done, and how many there are.
    """
    looks = len(slots.days)
    ordinary, ours = [0] * looks, [0] * looks
    names = [*slots.added]
    done = 0
    for split in range(splits):
        halves = halved(names, Chance(f"aa {seed} {split}"))
        for found, first in zip(
            (ordinary, ours), _first_wins(slots, halves, alpha), strict=True
        ):
            if first is not None:
                found[first] += 1
        done += 1
        if done == _STEP or split == splits - 1:
            tell(done, splits)
            done = 0
    return Replay(
        metric=slots.measure.key,
        name=slots.measure.name,
        units=slots.units,
        splits=splits,
        days=slots.days,
        ordinary=_running(ordinary),
        ours=_running(ours),
    )


def halved(names: Sequence[str], chance: Chance) -> tuple[list[str], list[str]]:
    """Divide names into two halves at random."""
    order = [*names]
    half = len(order) // 2
    for place in range(half):
        other = place + int(chance.uniform() * (len(order) - place))
        order[place], order[other] = order[other], order[place]
    return order[:half], order[half:]


def _first_wins(
    slots: Slots, halves: tuple[list[str], list[str]], alpha: float
) -> tuple[int | None, int | None]:
    """Find the first look at which each of the two tests finds a difference."""
    fixed = beyond(alpha / 2)
    ordinary: int | None = None
    courses = (_course(slots, half) for half in halves)
    for look, (one, other) in enumerate(zip(*courses, strict=True)):
        estimate = _estimate(slots.measure, one, other)
        if estimate is None:
            continue
        t = abs(estimate.statistic())
        if ordinary is None and t > fixed:
            ordinary = look
        if t > anytime_multiplier(estimate.n, UNPLANNED, alpha):
            # What an any-time test finds a fixed one has found by then.
            return look if ordinary is None else ordinary, look
    return ordinary, None


def _course(slots: Slots, half: Sequence[str]) -> Iterator[Sums]:
    """Give the sums of some slots at the end of each day."""
    whole = [*map(sum, zip(*(slots.added[each] for each in half), strict=True))]
    running, days, width = [0.0] * len(_ADDED), 0.0, len(_ADDED)
    for place in range(0, len(whole), width):
        # Whoever was there has grown a day older.
        days += running[0]
        today = whole[place : place + width]
        running = [one + more for one, more in zip(running, today, strict=True)]
        n, y, yy, d, yd, dd = running
        yield Sums(n=round(n), days=days, y=y, yy=yy, d=d, yd=yd, dd=dd)


def _estimate(measure: Measure, one: Sums, other: Sums) -> Estimate | None:
    """Compare two halves; None while there is too little, or nothing varies."""
    if not _is_enough(measure, one, other):
        return None
    try:
        found = difference(moments_of(measure, one), moments_of(measure, other))
    except (ValueError, ArithmeticError):
        return None
    if not found.se:
        return None
    if measure.window is not None:
        return found
    settled = max(1.0, (one.days + other.days) / found.n / SETTLED_DAYS)
    return Estimate(found.effect, found.se, found.n * settled)


def _is_enough(measure: Measure, one: Sums, other: Sums) -> bool:
    smaller, n = min(one.n, other.n), one.n + other.n
    if smaller < LEAST_UNITS:
        return False
    if not measure.is_indicator:
        return True
    found = one.y + other.y
    return min(found, n - found) / n * smaller >= LEAST_EVENTS


def _running(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(sum(counts[: place + 1]) for place in range(len(counts)))
