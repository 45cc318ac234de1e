"""Numbers, shares and times as people read them, on a terminal and on a page."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, TypeGuard

from flask_abx.experiments.metric import Format

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from flask_abx.results.inference import Interval

#: What stands where there is no number.
NOTHING = "-"
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}
_WITHOUT_CENTS = {"JPY", "KRW", "CLP", "VND", "ISK", "HUF"}
_LARGE = ((1e12, "trn"), (1e9, "bn"), (1e6, "M"))
_SPANS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_MINUS = re.compile(r"(?<![\w.])-(?=[^\w\s]?\d)")
_UNIT = re.compile(r"(?<=[\d<>]) (?=[%\d])|(?<=\d) (?=(?:ms|s|min|h|d|M|bn|trn)\b)")
_TINY, _HUGE = 1e-4, 1e15
#: From here on a sum is told in thousands where there is little room.
_THOUSANDS = 10_000


def count(units: float) -> str:
    """Write a whole number with its thousands, such as ``218,800``."""
    return f"{units:,.0f}"


def plural(units: float, thing: str) -> str:
    """Write how many of a thing there are, such as ``218,800 visitors``."""
    return f"{count(units)} {thing if units == 1 else things(thing)}"


def things(thing: str) -> str:
    """Write a thing in the plural."""
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{thing[:-1]}ies"
    return f"{thing}es" if thing.endswith(("s", "x", "ch", "sh")) else f"{thing}s"


def percent(share: float | None, decimals: int | None = None) -> str:
    """Write a share, such as ``9.19 %``.

    What is not quite nothing or everything never reads as 0 % or 100 %.

    Args:
        share: The share as a fraction.
        decimals: How many to write; None takes three digits that say something.
    """
    if not _is_number(share):
        return NOTHING
    value = share * 100
    places = _places(value, 3, most=4) if decimals is None else decimals
    least = 10.0**-places
    if value and abs(value) < least / 2:
        return f"{'-' if value < 0 else ''}< {least:.{places}f} %"
    if value < 100 and 100 - value < max(least / 2, 0.05):
        return f"> {100 - max(least, 0.1):.{max(1, places)}f} %"
    if value in {0.0, 100.0}:
        return f"{value:.0f} %"
    return f"{value:,.{places}f} %"


def change(effect: float | None) -> str:
    """Write a relative effect with its sign, such as ``+6.0 %``."""
    if not _is_number(effect):
        return NOTHING
    value = effect * 100
    if value == 0:
        return "0.0 %"
    if abs(value) < 0.005:
        return "about 0 %"
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 0.095 else 2
    if abs(value) >= 1e6:
        return f"{'+' if value > 0 else '-'}{_short(abs(value))} %"
    return f"{value:+,.{places}f} %"


def amount(
    value: float | None,
    form: str = Format.NUMBER,
    currency: str | None = None,
    decimals: int | None = None,
) -> str:
    """Write what a metric measures in its own format, such as ``€6.83``."""
    if not _is_number(value):
        return NOTHING
    if form == Format.PERCENT:
        return percent(value, decimals)
    if form == Format.DURATION:
        return duration(value, decimals)
    if form == Format.CURRENCY:
        return _money(value, currency, decimals)
    return _short(value) if decimals is None else f"{value:,.{decimals}f}"


def difference(
    effect: float | None,
    form: str = Format.NUMBER,
    currency: str | None = None,
    decimals: int | None = None,
) -> str:
    """Write an absolute effect with its sign; of a share, in percentage points."""
    if not _is_number(effect):
        return NOTHING
    sign = "+" if effect > 0 else "-" if effect < 0 else ""
    if form == Format.PERCENT:
        points = abs(effect) * 100
        return f"{sign}{points:.{_places(points, 2, most=4)}f} points"
    return f"{sign}{amount(abs(effect), form, currency, decimals)}"


def compact(total: float, currency: str | None = None) -> str:
    """Write a sum where there is little room, such as ``10.1k`` or ``€404k``."""
    size = abs(total)
    if not _THOUSANDS <= size < 999_500:
        return _money(total, currency, None) if currency else _short(total)
    scaled = total / 1000
    short = f"{abs(scaled):.{_places(scaled, 3)}f}k"
    symbol = _SYMBOLS.get(currency or "", "")
    after = f" {currency}" if currency and not symbol else ""
    return f"{'-' if total < 0 else ''}{symbol}{short}{after}"


def duration(seconds: float, decimals: int | None = None) -> str:
    """Write a measured time, such as ``1.92 s`` or ``410 ms``."""
    size = abs(seconds)
    if decimals is not None:
        return f"{seconds:,.{decimals}f} s"
    if 0 < size < 1:
        return f"{_short(seconds * 1000)} ms"
    for least, factor, unit in ((172_800, 86_400, "d"), (7_200, 3_600, "h")):
        if size >= least:
            return f"{_short(seconds / factor)} {unit}"
    return f"{_short(seconds / 60)} min" if size >= 120 else f"{_short(seconds)} s"


def span(seconds: float) -> str:
    """Write a set time in its largest whole unit, such as ``7 days``."""
    for size, unit in _SPANS:
        if seconds >= size and seconds % size == 0:
            return plural(seconds // size, unit)
    return plural(round(seconds), "second")


def interval(
    drawn: Interval | None, write: Callable[[float | None], str] = change
) -> str:
    """Write an interval, such as ``+1.1 % to +11.1 %``, open sides in words."""
    if drawn is None or (drawn.low is None and drawn.high is None):
        return "no finite interval"
    if drawn.low is None:
        return f"at most {write(drawn.high)}"
    if drawn.high is None:
        return f"at least {write(drawn.low)}"
    return f"{write(drawn.low)} to {write(drawn.high)}"


def level(share: float) -> str:
    """Write the level of an interval, such as ``99 %``."""
    return f"{math.floor(share * 1e4 + 1e-6) / 1e2:.6g} %"


def p_value(p: float | None) -> str:
    """Write a p-value, such as ``0.030``, ``< 0.001`` or ``> 0.99``."""
    if not _is_number(p):
        return NOTHING
    if p < 0.001:
        return "< 0.001"
    if p >= 0.995:
        return "> 0.99"
    # 0.0497 must not read as 0.050, which would be as much as alpha.
    return f"{math.floor(p * 1000) / 1000:.3f}" if p < 0.1 else f"{p:.2f}"


def moment(at: datetime, *, has_year: bool = False) -> str:
    """Write a time, such as ``23 Nov 09:40 UTC``."""
    zone = at.tzname() or "UTC"
    return f"{day(at, has_year=has_year)} {at:%H:%M} {zone}"


def day(at: date, *, has_year: bool = False) -> str:
    """Write a day, such as ``23 Nov``, whatever the locale."""
    month = _MONTHS[3 * at.month - 3 : 3 * at.month]
    return f"{at.day} {month}{f' {at.year}' if has_year else ''}"


def typeset(words: str) -> str:
    """Write numbers as print does: a true minus, and no line break before a unit."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", _MINUS.sub("\N{MINUS SIGN}", words))


