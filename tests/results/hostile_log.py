"""Records that are as awkward as the world, from a fixed seed.

Values are quarters, so that a unit has the same total in whatever order it is added up,
and caps and counts agree exactly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from flask_abx.events.records import digest_of, stamp
from flask_abx.results.metrics import milliseconds
from tests.results.hostile_metrics import (
    BEGIN,
    CLOSED,
    CONCLUDED,
    DAY,
    HOUR,
    METRICS,
    ODD_KEYS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COUNTRIES = (
    "DE",
    "de",
    "FR",
    "",
    None,
    "Österreich",
    "日本",
    1,
    "1",
    1.0,
    True,
    "true",
)
#: What a property called `place` may be.
PLACES: tuple[object, ...] = (
    *(
        "top",
        "Top",
        "top ",
        "bottom",
        "größe",
        "😀",
        'a "b"',
        "c\\d",
        "e\nf",
        "",
        "null",
    ),
    *(1, 1.0, "1", "1.0", 0.1, 1e16, 1e-7, 2**53 + 1, 2**70, -0.0, 0, -1),
    *(True, False, "true", "false", None),
    *(["top"], [], ["top", 1], {"top": 1}, {}),
)
_QUARTERS = 4
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


class _Told(NamedTuple):
    """A record, and when it gets into the log."""

    at: int
    number: int
    record: Mapping[str, Any]


@dataclass(slots=True)
class Log:
    """Writes records, most of them in the order of their time."""

    chance: Random = field(default_factory=lambda: Random(20_250_324))
    told: list[_Told] = field(default_factory=list)

    def expose(
        self,
        units: Mapping[str, str],
        at: int,
        variant: str,
        experiment: str = "headline",
        *,
        iteration: int = 1,
        late: int = 0,
        dimensions: Mapping[str, object] | None = None,
    ) -> None:
        """Expose the user, if there is one, or else the visitor."""
        is_known = experiment == "headline" and "user" in units
        kind = "user" if is_known else next(iter(units))
        own = {
            "experiment": experiment,
            "iteration": iteration,
            "variant": variant,
            "reason": "allocated",
            "unit_type": kind,
            "unit": units[kind],
            "dimensions": self._dimensions() if dimensions is None else dimensions,
        }
        self._tell("exposure", units, at, late, own)

    def happen(
        self,
        units: Mapping[str, str],
        name: str,
        at: int,
        value: float | None = None,
        *,
        late: int = 0,
        **properties: object,
    ) -> None:
        """Have an event happen."""
        own = {"name": name, "value": value, "variants": {}, "properties": properties}
        self._tell("event", units, at, late, own)

    def twice(self, value: float) -> None:
        """Tell the latest event again with another value; the first one counts."""
        latest = self.told[-1]
        record = {**latest.record, "value": value}
        self.told.append(_Told(latest.at + DAY, len(self.told), record))

    def write(self, path: Path) -> Path:
        """Write all of it to a file, one record a line."""
        lines = (json.dumps(each.record) for each in sorted(self.told))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def _tell(
        self,
        kind: str,
        units: Mapping[str, str],
        at: int,
        late: int,
        own: Mapping[str, object],
    ) -> None:
        number = len(self.told)
        record = {
            "type": kind,
            "id": digest_of("hostile", str(number)),
            "at": stamp(_ZERO + timedelta(milliseconds=at)),
            "units": dict(units),
            "version": "1",
            **own,
        }
        self.told.append(_Told(at + late, number, record))

    def _dimensions(self) -> dict[str, object]:
        found: dict[str, object] = {"country": self.chance.choice(COUNTRIES)}
        if self.chance.random() < 0.2:
            return {}
        if self.chance.random() < 0.5:
            found["tier"] = self.chance.choice(["gold", "Gold", "", 1])
        return found

    def quarters(self, highest: int) -> float:
        """Draw a value that adds up without rounding."""
        return (1 + self.chance.randrange(highest * _QUARTERS)) / _QUARTERS


def write(path: Path) -> Path:
    """Write the file; it is the same each time."""
    log = Log()
    _crowd(log)
    _edges(log)
    _deadlines(log)
    _people(log)
    _names(log)
    _overlap(log)
    return log.write(path)


def _crowd(log: Log) -> None:
    """Many units that do this and that, before their exposure and after."""
    chance = log.chance
    for number in range(240):
        units = {"visitor": f"{number:032x}"}
        if number % 3 == 0:
            units["user"] = f"u-{number // 6}"
        if number % 6 == 3:
            del units["visitor"]
        at = BEGIN + chance.randrange(13 * DAY)
        is_closed = at >= CLOSED
        variants = ["control", "bold"] if is_closed else ["control", "bold", "quiet"]
        # A tenth is stored late, some of it in another order than it happened in.
        late = chance.randrange(5 * DAY) if chance.random() < 0.1 else 0
        log.expose(units, at, chance.choice(variants), late=late)
        if number % 11 == 0:
            log.expose(units, at + chance.randrange(DAY), chance.choice(variants))
        if number % 2 == 0:
            again = CONCLUDED + chance.randrange(9 * DAY)
            log.expose(units, again, chance.choice(["control", "bold"]), iteration=2)
        _days_of(log, units, at)
        if number % 4 == 0:
            _days_of(log, units, CONCLUDED + chance.randrange(9 * DAY))


def _days_of(log: Log, units: Mapping[str, str], at: int) -> None:
    chance = log.chance
    for _ in range(chance.randrange(14)):
        moment = at + round(chance.gauss(2, 3) * DAY)
        late = chance.randrange(3 * DAY) if chance.random() < 0.1 else 0
        name = chance.choice(["purchase", "purchase", "click", "click", "session"])
        value = log.quarters(60) if chance.random() < 0.9 else None
        if name == "purchase" and chance.random() < 0.15:
            value = -log.quarters(20)
        told: dict[str, Any] = {"paid": chance.choice([True, True, False, "true"])}
        if chance.random() < 0.85:
            told["place"] = chance.choice(PLACES)
        if chance.random() < 0.6:
            told[chance.choice(ODD_KEYS)] = chance.choice(["yes", "yes", "no", None])
        # Neither the dot nor the nesting makes it the key with a dot.
        told["a"] = {"b": "yes"}
        log.happen(units, name, moment, value, late=late, **told)
        if chance.random() < 0.1:
            log.happen(units, name, moment, value, **told)
        if chance.random() < 0.05:
            log.twice(999.25)
    for name, share in (("signup", 0.3), ("visit", 0.7), ("price", 0.5)):
        if chance.random() < share:
            moment = at + chance.randrange(-DAY, 4 * DAY)
            log.happen(units, name, moment, chance.randrange(1, 5_000) / 100)
    if chance.random() < 0.02:
        log.happen(units, "rare", at + HOUR, log.quarters(9))
    if chance.random() < 0.4:
        log.happen(units, "uneven", at + HOUR, float(chance.randrange(1, 9_999)))


def _edges(log: Log) -> None:
    """A unit for each millisecond at which something begins or ends to count."""
    at = BEGIN + 2 * DAY + 12_345
    spans = [
        (milliseconds(told.get("delay", "0s")), told.get("window"), told)
        for told in METRICS.values()
    ]
    begins = {delay for delay, *_ in spans}
    ends = {delay + milliseconds(window) for delay, window, _ in spans if window}
    before = {
        milliseconds(m["covariate"]) for m in METRICS.values() if "covariate" in m
    }
    middles = {0, -2_000, CONCLUDED - at, -365 * DAY, *begins, *ends}
    middles |= {-each for each in before}
    offsets = {middle + off for middle in middles for off in (-2, -1, 0, 1, 2)}
    offsets |= {each - 2_000 for each in begins}
    # The day changes, in Berlin and in Greenwich, and an hour is skipped.
    midnights = (BEGIN + 6 * DAY - 2 * HOUR, BEGIN + 6 * DAY + HOUR, BEGIN + 5 * DAY)
    offsets |= {midnight - at + off for midnight in midnights for off in (-1, 0)}
    for number, offset in enumerate(sorted(offsets)):
        units = {"visitor": f"edge{number}"}
        log.expose(units, at, ("control", "bold", "quiet")[number % 3], dimensions={})
        for name in ("purchase", "click", "session", "signup", "visit"):
            value = 12.0 + number / _QUARTERS
            log.happen(units, name, at + offset, value, place="top", paid=True)


def _deadlines(log: Log) -> None:
    """Units whose windows close just before, at and just after the end of the run."""
    spans = {
        milliseconds(told.get("delay", "0s")) + milliseconds(told.get("window", "0s"))
        for told in METRICS.values()
    }
    for span in sorted(spans):
        for off in (-2_001, -1, 0, 1):
            units = {"visitor": f"late{span // 1000}_{off}"}
            at = CONCLUDED - span + off
            log.expose(units, at, "bold", dimensions={"country": None})
            for name in ("purchase", "click", "signup", "session"):
                # The one that is just judged moves the cap, too.
                most = 8.0 if off else 700.0
                log.happen(units, name, at, most, place="top", paid=True)
                log.happen(units, name, at - 1_500, 4.0, place=1, paid=True)
    # The bounds of values count themselves.
    units = {"visitor": "bounds"}
    log.expose(units, BEGIN + DAY, "control")
    for value in (-2.75, -2.5, 9.75, 10.0, 40.0, 40.25, 3.0, 2.75, None):
        log.happen(units, "purchase", BEGIN + DAY + HOUR, value, paid=True)
        log.happen(units, "click", BEGIN + DAY + 2 * HOUR, value)


def _people(log: Log) -> None:
    """People on two devices, who are known late, borrow a browser or are forgotten."""
    at = BEGIN + 3 * DAY
    for number in range(12):
        phone, laptop = f"phone{number}", f"laptop{number}"
        user = f"person{number}"
        # Both are visitors first, some with another variant on each.
        log.expose({"visitor": phone}, at + number * HOUR, "control")
        other = "bold" if number % 3 == 0 else "control"
        log.expose({"visitor": laptop}, at + (12 - number) * HOUR, other)
        for visitor, value in ((phone, 2.5), (laptop, 7.75)):
            units = {"visitor": visitor}
            log.happen(units, "purchase", at + number * HOUR, value, paid=True)
            log.happen(units, "click", at - DAY, place="top")
        for visitor in (phone, laptop)[: 1 + number % 2]:
            known = {"visitor": visitor, "user": user}
            log.happen(known, "signup", at + DAY + number * HOUR)
            log.happen(known, "purchase", at + DAY, 30.25, paid=True)
        log.happen({"user": user}, "purchase", at + 2 * DAY, -7.75, paid=True)
        if number % 4 == 0:
            log.expose({"visitor": phone, "user": user}, at + 2 * DAY, "bold")
        if number % 5 == 0:
            borrowed = {"visitor": phone, "user": f"guest{number}"}
            log.expose(borrowed, at + 3 * DAY, "quiet")
            log.happen(borrowed, "purchase", at + 3 * DAY, 5.0)
    for name in ("gone", "stays"):
        units = {"visitor": f"{name}-browser", "user": name}
        log.expose(units, at, "bold")
        log.happen(units, "purchase", at + 1, 500.0, paid=True)
        log.happen({**units, "account": "shared"}, "click", at + 1, place="top")
    log.expose({"visitor": "gone-visitor"}, at, "control")
    log.happen({"visitor": "gone-visitor"}, "purchase", at + 1, 600.0)


def _names(log: Log) -> None:
    """Ids that some databases take for the same."""
    alike = (
        *(
            "Anna",
            "anna",
            "ANNA",
            "ánna",
            "a\u0301nna",
            "straße",
            "strasse",
            "😀",
            "😁",
        ),
        *(
            "\uff17",
            "7",
            "07",
            " 7",
            "7\t",
            "%",
            "_",
            "a:b",
            "\u0131",
            "i",
            "İ",
            "x" * 320,
        ),
    )
    for number, name in enumerate(alike):
        at = BEGIN + 4 * DAY + number
        log.expose({"user": name}, at, ("control", "bold")[number % 2])
        log.happen({"user": name}, "purchase", at + HOUR, number + 0.25, paid=True)
        log.happen({"user": name}, "click", at + HOUR, place="top")


def _overlap(log: Log) -> None:
    """Another experiment on some of the same visitors, which leaves mixed units out."""
    chance = log.chance
    for number in range(0, 240, 2):
        units = {"visitor": f"{number:032x}"}
        at = BEGIN + DAY + chance.randrange(10 * DAY)
        variant = chance.choice(["control", "loud"])
        log.expose(units, at, variant, "overlap")
        if number % 14 == 0:
            log.expose(units, at + 5, "loud", "overlap")
        earlier = 1e6 + chance.random()
        log.happen(units, "weight", at - DAY, earlier)
        log.happen(units, "weight", at + HOUR, earlier + chance.random())
