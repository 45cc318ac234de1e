"""The charts of a report as SVG: forest plot, effect over time, and the split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.results.showing.drawing import (
    chart,
    hue,
    line,
    marker,
    shortened,
    tag,
    text,
)
from flask_abx.results.showing.forest import forest_svg
from flask_abx.results.showing.scales import Scale
from flask_abx.results.showing.trend import effect_svg
from flask_abx.results.telling import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.shapes import Results, VariantCount

__all__ = ["effect_svg", "forest_svg", "split_bar", "split_svg"]

_HEAD, _ROW = 60, 46


def split_svg(results: Results, *, width: int = 520, is_alone: bool = True) -> str:
    """Draw how the units were split, beside how they were meant to be.

    Args:
        results: Any.
        width: Of the chart; the words keep their size.
        is_alone: True for a file of its own, False inside a page.
    """
    counts = results.variants
    most = max((max(one.share, one.expected_share) for one in counts), default=1.0)
    across = Scale(0.0, (most or 1.0) * 1.08, 16, width - 16)
    heading = text("The split", 16, 26, class_="x-title") + text(
        "bar: observed share; upright line: expected share", 16, 44, class_="x-soft"
    )
    rows = "".join(
        _share(one, place, across, _HEAD + _ROW * place)
        for place, one in enumerate(counts)
    )
    return chart(
        heading + rows,
        width,
        _HEAD + _ROW * max(len(counts), 1) + 6,
        title=f"Split of the {wording.things(results.unit_type)}",
        description=" ".join(
            f"{one.name or one.variant} has {wording.percent(one.share, 2)}, "
            f"expected {wording.percent(one.expected_share, 2)}."
            for one in counts
        ),
        is_alone=is_alone,
    )


def _share(one: VariantCount, place: int, across: Scale, y: float) -> str:
    """Draw one variant: its name, its bar, and the line where it should end."""
    end, expected = across(one.share), across(one.expected_share)
    share = wording.typeset(wording.percent(one.share, 2))
    plan = wording.typeset(f"expected {wording.percent(one.expected_share, 2)}")
    right = {"text_anchor": "end"}
    return "".join(
        (
            marker(place, 22, y + 9),
            text(shortened(one.name or one.variant, 24), 36, y + 13),
            text(share, across.end - 112, y + 13, class_="x-strong", **right),
            text(plan, across.end, y + 13, class_="x-soft", **right),
            tag(
                "rect",
                x=across.start,
                y=y + 22,
                width=across.end - across.start,
                height=10,
                rx=2,
                class_="x-band",
            ),
            tag(
                "rect",
                x=across.start,
                y=y + 22,
                width=end - across.start,
                height=10,
                rx=2,
                class_=f"x-h{hue(place)}",
            ),
            line(expected, y + 18, expected, y + 36, "x-plan"),
        )
    )


def split_bar(counts: Sequence[VariantCount], width: int = 120) -> str:
    """Draw the split as one small bar, for a list of experiments."""
    total = sum(one.units for one in counts)
    parts, x = [], 0.0
    for place, one in enumerate(counts):
        share = one.units / total if total else one.expected_share
        size = share * width
        parts.append(
            tag(
                "rect",
                x=x,
                y=0,
                width=max(size - 1.5, 0.5),
                height=8,
                rx=1.5,
                class_=f"x-h{hue(place)}",
            )
        )
        x += size
    title = ", ".join(
        f"{one.name or one.variant} {wording.percent(one.share, 1)}" for one in counts
    )
    return chart("".join(parts), width, 8, title=title, is_alone=False)
