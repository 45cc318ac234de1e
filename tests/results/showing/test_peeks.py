"""The drawing of false wins."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree import ElementTree as ET

from flask_abx.results.replay.replaying import Replay
from flask_abx.results.showing.peeks import false_wins_svg

SVG = "{http://www.w3.org/2000/svg}"


def replay(
    ordinary: tuple[int, ...] = (20, 60, 110), ours: tuple[int, ...] = (0, 3, 6)
) -> Replay:
    first = date(2026, 1, 5)
    return Replay(
        metric="signup",
        name="Sign-ups <new>",
        units=12_000,
        splits=500,
        days=tuple(first + timedelta(days=each) for each in range(len(ordinary))),
        ordinary=ordinary,
        ours=ours,
    )


def drawn(*replays: Replay) -> ET.Element:
    return ET.fromstring(false_wins_svg(replays, 0.05))  # noqa: S314 - ours


def words(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def test_both_counts_are_named() -> None:
    told = " ".join(words(drawn(replay()))).replace("\N{NO-BREAK SPACE}", " ")
    assert "110 of 500 (22.0 %)" in told
    assert "6 of 500 (1.2 %)" in told
    assert "promised: 5 %" in told


def test_each_metric_has_two_curves() -> None:
    root = drawn(replay(), replay())
    assert len([*root.iter(f"{SVG}polyline")]) == 4


def test_who_does_not_see_it_is_told() -> None:
    described = drawn(replay()).findtext(f"{SVG}desc")
    assert described is not None
    assert "110 false wins in 500 splits, flask-abx 6" in described


def test_names_of_curves_keep_apart() -> None:
    root = drawn(replay((1, 2, 3), (1, 2, 3)))
    places = {
        each.text: float(each.attrib["y"])
        for each in root.iter(f"{SVG}text")
        if each.text in {"an ordinary test", "flask-abx"}
    }
    assert places["flask-abx"] - places["an ordinary test"] >= 30


def test_a_single_look_and_no_win_are_drawn() -> None:
    root = drawn(replay((0,), (0,)))
    assert all(
        "nan" not in each.attrib["points"] for each in root.iter(f"{SVG}polyline")
    )
