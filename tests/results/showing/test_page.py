"""The report as one page, and the list of reports."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

import flask_abx
from flask_abx.results.shapes import CheckId, HealthCheck, Level, VerdictCode
from flask_abx.results.showing.drawing import PALETTE
from flask_abx.results.showing.page import list_page, page, style_hash
from flask_abx.results.telling import words
from tests.results.shown import (
    SHOWN,
    by_country,
    crowded,
    healthy,
    hostile,
    measureless,
    too_early,
    undecided,
    untrusted,
    winner,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.results.shapes import Results

STORIES = [*SHOWN.values(), by_country, hostile, crowded, measureless]
PACKAGE = [*flask_abx.__path__]
VOID = {"meta", "link", "progress", "br"}


class Outline(HTMLParser):
    """What a page is made of, and whether each element is closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        told = dict(attrs)
        self.ids += [told["id"] or ""] if "id" in told else []
        self.sources += [v or "" for k, v in attrs if k in {"href", "src"}]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(self.text).split())


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_page_is_whole_and_needs_nothing_else(story: Callable[[], Results]) -> None:
    outline = Outline(page(story()))
    assert not {"script", "img", "iframe", "object"} & set(outline.tags)
    assert outline.sources == ["data:,"]
    assert len(outline.ids) == len(set(outline.ids))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_page_has_no_inline_styles_and_no_handlers(
    story: Callable[[], Results],
) -> None:
    names = Outline(page(story())).names
    assert not [name for name in names if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("code", VerdictCode)
def test_a_page_tells_verdict_sentence_and_next_step(code: VerdictCode) -> None:
    results = SHOWN[code]()
    told = Outline(page(results)).words
    assert words.VERDICTS[code] in told
    assert results.verdict.sentence in told
    assert results.verdict.next_step in told


def test_a_page_tells_when_the_verdict_was_reached() -> None:
    assert "Reached 20 Nov 06:00 UTC" in Outline(page(winner())).words


def test_a_verdict_that_no_longer_holds_is_told_with_the_first() -> None:
    verdict = replace(winner().verdict, code=VerdictCode.REVIEW)
    told = Outline(page(replace(winner(), verdict=verdict))).words
    assert "First winner, on 20 Nov 06:00 UTC" in told


def test_a_page_tells_effect_interval_and_p_value() -> None:
    told = Outline(page(winner())).words.replace("\N{NO-BREAK SPACE}", " ")
    assert "+6.0 %" in told
    assert "+1.1 % to +11.1 %" in told
    assert "218,800" in told
    assert "0.002" in told


def test_a_failing_check_stands_over_everything_else() -> None:
    html = page(untrusted())
    banner = html.index('class="banner"')
    assert banner < html.index('class="card verdict"')
    assert "Readings are withheld" in html


def test_no_banner_stands_over_warnings() -> None:
    assert 'class="banner"' not in page(undecided())


def test_every_check_is_told_with_number_limit_and_way_out() -> None:
    told = Outline(page(untrusted())).words.replace("\N{NO-BREAK SPACE}", " ")
    for check in untrusted().health:
        assert words.CHECKS[check.id] in told
        assert check.sentence in told
        assert check.way_out in told
    assert "0.71 % limit 0.5 %" in told


def test_a_withheld_page_has_no_coloured_reading() -> None:
    html = page(untrusted())
    table = html[html.index('<table class="effects"') : html.index('<p class="legend"')]
    assert 'class="badge quiet"' in table
    assert "good" not in table
    assert "x-bad" not in table


def test_names_are_only_ever_text() -> None:
    html = page(hostile())
    assert "<script" not in html
    assert "onerror=alert(1)>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_tables_have_captions_and_scopes() -> None:
    html = page(winner())
    assert html.count("<table") == html.count("<caption")
    outline = Outline(html)
    assert "scope" in outline.names
    assert html.count("<th ") == html.count("scope=")


def test_numbers_of_every_metric_stand_in_the_samples() -> None:
    told = Outline(page(winner())).words
    for metric in winner().metrics:
        assert told.count(metric.name) >= 2
    assert "10,056" in told
    assert "cap €310.00" in told


def test_how_it_was_computed_is_told() -> None:
    told = Outline(page(winner())).words.replace("\N{NO-BREAK SPACE}", " ")
    assert "0.05 = 0.01 any time + 0.04 final look" in told
    assert "N* 330,000" in told
    assert "5f0c2b9e41d7" in told


def test_a_plan_that_came_too_late_is_told() -> None:
    results = winner()
    assert results.plan is not None
    late = replace(results, plan=replace(results.plan, is_valid=False))
    assert "after the first exposure, so it does not count" in page(late)


def test_a_breakdown_stands_apart_from_what_decides() -> None:
    html = page(by_country())
    assert html.index("Guardrails") < html.index("By country (exploratory)")
    assert "Sign-up · country = DE" in html


def test_a_reading_that_has_to_wait_says_why() -> None:
    assert "fewer than 100 units in a variant" in Outline(page(too_early())).words


def test_notes_are_told() -> None:
    noted = replace(winner(), notes=("Refunds corrected the past.",))
    assert "Refunds corrected the past." in page(noted)


@pytest.mark.parametrize("check", CheckId)
@pytest.mark.parametrize("value", [None, 0.0, 1e-300, 12.5, 1e18])
def test_every_check_can_be_told_whatever_its_number(
    check: CheckId, value: float | None
) -> None:
    told = HealthCheck(check, Level.WARN, value, value, "Something.", "")
    assert words.CHECKS[check] in page(replace(winner(), health=healthy(told)))


def test_a_policy_can_admit_the_style_by_its_hash() -> None:
    html = page(winner())
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert style_hash() == f"'sha256-{digest}'"


def test_the_list_links_each_report_with_verdict_and_split() -> None:
    html = list_page([winner(), untrusted()], base="/abx/")
    outline = Outline(html)
    assert outline.sources[1:] == ["/abx/headline", "/abx/checkout_button"]
    assert "Winner" in outline.words
    assert "Not to be trusted" in outline.words
    assert html.count('role="img"') == 2


def test_the_list_says_why_an_experiment_has_no_report() -> None:
    html = list_page([], [("gift_wrap", "draft", "It has not been started.")])
    assert "gift_wrap" in html
    assert "It has not been started." in html


def test_an_empty_list_says_so() -> None:
    assert "No experiment is defined yet." in list_page([])


def test_a_key_in_the_list_cannot_leave_its_link() -> None:
    [_, link] = Outline(list_page([hostile()])).sources
    assert link == "%3Cscript%3Ealert%281%29%3C%2Fscript%3E"


def test_the_page_is_drawn_without_flask() -> None:
    code = (
        "import sys; from types import ModuleType;"
        "package = ModuleType('flask_abx'); package.__path__ = sys.argv[1:];"
        "sys.modules.update(flask_abx=package, flask=None);"
        "from tests.results.shown import winner;"
        "assert len(winner().to_html()) > 10_000"
    )
    subprocess.run([sys.executable, "-c", code, *PACKAGE], check=True)  # noqa: S603 - our own


def test_what_a_cap_cut_is_told_beside_the_reading() -> None:
    html = page(remarked("5 units are capped"))
    assert '<span class="small">5 units are capped</span>' in html


def test_the_p_value_is_not_said_to_hold_at_any_time() -> None:
    html = page(winner())
    assert "<i>p</i>, adjusted" in html
    assert "<i>p</i>, any time" not in html


def remarked(reason: str) -> Results:
    """Say something beside the first reading."""
    first, *others = winner().metrics
    told = tuple(replace(each, reason=reason) for each in first.comparisons)
    return replace(winner(), metrics=(replace(first, comparisons=told), *others))


def luminance(colour: str) -> float:
    """Give the relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, from 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


GROUNDS = ["card", "ground", "raised"]
TEXTS = [
    *((ink, ground) for ink in ("ink", "soft", "link") for ground in GROUNDS),
    *((tone, f"{tone}ground") for tone in ("good", "bad", "warn", "info")),
    *((tone, "card") for tone in ("good", "bad", "warn", "info")),
    *((f"hue{place}", "card") for place in range(8)),
    ("ink", "badground"),
    ("soft", "goodground"),
    ("soft", "badground"),
    ("soft", "warnground"),
    ("soft", "infoground"),
]


@pytest.mark.parametrize("shade", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXTS)
def test_text_stands_out_from_its_ground(ink: str, ground: str, shade: int) -> None:
    assert contrast(PALETTE[ink][shade], PALETTE[ground][shade]) >= 4.5


@pytest.mark.parametrize("shade", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("mark", ["rim", "good", "bad", "warn", "soft"])
def test_marks_stand_out_from_the_card(mark: str, shade: int) -> None:
    assert contrast(PALETTE[mark][shade], PALETTE["card"][shade]) >= 3
