"""What simulated people do on their visits: the events of each, in no order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flask_abx.results.simulation.chance import Chance
from flask_abx.results.simulation.streams import ANYTHING, Knob
from flask_abx.results.simulation.traffic import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.results.simulation.streams import Stream
    from flask_abx.results.simulation.traffic import Guest, Visit

#: Where the past counts, a few units do much more than the others.
_EAGER = 0.1
_MUCH_MORE = 7.0
_MOST_RATE = 0.8

_ON_A_LATER_VISIT = 0.35
_IS_LATE = 0.06
_LATEST = 20
_MINUTE = 60_000
_SHORTEST = 5_000
_OTHER = "other"


class Deed(NamedTuple):
    """One event, without whose it is.

    Attributes:
        is_late: True where it was told hours after the visit that it belongs to.
    """

    event: str
    at: int
    value: float | None
    properties: Mapping[str, str]
    units: Mapping[str, str]
    is_late: bool = False


def deeds(
    guest: Guest, stream: Stream, effects: Mapping[str, float], ended: int
) -> Iterator[Deed]:
    """Draw what a guest does of one kind.

    Args:
        guest: Who it is.
        stream: The events.
        effects: How much more than a control it does, by experiment.
        ended: The end of the traffic, in milliseconds since 1970.
    """
    chance = Chance(f"{guest.name}:{stream.event}")
    rate = stream.rate
    if stream.history is not None:
        # Who did much before does much later: else the past would explain nothing.
        rate *= _eagerness(chance, rate)
        yield from _before(guest, stream, chance, rate)
    if not chance.happens(min(rate * stream.factor(Knob.RATE, effects), 1.0)):
        return
    value = stream.factor(Knob.VALUE, effects)
    match = stream.factor(Knob.MATCH, effects)
    for at, is_late in _moments(guest.visits, stream, chance):
        if at >= ended:
            break
        visit = _visit_at(guest.visits, at)
        told = _value(stream, chance, value), _properties(stream, chance, match)
        yield Deed(stream.event, at, *told, visit.units, is_late)


def _moments(
    visits: Sequence[Visit], stream: Stream, chance: Chance
) -> Iterator[tuple[int, bool]]:
    """Draw when it happens, and whether that is late."""
    first = visits[0].at
    if stream.returns is not None:
        delay, window = stream.returns
        back = first + delay + int(chance.uniform() * window)
        if not stream.is_immediate:
            yield back, False
            return
    later = len(visits) > 1 and chance.happens(_ON_A_LATER_VISIT)
    visit = (
        visits[1 + int(chance.uniform() * (len(visits) - 1))] if later else visits[0]
    )
    at = visit.at + _SHORTEST + int(chance.lognormal(3 * _MINUTE, 0.8))
    is_late = chance.happens(_IS_LATE)
    if is_late:
        at += int((2 + chance.uniform() * (_LATEST - 2)) * HOUR)
    yield at, is_late
    for _ in range(chance.poisson(stream.more)):
        at += _SHORTEST + int(chance.exponential(1.5 * DAY))
        yield at, False
    if stream.returns is not None and chance.happens(0.5):
        yield max(at, back), False


def _before(
    guest: Guest, stream: Stream, chance: Chance, rate: float
) -> Iterator[Deed]:
    """Draw what it did before there was an experiment."""
    first = guest.visits[0]
    for _ in range(chance.poisson(rate * (1 + stream.more))):
        at = first.at - HOUR - int(chance.uniform() * (stream.history or 0))
        told = _value(stream, chance, 1.0), _properties(stream, chance, 1.0)
        yield Deed(stream.event, at, *told, first.units)


def _eagerness(chance: Chance, rate: float) -> float:
    """Draw how much more than others a unit does; 1 on average."""
    much_more = min(_MUCH_MORE, _MOST_RATE / rate)
    is_eager = chance.happens(_EAGER)
    return much_more if is_eager else (1 - _EAGER * much_more) / (1 - _EAGER)


def _visit_at(visits: Sequence[Visit], at: int) -> Visit:
    """Find the visit that something at a moment belongs to."""
    found = visits[0]
    for visit in visits:
        if visit.at > at:
            break
        found = visit
    return found


def _value(stream: Stream, chance: Chance, factor: float) -> float | None:
    values = stream.values
    if values is None:
        return None
    value = chance.lognormal(values.median, values.sigma) * factor
    return round(max(min(value, values.high), values.low), 2)


def _properties(stream: Stream, chance: Chance, factor: float) -> Mapping[str, str]:
    if not stream.where:
        return {}
    does_match = chance.happens(min(stream.matches * factor, 1.0))
    return {
        name: wanted[int(chance.uniform() * len(wanted))] if does_match else _OTHER
        for name, wanted in stream.where.items()
        if does_match or wanted != ANYTHING
    }
