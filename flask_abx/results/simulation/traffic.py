"""Simulated traffic: who comes when, from which device, and what is known of them."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.results.simulation.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.results.simulation.knowledge import Knowledge

HOUR = 3_600_000
DAY = 24 * HOUR
#: What the id of a simulated user begins with.
SIMULATED_USER = "simulated-"

#: How many come in each hour of a day, in UTC, as a share of the busiest.
_HOURS = (
    *(0.22, 0.14, 0.09, 0.07, 0.07, 0.12, 0.28, 0.46, 0.62, 0.72, 0.78, 0.82),
    *(0.88, 0.84, 0.78, 0.76, 0.78, 0.84, 0.92, 1.00, 0.98, 0.86, 0.64, 0.40),
)
#: The same of each day of a week, from Monday on.
_WEEKDAYS = (1.00, 0.98, 0.97, 0.95, 0.90, 0.70, 0.76)

_RETURNS = 0.28
_RETURNS_AGAIN = 0.35
_DAYS_AWAY = 2.0
_LOGS_IN = 0.3
_SECOND_DEVICE = 0.03
#: Of those, how many look around on the second device before they log in there.
_ANONYMOUS_THERE = 0.05
_MORE_PEOPLE = 1.5


class Visit(NamedTuple):
    """One visit: when, in milliseconds since 1970, and whom it belongs to."""

    at: int
    units: Mapping[str, str]


class Guest(NamedTuple):
    """Whoever decides by itself: a browser, a person, or a group that acts as one.

    Attributes:
        name: What its draws are named by.
        visits: When it comes, the first one first.
        facts: The attributes that an application would know of it.
    """

    name: str
    visits: Sequence[Visit]
    facts: Mapping[str, object]


class Season:
    """A stretch of time in which days and weeks have their rhythm.

    Args:
        began: Its first moment, in milliseconds since 1970.
        ended: Its last.
    """

    def __init__(self, began: int, ended: int) -> None:
        self.began, self.ended = began, ended
        edges = [began, *range(began // HOUR * HOUR + HOUR, ended, HOUR), ended]
        self._edges = edges
        busy = [_busy(low) * (high - low) for low, high in pairwise(edges)]
        self._ends = list(accumulate(busy))

    def moment(self, chance: Chance) -> int:
        """Draw a moment: more often in a busy hour than at night."""
        sought = chance.uniform() * self._ends[-1]
        index = min(bisect_right(self._ends, sought), len(self._ends) - 1)
        low, high = self._edges[index : index + 2]
        before = self._ends[index - 1] if index else 0.0
        share = (sought - before) / (self._ends[index] - before)
        return int(min(low + 1 + share * (high - low), self.ended - 1))

    def moments(self, chance: Chance) -> list[int]:
        """Draw when somebody comes: once, or on later days again."""
        at = self.moment(chance)
        found, share = [at], _RETURNS
        while chance.happens(share):
            days = 1 + int(chance.exponential(_DAYS_AWAY))
            at += days * DAY + int((chance.uniform() - 0.5) * 6 * HOUR)
            if at >= self.ended:
                break
            found.append(at)
            share = _RETURNS_AGAIN
        return found


def _busy(at: int) -> float:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return _HOURS[moment.hour] * _WEEKDAYS[moment.weekday()]


def crowd(
    kinds: Sequence[str], name: str, count: int, season: Season, known: Knowledge
) -> Iterator[Guest]:
    """Let a crowd come, in no order.

    Args:
        kinds: The types of unit that its experiments assign, in their order.
        name: What its draws are named by; another name is another crowd.
        count: How many of the first of these there are.
        season: When they come.
        known: What an application would know of them.
    """
    attributes = [kind for kind in kinds if kind not in {VISITOR, USER}]
    if attributes:
        make = _group
    elif kinds[0] == VISITOR:
        make = _browser
    else:
        make = _person
    for number in range(count):
        guest = make(f"{name}:{number}", kinds, season, known)
        if guest is not None:
            yield guest


def visitor_id(name: str) -> str:
    """Make the id of a simulated browser."""
    return blake2b(f"visitor\0{name}".encode(), digest_size=16).hexdigest()


def _user_id(name: str) -> str:
    digest = blake2b(f"user\0{name}".encode(), digest_size=8).hexdigest()
    return f"{SIMULATED_USER}{digest}"


def _browser(
    name: str, kinds: Sequence[str], season: Season, known: Knowledge
) -> Guest:
    """Make one browser, which may be the second one of a person."""
    del kinds
    chance = Chance(f"{name}:visits")
    moments = season.moments(chance)
    alone = {VISITOR: visitor_id(name)}
    crowd_name, _, number = name.rpartition(":")
    pair = f"{crowd_name}:pair:{int(number) // 2}"
    if Chance(pair).happens(_SECOND_DEVICE):
        together, since = {**alone, USER: _user_id(pair)}, 0
    elif chance.happens(_LOGS_IN):
        # Who comes but once is logged in from the start, or never.
        together, since = {**alone, USER: _user_id(name)}, min(1, len(moments) - 1)
    else:
        together, since = alone, 0
    visits = [
        Visit(at, together if index >= since else alone)
        for index, at in enumerate(moments)
    ]
    return Guest(name, visits, known.facts(name))


def _person(name: str, kinds: Sequence[str], season: Season, known: Knowledge) -> Guest:
    """Make a person, who is known once logged in, on whatever device."""
    chance = Chance(f"{name}:visits")
    moments = season.moments(chance)
    user, first = _user_id(name), {VISITOR: visitor_id(name)}
    logged_in = {**first, USER: user}
    is_always = VISITOR not in kinds
    if is_always or chance.happens(_LOGS_IN):
        since = 0 if is_always else min(1, len(moments) - 1)
        visits = [
            Visit(at, logged_in if index >= since else first)
            for index, at in enumerate(moments)
        ]
        if chance.happens(_SECOND_DEVICE):
            visits += _elsewhere(name, chance, visits[since].at, season, user, kinds)
    else:
        visits = [Visit(at, first) for at in moments]
    return Guest(name, sorted(visits, key=lambda each: each.at), known.facts(name))


def _elsewhere(
    name: str,
    chance: Chance,
    since: int,
    season: Season,
    user: str,
    kinds: Sequence[str],
) -> list[Visit]:
    """Let a person come from another device, some time after the first login."""
    at = since + HOUR + int(chance.exponential(DAY))
    alone = {VISITOR: visitor_id(f"{name}:elsewhere")}
    visits = [Visit(at, {**alone, USER: user})]
    if VISITOR in kinds and chance.happens(_ANONYMOUS_THERE):
        visits.insert(0, Visit(at - HOUR // 4, alone))
    return [each for each in visits if each.at < season.ended]


def _group(
    name: str, kinds: Sequence[str], season: Season, known: Knowledge
) -> Guest | None:
    """Make a group, such as a company, whose people come one by one."""
    chance = Chance(f"{name}:visits")
    number = int(name.rpartition(":")[2])
    own = {
        kind: known.unit(kind, number, _user_id(f"{name}:{kind}"))
        for kind in kinds
        if kind not in {VISITOR, USER}
    }
    if None in own.values():
        return None
    shared = {kind: unit for kind, unit in own.items() if unit is not None}
    visits = []
    for member in range(1 + chance.poisson(_MORE_PEOPLE)):
        each = f"{name}:{member}"
        units = {**shared, VISITOR: visitor_id(each)}
        if chance.happens(_LOGS_IN):
            units[USER] = _user_id(each)
        visits += [Visit(at, units) for at in season.moments(chance)]
    facts = {**known.facts(name), **shared}
    return Guest(name, sorted(visits, key=lambda each: each.at), facts)
