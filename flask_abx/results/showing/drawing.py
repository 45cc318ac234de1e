"""SVG from Python: elements, the marker of each variant, colours for light and dark."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files

#: Characters that no XML document may hold, not even escaped.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_HUES = 8
_TOKEN = re.compile(r"\$(\w+)")

#: Each colour on a light and on a dark ground.
PALETTE = {
    "ground": ("#f4f5f7", "#0b0e12"),
    "card": ("#ffffff", "#14181e"),
    "raised": ("#f0f2f5", "#1b2028"),
    "line": ("#dfe3e8", "#2a313b"),
    "edge": ("#c2c9d2", "#3d4653"),
    "ink": ("#14181f", "#eceff4"),
    "soft": ("#535d6b", "#a3adbb"),
    "link": ("#2b44b8", "#9aaefc"),
    "bar": ("#dde0e7", "#3a424f"),
    "rim": ("#7c8696", "#8f9bab"),
    "good": ("#0b6b4b", "#4fd0a2"),
    "goodbar": ("#a5dcc7", "#1d5a47"),
    "goodground": ("#e4f4ed", "#10291f"),
    "bad": ("#a8260f", "#ff9a83"),
    "badbar": ("#f4b9ab", "#7a3023"),
    "badground": ("#fdece7", "#361711"),
    "warn": ("#7a4d00", "#f0b958"),
    "warnground": ("#fdf2d9", "#30230b"),
    "info": ("#2b44b8", "#9aaefc"),
    "infoground": ("#e9edfd", "#191f3c"),
    "hue0": ("#5b6675", "#9aa5b4"),
    "hue1": ("#1263c9", "#6fb0ff"),
    "hue2": ("#a8348f", "#f08fdc"),
    "hue3": ("#766000", "#d9bd42"),
    "hue4": ("#0c7480", "#52cbd8"),
    "hue5": ("#b34a05", "#ffa35c"),
    "hue6": ("#6b3fc4", "#b99cff"),
    "hue7": ("#3f7414", "#97d35c"),
}
_RULES = """
.abx-chart{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;\
font-size:12px;fill:$ink}
.abx-chart text{font-variant-numeric:tabular-nums}
.x-card{fill:$card}.x-soft{fill:$soft}.x-strong{font-weight:600;fill:$ink}
.x-title{font-size:15px;font-weight:650;fill:$ink}.x-band{fill:$raised}
.x-grid{stroke:$line;fill:none}.x-zero{stroke:$rim;stroke-width:1.5;fill:none}
.x-margin{stroke:$warn;stroke-width:1.75;stroke-dasharray:4 3;fill:none}
.x-bar{fill:$bar;stroke:$rim}.x-inner{stroke:$soft;stroke-width:2;fill:none}
.x-arrow{fill:$rim}.x-good{fill:$goodbar;stroke:$good}.x-bad{fill:$badbar;stroke:$bad}
.x-good-arrow,.x-good-text{fill:$good}.x-bad-arrow,.x-bad-text{fill:$bad}
.x-mark{stroke:$card;stroke-width:1.25}
.x-line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.x-edge{fill:none;stroke-opacity:.5}
.x-plan{stroke:$ink;stroke-width:2;fill:none}
""" + "".join(
    f".x-h{n}{{fill:$hue{n}}}.x-l{n}{{stroke:$hue{n}}}\n" for n in range(_HUES)
)


def tag(name: str, *inner: str, **attributes: object) -> str:
    """Write an element around what is written already; attributes are escaped.

    Args:
        name: Of the element.
        inner: Elements and escaped text.
        attributes: Numbers are rounded; ``class_`` and ``stroke_width`` are spelled
            as SVG does; None leaves an attribute out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_plain(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(inner)
    return f"<{name}{told}>{content}</{name}>" if content else f"<{name}{told}/>"


def text(words: str, x: float, y: float, **attributes: object) -> str:
    """Write words at a place."""
    return tag("text", harmless(words), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """Draw a straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def harmless(words: str) -> str:
    """Escape words for markup, and leave out what no document may hold."""
    return escape(_FORBIDDEN.sub("\ufffd", words))


def shortened(words: str, most: int) -> str:
    """Cut words that are longer than there is room for."""
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def marker(place: int, x: float, y: float, size: float = 4.5) -> str:
    """Draw the marker of a variant; the shape alone tells it from its neighbours."""
    shape = hue(place)
    class_ = f"x-mark x-h{shape}"
    if shape == 0:
        return tag("circle", cx=x, cy=y, r=size, class_=class_)
    if shape == 1:
        return tag(
            "rect",
            x=x - size,
            y=y - size,
            width=2 * size,
            height=2 * size,
            class_=class_,
        )
    points = " ".join(
        f"{_number(x + size * across)},{_number(y + size * down)}"
        for across, down in _SHAPES[shape - 2]
    )
    return tag("polygon", points=points, class_=class_)


_SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((0, -1.25), (1.2, 0.95), (-1.2, 0.95)),
    ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    ((0, 1.25), (1.2, -0.95), (-1.2, -0.95)),
    ((-1.25, 0), (0.95, -1.2), (0.95, 1.2)),
    ((1.25, 0), (-0.95, -1.2), (-0.95, 1.2)),
    ((0, -1.3), (1.25, -0.4), (0.8, 1.1), (-0.8, 1.1), (-1.25, -0.4)),
)


def hue(place: int) -> int:
    """Choose the colour and shape of a variant; those of the control stay its own."""
    return (place - 1) % (_HUES - 1) + 1 if place else 0


def letter(place: int) -> str:
    """Name a variant by a letter, a number once they run out."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def chart(
    inner: str,
    width: float,
    height: float,
    *,
    title: str,
    description: str = "",
    is_alone: bool = True,
) -> str:
    """Frame a chart, which alone brings its own colours and ground.

    Args:
        inner: Its elements.
        width: In its own measure.
        height: Likewise.
        title: What it shows, for those who do not see it.
        description: What is to be seen.
        is_alone: True for a file of its own, False inside a page.
    """
    head = tag("title", harmless(title))
    if description:
        head += tag("desc", harmless(description))
    if is_alone:
        ground = tag("rect", width=width, height=height, rx=8, class_="x-card")
        head += tag("style", chart_style()) + ground
    return tag(
        "svg",
        head,
        inner,
        xmlns="http://www.w3.org/2000/svg" if is_alone else None,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width if is_alone else None,
        height=height if is_alone else None,
        role="img",
        class_="abx-chart",
    )


@cache
def chart_style() -> str:
    """Write the rules of every chart, for light and dark."""
    dark = _coloured(_RULES, 1)
    return (
        f"{_coloured(_RULES, 0)}@media screen and (prefers-color-scheme:dark){{{dark}}}"
    )


@cache
def page_style() -> str:
    """Write the rules of the page, its colours included."""
    sheet = (
        files("flask_abx.results.showing")
        .joinpath("templates/report.css")
        .read_text("utf-8")
    )
    light, dark = (
        "".join(f"--{name}:{pair[shade]};" for name, pair in PALETTE.items())
        for shade in (0, 1)
    )
    screen = f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return f":root{{{light}}}{screen}\n{chart_style()}\n{sheet}"


def _coloured(rules: str, shade: int) -> str:
    return _TOKEN.sub(lambda found: PALETTE[found[1]][shade], rules)


def _plain(value: object) -> str:
    return _number(value) if isinstance(value, int | float) else harmless(str(value))


def _number(value: float) -> str:
    """Write a coordinate in hundredths, without trailing zeros."""
    # Adding nothing turns a negative zero into zero.
    return f"{round(value, 2) + 0:.2f}".rstrip("0").rstrip(".")
