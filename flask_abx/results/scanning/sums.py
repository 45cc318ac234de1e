"""What the database tells of a metric: counts and sums, never rows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date


class Group(NamedTuple):
    """The units that are added up together.

    Attributes:
        epoch: The stretch of one set of open variants in which they were first exposed.
        value: What they have in the dimension that was asked for; None where none was
            asked for, and for units of which it is not known.
    """

    variant: str
    epoch: int
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """The moments of one metric over the judged units of a group.

    Of each unit, `y` is the metric or the upper part of a ratio, `d` the lower part,
    `x` what `y` was before the first exposure, and `w` what `d` was. Products are named
    by their letters: `yyd` is the sum of y * y * d. Each letter is added up less its
    shift, which is the same in every group.

    Attributes:
        n: Units that are judged.
        immature: Units that are not judged, since their window is open.
        nonzero: Judged units whose `y` is not zero.
        capped: Judged units whose `y` or `d` the cap has cut.
        history: Judged units with anything that counts before their first exposure.
        bad: Rows left out, as their value is no finite number.
        days: The days since the first exposure, added up over the judged units.
        raw: The sum of `y` without cap and shift.
        raw_squares: The sum of its squares.
        raw_d: The sum of `d` without cap and shift.
        highest: The highest `y` of a unit, without cap and shift.
    """

    n: int = 0
    immature: int = 0
    nonzero: int = 0
    capped: int = 0
    history: int = 0
    bad: int = 0
    days: float = 0.0
    y: float = 0.0
    d: float = 0.0
    x: float = 0.0
    w: float = 0.0
    yy: float = 0.0
    yd: float = 0.0
    dd: float = 0.0
    yx: float = 0.0
    yw: float = 0.0
    dx: float = 0.0
    dw: float = 0.0
    xx: float = 0.0
    xw: float = 0.0
    ww: float = 0.0
    yyy: float = 0.0
    yyd: float = 0.0
    ydd: float = 0.0
    ddd: float = 0.0
    raw: float = 0.0
    raw_squares: float = 0.0
    raw_d: float = 0.0
    highest: float = 0.0
    shift_y: float = 0.0
    shift_d: float = 0.0
    shift_x: float = 0.0
    shift_w: float = 0.0


_KEPT = {"shift_y", "shift_d", "shift_x", "shift_w"}
_ADDED = tuple(
    each.name for each in fields(Sums) if each.name not in {*_KEPT, "highest"}
)


def added(groups: Iterable[Sums]) -> Sums:
    """Add up groups that were shifted alike."""
    parts = [each for each in groups if each.n or each.immature or each.bad]
    if not parts:
        return Sums()
    totals = {name: sum(getattr(each, name) for each in parts) for name in _ADDED}
    shifts = {name: getattr(parts[0], name) for name in _KEPT}
    return Sums(**totals, **shifts, highest=max(each.highest for each in parts))


@dataclass(frozen=True, slots=True)
class Exposed:
    """The exposed units of a group, judged or not.

    Attributes:
        mixed: Those that met another variant too.
        linked: Those that other units were merged into.
        with_events: Those with an event of any measured name from their exposure on.
        with_earlier: Those with such an event before it, and none after.
        ahead: Those whose exposure was stored over a minute before it happened.
        last_at: The latest first exposure, in milliseconds since 1970.
    """

    units: int = 0
    mixed: int = 0
    linked: int = 0
    with_events: int = 0
    with_earlier: int = 0
    ahead: int = 0
    last_at: int = 0


@dataclass(frozen=True, slots=True)
class Cap:
    """Where the values of units are cut.

    Attributes:
        value: The value of the nearest rank; None where nothing is cut.
        lower: The same for the second part of a ratio.
        reason: Why nothing is cut, though a cap was asked for; empty otherwise.
    """

    value: float | None = None
    lower: float | None = None
    reason: str = ""


class Day(NamedTuple):
    """The units of a group that came, or changed, on one day."""

    variant: str
    epoch: int
    day: date


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Everything that one scan of the tables found.

    Attributes:
        as_of: The moment of the scan, in milliseconds since 1970.
        end: Up to where events and exposures count, likewise.
        exposed: The exposed units.
        sums: Of each metric.
        caps: Of each metric that has one.
        exposed_by: The exposed units by the values of each dimension.
        sums_by: Of each dimension and each metric.
        series: What each day added to the sums of a metric: to `n`, `y`, `yy`, and
            for a ratio to `d`, `yd` and `dd`; without shift.
        days: The units first exposed on each day.
        failed: Why a metric could not be computed.
        event_names: The names of the events that exposed units had, for an experiment
            without metrics.
        events_arrive: True where events of the measured names were stored since the
            start, whoever had them.
    """

    as_of: int
    end: int
    exposed: Mapping[Group, Exposed]
    sums: Mapping[str, Mapping[Group, Sums]]
    caps: Mapping[str, Cap] = field(default_factory=dict)
    exposed_by: Mapping[str, Mapping[Group, Exposed]] = field(default_factory=dict)
    sums_by: Mapping[str, Mapping[str, Mapping[Group, Sums]]] = field(
        default_factory=dict
    )
    series: Mapping[str, Mapping[Day, Sums]] = field(default_factory=dict)
    days: Mapping[Day, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    event_names: tuple[str, ...] = ()
    events_arrive: bool = True

    def cap_of(self, metric: str) -> float | None:
        """Give the value above which a metric is cut; None where none is."""
        cap = self.caps.get(metric)
        return None if cap is None else cap.value
