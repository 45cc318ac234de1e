"""The effect over time: how each treatment stood, with the band of any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.errors import UsageError
from flask_abx.results.showing.drawing import (
    chart,
    hue,
    line,
    marker,
    shortened,
    tag,
    text,
)
from flask_abx.results.showing.forest import rows_of, tick_text, title_of
from flask_abx.results.showing.scales import Scale, latest, ticks
from flask_abx.results.telling import wording

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask_abx.results.shapes import MetricResult, Results, SeriesPoint

WIDE, NARROW = 760, 380
_TOP, _BOTTOM, _LEFT = 58, 34, 56
#: A label needs so much room, or it would lie over its neighbour.
_GAP = 30
#: More lines than these are named in one short line.
_NAMED = 5
_SHORT = 10
#: More bands than these are hardly filled, or they would hide each other.
_SHADED = 3


def effect_svg(
    results: Results, metric: str, *, width: int = WIDE, is_alone: bool = True
) -> str:
    """Draw how the effect on one metric settled, day by day.

    Args:
        results: With a series.
        metric: The key of the metric.
        width: Of the chart; the words keep their size.
        is_alone: True for a file of its own, False inside a page.

    Raises:
        UsageError: If the results have no such metric.
    """
    shown = metric_of(results, metric)
    lines = lines_of(results, metric)
    height = 300
    title = f"Effect on {title_of(shown)} over time"
    heading = text(shortened(title, width // 8), 16, 26, class_="x-title") + text(
        shortened("cumulative, with the any-time interval of each day", width // 6),
        16,
        44,
        class_="x-soft",
    )
    if not lines:
        empty = text("No day has an effect yet.", 16, 76)
        return chart(heading + empty, width, 96, title=title, is_alone=is_alone)
    right = width - (138 if width >= WIDE else 84)
    days = sorted(
        {point.day.toordinal() for line_ in lines.values() for point in line_}
    )
    across = Scale(days[0], max(days[-1], days[0] + 1), _LEFT, right)
    upward = _upward([*lines.values()], height)
    margin = next(
        (row.margin for row in rows_of(results) if row.metric is shown and row.margin),
        None,
    )
    places = {count.variant: n for n, count in enumerate(results.variants)}
    plot = _plot(lines, places, across, upward) + _margin(margin, across, upward)
    inner = heading + _axes(results, across, upward, days, width) + plot
    inner += _labels(results, lines, across, upward)
    return chart(
        inner,
        width,
        height,
        title=title,
        description=_description(results, lines),
        is_alone=is_alone,
    )


def metric_of(results: Results, key: str) -> MetricResult:
    """Find a metric by its key.

    Raises:
        UsageError: If the results have no such metric.
    """
    for metric in results.metrics:
        if metric.metric == key and metric.dimension is None:
            return metric
    known = ", ".join(repr(metric.metric) for metric in results.metrics) or "none"
    raise UsageError(
        f"{key!r} is no metric of the experiment {results.experiment!r}, "
        f"choose one of these: {known}."
    )


def lines_of(results: Results, metric: str) -> dict[str, list[SeriesPoint]]:
    """Collect the days on which each treatment has an effect, in order."""
    lines: dict[str, list[SeriesPoint]] = {}
    for point in sorted(results.series, key=lambda one: one.day):
        if point.metric == metric and point.relative_effect is not None:
            lines.setdefault(point.variant, []).append(point)
    order = [count.variant for count in results.variants]
    return {key: lines[key] for key in order if key in lines}


def _ends(point: SeriesPoint) -> tuple[float, float]:
    effect = point.relative_effect or 0.0
    if point.interval is None:
        return effect, effect
    low, high = point.interval.low, point.interval.high
    return effect if low is None else low, effect if high is None else high


def _upward(lines: Sequence[list[SeriesPoint]], height: float) -> Scale:
    """Choose the axis of effects, by the last days rather than by the first."""
    bands = [_ends(line_[-1]) for line_ in lines]
    early = [_ends(point) for line_ in lines for point in line_[:-1]]
    low, high = latest([*early, *bands], len(bands))
    return Scale(low, high, height - _BOTTOM, _TOP)


def _plot(
    lines: Mapping[str, list[SeriesPoint]],
    places: Mapping[str, int],
    across: Scale,
    upward: Scale,
) -> str:
    """Draw the bands and lines, cut where they leave the axis."""
    bands, strokes = [], []
    opacity = 0.13 if len(lines) <= _SHADED else 0.03
    for key, points in lines.items():
        colour = hue(places.get(key, 1))
        bands += [_band(run, colour, across, upward, opacity) for run in _runs(points)]
        path = [(p.day.toordinal(), p.relative_effect or 0.0) for p in points]
        strokes.append(
            tag(
                "polyline",
                points=_path(path, across, upward),
                class_=f"x-line x-l{colour}",
            )
        )
    # A nested drawing cuts what leaves it, without ids that could meet on a page.
    width, height = across.end - across.start, upward.start - upward.end
    return tag(
        "svg",
        *bands,
        *strokes,
        x=across.start,
        y=upward.end,
        width=width,
        height=height,
        viewBox=f"{across.start:g} {upward.end:g} {width:g} {height:g}",
        overflow="hidden",
        aria_hidden="true",
    )


def _runs(points: Sequence[SeriesPoint]) -> list[list[SeriesPoint]]:
    """Cut a line where days have no interval."""
    runs: list[list[SeriesPoint]] = [[]]
    for point in points:
        if point.interval is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _band(
    points: Sequence[SeriesPoint],
    colour: int,
    across: Scale,
    upward: Scale,
    opacity: float,
) -> str:
    far = 10 * (upward.high - upward.low)
    lows, highs = [], []
    for point in points:
        low = point.interval.low if point.interval else None
        high = point.interval.high if point.interval else None
        day = point.day.toordinal()
        lows.append((day, -far if low is None else low))
        highs.append((day, far if high is None else high))
    outline = _path([*highs, *reversed(lows)], across, upward)
    edges = "".join(
        tag(
            "polyline", points=_path(edge, across, upward), class_=f"x-edge x-l{colour}"
        )
        for edge in (lows, highs)
    )
    return (
        tag("polygon", points=outline, class_=f"x-h{colour}", fill_opacity=opacity)
        + edges
    )


def _path(points: Sequence[tuple[float, float]], across: Scale, upward: Scale) -> str:
    return " ".join(f"{across.free(x):.1f},{upward.free(y):.1f}" for x, y in points)


def _axes(
    results: Results, across: Scale, upward: Scale, days: Sequence[int], width: float
) -> str:
    """Draw the grid with its numbers and days; zero is the strongest line."""
    parts = []
    for at in ticks(upward.low, upward.high, 7):
        y = upward(at)
        parts.append(line(_LEFT, y, across.end, y, "x-grid" if at else "x-zero"))
        words = tick_text(at)
        parts.append(text(words, _LEFT - 8, y + 4, text_anchor="end", class_="x-soft"))
    named = {p.day.toordinal(): p.day for p in results.series}
    step = -(-len(days) // (7 if width >= WIDE else 4))
    y = upward.start + 20
    for at in days[::step]:
        words = wording.day(named[at])
        parts.append(text(words, across(at), y, text_anchor="middle", class_="x-soft"))
    return "".join(parts)


def _margin(margin: float | None, across: Scale, upward: Scale) -> str:
    if margin is None or not upward.holds(margin):
        return ""
    y = upward(margin)
    return line(across.start, y, across.end, y, "x-margin") + text(
        "margin", across.start + 6, y - 5, class_="x-soft"
    )


def _labels(
    results: Results,
    lines: Mapping[str, list[SeriesPoint]],
    across: Scale,
    upward: Scale,
) -> str:
    """Name each line at its end, none over another."""
    counts = {count.variant: (n, count) for n, count in enumerate(results.variants)}
    ends = sorted(
        (upward(points[-1].relative_effect or 0.0), key, points[-1])
        for key, points in lines.items()
    )
    gap = _GAP if len(ends) <= _NAMED else 15
    parts, last = [], upward.end - gap
    # Lines that end close together are named downwards, but not beyond the chart.
    room = upward.start - gap * (len(ends) - 1)
    for at, (y, key, point) in enumerate(ends):
        last = max(last + gap, min(y, room + gap * at))
        place, count = counts.get(key, (1, None))
        x = across(point.day.toordinal())
        parts.append(marker(place, x, y))
        name = (count.name if count else "") or key
        effect = wording.typeset(wording.change(point.relative_effect))
        colour = f"x-h{hue(place)}"
        most = 18 if across.end - across.start > NARROW else 11
        if len(ends) > _NAMED:
            short = name if len(name) <= _SHORT else key
            words = f"{shortened(short, _SHORT)} {effect}"
            parts.append(text(words, x + 12, last + 4, class_=colour))
            continue
        parts.append(text(shortened(name, most), x + 12, last - 2, class_=colour))
        parts.append(text(effect, x + 12, last + 12, class_="x-strong"))
    return "".join(parts)


def _description(results: Results, lines: Mapping[str, list[SeriesPoint]]) -> str:
    names = {count.variant: count.name for count in results.variants}
    return " ".join(
        f"{names.get(key) or key} ends at {wording.change(points[-1].relative_effect)} "
        f"on {wording.day(points[-1].day)}, {wording.interval(points[-1].interval)}."
        for key, points in lines.items()
    )
