"""The database of the shop: seeded once, in force at once, the developer's then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from example_app import create_app
from example_app.experiments import abx
from flask_abx.experiments.lifecycle import Action, Status
from flask_abx.runtime.results import latest
from flask_abx.runtime.state import state_of
from flask_abx.stores.database import reading
from tests.example_app.conftest import close

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

KEYS = ["bulk_prices", "checkout_button", "free_shipping", "gift_wrap", "headline"]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Flask]:
    """Make a shop as it is served: no test, no debug, and nothing seeded yet."""
    live = create_app(
        {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'kettle.db'}",
            "ABX_RULESET_CACHE": False,
            "ABX_EVENT_LOG": str(tmp_path / "events.log"),
        }
    )
    yield live
    close(live)


def seed(shop: Flask, visitors: int = 0) -> str:
    arguments = ["seed", "--visitors", str(visitors)]
    runner = shop.test_cli_runner()
    return runner.invoke(args=arguments, catch_exceptions=False).output


def tables(shop: Flask) -> dict[str, list[tuple[object, ...]]]:
    """Read every table, in the order of its key."""
    database = state_of(shop).database
    assert database is not None
    with reading(database.own) as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(
                    select(table).order_by(*table.primary_key)
                )
            ]
            for table in database.tables.all
        }


def test_seeding_says_what_it_did_and_what_to_try(live: Flask, tmp_path: Path) -> None:
    place, end = tmp_path / "kettle.db", "Try: flask --app example_app abx list\n"
    experiments = "headline, free_shipping, checkout_button, gift_wrap, bulk_prices"
    assert seed(live) == f"Seeded {place} with {experiments}. {end}"
    kept = f"There are definitions in {place}, they stay as they are."
    assert seed(live) == f"{kept} {end}"


def test_what_is_seeded_counts_at_once(live: Flask, tmp_path: Path) -> None:
    seed(live)
    client = live.test_client()
    assert "→ lab" not in client.get("/").text
    assert client.get("/lab").status_code == 404
    assert (tmp_path / "events.log").read_text().count('"exposure"') == 1


def test_seeding_again_keeps_what_was_changed(live: Flask) -> None:
    seed(live)
    editor = state_of(live).editor
    assert editor is not None
    editor.move("headline", Action.PAUSE)
    before = editor.desk()
    seed(live)
    after = editor.desk()
    assert after.experiment("headline").status is Status.PAUSED
    assert after.snapshot.mark == before.snapshot.mark


def test_a_served_shop_follows_a_command(shop: Flask) -> None:
    editor, client = state_of(shop).editor, shop.test_client()
    assert editor is not None
    for _ in range(20):
        client.post("/lab/another")
        if "Wake up" in client.get("/").text:
            break
    editor.move("headline", Action.PAUSE)
    assert "quiet afternoon" in client.get("/").text
    editor.move("headline", Action.RESUME)
    assert "Wake up" in client.get("/").text


def test_definitions_of_the_shop_are_in_its_database(live: Flask) -> None:
    seed(live)
    listed = live.test_cli_runner().invoke(args=["abx", "list"]).output
    assert [key for key in KEYS if f'"{key}"' in listed] == KEYS


def test_a_fortnight_of_visitors_is_looked_at(shop: Flask) -> None:
    told = seed(shop, visitors=10)
    assert "140 visitors, all of them made up, came within 14 days." in told
    looks = latest(state_of(shop))
    assert sorted(looks) == KEYS
    units = {
        key: sum(each.units for each in look.variants)
        for key, look in looks.items()
        if look
    }
    assert units["headline"] == units["free_shipping"] == units["gift_wrap"] == 140
    assert units["checkout_button"] < 140


def test_gift_wrap_is_shipped_after_it(shop: Flask) -> None:
    seed(shop, visitors=10)
    look = latest(state_of(shop))["gift_wrap"]
    assert look is not None
    assert look.status == Status.CONCLUDED
    with shop.app_context(), abx.as_unit(visitor="somebody"):
        assert abx.variant("gift_wrap") == "offered"


def test_a_fortnight_passes_only_once(shop: Flask) -> None:
    seed(shop, visitors=10)
    before = tables(shop)
    assert "made up" not in seed(shop, visitors=20)
    assert tables(shop) == before


def test_the_same_visitors_come_to_every_new_shop(shop: Flask, tmp_path: Path) -> None:
    units = []
    place = f"sqlite:///{tmp_path / 'other.db'}"
    other = create_app({"TESTING": True, "SQLALCHEMY_DATABASE_URI": place})
    for each in (shop, other):
        seed(each, visitors=10)
        found = tables(each)["abx_exposures"]
        units.append([row[:4] for row in found])
    close(other)
    assert units[0] == units[1]


def test_a_shop_that_had_visitors_gets_none_that_are_made_up(shop: Flask) -> None:
    shop.test_client().get("/")
    with shop.app_context():
        assert abx.flush()
    told = seed(shop, visitors=10)
    assert "Nobody is made up. Experiment 'headline' has exposures" in told
    assert len(tables(shop)["abx_exposures"]) == 1
