"""The database of the shop: seeded once, in force at once, the developer's then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_app import create_app
from flask_abx.experiments.lifecycle import Action, Status
from flask_abx.runtime.state import state_of
from tests.example_app.conftest import close

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

KEYS = ["bulk_prices", "free_shipping", "headline"]


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


def seed(shop: Flask) -> str:
    return shop.test_cli_runner().invoke(args=["seed"], catch_exceptions=False).output


def test_seeding_says_what_it_did_and_what_to_try(live: Flask, tmp_path: Path) -> None:
    place, end = tmp_path / "kettle.db", "Try: flask --app example_app abx list\n"
    experiments = "headline, free_shipping, bulk_prices"
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
