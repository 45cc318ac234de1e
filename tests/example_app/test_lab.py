"""The lab: both variants, the ruler, the records, another visitor, the split."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from example_app import crowd
from example_app.experiments import abx
from flask_abx.assignment.position import position
from flask_abx.experiments.lifecycle import Action
from flask_abx.runtime.state import state_of
from flask_abx.testing import recorded

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient


@pytest.fixture
def sinks() -> list[str]:
    """Leave out the database: a crowd within a request would wait for its end."""
    return ["memory"]


def visitor_of(page: str) -> str:
    found = re.search(r"visitor <code>([0-9a-f]{8})</code>", page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "key", ["headline", "free_shipping", "checkout_button", "gift_wrap", "bulk_prices"]
)
def test_the_frames_show_different_pages(visitor: FlaskClient, key: str) -> None:
    page = visitor.get(f"/lab?experiment={key}").text
    frames = [unescape(each) for each in re.findall(r'<iframe src="([^"]+)"', page)]
    bodies = {
        visitor.get(frame, headers={"Sec-Fetch-Dest": "iframe"})
        .text.split("<main")[1]
        .split("</main>")[0]
        for frame in frames
    }
    assert len(bodies) == len(frames) == 2


def test_the_frames_record_nothing(shop: Flask, visitor: FlaskClient) -> None:
    with recorded(shop) as records:
        for variant in ("control", "bold"):
            visitor.get(
                f"/?abx=headline:{variant}", headers={"Sec-Fetch-Dest": "iframe"}
            )
    assert records == []


def test_the_lab_exposes_nobody(shop: Flask, visitor: FlaskClient) -> None:
    with recorded(shop) as records:
        visitor.get("/lab")
    assert records == []


def test_the_ruler_shows_the_position(visitor: FlaskClient) -> None:
    visitor.post("/business/sign-in", data={"person": "wile"})
    place = f"{position('bulk_prices', 'acme'):.4f}"
    page = visitor.get("/lab").text
    assert re.search(rf'class="pin-text"[^>]*>{place}<', page)


@pytest.mark.parametrize(
    ("person", "sentence"),
    [
        ("peter", "The tenant initech is not in the audience"),
        ("wile", "The tenant acme lands at"),
        ("nobody", "divides by tenant, and you have none"),
    ],
)
def test_the_reason_is_a_sentence(
    visitor: FlaskClient, person: str, sentence: str
) -> None:
    visitor.post("/business/sign-in", data={"person": person})
    assert sentence in visitor.get("/lab").text


def test_the_records_stand_as_they_are_logged(
    shop: Flask, visitor: FlaskClient
) -> None:
    with recorded(shop) as records:
        for _ in range(6):
            visitor.post("/basket", data={"tea": "assam"})
            visitor.get("/basket")
            visitor.post("/letter", data={"email": "m@example.com"})
    page = unescape(visitor.get("/lab").text)
    shown = re.findall(r"<code>(\{.*?\})</code>", page)
    assert shown == [each.to_json() for each in reversed(records)][:10]
    assert all(json.loads(line)["units"] for line in shown)


@pytest.mark.parametrize(
    "key", ["headline", "free_shipping", "checkout_button", "gift_wrap", "bulk_prices"]
)
def test_the_control_has_the_first_colour(visitor: FlaskClient, key: str) -> None:
    page = visitor.get(f"/lab?experiment={key}").text
    frames = re.findall(r'<i class="dot v(\d)"></i><b>(\w+)</b>', page)
    lanes = re.findall(
        r'<rect class="v(\d)".*?<text class="on".*?>(\w+)<', page, re.DOTALL
    )
    assert frames[0] == ("1", "control")
    assert lanes.count(("1", "control")) == 5
    assert ("2", "tiers") in lanes


def test_another_visitor_is_another_one(visitor: FlaskClient) -> None:
    before = visitor_of(visitor.get("/lab").text)
    visitor.get("/?abx=headline:bold")
    after = visitor_of(visitor.post("/lab/another", follow_redirects=True).text)
    assert before != after
    assert visitor.get_cookie("abx_preview") is None


@pytest.mark.parametrize("key", ["headline", "free_shipping"])
def test_the_split_goes_through_the_app(shop: Flask, key: str) -> None:
    rule = state_of(shop).store.ruleset().rules[key]
    split = crowd.split(shop, rule, 200)
    assert sum(share.count for share in split.shares) == 200
    assert all(share.fits for share in split.shares)


def test_the_split_is_drawn(visitor: FlaskClient) -> None:
    me = visitor_of(visitor.get("/lab").text)
    answer = visitor.post(
        "/lab/split", data={"experiment": "headline"}, follow_redirects=True
    )
    assert "200 fresh visitors" in answer.text
    assert visitor_of(answer.text) == me
    assert answer.text.count('class="split-row"') == 2


def test_firms_are_too_few_for_a_split(visitor: FlaskClient) -> None:
    answer = visitor.post("/lab/split", data={"experiment": "bulk_prices"})
    assert answer.status_code == 404


def test_nobody_is_split_while_an_experiment_is_paused(
    shop: Flask, visitor: FlaskClient
) -> None:
    editor = state_of(shop).editor
    assert editor is not None
    editor.move("headline", Action.PAUSE)
    assert "takes no new visitors now" in visitor.get("/lab").text
    answer = visitor.post("/lab/split", data={"experiment": "headline"})
    assert answer.status_code == 404


def test_reports_are_linked_with_what_they_say(
    shop: Flask, visitor: FlaskClient
) -> None:
    assert "Nobody has looked yet" in visitor.get("/lab").text
    with shop.app_context():
        abx.results("headline", refresh=True)
    page = visitor.get("/lab").text
    assert '<a href="/abx/headline">headline</a> <b>no data</b>' in page
    assert visitor.get("/abx/headline").status_code == 200


def test_what_is_over_shows_its_winner_alone(shop: Flask, visitor: FlaskClient) -> None:
    editor = state_of(shop).editor
    assert editor is not None
    editor.move("gift_wrap", Action.CONCLUDE, winner="offered")
    page = visitor.get("/lab?experiment=gift_wrap").text
    assert re.findall(r'<i class="dot v\d"></i><b>(\w+)</b>', page) == ["offered"]