def _money(value: float, currency: str | None, decimals: int | None) -> str:
    if decimals is None:
        # Beyond a million cents are noise, below a cent they are all there is.
        is_plain = 0.01 <= abs(value) < 1e6 or value == 0
        places = 0 if currency in _WITHOUT_CENTS or abs(value) >= 1e4 else 2
        text = f"{abs(value):,.{places}f}" if is_plain else _short(abs(value))
    else:
        text = f"{abs(value):,.{decimals}f}"
    sign = "-" if value < 0 else ""
    symbol = _SYMBOLS.get(currency or "")
    if symbol:
        return f"{sign}{symbol}{text}"
    return f"{sign}{text} {currency}" if currency else f"{sign}{text}"


def _short(value: float) -> str:
    """Write a number of any size in about three digits."""
    size = abs(value)
    if value == 0:
        return "0"
    if size < _TINY or size >= _HUGE:
        return f"{value:.2e}"
    for least, unit in _LARGE:
        if size >= least:
            scaled = value / least
            return f"{scaled:,.{_places(scaled, 3)}f} {unit}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{_places(value, 3, most=6)}f}"


def _places(value: float, digits: int, *, most: int = 2) -> int:
    """Tell how many decimals leave so many digits that say something."""
    if value == 0:
        return 0
    return min(most, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
