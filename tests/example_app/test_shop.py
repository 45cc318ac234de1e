"""The shop: every page, what is tested on it, and what is recorded."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from example_app.catalogue import TEAS, Tea
from example_app.experiments import abx
from flask_abx import Event, Exposure
from flask_abx.runtime.state import state_of
from flask_abx.testing import force, recorded

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

ADDRESS = {"name": "Mina", "email": "m@example.com", "address": "1", "city": "Bonn"}


def add(client: FlaskClient, tea: str, packs: int) -> None:
    client.post("/basket", data={"tea": tea, "packs": packs})


def bar(page: str) -> str:
    line = r'<span class="bar-line">(.*?)</span>\s*<(?:a|span)'
    found = re.search(line, page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", ["/", "/basket", "/business", "/lab", "/tea/sencha"])
def test_a_page_answers(visitor: FlaskClient, path: str) -> None:
    assert visitor.get(path).status_code == 200


@pytest.mark.parametrize("tea", TEAS, ids=lambda tea: tea.slug)
def test_every_tea_has_a_page_and_a_drawing(visitor: FlaskClient, tea: Tea) -> None:
    assert tea.name in visitor.get(f"/tea/{tea.slug}").text
    with visitor.get(f"/static/teas/{tea.slug}.svg") as drawing:
        assert drawing.get_data(as_text=True).startswith("<svg")


def test_no_two_drawings_are_equal(visitor: FlaskClient) -> None:
    drawings = set()
    for tea in TEAS:
        with visitor.get(f"/static/teas/{tea.slug}.svg") as answer:
            drawings.add(answer.get_data())
    assert len(drawings) == len(TEAS) == 12


def test_the_heroes_share_neither_words_nor_layout(shop: Flask) -> None:
    heroes = {}
    for variant in ("control", "bold"):
        with force(shop, {"headline": variant}):
            page = shop.test_client().get("/").text
        heroes[variant] = page.split('<section class="hero')[1].split("</section>")[0]
    assert "quiet afternoon" in heroes["control"]
    assert "Wake up" in heroes["bold"]
    assert 'calm"' in heroes["control"]
    assert 'bold"' in heroes["bold"]


def test_the_bar_counts_down_to_free_shipping(shop: Flask) -> None:
    client = shop.test_client()
    with force(shop, {"free_shipping": "control"}):
        add(client, "assam", 2)
        assert "31.20\N{NO-BREAK SPACE}€</strong> to go" in client.get("/basket").text
        add(client, "assam", 2)
        assert "13.40\N{NO-BREAK SPACE}€</strong> to go" in client.get("/basket").text
        add(client, "assam", 2)
        assert "Shipping is free." in client.get("/basket").text


def test_the_flag_moves_the_threshold(shop: Flask, visitor: FlaskClient) -> None:
    add(visitor, "assam", 4)
    with force(shop, {"free_shipping": "treatment"}):
        assert "Shipping is free." in visitor.get("/basket").text


def test_an_empty_basket_exposes_nobody(shop: Flask, visitor: FlaskClient) -> None:
    with recorded(shop) as records:
        visitor.get("/basket")
    assert records == []


@pytest.mark.parametrize(
    ("person", "exposed"),
    [("wile", {"acme"}), ("hank", {"globex"}), ("peter", set()), ("nobody", set())],
)
def test_bulk_prices_are_for_some_firms(
    shop: Flask, visitor: FlaskClient, person: str, exposed: set[str]
) -> None:
    visitor.post("/business/sign-in", data={"person": person})
    with recorded(shop) as records:
        visitor.get("/tea/sencha")
    found = {one.unit for one in records if isinstance(one, Exposure)}
    assert found == exposed


def test_acme_sees_tiers_and_initech_does_not(shop: Flask) -> None:
    pages = {}
    for person in ("wile", "ada", "peter"):
        client = shop.test_client()
        client.post("/business/sign-in", data={"person": person})
        pages[person] = client.get("/tea/sencha").text
    assert "Bulk prices for Acme" in pages["wile"]
    assert "Bulk prices for Acme" in pages["ada"]
    assert "Bulk prices" not in pages["peter"]


def test_bulk_prices_count_in_the_basket(visitor: FlaskClient) -> None:
    visitor.post("/business/sign-in", data={"person": "wile"})
    add(visitor, "sencha", 10)
    assert "106.30\N{NO-BREAK SPACE}€" in visitor.get("/basket").text


def test_a_purchase_carries_what_its_visitor_saw(shop: Flask) -> None:
    buyer, other = shop.test_client(), shop.test_client()
    add(buyer, "oolong", 1)
    buyer.get("/basket")
    with recorded(shop) as records:
        other.get("/")
        assert buyer.post("/checkout", data=ADDRESS).location == "/thanks"
    [purchase] = [each for each in records if isinstance(each, Event)]
    with shop.app_context(), abx.as_unit(visitor=purchase.units["visitor"]):
        seen = {
            key: abx.assignment(key).variant
            for key in ("checkout_button", "free_shipping")
        }
    assert purchase.name == "purchase"
    assert purchase.variants == seen
    assert purchase.value == Decimal("18.60") + Decimal("4.90")


def test_a_purchase_empties_the_basket(visitor: FlaskClient) -> None:
    add(visitor, "oolong", 1)
    visitor.post("/checkout", data=ADDRESS)
    assert "Thank you, Mina." in visitor.get("/thanks").text
    assert "Nothing in it yet" in visitor.get("/basket").text


def test_an_order_without_an_address_is_not_taken(
    shop: Flask, visitor: FlaskClient
) -> None:
    add(visitor, "oolong", 1)
    with recorded(shop) as records:
        answer = visitor.post("/checkout", data={**ADDRESS, "city": " "})
    assert answer.status_code == 422
    assert [each for each in records if isinstance(each, Event)] == []


def test_the_letter_tracks_a_signup(shop: Flask, visitor: FlaskClient) -> None:
    with recorded(shop) as records:
        visitor.post("/letter", data={"email": "not an address"})
        visitor.post("/letter", data={"email": "m@example.com"})
    assert [each.name for each in records if isinstance(each, Event)] == ["signup"]


def test_the_foot_bar_exposes_nobody(shop: Flask, visitor: FlaskClient) -> None:
    with recorded(shop) as records:
        line = bar(visitor.get("/business").text)
    assert re.search(r"headline = (control|bold)", line)
    assert re.search(r"free_shipping = (control \(49|treatment \(29) €\)", line)
    assert records == []


def test_the_foot_bar_tells_the_truth(visitor: FlaskClient) -> None:
    promised = bar(visitor.get("/business").text)
    page = visitor.get("/").text
    assert ("headline = bold" in promised) is ("Wake up" in page)


def test_definitions_name_five_experiments(shop: Flask) -> None:
    assert set(state_of(shop).ruleset().rules) == {
        "headline",
        "free_shipping",
        "checkout_button",
        "gift_wrap",
        "bulk_prices",
    }


@pytest.mark.parametrize("path", ["/", "/basket", "/business", "/lab", "/tea/sencha"])
def test_every_page_leads_to_the_results(visitor: FlaskClient, path: str) -> None:
    assert '<a href="/abx" target="_top">' in visitor.get(path).text
    assert visitor.get("/abx").status_code == 200


def test_results_are_for_the_demonstration_alone(shop: Flask) -> None:
    shop.testing = False
    assert shop.test_client().get("/abx").status_code == 403
    shop.debug = True
    assert shop.test_client().get("/abx").status_code == 200
