"""Numbers as people read them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from flask_abx.results.inference import Interval
from flask_abx.results.telling import wording


@pytest.mark.parametrize(
    ("share", "text"),
    [
        pytest.param(0.0919, "9.19 %", id="three-digits"),
        pytest.param(0.318, "31.8 %", id="tens"),
        pytest.param(0.0, "0 %", id="nothing"),
        pytest.param(1.0, "100 %", id="everything"),
        pytest.param(3e-7, "< 0.0001 %", id="hardly-anything"),
        pytest.param(0.99999, "> 99.9 %", id="almost-everything"),
        pytest.param(None, "-", id="unknown"),
        pytest.param(float("nan"), "-", id="no-number"),
    ],
)
def test_a_share_never_reads_as_nothing_or_everything_unless_it_is(
    share: float | None, text: str
) -> None:
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.3025, "30.25 %"), (0.00001, "< 0.01 %"), (-1e-6, "-< 0.01 %")],
)
def test_a_share_keeps_the_decimals_that_are_asked_for(share: float, text: str) -> None:
    assert wording.percent(share, 2) == text


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        pytest.param(0.0598, "+6.0 %", id="up"),
        pytest.param(-0.02, "-2.0 %", id="down"),
        pytest.param(0.0, "0.0 %", id="none"),
        pytest.param(0.0004, "+0.04 %", id="small"),
        pytest.param(0.00001, "about 0 %", id="tiny"),
        pytest.param(1.3, "+130 %", id="double"),
        pytest.param(-1e9, "-100 bn %", id="huge"),
        pytest.param(None, "-", id="unknown"),
    ],
)
def test_a_relative_effect_has_a_sign(effect: float | None, text: str) -> None:
    assert wording.change(effect) == text


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        pytest.param(6.83, "EUR", "€6.83", id="symbol"),
        pytest.param(3.0, "CHF", "3.00 CHF", id="code"),
        pytest.param(300.0, "JPY", "¥300", id="no-cents"),
        pytest.param(-3.0, "EUR", "-€3.00", id="refund"),
        pytest.param(4.1e9, "USD", "$4.10 bn", id="large"),
        pytest.param(0.0003, "EUR", "€0.000300", id="below-a-cent"),
        pytest.param(2.0, None, "2.00", id="no-currency"),
    ],
)
def test_money_has_its_currency(value: float, currency: str | None, text: str) -> None:
    assert wording.amount(value, "currency", currency) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.92, "1.92 s"),
        (0.41, "410 ms"),
        (130, "2.17 min"),
        (9000, "2.50 h"),
        (0, "0 s"),
    ],
)
def test_a_measured_time_has_a_unit_that_fits(value: float, text: str) -> None:
    assert wording.amount(value, "duration") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234"), (1e9, "1.00 bn"), (3e-7, "3.00e-07"), (1e20, "1.00e+20")],
)
def test_a_number_of_any_size_is_short(value: float, text: str) -> None:
    assert wording.amount(value) == text


@pytest.mark.parametrize(
    ("total", "currency", "text"),
    [
        pytest.param(9_999, None, "9,999", id="short-enough"),
        pytest.param(10_056, None, "10.1k", id="thousands"),
        pytest.param(999_400, None, "999k", id="just-below-a-million"),
        pytest.param(999_600, None, "999,600", id="almost-a-million"),
        pytest.param(2_000_000, None, "2.00 M", id="millions"),
        pytest.param(403_564, "EUR", "€404k", id="money"),
        pytest.param(-40_000, "CHF", "-40.0k CHF", id="refunds"),
    ],
)
def test_a_sum_is_short_where_there_is_little_room(
    total: float, currency: str | None, text: str
) -> None:
    assert wording.compact(total, currency) == text


def test_decimals_that_are_set_are_kept() -> None:
    assert wording.amount(1234.5, decimals=1) == "1,234.5"
    assert wording.amount(6.8, "currency", "EUR", 3) == "€6.800"
    assert wording.amount(1.9, "duration", None, 3) == "1.900 s"


def test_an_absolute_effect_on_a_share_is_told_in_points() -> None:
    assert wording.difference(0.0055, "percent") == "+0.55 points"
    assert wording.difference(-0.2, "currency", "EUR") == "-€0.20"
    assert wording.difference(0.0) == "0"


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        pytest.param(Interval(0.011, 0.111, 0.99), "+1.1 % to +11.1 %", id="both"),
        pytest.param(Interval(None, 0.086, 0.99), "at most +8.6 %", id="open-below"),
        pytest.param(Interval(-0.02, None, 0.99), "at least -2.0 %", id="open-above"),
        pytest.param(Interval(None, None, 0.99), "no finite interval", id="open"),
        pytest.param(None, "no finite interval", id="none"),
    ],
)
def test_an_interval_tells_its_open_sides_in_words(
    drawn: Interval | None, text: str
) -> None:
    assert wording.interval(drawn) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        pytest.param(1e-9, "< 0.001", id="tiny"),
        pytest.param(0.0497, "0.049", id="not-rounded-up-to-alpha"),
        pytest.param(0.12, "0.12", id="middle"),
        pytest.param(1.0, "> 0.99", id="one"),
        pytest.param(None, "-", id="unknown"),
    ],
)
def test_a_p_value_is_neither_zero_nor_one(p: float | None, text: str) -> None:
    assert wording.p_value(p) == text


def test_a_level_never_reads_higher_than_it_is() -> None:
    assert wording.level(0.99) == "99 %"
    assert wording.level(1 - 0.01 / 6) == "99.83 %"
    assert wording.level(0.999999) == "99.99 %"


def test_a_count_names_its_things() -> None:
    assert wording.plural(218_800, "visitor") == "218,800 visitors"
    assert wording.plural(1, "visitor") == "1 visitor"
    assert wording.plural(2, "company") == "2 companies"
    assert wording.plural(3, "address") == "3 addresses"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604_800, "7 days"), (43_200, "12 hours"), (90, "90 seconds"), (60, "1 minute")],
)
def test_a_window_is_told_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert wording.span(seconds) == text


def test_a_time_is_the_same_in_every_locale() -> None:
    at = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
    assert wording.moment(at) == "23 Nov 09:40 UTC"
    assert wording.day(at.date(), has_year=True) == "23 Nov 2026"


def test_type_has_a_true_minus_and_units_that_stay_with_their_number() -> None:
    minus, space = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
    assert wording.typeset("-2.0 % to +1.0 %") == f"{minus}2.0{space}% to +1.0{space}%"
    assert wording.typeset("-€3.00, 1.92 s") == f"{minus}€3.00, 1.92{space}s"
    assert wording.typeset("one-sided 2026-11") == "one-sided 2026-11"


def test_who_only_words_numbers_loads_no_templates() -> None:
    code = (
        "import sys;"
        "import flask_abx.results.telling.wording, flask_abx.results.telling.words;"
        "assert 'flask_abx.results.showing.page' not in sys.modules;"
        "assert 'flask_abx.results.showing.drawing' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own
