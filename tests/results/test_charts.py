"""Charts as files: whole, harmless, and coloured only where something is decided."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

import pytest

from flask_abx.errors import UsageError
from flask_abx.results.charts import effect_svg, forest_svg, split_bar, split_svg
from flask_abx.results.inference import Interval
from flask_abx.results.shapes import Reading
from flask_abx.results.showing.drawing import hue, letter, marker
from tests.results.shown import (
    SHOWN,
    by_country,
    crowded,
    harm,
    hostile,
    measureless,
    no_data,
    untrusted,
    winner,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask_abx.results.shapes import Results

SVG = "{http://www.w3.org/2000/svg}"
STORIES = [*SHOWN.values(), by_country, hostile, crowded, measureless]


def parsed(svg: str) -> ET.Element:
    """Read a chart as the document that it is."""
    return ET.fromstring(svg)  # noqa: S314 - our own


def charts_of(results: Results) -> Iterator[str]:
    """Draw every chart that results can be drawn as."""
    yield forest_svg(results)
    yield split_svg(results)
    for metric in results.metrics:
        yield effect_svg(results, metric.metric)


def classes(svg: str) -> set[str]:
    """Collect the classes that the marks of a chart have."""
    root = parsed(svg)
    return {name for one in root.iter() for name in one.get("class", "").split()}


def changed(results: Results, **changes: object) -> Results:
    """Change every comparison of the first metric."""
    first = results.metrics[0]
    comparisons = tuple(
        replace(one, **changes)  # type: ignore[arg-type]  # the test names the fields
        for one in first.comparisons
    )
    return replace(results, metrics=(replace(first, comparisons=comparisons),))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_each_chart_is_a_document_with_a_title(story: Callable[[], Results]) -> None:
    for svg in charts_of(story()):
        root = parsed(svg)
        assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
        assert root[0].tag == f"{SVG}title"
        assert root[0].text


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_each_place_is_a_finite_number(story: Callable[[], Results]) -> None:
    places = ["x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "points"]
    for svg in charts_of(story()):
        told = " ".join(
            one.get(key, "") for one in parsed(svg).iter() for key in places
        )
        assert all(isfinite(float(n)) for n in told.replace(",", " ").split())


def test_a_chart_brings_its_own_colours_for_light_and_dark() -> None:
    svg = forest_svg(winner())
    assert "prefers-color-scheme:dark" in svg
    assert "var(" not in svg


def test_a_chart_needs_nothing_from_elsewhere() -> None:
    for svg in charts_of(winner()):
        rest = svg.replace("http://www.w3.org/2000/svg", "")
        assert "http" not in rest
        assert "<script" not in rest
        assert " style=" not in rest


def test_names_are_only_ever_text() -> None:
    for svg in charts_of(hostile()):
        tags = {one.tag.removeprefix(SVG) for one in parsed(svg).iter()}
        assert not tags & {"script", "img", "b"}


def test_characters_that_no_document_may_hold_are_left_out() -> None:
    results = replace(winner(), name="bell \a and \x00 and \ud800 and \ufffe")
    assert parsed(forest_svg(results)) is not None


def test_what_is_decided_is_coloured() -> None:
    assert "x-good" in classes(forest_svg(winner()))
    assert {"x-bad", "x-bad-arrow"} <= classes(forest_svg(harm()))


def test_withheld_readings_are_not_coloured() -> None:
    found = classes(forest_svg(untrusted()))
    assert not {"x-good", "x-bad", "x-good-text", "x-bad-text"} & found


def test_the_fixed_interval_is_never_coloured() -> None:
    root = parsed(forest_svg(winner()))
    inner = [one for one in root.iter() if "x-inner" in one.get("class", "")]
    assert {one.get("class") for one in inner} == {"x-inner"}


def test_a_margin_is_a_dashed_line() -> None:
    assert "x-margin" in classes(forest_svg(winner()))
    assert "x-margin" not in classes(forest_svg(crowded()))


@pytest.mark.parametrize(
    "drawn",
    [
        pytest.param(Interval(None, 0.05, 0.99), id="open-below"),
        pytest.param(Interval(0.01, None, 0.99), id="open-above"),
        pytest.param(Interval(3.0, 4.0, 0.99), id="far-above"),
    ],
)
def test_an_interval_that_goes_on_has_an_arrow(drawn: Interval) -> None:
    results = changed(
        winner(), relative_interval=drawn, reading=Reading.UNCLEAR, relative_effect=0.02
    )
    wide = winner().metrics[2:]
    drawn_so = replace(results, metrics=(*results.metrics, *wide))
    assert "x-arrow" in classes(forest_svg(drawn_so))


def test_no_interval_is_drawn_where_none_is_finite() -> None:
    svg = forest_svg(changed(winner(), relative_interval=None))
    assert "x-bar" not in classes(svg)
    assert "no finite interval" in svg


def test_nothing_to_compare_is_said() -> None:
    assert "nothing to compare" in forest_svg(measureless())
    assert "No day has an effect yet." in effect_svg(no_data(), "signup")


def test_the_effect_over_time_has_a_line_and_a_band_for_each_treatment() -> None:
    root = parsed(effect_svg(harm(), "signup"))
    found = [one.get("class", "") for one in root.iter()]
    assert sum("x-line" in name for name in found) == 2
    assert sum("x-edge" in name for name in found) == 4


def test_days_without_an_interval_cut_the_band() -> None:
    results = winner()
    third = results.series[5]
    cut = tuple(
        replace(point, interval=None) if point.day == third.day else point
        for point in results.series
    )
    root = parsed(effect_svg(replace(results, series=cut), "signup"))
    edges = [one for one in root.iter() if "x-edge" in one.get("class", "")]
    assert len(edges) == 4


def test_one_day_alone_is_drawn() -> None:
    results = winner()
    first = tuple(p for p in results.series if p.day == results.series[0].day)
    assert "Bold headline" in effect_svg(replace(results, series=first), "signup")


def test_a_metric_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"'sales'.*choose one of these: 'signup'"):
        effect_svg(winner(), "sales")


def test_the_split_tells_observed_and_expected_shares() -> None:
    text = "".join(parsed(split_svg(untrusted())).itertext())
    assert "Express pay has 30.25 %, expected 33.00 %." in text


def test_the_small_split_is_as_long_as_its_shares() -> None:
    root = parsed(split_bar(untrusted().variants, width=100))
    widths = [float(one.get("width", 0)) for one in root.iter() if one.get("x")]
    assert widths == pytest.approx([33.89, 32.86, 28.75], abs=0.01)


def test_neighbours_have_their_own_shapes_and_the_control_has_one_alone() -> None:
    shapes = [marker(place, 0, 0).partition("class")[0] for place in range(8)]
    assert len(set(shapes)) == 8
    assert 0 not in {hue(place) for place in range(1, 40)}


def test_letters_go_on_as_numbers() -> None:
    assert [letter(place) for place in (0, 25, 26)] == ["A", "Z", "27"]
