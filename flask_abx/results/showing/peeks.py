"""False wins by look: an ordinary test that is asked every day, beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.results.showing.drawing import chart, line, marker, shortened, tag, text
from flask_abx.results.showing.scales import Scale, ticks
from flask_abx.results.telling import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.results.replay.replaying import Replay

WIDTH = 760
_HEIGHT, _TOP, _BOTTOM, _LEFT = 320, 66, 40, 56
#: Room for what the two curves are called.
_RIGHT = 178
_ORDINARY, _OURS = 5, 1
#: Names of two curves keep so far apart.
_GAP = 34


def false_wins_svg(
    replays: Sequence[Replay], alpha: float, *, width: int = WIDTH
) -> str:
    """Draw how many random splits each test had called a win by each look.

    Args:
        replays: One for each metric, at least one; each gets a chart of its own.
        alpha: What an error was to cost at most.
        width: Of the chart; the words keep their size.
    """
    drawn = "".join(
        tag(
            "g",
            _one(each, alpha, width),
            transform=f"translate(0 {place * _HEIGHT})",
        )
        for place, each in enumerate(replays)
    )
    return chart(
        drawn,
        width,
        _HEIGHT * len(replays),
        title="False wins when units that all had the same are split at random",
        description=" ".join(_description(each) for each in replays),
    )


def _one(replay: Replay, alpha: float, width: int) -> str:
    looks = len(replay.days)
    across = Scale(1, max(looks, 2), _LEFT, width - _RIGHT)
    highest = max(replay.ordinary_wins, replay.our_wins) / replay.splits
    upward = Scale(0.0, max(1.15 * highest, 2 * alpha), _HEIGHT - _BOTTOM, _TOP)
    title = f"False wins on {replay.name}"
    told = (
        f"{wording.count(replay.splits)} random splits of the control, a look at the "
        "end of every day"
    )
    heading = text(shortened(title, width // 8), 16, 26, class_="x-title") + text(
        shortened(told, width // 6), 16, 44, class_="x-soft"
    )
    curves = [
        _curve(counts, replay.splits, colour, across, upward)
        for counts, colour in ((replay.ordinary, _ORDINARY), (replay.ours, _OURS))
    ]
    return (
        heading
        + _axes(looks, alpha, across, upward)
        + "".join(curves)
        + _names(replay, across, upward)
    )


def _curve(
    counts: Sequence[int], splits: int, colour: int, across: Scale, upward: Scale
) -> str:
    points = [
        (across(look), upward(count / splits)) for look, count in enumerate(counts, 1)
    ]
    path = tag(
        "polyline",
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        class_=f"x-line x-l{colour}",
    )
    return path + (marker(colour, *points[-1]) if points else "")


def _axes(looks: int, alpha: float, across: Scale, upward: Scale) -> str:
    parts = []
    for at in ticks(0.0, upward.high, 6):
        y = upward(at)
        parts.append(line(_LEFT, y, across.end, y, "x-grid" if at else "x-zero"))
        words = wording.typeset(f"{at * 100:.6g} %")
        parts.append(text(words, _LEFT - 8, y + 4, text_anchor="end", class_="x-soft"))
    y = upward(alpha)
    parts.append(line(_LEFT, y, across.end, y, "x-margin"))
    promised = wording.typeset(f"promised: {alpha * 100:.4g} %")
    parts.append(
        text(promised, across.end, y - 6, text_anchor="end", class_="x-strong")
    )
    y = upward.start + 18
    named = sorted({1, *(round(each) for each in ticks(1, max(looks, 2), 7))})
    parts += [
        text(str(at), across(at), y, text_anchor="middle", class_="x-soft")
        for at in named
    ]
    end = text("days looked at", across.end, y + 15, text_anchor="end", class_="x-soft")
    return "".join([*parts, end])


def _names(replay: Replay, across: Scale, upward: Scale) -> str:
    """Name each curve at its end, neither over the other."""
    upper, lower = (
        upward(wins / replay.splits) for wins in (replay.ordinary_wins, replay.our_wins)
    )
    lower = min(max(lower, upper + _GAP), upward.start)
    upper = min(upper, lower - _GAP)
    x = across.end + 12
    return "".join(
        text(name, x, y - 2, class_=f"x-h{colour}")
        + text(_share(wins, replay.splits), x, y + 13, class_="x-strong")
        for name, wins, y, colour in (
            ("an ordinary test", replay.ordinary_wins, upper, _ORDINARY),
            ("flask-abx", replay.our_wins, lower, _OURS),
        )
    )


def _share(wins: int, splits: int) -> str:
    return wording.typeset(f"{wins} of {splits} ({wording.percent(wins / splits, 1)})")


def _description(replay: Replay) -> str:
    return (
        f"On {replay.name}, an ordinary test that is asked every day has found "
        f"{replay.ordinary_wins} false wins in {replay.splits} splits, flask-abx "
        f"{replay.our_wins}."
    )
